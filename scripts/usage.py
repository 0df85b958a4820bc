"""Wrong usage, as the programs here answer it: exit code 3, for 1 and 2 are verdicts. Needs nothing but Python."""

from __future__ import annotations

import argparse
import sys
from typing import Final, NoReturn

__all__ = ["USAGE_ERROR", "Parser", "UsageError"]

USAGE_ERROR: Final = 3


class Parser(argparse.ArgumentParser):
    """Ends the program with `USAGE_ERROR`, where argparse would with 2; its subparsers do, too."""

    def error(self, message: str) -> NoReturn:
        """Say how it is used and what was wrong. Raises: SystemExit."""
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"{self.prog}: error: {message}\n")


class UsageError(Exception):
    """What was asked for can not be done; the message says why."""
