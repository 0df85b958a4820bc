"""A process that appends until it is killed, one line an acknowledgement: `python -m tests.support.log_writer DIR`."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from tests.support.log import SqliteCheckpointStore, entries_of, open_log


def main(folder: Path) -> None:
    with open_log(folder / "log", SqliteCheckpointStore(folder / "log.sqlite")) as log:
        for number in count():
            size = 1 + number * 37 % 90
            batch = log.append(entries_of(f"{log.size}", size))
            sys.stdout.write(f"{batch.first_index} {batch.count}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
