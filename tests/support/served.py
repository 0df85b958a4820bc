"""``concord serve`` as a child process on a founded folder, to be killed and starved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.world import PASSPHRASE

__all__ = ["ROOT", "command_line", "environment", "served"]

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """What `concord` is told by the environment."""
    told = {"CONCORD_PASSPHRASE": PASSPHRASE, "CONCORD_PUBLISH_AFTER_S": "0.1", "CONCORD_BATCH_DELAY_S": "0.005"}
    return {**os.environ, **told}


def command_line(home: Path) -> list[str]:
    """The command that serves ``home`` on a free port and says in JSON where."""
    return [sys.executable, "-m", "scripts.concord", "--json", "serve", "--home", str(home), "--port", "0"]


@contextmanager
def served(home: Path, prepare_child: Callable[[], None] | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A child process that serves ``home``, and its URL; killed when the block ends, if it still runs."""
    child = subprocess.Popen(
        command_line(home),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare_child,  # noqa: PLW1509 - sets a limit of the child, no thread holds a lock then
    )
    try:
        assert child.stdout is not None
        assert child.stderr is not None
        line = child.stdout.readline()
        assert line, child.stderr.read()
        yield child, json.loads(line)["url"]
    finally:
        child.kill()
        child.communicate()
