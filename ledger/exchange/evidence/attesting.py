"""Attestations: the gateway's relay account has the chain say what it keeps of a grant, or of the gateway's log.

Anyone may send these transactions; they change nothing and may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ledger.chain import Call, Commitment, decode_receipt_events, encode_attest_grant, encode_attest_log
from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.exchange.attempts import Attempts, Sends
from ledger.exchange.parts import Parts
from ledger.exchange.reporting import parse_refusal
from ledger.exchange.turns import Turns
from ledger.merkle import EMPTY_ROOT
from ledger.statements import Statement
from ledger.store.rows import OutboxRow, OutboxState
from ledger.surface.attestations import AttestationState, AttestationView
from ledger.types import Bytes32

__all__ = ["AttestedPlace", "Attestations"]

_EVENTS: Final = {"grant": "GrantAttested", "log": "LogAttested"}


@dataclass(frozen=True, slots=True)
class AttestedPlace:
    """Where the event of a final attestation stands."""

    block: int
    transaction: Bytes32
    position: int


class Attestations:
    """Asks for attestations and finds them again. Thread-safe."""

    def __init__(self, parts: Parts, sender: Sends, on_enqueued: Callable[[], None]) -> None:
        self._parts = parts
        self._attempts = Attempts("attestation", parts, sender, on_enqueued)
        self._turns = Turns()

    def ask_grant(self, grant: Statement, digest: Bytes32, *, after: datetime | None = None) -> AttestationView:
        """Have a grant attested; the newest attestation answers where it is later than ``after``, or on its way.

        Raises:
            MalformedError: ``after`` lies in the future.
            UnavailableError: the chain does not answer, or too much is on its way to it.
        """
        return self._ask("grant", digest, lambda: encode_attest_grant(self._parts.deployment.contracts, grant), after)

    def ask_log(self, *, after: datetime | None = None) -> AttestationView:
        """Have this gateway's log attested. Raises: as `ask_grant`; NotFoundError: it is not open on chain."""
        return self._ask("log", self._parts.log, self._encode_log, after)

    def newest(self, kind: str, subject: Bytes32) -> AttestationView:
        """The newest attestation that went through here. Raises: NotFoundError: none did."""
        with self._parts.store.snapshot():
            row, as_of_block = self._attempts.newest(f"{kind}:{subject}"), self._parts.store.chain.as_of_block()
        if row is None:
            raise NotFoundError(f"no attestation of this {kind} was asked for here: POST asks for one")
        return self._present(kind, subject, row, as_of_block)

    def place(self, kind: str, subject: Bytes32, *, is_fit: Callable[[int], bool] = lambda _: True) -> AttestedPlace:
        """Where the event of the newest final attestation stands whose block is fit.

        Raises:
            NotFoundError: none was asked for here, or none that is fit is final.
            UnavailableError: the chain does not answer, or does not show it any more.
        """
        done = (row for row in self._attempts.rows(f"{kind}:{subject}") if row.state is OutboxState.DONE)
        row = next((each for each in done if each.block is not None and is_fit(each.block)), None)
        if row is None:
            raise NotFoundError(f"no attestation of this {kind} is final here: POST asks for one")
        receipt = self._parts.edge.receipt(row.hash)
        events = () if receipt is None else decode_receipt_events(receipt, 0, self._parts.deployment.contracts)
        event = next((each for each in events if each.name == _EVENTS[kind]), None)
        if event is None:
            raise UnavailableError("the chain no longer shows the attestation: ask again", retry_after_s=1.0)
        return AttestedPlace(event.block_number, event.tx_hash, event.log_index_in_block)

    def _ask(self, kind: str, subject: Bytes32, encode: Callable[[], Call], after: datetime | None) -> AttestationView:
        if after is not None and after > self._parts.now():
            raise MalformedError("after lies in the future: nobody can attest what will be; ask when it has passed")
        with self._turns.of((kind, subject)):
            if self._attempts.newest(f"{kind}:{subject}") is not None:
                known = self.newest(kind, subject)
                if known.state is AttestationState.PENDING or _is_after(known, after):
                    return known
            call = encode()
            self._attempts.simulate(call)
            self._attempts.send(f"{kind}:{subject}", call)
        return self.newest(kind, subject)

    def _encode_log(self) -> Call:
        chain, log = self._parts.store.chain, self._parts.log
        last, opened = chain.last_checkpoint(log), chain.find_log(log)
        if opened is None:
            raise NotFoundError("this gateway's log is not open on chain yet")
        if last is None:
            current = Commitment(0, Bytes32(EMPTY_ROOT), int(opened.opened_at.timestamp()))
        else:
            current = Commitment(last.size, last.root, int(last.time.timestamp()))
        return encode_attest_log(self._parts.deployment.contracts, log, current)

    def _present(self, kind: str, subject: Bytes32, row: OutboxRow, as_of_block: int) -> AttestationView:
        state = _STATES.get(row.state, AttestationState.PENDING)
        is_final = state is AttestationState.FINAL
        header = self._parts.edge.header(row.block) if is_final and row.block is not None else None
        return AttestationView(
            kind=kind,
            subject=subject,
            state=state,
            transaction=row.hash,
            block=row.block,
            time=None if header is None else datetime.fromtimestamp(header.timestamp, UTC),
            refusal=None if row.outcome is None else parse_refusal(row.outcome),
            as_of_block=as_of_block,
        )


_STATES: Final = {OutboxState.DONE: AttestationState.FINAL, OutboxState.FAILED: AttestationState.FAILED}


def _is_after(known: AttestationView, after: datetime | None) -> bool:
    return after is not None and known.time is not None and known.time > after
