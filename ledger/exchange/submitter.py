"""The submitter: brings accepted statements to their contracts, whatever dies when.

Of each statement: simulate, then in one SQL transaction nonce, signed bytes and hash, and only then send. What is
stored is sent again until its outcome is final; repeats are no-ops on chain, so that somebody else's relaying of the
same statement does no harm. A statement is refused when its simulation is while nothing is in flight before it, and
still is when that block is final (`ledger.exchange.refusing`), or when its transaction reverted in a final block and
would not succeed now either (`ledger.exchange.reverted`).

Node and submitter work at the same time: while the node takes one part of what may be on its way, what it took before
is followed and the next part is simulated, signed and stored.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Final

from ledger.chain import Call, Receipt, Refusal, Signer, encode_statement
from ledger.chain import SignedTransaction as ChainTransaction
from ledger.errors import RefusedError
from ledger.exchange.answers import Answers, is_refused
from ledger.exchange.effects import Effects
from ledger.exchange.nonces import Nonces
from ledger.exchange.parts import Parts
from ledger.exchange.refusing import Refusing, simulate, simulate_each
from ledger.exchange.relays import MOST_IN_FLIGHT, Lanes, Relays
from ledger.exchange.reporting import refusal_json
from ledger.exchange.reverted import Fate, Judgement, Reverted
from ledger.exchange.submittable import Submittable, executable
from ledger.exchange.succession import Succession
from ledger.exchange.tracing import traces
from ledger.store.rows import OutboxRow, OutboxState, SignedTransaction, StatementRow
from ledger.types import Address, Bytes32

__all__ = ["Submitter"]

_AT_ONCE: Final = 512
_FEW: Final = 8
"""so many are sent sooner than anything is gained by doing something else meanwhile"""
_RESEND_AFTER: Final = timedelta(seconds=5)
_LOOK_AGAIN_S: Final = 0.01
_SHORTEST_PAUSE_S: Final = 0.005
_LOOK_ANYWAY_S: Final = 1.0
_logger = logging.getLogger(__name__)

_Item = tuple[str, Callable[[int], SignedTransaction]]
_Share = tuple[Signer, Sequence[tuple[str, Call]]]


class Submitter:
    """Works off what was accepted; `step` is called by its worker alone."""

    def __init__(self, parts: Parts, on_sent: Callable[[], None]) -> None:
        self._parts = parts
        self._on_sent = on_sent
        self._nonces = Nonces(parts)
        self._is_renewed = False
        self._looked_at_all_s = -math.inf
        self._relays = Relays(parts)
        self._waiting = Submittable(parts.store)
        self._answers = Answers(parts, self._nonces, self._relays)
        self._effects = Effects(parts, self._relays)
        self._refusing = Refusing(parts, self._nonces)
        self._reverted = Reverted(parts, self._nonces, partial(simulate, parts))
        self._on_way: dict[str, StatementRow] = {}
        self._not_sent: set[str] = set()
        self._sending: frozenset[str] = frozenset()
        self._looked_at: tuple[Bytes32, list[Bytes32]] | None = None
        self._looked_at_s = 0.0
        self._pause_s = _SHORTEST_PAUSE_S
        self._turn = threading.Lock()
        self._succession = Succession(parts, self._relays, self._turn)

    def step(self) -> bool:
        """Follow what is in flight, submit what is new, send; whether anything moved."""
        moved, is_prepared = False, self._is_prepared()
        if not is_prepared:
            moved, is_all = self._progress()
            if not is_all:
                return True  # before anything is sent again, find out what became of it
        moved = self._send(only_new=is_prepared) or moved
        if moved:
            self._pause_s = _SHORTEST_PAUSE_S
        return moved

    def _is_prepared(self) -> bool:
        """Whether the last step left enough to send, and nothing may be due to be sent again."""
        is_fresh = time.monotonic() < self._looked_at_all_s + _RESEND_AFTER.total_seconds()
        return is_fresh and self._is_overlapping(len(self._not_sent))

    @property
    def _is_inside(self) -> bool:
        """Whether the chain is executed in this process: nothing is gained by doing two things at a time."""
        return self._parts.edge.rpc is not None

    def _is_overlapping(self, count: int) -> bool:
        """Whether to do something else while so many are sent."""
        return count > _FEW and not self._is_inside

    def _progress(self) -> tuple[bool, bool]:
        """Follow what is in flight and store what is new; whether anything moved, and all was followed."""
        moved, is_all = self._follow()
        if not self._is_inside and self._effects.check():
            self._look_at_all()
            moved = True
        if moved and not is_all:
            return True, False
        if not self._is_renewed:
            for relay in self._relays.all():
                self._nonces.renew(relay)
            self._is_renewed = True
        # What a relay account sent gets its outcome before its successor sends anything.
        return (self._succession.change_over() if self._succession.is_asked else self._enqueue_new()) or moved, True

    def pause_s(self) -> float:
        """In how many seconds to look again, when a step found nothing to do: soon after a move, then later."""
        settings = self._parts.settings
        is_busy = len(self._refusing) or self._parts.store.outbox.depth()
        pause_s = min(self._pause_s, settings.poll_s) if is_busy else settings.resting_s
        self._pause_s *= 2
        return pause_s

    def hand_over(self, timeout_s: float, *, number: int = 1) -> bool:
        """Let the keystore's next account follow a relay account once nothing of it is on its way; whether it did.

        Statements are accepted meanwhile and wait.
        """
        handed_over = self._succession.ask(number)
        self._on_sent()
        return handed_over.wait(timeout_s)

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
        if store.is_submitting():
            return True
        cursor = store.projections.cursor()
        return cursor is None or cursor.block < self._parts.edge.head().number

    def enqueue(self, subject: str, call: Call) -> OutboxRow | None:
        """Give a call that is no statement's a nonce and store it signed; None when its subject was there."""
        with self._turn:
            rows = self._store_signed([(self._parts.relay, [(subject, call)])])
        return rows[0] if rows else None

    def _store_signed(self, shares: Sequence[_Share]) -> tuple[OutboxRow, ...]:
        """Store what each account is to send, with its nonces and signed, in one transaction."""
        parts, outbox, now = self._parts, self._parts.store.outbox, self._parts.now()
        chain_nonces = parts.edge.nonces([signer.address for signer, _ in shares])
        prepared = [self._sign_ahead(*share, nonce) for share, nonce in zip(shares, chain_nonces, strict=True)]
        rows: list[OutboxRow] = []
        with parts.store.transaction():
            for chain_nonce, relay, items in prepared:
                rows += outbox.enqueue(relay, chain_nonce, items, now)
        self._not_sent.update(row.subject for row in rows)
        for row in rows:
            if row.subject.startswith("0x"):
                traces.moved(row.subject, "given a transaction", transaction=str(row.hash), nonce=row.nonce)
        return tuple(rows)

    def _sign_ahead(
        self, signer: Signer, calls: Sequence[tuple[str, Call]], chain_nonce: int
    ) -> tuple[int, Address, list[_Item]]:
        """Sign with the nonces that the outbox will most likely give: a remote signer must not hold the database."""
        first = self._parts.store.outbox.next_nonce(signer.address, chain_nonce)
        if first == chain_nonce:  # else the outbox knows better, whatever the node counts
            self._nonces.confirm(signer.address, chain_nonce)
        ahead = {
            first + place: (call, self._sign(signer, call, first + place)) for place, (_, call) in enumerate(calls)
        }

        def signing(call: Call, nonce: int) -> SignedTransaction:
            signed_call, signed = ahead.get(nonce, (None, None))
            return signed if signed is not None and signed_call is call else self._sign(signer, call, nonce)

        return chain_nonce, signer.address, [(subject, partial(signing, call)) for subject, call in calls]

    def _sign(self, signer: Signer, call: Call, nonce: int) -> SignedTransaction:
        signed = self._parts.edge.sign_transaction(signer, call, nonce)
        return SignedTransaction(signed.raw, signed.hash)

    # New statements

    def _enqueue_new(self) -> bool:
        lanes, is_idle = self._lanes()
        room = min(lanes.room, _AT_ONCE if self._is_inside else lanes.part)
        rows = self._waiting.take(room + len(self._refusing) if room else 0)
        if rows:
            self._refusing.look([row.digest for row in rows])
        calls = [encode_statement(self._parts.deployment.contracts, executable(row)) for row in rows]
        ready: defaultdict[Address, list[tuple[str, Call]]] = defaultdict(list)
        refused, cleared = 0, 0
        for row, call, found in zip(rows, calls, simulate_each(self._parts, calls), strict=True):
            if isinstance(found, RefusedError):
                if (ready or not is_idle) and not self._refusing.is_waiting(row.digest):
                    break  # what is in flight may be what it waits for
                if not self._refusing.refuse(row, found):
                    lanes.hold(row)
                    continue
                refused += 1
            elif found:
                self._refusing.forget(row.digest)
                account = lanes.place(row)
                if account is None:
                    continue
                ready[account].append((str(row.digest), call))
                self._on_way[str(row.digest)] = row
            cleared += 1
        if ready:
            with self._turn:
                self._store_signed([(self._relays.find(account), calls) for account, calls in ready.items()])
        self._waiting.clear(cleared)
        return bool(ready or refused)

    def _lanes(self) -> tuple[Lanes, bool]:
        """How what is on its way occupies the relay accounts, and whether all of that is in a block."""
        store = self._parts.store
        in_flight = store.outbox.subjects_in_flight()
        unknown = [Bytes32.parse(each) for each, _ in in_flight if each[:2] == "0x" and each not in self._on_way]
        known = self._on_way | {str(digest): row for digest, row in store.statements.find_many(unknown).items()}
        self._on_way = {subject: known[subject] for subject, _ in in_flight if subject in known}
        lanes = Lanes([each.address for each in self._relays.active()])
        for subject, account in in_flight:
            lanes.occupy(account, self._on_way.get(subject))
        if self._parts.edge.settings.finality_blocks == 0:
            return lanes, not in_flight
        return lanes, all(row.state is OutboxState.INCLUDED for row in store.outbox.in_flight())

    # Sending

    def _send(self, *, only_new: bool = False) -> bool:
        """Send what is due; ``only_new``: of it, what was never sent by anybody."""
        parts, rows = self._parts, self._find_new() if only_new else self._take_due()
        if not rows:
            return only_new  # then find out what became of them
        transactions = [ChainTransaction(row.relay, row.nonce, row.raw, row.hash) for row in rows]
        if not self._is_overlapping(len(rows)):
            self._note_answers(rows, parts.edge.send(transactions))
            return True
        with ThreadPoolExecutor(1, thread_name_prefix="concord-sender") as sender:
            sending = sender.submit(parts.edge.send, transactions)
            self._sending = frozenset(row.subject for row in rows)
            try:
                self._progress()
            finally:  # what the node took counts, whatever else failed
                self._sending = frozenset()
                self._note_answers(rows, sending.result())
        return True

    def _find_new(self) -> list[OutboxRow]:
        subjects = sorted(self._not_sent)
        rows = self._parts.store.outbox.find_pending(subjects)
        self._not_sent.difference_update(set(subjects).difference(row.subject for row in rows))
        return rows

    def _take_due(self) -> list[OutboxRow]:
        self._looked_at_all_s, resend_before = time.monotonic(), self._parts.now() - _RESEND_AFTER
        outbox, relays = self._parts.store.outbox, self._relays.all()
        taken = [outbox.take(each.address, limit=_AT_ONCE, resend_before=resend_before) for each in relays]
        return [row for rows in taken for row in rows]

    def _note_answers(self, rows: Sequence[OutboxRow], answers: Sequence[Refusal | None]) -> None:
        refused = [(row, answer) for row, answer in zip(rows, answers, strict=True) if is_refused(answer)]
        self._mark_sent({row.subject for row in rows} - {row.subject for row, _ in refused})
        if refused:
            self._look_at_all()
            known = self._answers.find_known(refused)
            self._mark_sent(known)
            self._answers.judge([(row, answer) for row, answer in refused if row.subject not in known])
        self._on_sent()
        for account in {row.relay for row in rows if row.state is OutboxState.SENT}:
            self._look_at_all()
            self._nonces.fill_gap(self._relays.find(account))

    def _mark_sent(self, subjects: Collection[str]) -> None:
        self._parts.store.outbox.mark_sent(sorted(subjects), self._parts.now())
        self._not_sent.difference_update(subjects)

    def _look_at_all(self) -> None:
        """Have the next step send whatever is due, not only what is new: something may stand before that."""
        self._looked_at_all_s = -math.inf

    # Following

    def _follow(self) -> tuple[bool, bool]:
        """Whether anything moved, and whether all was looked at that is in flight.

        What is pending is looked at too where it was another process's to send: it may have done so before it died.
        What is being sent again is not: its answer is about the transaction that it has now.
        """
        outbox, relays = self._parts.store.outbox, [relay.address for relay in self._relays.all()]
        most = max(_AT_ONCE, MOST_IN_FLIGHT * len(relays))
        oldest = outbox.oldest_in_flight(relays, most)
        rows = [row for row in oldest if self._is_followed(row)]
        if not rows:
            return False, True
        final_head = self._parts.edge.final_head()
        looked_at, final = (final_head.hash, [row.hash for row in rows]), final_head.number
        if looked_at == self._looked_at and time.monotonic() < self._looked_at_s + _LOOK_ANYWAY_S:
            return False, True  # no block came since
        formers = [each for each in outbox.formers_in_flight() if each.subject not in self._sending]
        receipts = self._parts.edge.receipts([row.hash for row in rows] + [each.hash for each in formers])
        receipts, of_formers = receipts[: len(rows)], receipts[len(rows) :]
        if self._parts.edge.settings.finality_blocks == 0:  # a block that came since is final too
            final = max([final, *(each.block_number for each in receipts if each is not None)])
        judged = {
            row.subject: self._reverted.judge(row, final)
            for row, receipt in zip(rows, receipts, strict=True)
            if receipt is not None and receipt.block_number <= final and not receipt.is_successful and not row.noop
        }
        with self._parts.store.transaction():
            settled = zip(rows, receipts, strict=True)
            done: list[tuple[OutboxRow, int]] = []
            moves = [self._settle_row(row, receipt, final, judged, done) for row, receipt in settled]
            seen = {row.subject for row, receipt in zip(rows, receipts, strict=True) if receipt is not None}
            mined = [
                each for each, receipt in zip(formers, of_formers, strict=True) if receipt and each.subject not in seen
            ]
            for former in mined:  # and so the present one never is
                outbox.take_back(former.subject, former.hash, self._parts.now())
            if done:
                outbox.mark_all_done([(row.subject, block) for row, block in done], self._parts.now())
        self._not_sent.difference_update(each.subject for each in mined)
        if not self._is_inside:
            self._effects.expect((row.subject, block) for row, block in done)
        for row, block in done:
            traces.in_force(row.subject, block=block, transaction=str(row.hash))
        for row in rows:
            if judged.get(row.subject) is Fate.GOES_AGAIN:
                self._reverted.renew(row, self._relays.find(row.relay))
                self._not_sent.add(row.subject)
        self._looked_at, self._looked_at_s = looked_at, time.monotonic()
        return any(moves) or bool(mined), len(oldest) < most

    def _is_followed(self, row: OutboxRow) -> bool:
        """Whether it may be in a block: also a former one of its nonce, whether the present one was sent or not."""
        return row.subject not in self._sending and (row.noop or row.subject not in self._not_sent)

    def _settle_row(
        self,
        row: OutboxRow,
        receipt: Receipt | None,
        final: int,
        judged: Mapping[str, Judgement],
        done: list[tuple[OutboxRow, int]],
    ) -> bool:
        """Note what became of one, and in ``done`` what has its effect; whether anything moved."""
        outbox, now = self._parts.store.outbox, self._parts.now()
        if receipt is None:
            if row.state is OutboxState.INCLUDED:  # the head went back
                outbox.put_back([row.subject], now)
                self._look_at_all()
                return True
            return False
        if receipt.block_number > final:
            if row.block == receipt.block_number:
                return False
            outbox.mark_included(row.subject, receipt.block_number, now)
        elif row.noop:
            outbox.mark_failed(row.subject, row.outcome or refusal_json("transaction-invalid", "refused", {}), now)
        elif receipt.is_successful or judged[row.subject] is Fate.DONE:
            done.append((row, receipt.block_number))
        elif isinstance(judgement := judged[row.subject], dict):
            outbox.mark_failed(row.subject, judgement, now)
            traces.moved(row.subject, "reverted", block=receipt.block_number, transaction=str(row.hash))
        else:
            return judgement is Fate.GOES_AGAIN
        return True
