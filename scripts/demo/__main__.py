"""`make demo`: see ``scripts.demo``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError
from scripts.demo.chain_choice import DemoChain
from scripts.demo.display import Display

FOLDER: Final = Path("var/demo")


def main() -> int:
    """Run the demo; exit 0 when everything was as it must be."""
    parser = argparse.ArgumentParser(description="The main job of Concord, end to end.")
    parser.add_argument("--keep", action="store_true", help="continue with the state of an earlier run")
    parser.add_argument("--rpc", metavar="URL", help="a node of the chain to run on, which asks no fee; or embedded")
    parser.add_argument("--finality", type=int, default=0, metavar="BLOCKS", help="when that chain's blocks are final")
    arguments = parser.parse_args()
    display, began = Display(), time.monotonic()
    display.plain(f"The main job of Concord, end to end, on public data, into {FOLDER}")
    try:
        from scripts.demo.program import run  # noqa: PLC0415 - loads the EVM, which takes a moment

        chain = DemoChain(arguments.rpc, finality_blocks=arguments.finality)
        run(FOLDER, display, keep=arguments.keep, chain=chain)
    except LedgerError as error:
        print(f"\nthe demo stopped: {error}{_last_words(FOLDER / 'service.log')}", file=sys.stderr)
        print("`make demo` begins anew", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; `make demo` begins anew", file=sys.stderr)
        return 130
    display.plain(f"Done in {time.monotonic() - began:.0f} s.")
    return 0


def _last_words(log: Path) -> str:
    lines = log.read_text().splitlines() if log.exists() else []
    return f"\n{log} ends with: {lines[-1]}" if lines else ""


if __name__ == "__main__":
    sys.exit(main())
