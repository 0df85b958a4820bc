"""Whether what was said to be done took effect: the index has the last word, not one receipt.

A node may answer a receipt that is another transaction's. So once the index is past the block of what was settled as
done, the statement's effect stands in it; what has none there is judged again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from ledger.exchange.parts import Parts
from ledger.exchange.relays import Relays
from ledger.types import Bytes32

__all__ = ["Effects"]

_AT_START: Final = 1024
_logger = logging.getLogger(__name__)


class Effects:
    """What is done and not seen in the index yet; the submitter's thread alone calls it."""

    def __init__(self, parts: Parts, relays: Relays) -> None:
        self._parts = parts
        self._relays = relays
        self._unseen: dict[Bytes32, int] | None = None

    def expect(self, done: Iterable[tuple[str, int]]) -> None:
        """Look for the effects of what is done in these blocks once they are indexed."""
        if self._unseen is None:
            self._unseen = self._find_last()
        self._unseen.update((Bytes32.parse(subject), block) for subject, block in done if subject[:2] == "0x")

    def check(self) -> bool:
        """Have what has no effect though its block is indexed judged again; whether there is such.

        Raises:
            UnavailableError: the database does not answer.
        """
        self.expect(())
        if not self._unseen:
            return False
        store = self._parts.store
        with store.snapshot():
            cursor = store.projections.cursor()
            due = [digest for digest, block in self._unseen.items() if cursor is not None and block <= cursor.block]
            effects = store.chain.find_effects(due)
        for digest in due:
            del self._unseen[digest]
        missing = [str(digest) for digest in due if digest not in effects]
        if missing:
            _logger.warning("the chain has no effect of what the node said is done: %s", ", ".join(missing))
            store.outbox.reopen(missing, self._parts.now())
        return bool(missing)

    def _find_last(self) -> dict[Bytes32, int]:
        accounts = [relay.address for relay in self._relays.all()]
        rows = [row for each in accounts for row in self._parts.store.outbox.last_done(each, _AT_START)]
        return {Bytes32.parse(row.subject): row.block for row in rows if row.block is not None}
