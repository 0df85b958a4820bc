"""A loss that was accepted when an embedded chain was restored: the folder is read, and its log's key signs no more.

What was said after the backup's moment is gone, its receipts are not: the next entry that the log took would stand
under a second root of the same size, signed by the same key, and whoever holds the first could show a fork.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from ledger.canonical import JsonValue, encode_canonical
from ledger.errors import ConflictError, MalformedError
from ledger.exchange.settings import Home
from ledger.keyfiles import replace_private_file

__all__ = ["AcceptedLoss"]

_FORMAT: Final = "concord-accepted-loss/1"


@dataclass(frozen=True, slots=True)
class AcceptedLoss:
    """``accepted-loss.json`` in a home: of which moment it is, and how many entries its log has."""

    restored_to: datetime
    log_size: int

    def keep(self, home: Home) -> None:
        """Write it into a home. Raises: OSError."""
        document: dict[str, JsonValue] = {
            "format": _FORMAT,
            "restored_to": self.restored_to.isoformat(),
            "log_size": self.log_size,
        }
        replace_private_file(home.accepted_loss_file, encode_canonical(document))

    @classmethod
    def find(cls, home: Home) -> Self | None:
        """The loss that was accepted for a home; None: none was. Raises: MalformedError: the file is damaged."""
        path: Path = home.accepted_loss_file
        try:
            document = json.loads(path.read_bytes())
            if document["format"] != _FORMAT:
                raise MalformedError(f"{path.name} is of another form ({document['format']}): take a newer concord")
            return cls(datetime.fromisoformat(document["restored_to"]), int(document["log_size"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedError(f"{path.name} is damaged: restore the backup again") from error

    def refuse(self) -> ConflictError:
        """What whoever states something is told."""
        return ConflictError(
            f"this gateway takes no statements: it was restored to {self.restored_to:%Y-%m-%d %H:%M:%SZ} with "
            f"--accept-loss, and after its {self.log_size} entries its log's key may have signed others. Reads go on. "
            "Where the chain or a mirror of the log turns up, restore the backup again with --chain or --mirror",
            code="loss-accepted",
        )
