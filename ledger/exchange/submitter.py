"""The submitter: brings accepted statements to their contracts, whatever dies when.

Of each statement: simulate, then in one SQL transaction nonce, signed bytes and hash, and only then send. What is
stored is sent again until its outcome is final; repeats are no-ops on chain, so that somebody else's relaying of the
same statement does no harm. A statement is refused when its simulation is while nothing is in flight before it, or
when its transaction reverted in a final block.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from ledger.canonical import JsonValue
from ledger.chain import Call, Receipt, Refusal, RefusalKind, Signer, encode_statement
from ledger.chain import SignedStatement as ExecutableStatement
from ledger.chain import SignedTransaction as ChainTransaction
from ledger.errors import FatalError, RefusedError, UnavailableError
from ledger.exchange.parts import Parts
from ledger.exchange.reporting import refusal_json
from ledger.exchange.tracing import traces
from ledger.statements import Statement
from ledger.store.rows import OutboxRow, OutboxState, SignedTransaction, StatementRow
from ledger.types import Bytes32

__all__ = ["Submitter"]

_MOST_IN_FLIGHT: Final = 64
_RESEND_AFTER: Final = timedelta(seconds=5)
_LOOK_AGAIN_S: Final = 0.01
_logger = logging.getLogger(__name__)


class Submitter:
    """Works off what was accepted; `step` is called by its worker alone."""

    def __init__(self, parts: Parts, on_sent: Callable[[], None]) -> None:
        self._parts = parts
        self._on_sent = on_sent
        self._turn = threading.Lock()
        self._successor: Signer | None = None
        self._handed_over = threading.Event()

    def step(self) -> bool:
        """Follow what is in flight, submit what is new, send; whether anything moved."""
        moved = self._follow()
        # What the relay account sent gets its outcome before its successor sends anything.
        moved = (self._enqueue_new() if self._successor is None else self._change_over()) or moved
        return self._send() or moved

    def hand_over(self, successor: Signer, timeout_s: float) -> bool:
        """Let the keystore's next relay account follow once nothing of the present one is on its way; whether it did.

        Statements are accepted meanwhile and wait.
        """
        with self._turn:
            self._handed_over.clear()
            self._successor = successor
        self._on_sent()
        return self._handed_over.wait(timeout_s)

    def _change_over(self) -> bool:
        parts = self._parts
        with self._turn:
            if parts.store.outbox.in_flight(parts.relay.address):
                return False
            parts.relay = parts.keystore.adopt_next_relay()
            self._successor = None
            self._handed_over.set()
        _logger.info("transactions are sent from the account %s from now on", parts.relay.address)
        return True

    def settle(self, timeout_s: float = 5.0) -> bool:
        """Wait until nothing is on its way and all is indexed; False when there was nothing to wait for."""
        if not self._is_busy():
            return False
        end = time.monotonic() + timeout_s
        while self._is_busy() and time.monotonic() < end:
            self._on_sent()
            time.sleep(_LOOK_AGAIN_S)
        return True

    def _is_busy(self) -> bool:
        store = self._parts.store
        if store.outbox.depth() or store.statements.list_submittable(1):
            return True
        cursor = store.projections.cursor()
        return cursor is None or cursor.block < self._parts.edge.head().number

    def enqueue(self, subject: str, call: Call) -> OutboxRow | None:
        """Give a call that is no statement's a nonce and store it signed; None when its subject was there."""
        rows = self._store_signed([(subject, call)])
        return rows[0] if rows else None

    def _store_signed(self, calls: Sequence[tuple[str, Call]]) -> tuple[OutboxRow, ...]:
        parts = self._parts
        with self._turn:
            relay = parts.relay.address
            chain_nonce = parts.edge.nonce(relay)
            ahead = self._sign_ahead(calls, parts.store.outbox.next_nonce(relay, chain_nonce))
            items = [(subject, self._signing(subject, call, ahead)) for subject, call in calls]
            rows = parts.store.outbox.enqueue(relay, chain_nonce, items, parts.now())
        for row in rows:
            if row.subject.startswith("0x"):
                traces.moved(row.subject, "given a transaction", transaction=str(row.hash), nonce=row.nonce)
        return rows

    def _sign_ahead(self, calls: Sequence[tuple[str, Call]], nonce: int) -> dict[tuple[str, int], SignedTransaction]:
        """Sign with the nonces that the outbox will most likely give: a remote signer must not hold the database."""
        return {
            (subject, nonce + place): self._sign(call, nonce + place) for place, (subject, call) in enumerate(calls)
        }

    def _signing(
        self, subject: str, call: Call, ahead: Mapping[tuple[str, int], SignedTransaction]
    ) -> Callable[[int], SignedTransaction]:
        return lambda nonce: ahead.get((subject, nonce)) or self._sign(call, nonce)

    def _sign(self, call: Call, nonce: int) -> SignedTransaction:
        signed = self._parts.edge.sign_transaction(self._parts.relay, call, nonce)
        return SignedTransaction(signed.raw, signed.hash)

    # New statements

    def _enqueue_new(self) -> bool:
        store = self._parts.store
        in_flight = store.outbox.count_in_flight(self._parts.relay.address)
        rows = store.statements.list_submittable(_MOST_IN_FLIGHT - in_flight) if in_flight < _MOST_IN_FLIGHT else ()
        calls = [encode_statement(self._parts.deployment.contracts, _executable(row)) for row in rows]
        ready: list[tuple[str, Call]] = []
        refused = 0
        for row, call, found in zip(rows, calls, self._simulate_each(calls), strict=True):
            if isinstance(found, RefusedError):
                if in_flight or ready:
                    break  # what is in flight may be what it waits for
                self._refuse(row, found)
                refused += 1
            elif found:
                ready.append((str(row.digest), call))
        if ready:
            self._store_signed(ready)
        return bool(ready or refused)

    def _simulate_each(self, calls: Sequence[Call]) -> list[bool | RefusedError]:
        """Of each by itself whether it would change anything (a repeat answers false), or why it is refused."""
        found = self._parts.edge.simulate_each(calls, self._parts.relay.address)
        return [each if isinstance(each, RefusedError) else any(each) for each in found]

    def _refuse(self, row: StatementRow, refusal: RefusedError) -> None:
        if self._parts.store.chain.find_effect(row.digest) is None:
            _logger.info("the contract refuses %s %s: %s", row.type, row.digest, refusal.code)
            self._parts.store.statements.refuse(row.digest, _dump_refusal(refusal))
            traces.moved(str(row.digest), "refused by the contract", code=refusal.code)

    # Sending

    def _send(self) -> bool:
        parts, now = self._parts, self._parts.now()
        rows = parts.store.outbox.take(parts.relay.address, limit=_MOST_IN_FLIGHT, resend_before=now - _RESEND_AFTER)
        if not rows:
            return False
        answers = parts.edge.send([ChainTransaction(row.relay, row.nonce, row.raw, row.hash) for row in rows])
        sent = [row.subject for row, answer in zip(rows, answers, strict=True) if _is_sent(answer)]
        parts.store.outbox.mark_sent(sent, now)
        for row, answer in zip(rows, answers, strict=True):
            if answer is not None and not answer.kind.is_sent:
                self._judge(row, answer)
        self._on_sent()
        return True

    def _judge(self, row: OutboxRow, refusal: Refusal) -> None:
        if refusal.kind in {RefusalKind.NONCE_TOO_LOW, RefusalKind.REPLACEMENT_UNDERPRICED}:
            if self._parts.edge.is_transaction_known(row.hash):
                self._parts.store.outbox.mark_sent([row.subject], self._parts.now())
                return
            raise FatalError(
                f"nonce {row.nonce} of the relay account {row.relay} was spent by a transaction that is not ours: "
                "stop whoever else uses this key, and restart"
            )
        if refusal.kind.is_certain:
            noop = self._parts.edge.sign_noop(self._parts.relay, row.nonce)
            self._parts.store.outbox.refuse_and_fill(
                row.subject,
                refusal_json(f"transaction-{refusal.kind.value}", refusal.message, {"code": refusal.code}),
                SignedTransaction(noop.raw, noop.hash),
                self._parts.now(),
            )
            return
        advice = "an operator must act" if refusal.kind.needs_operator else "it is sent again"
        raise UnavailableError(f"the node does not take a transaction ({refusal.message}): {advice}", retry_after_s=1.0)

    # Following

    def _follow(self) -> bool:
        outbox = self._parts.store.outbox
        rows = [row for row in outbox.in_flight(self._parts.relay.address) if row.state is not OutboxState.PENDING]
        if not rows:
            return False
        final = self._parts.edge.final_head().number
        receipts = self._parts.edge.receipts([row.hash for row in rows])
        reasons = {
            row.subject: self._explain(row)
            for row, receipt in zip(rows, receipts, strict=True)
            if receipt is not None and receipt.block_number <= final and not receipt.is_successful
        }
        with self._parts.store.transaction():
            settled = zip(rows, receipts, strict=True)
            moves = [self._settle_row(row, receipt, final, reasons) for row, receipt in settled]
        return any(moves)

    def _settle_row(
        self, row: OutboxRow, receipt: Receipt | None, final: int, reasons: Mapping[str, Mapping[str, JsonValue]]
    ) -> bool:
        outbox, now = self._parts.store.outbox, self._parts.now()
        if receipt is None:
            if row.state is OutboxState.INCLUDED:  # the head went back
                outbox.put_back([row.subject], now)
                return True
            return False
        if receipt.block_number > final:
            if row.block == receipt.block_number:
                return False
            outbox.mark_included(row.subject, receipt.block_number, now)
        elif row.noop:
            outbox.mark_failed(row.subject, row.outcome or refusal_json("transaction-invalid", "refused", {}), now)
        elif receipt.is_successful:
            outbox.mark_done(row.subject, now, block=receipt.block_number)
            _trace_done(row, receipt.block_number)
        else:
            outbox.mark_failed(row.subject, reasons[row.subject], now)
            traces.moved(row.subject, "reverted", block=receipt.block_number, transaction=str(row.hash))
        return True

    def _explain(self, row: OutboxRow) -> dict[str, JsonValue]:
        """Why a transaction reverted: what its simulation says now."""
        statement = self._parts.store.statements.find(Bytes32.parse(row.subject)) if row.subject[:2] == "0x" else None
        if statement is not None:
            call = encode_statement(self._parts.deployment.contracts, _executable(statement))
            [found] = self._simulate_each([call])
            if isinstance(found, RefusedError):
                return _dump_refusal(found)
        return refusal_json("transaction-reverted", "the transaction was mined and reverted", {"hash": row.hash})


def _trace_done(row: OutboxRow, block: int) -> None:
    kind, _, rest = row.subject.partition(":")
    if kind == "checkpoint":
        size = int(rest.split(":")[1])
        traces.anchored(size, checkpoint_size=size, block=block, transaction=str(row.hash))
    else:
        traces.moved(row.subject, "in force", block=block, transaction=str(row.hash))


def _executable(row: StatementRow) -> ExecutableStatement:
    statement = Statement.parse(row.type, dict(row.message))
    return ExecutableStatement(statement, row.signer, row.signature, row.cosignature)


def _is_sent(answer: Refusal | None) -> bool:
    return answer is None or answer.kind.is_sent


def _dump_refusal(refusal: RefusedError) -> dict[str, JsonValue]:
    return refusal_json(refusal.code, str(refusal), refusal.facts)
