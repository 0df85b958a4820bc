"""Keys that are not here: a receipt under a sealing that the provider's client made waits until that client answers it.

The provider's client asks what waits, wraps the key to the receipt's public key, and states the ``KeyRelease``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.content.release import WRAPPED_KEY_SIZE_BYTES
from ledger.errors import ConflictError, MalformedError, NotFoundError, RefusedError
from ledger.exchange.asker import Asker
from ledger.exchange.parts import Parts
from ledger.exchange.sealings import Sealings
from ledger.exchange.transfers.keys import Receiving
from ledger.store.rows import AccessRow, TransferRow
from ledger.surface.transfers import TransferView
from ledger.types import Bytes32, parse_hex

__all__ = ["Releases"]

_MOST: Final = 200


class Releases:
    """`gateway.transfers.releases`, for providers."""

    def __init__(
        self,
        parts: Parts,
        sealings: Sealings,
        receiving: Receiving,
        present: Callable[[TransferRow, int], TransferView],
    ) -> None:
        self._parts = parts
        self._rows = parts.store.transfers
        self._sealings = sealings
        self._receiving = receiving
        self._present = present

    def waiting(self, asker: Asker) -> tuple[TransferView, ...]:
        """The asker's transfers, at most 200 and the oldest first, whose receipt waits for a key that is not here."""
        if asker.participant is None:
            return ()
        rows = self._rows.list_unreleased(asker.participant, _MOST)
        head = self._parts.edge.head().number
        return tuple(self._present(row, head) for row in rows if self._is_the_clients(row))

    def give(
        self, asker: Asker, transfer: Bytes32, *, statement: Bytes32 | None = None, wrapped_key: str | None = None
    ) -> TransferView:
        """Answer a receipt with the ``KeyRelease`` in the log, or have the gateway state one with this wrapped key.

        Repeating it is safe: a transfer has one release.

        Raises:
            MalformedError: neither of the two, or both; the wrapped key is none.
            NotFoundError: no such transfer of the asker's, or no such statement in the log.
            ConflictError: the transfer has no receipt yet (``not-receipted``); as `Receiving.state_release`.
            RefusedError: the release is of another transfer (``other-transfer``).
        """
        if (statement is None) == (wrapped_key is None):
            raise MalformedError("a release is given by the digest of its statement, or by the wrapped key alone")
        if self._find_own(asker, transfer).receipt is None:
            raise ConflictError("nothing was receipted yet: no key is due", code="not-receipted")
        head = self._parts.edge.head().number
        with self._receiving.turn(transfer):
            row = self._rows.get(transfer)
            if row.release is None or self._receiving.find(row.release) is None:
                if statement is not None:
                    self._check_release(row, statement)
                    self._log(row, head)
                    self._rows.announce_release(row.id, statement)
                else:
                    wrapped = parse_hex(wrapped_key or "", WRAPPED_KEY_SIZE_BYTES)
                    self._log(row, head)
                    self._receiving.state_release(row, wrapped)
            return self._present(self._rows.get(transfer), head)

    def _is_the_clients(self, row: TransferRow) -> bool:
        sealed = self._sealings.find(row.sealing)
        return sealed is not None and self._sealings.is_current(sealed.id) and not self._sealings.holds_key(sealed.id)

    def _find_own(self, asker: Asker, transfer: Bytes32) -> TransferRow:
        row = self._rows.find(transfer)
        if row is None or row.provider != asker.participant:
            raise NotFoundError("there is no transfer of yours with this id")
        return row

    def _check_release(self, row: TransferRow, statement: Bytes32) -> None:
        message: Any = self._parts.directory.statement(statement, "KeyRelease").message
        expected = (row.id, row.receipt, row.grant, row.consumer)
        found = (message["transfer"], message["receipt"], message["grant"], message["consumer"])
        for name, wanted, given in zip(("transfer", "receipt", "grant", "consumer"), expected, found, strict=True):
            if wanted != given:
                raise RefusedError(
                    f"the release names another {name} than this transfer's",
                    code="other-transfer",
                    facts={"expected": str(wanted), "found": str(given)},
                )

    def _log(self, row: TransferRow, block: int) -> None:
        self._rows.log_access(row.id, AccessRow(self._parts.now(), block, "key"))
