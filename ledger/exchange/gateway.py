"""The gateway: the one door through which api and scripts reach the ledger. Thread-safe."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final, Self, cast

from ledger.canonical import JsonValue, parse_canonical
from ledger.errors import ConflictError, LedgerError, NotFoundError
from ledger.exchange.asker import Asker
from ledger.exchange.bulk import BulkIntake
from ledger.exchange.bulk.appending import BulkAppender
from ledger.exchange.bulk.pool import CheckingPool
from ledger.exchange.catalogue import Catalogue
from ledger.exchange.client_sealings import ClientSealings
from ledger.exchange.deliveries import Deliveries
from ledger.exchange.drafting import Drafting
from ledger.exchange.erasing import Erasing
from ledger.exchange.evidence import Attestations, EventProver
from ledger.exchange.forwarding import Forwarding
from ledger.exchange.health import look_at
from ledger.exchange.indexer import Indexer
from ledger.exchange.intake import Announce, Intake
from ledger.exchange.key_rotation import KeyRotation
from ledger.exchange.lifting import Lifting
from ledger.exchange.log_writer import LogWriter
from ledger.exchange.paging import Paging
from ledger.exchange.parts import Parts
from ledger.exchange.permission import Permission
from ledger.exchange.publisher import Publisher
from ledger.exchange.reporting import find_outcome
from ledger.exchange.resealing import Resealing
from ledger.exchange.rooms import (
    Access,
    Agreements,
    ApiKeys,
    Datasets,
    EvidenceRoom,
    Participants,
    PublicLog,
    Statements,
)
from ledger.exchange.sealing_work import SealingWork
from ledger.exchange.sealings import Sealings
from ledger.exchange.settings import GatewaySettings
from ledger.exchange.submitter import Submitter
from ledger.exchange.tenure import Tenure, Term
from ledger.exchange.transfers import Transfers
from ledger.exchange.transfers.keys import Receiving
from ledger.exchange.worker import AwaitingStep, Worker
from ledger.surface.outcomes import Outcome, SignedStatement
from ledger.surface.views import ConsortiumView, HealthView
from ledger.types import Bytes32

__all__ = ["Gateway", "Paging"]

_RETRY_AFTER_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.05
_IDEMPOTENCY_KEPT: Final = timedelta(days=7)
_DRAFTS_KEPT: Final = timedelta(hours=24)
_TIDY_EVERY_S: Final = 3600.0
_LONGEST_STEP_S: Final = 60.0
"""of those who ask the node: they say when it keeps them longer"""


class Gateway:
    """A running gateway: ``with Gateway.open(settings) as gateway: ...`` opens, starts workers, closes."""

    def __init__(self, parts: Parts) -> None:
        """Use `open`."""
        self._parts = parts
        poll_s, resting_s = parts.settings.poll_s, parts.settings.resting_s
        self._indexer = Indexer(parts)
        # A chain of its own has no block that this gateway does not know of: whoever makes one wakes the indexer.
        self._indexing = Worker(
            "indexer",
            self._index,
            poll_s=poll_s if parts.edge.rpc is None else resting_s,
            longest_step_s=_LONGEST_STEP_S,
        )
        self._writer = LogWriter(parts)
        self._writing = Worker("log", self._writer.step, poll_s=0.0)
        self._submitter = Submitter(parts, self._indexing.wake)
        self._submitting = Worker("submitter", self._submit, poll_s=poll_s, longest_step_s=_LONGEST_STEP_S)
        self._publisher = Publisher(parts, self._submitter, self._submitting.wake)
        self._publishing = Worker("publisher", self._publisher.step, poll_s=resting_s, longest_step_s=_LONGEST_STEP_S)
        self._tidying = Worker("tidier", self._tidy, poll_s=_TIDY_EVERY_S)
        self.deliveries = Deliveries(parts, self._wake_fetchers)
        self._fetchers = tuple(
            Worker(f"delivery-{number}", self.deliveries.fetching.step, poll_s=poll_s)
            for number in range(1, parts.settings.deliveries_at_once + 1)
        )
        self.catalogue = Catalogue(parts)
        self._is_started = False
        leases = parts.store.leases
        self._tenure = Tenure(leases, self._take_up, parts.reread_keys, self._lose) if leases.is_shared else None
        self.on_lost: Callable[[], None] = lambda: None
        """called when another process took the writer's lease: this gateway only reads on; close it, open another"""
        self._turn, self._in_use = threading.Lock(), set[tuple[str, str]]()
        permission = Permission(parts)
        self._intake = intake = Intake(parts, self._writer, self._settle, self._on_accepted)
        prover = EventProver(parts.edge)
        appender = BulkAppender(parts, intake.turns, self._on_accepted)
        self._writer.attach(appender)
        pool = CheckingPool(parts.domains, parts.settings.bulk_workers)
        self.bulk = BulkIntake(parts.settings, pool, appender, self._writer.wake)
        self.statements = Statements(parts, Drafting(parts, self._settle), intake, prover)
        self.forwarding = Forwarding(parts, intake)
        self.evidence = EvidenceRoom(parts, prover, Attestations(parts, self._submitter, self._submitting.wake))
        self.participants = Participants(parts)
        self.sealings = Sealings(parts, self.statements.sign_and_submit)
        self.client_sealings = ClientSealings(parts, self.sealings)
        erasing = Erasing(parts, self.sealings)
        self.datasets = Datasets(parts, permission, erasing)
        receiving = Receiving(parts, intake, partial(self.statements.sign_and_submit, of_transfer=True))
        self._sealing_work = SealingWork(self.sealings.make)
        self.transfers = Transfers(parts, permission, self.sealings, self.statements, receiving, self._sealing_work)
        self._resealing = Resealing(parts, permission, self.sealings, self.transfers)
        self._reseal = AwaitingStep(self._resealing.step)
        self._erase = AwaitingStep(erasing.step)
        self._relaying = (self._writing, self._submitting, self._indexing, self._publishing, self._tidying)
        keeping = (
            Worker("eraser", self._erase, poll_s=resting_s),
            Worker("sealer", self._reseal, poll_s=resting_s),
            Worker("catalogue", self.catalogue.gathering.step, poll_s=resting_s),
            Worker("forwarder", self.forwarding.sending.step, poll_s=resting_s),
        )
        self._workers = (*keeping, *self._fetchers, *self._relaying)  # who states is stopped before who logs
        self.lifting = Lifting(parts, self._submitter, self._submitting.wake)
        self.access, self.agreements = Access(parts), Agreements(parts)
        self.log = PublicLog(parts)
        self.api_keys = ApiKeys(parts)
        self.keys = KeyRotation(parts, self._submitter, lambda signed: self.take(signed, custodial=True))

    @classmethod
    def open(cls, settings: GatewaySettings, *, clock: Callable[[], float] = time.time) -> Self:
        """Open chain, store, log, content and keystore in the home folder. Raises: as `Parts.open`."""
        return cls(Parts.open(settings, clock))

    @property
    def parts(self) -> Parts:
        """What it is put together from; for scripts that look inside."""
        return self._parts

    def start(self) -> None:
        """Catch up with the chain, join what a crash left, start the workers; a second call does nothing.

        Where another process that shares the database does that already, answer reads and wait for its end.

        Raises:
            FatalError: the log is behind its checkpoint on chain, or contradicts it; or the chain names another key.
            UnavailableError: chain, disk or database do not answer.
        """
        if self._is_started:
            return
        self._is_started = True
        if self._tenure is None:
            self._begin_work()
        else:
            self._tenure.start()

    def _take_up(self, term: Term) -> None:
        """Do the writer's work from now on, as after a start: nothing of what another process had in hand is known."""
        self._parts.reread_keys(always=True)
        self._parts.write_log(term)
        try:
            self._begin_work()
        except BaseException:
            self._parts.let_go_of_log()
            raise

    def _begin_work(self) -> None:
        asyncio.run(self._parts.content.remove_leftovers())
        self._indexer.catch_up()
        self._publisher.check_log()
        self.keys.check()
        self.keys.resume()
        self._writer.recover()
        self.sealings.resume()
        self.deliveries.fetching.resume()
        for worker in self._workers:
            worker.start()

    @property
    def is_lost(self) -> bool:
        """Whether another process took the writer's lease from this one."""
        return self._tenure is not None and self._tenure.is_lost

    def _lose(self) -> None:
        self.on_lost()

    @property
    def _writes(self) -> bool:
        return self._is_started and (self._tenure is None or self._tenure.writes)

    def check_writes(self) -> None:
        """Check that statements are taken here.

        Raises:
            ConflictError: a loss was accepted when the folder was restored (``loss-accepted``).
            NotTheWriterError: another process that shares the database writes; names it.
        """
        self._parts.check_log_goes_on()
        if self._tenure is not None and self._is_started:
            self._tenure.check_writes()

    def drain(self, timeout_s: float) -> bool:
        """Let what was accepted reach the chain; whether all did in time. What did not goes on at the next start."""
        end = time.monotonic() + timeout_s
        while self._writes and self._has_undone():
            if time.monotonic() > end or any(worker.failure for worker in self._relaying):
                return False
            for worker in (self._submitting, self._publishing, self._indexing):
                worker.wake()
            time.sleep(_LOOK_AGAIN_S)
        return True

    def _has_undone(self) -> bool:
        """Whether a statement waits for the log, its contract or a checkpoint."""
        store, log = self._parts.store, self._parts.log
        try:
            is_on_its_way = self._writer.depth > 0 or store.is_submitting()
            return is_on_its_way or store.statements.oldest_unanchored(log) is not None
        except LedgerError:
            return False  # there is nobody to wait for

    def close(self) -> None:
        """Stop the workers, finish what is being written, close everything; a second call does nothing."""
        self.bulk.close()
        self._sealing_work.close()
        if self._is_started:
            self._is_started = False
            if self._tenure is not None:
                self._tenure.stop()
            self._reseal.interrupt()
            self._erase.interrupt()
            self.deliveries.fetching.stop()
            self.catalogue.gathering.stop()
            self.forwarding.sending.stop()
            for worker in self._workers:
                worker.stop()
            self._writer.fail_waiting()
            if self._tenure is not None:
                self._parts.let_go_of_log()
                self._tenure.release()
        self._parts.close()

    def take(self, signed: SignedStatement, *, custodial: bool = False) -> Outcome:
        """Take a statement without asking who brings it: for founding and operators' programs. Raises: as `Intake`."""
        return self._intake.take(signed, custodial=custodial)

    def health(self) -> HealthView:
        """Whether it can do its work, and what keeps it."""
        tenure = self._tenure
        workers = self._workers if tenure is None or tenure.writes else ()
        reasons = {worker.name: worker.failure for worker in workers if worker.failure is not None}
        if tenure is not None and tenure.failure is not None:
            reasons["writer"] = tenure.failure
        writer = None if tenure is None else tenure.writer
        return look_at(self._parts, reasons, writes=tenure is None or tenure.writes, writer=writer)

    def idempotent(self, asker: Asker, key: str | None, body: bytes, act: Callable[[Announce], Outcome]) -> Outcome:
        """Run ``act`` once for each (API key, Idempotency-Key); a repeat gets the present outcome of the same digest.

        ``act`` announces the digest before it enters the log, so that a repeat after a crash finds it.

        Raises:
            RefusedError: the key was used with another body (``idempotency-key-reused``).
            ConflictError: the first request is still being answered (``idempotency-key-in-use``).
            Others as ``act``; the key is free again then.
        """
        if key is None:
            return act(lambda _: None)
        keys, bearer = self._parts.store.idempotency, asker.api_key or ""

        def remember(digest: Bytes32) -> None:
            keys.answer(bearer, key, {"digest": str(digest)})

        with self._answering(bearer, key):
            row = keys.insert_or_get(bearer, key, hashlib.sha256(body).digest(), self._parts.now())
            if row is not None and row.response is not None:
                known = find_outcome(self._parts, Bytes32.parse(str(row.response["digest"])))
                if known is not None:
                    return known
            try:
                outcome = act(remember)
            except BaseException:
                keys.release(bearer, key)
                raise
            remember(outcome.digest)
            return outcome

    @contextmanager
    def _answering(self, bearer: str, key: str) -> Iterator[None]:
        with self._turn:
            if (bearer, key) in self._in_use:
                raise ConflictError(
                    "the first request with this Idempotency-Key is not answered yet: ask again soon",
                    code="idempotency-key-in-use",
                    retry_after_s=_RETRY_AFTER_S,
                )
            self._in_use.add((bearer, key))
        try:
            yield
        finally:
            with self._turn:
                self._in_use.discard((bearer, key))

    def consortium(self) -> ConsortiumView:
        """What joiners and auditors import: ``consortium.json``."""
        document = parse_canonical(self._parts.deployment.to_bytes())
        return ConsortiumView(cast("dict[str, JsonValue]", document))

    def rpc(self, body: bytes) -> bytes:
        """Answer a JSON-RPC request about the embedded chain; transactions of the senders named in gateway.json alone.

        Raises:
            NotFoundError: the chain has a node of its own: ask that.
        """
        if self._parts.edge.rpc is None:
            raise NotFoundError("this gateway has no chain of its own: ask a node of the network")
        answer = self._parts.edge.rpc.handle(body, self._parts.config.senders)
        self._indexing.wake()
        return answer

    def _on_accepted(self) -> None:
        self._submitting.wake()
        self._publishing.wake()

    def _wake_fetchers(self) -> None:
        for worker in self._fetchers:
            worker.wake()

    def _settle(self) -> bool:
        if not self._writes:
            return False
        self._submitting.wake()
        return self._submitter.settle()

    def _submit(self) -> bool | float:
        return self._submitter.step() or self._submitter.pause_s()

    def _index(self) -> bool:
        moved = self._indexer.step()
        if moved:
            self._submitting.wake()
            self._publishing.wake()
        return moved

    def _tidy(self) -> bool:
        store, now = self._parts.store, self._parts.now()
        store.drafts.drop_expired(now)
        self._parts.keystore.drop_pending(now - _DRAFTS_KEPT)
        store.documents.drop_unbound(now - _DRAFTS_KEPT)
        store.contents.drop_unbound(now - _DRAFTS_KEPT)
        store.idempotency.drop_older(now - _IDEMPOTENCY_KEPT)
        store.transfers.drop_nonces(now)
        return False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
