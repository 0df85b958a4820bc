"""The receipt that a consumer gives, and the key that it is answered with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from ledger.canonical import JsonValue
from ledger.content.release import ReleaseTerms, check_recipient_key, wrap_key
from ledger.content.sealing import SealingKey
from ledger.errors import ConflictError, MalformedError, RefusedError
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.intake import Announce, Intake
from ledger.exchange.intents import Intent, RawIntent
from ledger.exchange.parts import Parts
from ledger.exchange.sealed_version import SealedVersion
from ledger.exchange.signatures import find_custodial
from ledger.statements import Statement, compute_transfer_id
from ledger.store.rows import StatementRow, TransferRow
from ledger.surface.outcomes import Outcome, SignedStatement
from ledger.surface.transfers import CustodialReceipt
from ledger.types import Bytes32, parse_hex

__all__ = ["Receiving"]

_RETRY_AFTER_S: Final = 1.0
_WRITES: Final = frozenset({Scope.WRITE})
_NOTHING: Final = Bytes32(bytes(32))

State = Callable[[Asker, Intent, Announce], Outcome]
"""Signs in a participant's name and submits."""


class Receiving:
    """Logs receipts and releases keys. ``state`` signs with a participant's custodial key."""

    def __init__(self, parts: Parts, intake: Intake, state: State) -> None:
        self._parts = parts
        self._rows = parts.store.transfers
        self._intake = intake
        self._state = state
        self._lock, self._under_way = threading.Lock(), set[Bytes32]()

    def find(self, digest: Bytes32) -> StatementRow | None:
        """A statement of a transfer that is in the log; None: it did not get there."""
        row = self._parts.store.statements.find(digest)
        return None if row is None or row.log_index is None else row

    @contextmanager
    def turn(self, transfer: Bytes32) -> Iterator[None]:
        """One receipt of a transfer at a time. Raises: ConflictError: ``transfer-under-way``."""
        with self._lock:
            if transfer in self._under_way:
                raise ConflictError(
                    "the receipt of this transfer is just being taken: ask again soon",
                    code="transfer-under-way",
                    retry_after_s=_RETRY_AFTER_S,
                )
            self._under_way.add(transfer)
        try:
            yield
        finally:
            with self._lock:
                self._under_way.discard(transfer)

    def check_releasable(self, row: TransferRow) -> None:
        """Check, before a receipt is taken, that a key can be released in the provider's name: then it is owed.

        Raises:
            ConflictError: the gateway holds no key of the provider (``no-custodial-key``).
        """
        parts = self._parts
        if find_custodial(parts.directory, parts.keystore, row.provider) is None:
            raise ConflictError(
                "this gateway holds no active key of the provider, which signs the key's release: no "
                "receipt is taken; tell the provider",
                code="no-custodial-key",
                facts={"provider": str(row.provider)},
            )

    def take(self, row: TransferRow, sealed: SealedVersion, receipt: SignedStatement | CustodialReceipt) -> TransferRow:
        """Put the receipt into the log, unless one of this transfer is there.

        Raises:
            RefusedError: it says another transfer, grant, sealing, provider or root (``other-transfer``).
            MalformedError: no key can be wrapped to its recipient key.
            ConflictError: another receipt of this transfer is in the log (``transfer-receipted``).
            Others as `Intake.take` and `Statements.sign_and_submit`.
        """
        kept = None if row.receipt is None else self.find(row.receipt)
        if row.receipt is not None and kept is None:
            self._rows.forget_receipt(row.id, row.receipt)  # it was announced, and did not enter the log
        if isinstance(receipt, SignedStatement):
            digest = self._take_signed(row, sealed, receipt)
        else:
            digest = row.receipt if kept is not None and row.receipt else self._take_custodial(row, sealed, receipt)
        self._rows.announce_receipt(row.id, digest)
        return self._rows.get(row.id)

    def _take_signed(self, row: TransferRow, sealed: SealedVersion, receipt: SignedStatement) -> Bytes32:
        statement = receipt.statement
        _check_names(row, sealed, statement)
        message: Any = statement.message
        check_recipient_key(message["recipientKey"])
        digest = statement.digest(self._parts.domains)
        self._rows.announce_receipt(row.id, digest)
        try:
            return self._intake.take(receipt, of_transfer=True).digest
        except BaseException:
            if self.find(digest) is None:
                self._rows.forget_receipt(row.id, digest)
            raise

    def _take_custodial(self, row: TransferRow, sealed: SealedVersion, receipt: CustodialReceipt) -> Bytes32:
        check_recipient_key(parse_hex(receipt.recipient_key))
        members: dict[str, JsonValue] = {
            "provider": str(row.provider),
            "transferSalt": str(receipt.transfer_salt),
            "grant": str(row.grant),
            "sealing": str(row.sealing),
            "ciphertextRoot": str(receipt.ciphertext_root),
            "recipientKey": receipt.recipient_key,
        }
        named = (compute_transfer_id(row.consumer, receipt.transfer_salt), receipt.ciphertext_root)
        _check_same(row, sealed, (*named, row.consumer, row.provider, row.grant, row.sealing))
        intent = RawIntent(type_name="TransferReceipt", members=members, deadline_s=receipt.deadline_s)

        def announce(digest: Bytes32) -> None:
            self._rows.announce_receipt(row.id, digest)

        return self._state(Asker(row.consumer, _WRITES), intent, announce).digest

    def release(self, row: TransferRow, key: SealingKey) -> TransferRow:
        """Wrap the sealing's key to the receipt's public key and put the release into the log.

        Raises:
            ConflictError: the gateway holds no key of the provider (``no-custodial-key``).
            Others as `Statements.sign_and_submit`.
        """
        receipt = row.receipt or _NOTHING
        message: Any = self._parts.directory.statement(receipt, "TransferReceipt").message
        terms = ReleaseTerms(row.id, row.grant, row.sealing, row.consumer)
        wrapped = wrap_key(key.to_bytes(), message["recipientKey"], terms)
        return self.state_release(row, wrapped)

    def state_release(self, row: TransferRow, wrapped: bytes) -> TransferRow:
        """Put the release of a wrapped key into the log, signed with the custodial key. Raises: as `release`."""
        members: dict[str, JsonValue] = {
            "consumer": str(row.consumer),
            "transfer": str(row.id),
            "grant": str(row.grant),
            "receipt": str(row.receipt),
            "wrappedKey": "0x" + wrapped.hex(),
        }

        def announce(digest: Bytes32) -> None:
            self._rows.announce_release(row.id, digest)

        self._state(Asker(row.provider, _WRITES), RawIntent(type_name="KeyRelease", members=members), announce)
        return self._rows.get(row.id)


def _check_names(row: TransferRow, sealed: SealedVersion, statement: Statement) -> None:
    """Check that the receipt is of this transfer. Raises: RefusedError: ``other-transfer``."""
    if statement.type.name != "TransferReceipt":
        raise MalformedError(f"a transfer is receipted by a TransferReceipt, not by a {statement.type.name}")
    message: Any = statement.message
    transfer = compute_transfer_id(statement.participant, message["transferSalt"])
    named = (transfer, message["ciphertextRoot"], statement.participant)
    _check_same(row, sealed, (*named, message["provider"], message["grant"], message["sealing"]))


def _check_same(row: TransferRow, sealed: SealedVersion, found: tuple[Bytes32, ...]) -> None:
    names = ("transfer", "ciphertext root", "consumer", "provider", "grant", "sealing")
    expected = (row.id, sealed.descriptor.ciphertext_root, row.consumer, row.provider, row.grant, row.sealing)
    for name, wanted, given in zip(names, expected, found, strict=True):
        if wanted != given:
            raise RefusedError(
                f"the receipt names another {name} than this transfer's: nothing was logged",
                code="other-transfer",
                facts={"expected": str(wanted), "found": str(given)},
            )
