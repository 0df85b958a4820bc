"""The publisher: records the log's checkpoints on chain, each consistent with the one before."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from ledger.chain import Call, Commitment, encode_publish
from ledger.errors import ConflictError, RefusedError
from ledger.exchange.attempts import Attempts
from ledger.exchange.parts import Parts
from ledger.exchange.submitter import Submitter
from ledger.log import Checkpoint
from ledger.merkle import EMPTY_ROOT
from ledger.types import Bytes32

__all__ = ["Publisher"]

_LONGEST_HAND_OVER_S: Final = 60.0
_NOT_PUBLISHER: Final = "checkpoint-log-not-publisher"


class Publisher:
    """Publishes when enough entries or enough time have gathered; one checkpoint is in flight at a time."""

    def __init__(self, parts: Parts, submitter: Submitter, on_enqueued: Callable[[], None]) -> None:
        self._parts = parts
        self._attempts = Attempts("checkpoint", parts, submitter, on_enqueued)
        self._enqueued_at = 0.0
        self._handing_over_since: float | None = None

    def check_log(self) -> None:
        """Check that the log holds what is on chain for it, before the first append. Raises: FatalError."""
        last = self._parts.store.chain.last_checkpoint(self._parts.log)
        if last is not None:
            self._parts.sequencer.check_anchored(last.size, last.root)

    def step(self) -> bool | float:
        """Publish a checkpoint when one is due; whether one was, or in how many seconds it will be.

        Raises:
            ConflictError: the chain lets another account publish (``not-the-publisher``); readiness tells it.
            LedgerError: as chain and store.
        """
        if not self._may_publish():
            return False
        checkpoint = self._parts.sequencer.checkpoint
        previous = self._previous()
        if previous is None or checkpoint.size <= previous.size or self._is_in_flight():
            return False
        what = f"{self._parts.log}:{checkpoint.size}:{self._parts.relay.address}"
        due_in_s = max(self._due_in_s(checkpoint.size - previous.size), self._again_in_s(what))
        if due_in_s > 0:
            return due_in_s
        call = self._encode(previous, checkpoint)
        if not self._is_taken(call):
            return False
        self._attempts.send(what, call)
        self._enqueued_at = time.monotonic()
        return True

    def _is_taken(self, call: Call) -> bool:
        """Whether the contract would take it now; not yet, when the index does not have what the chain has."""
        try:
            self._parts.edge.simulate(call, self._parts.relay.address)
        except RefusedError as error:
            if error.code == "checkpoint-log-not-current" or (error.code == _NOT_PUBLISHER and self._is_behind()):
                return False
            raise
        return True

    def _is_behind(self) -> bool:
        """Whether the chain has a rotation that the index did not have when publishing began."""
        store, edge = self._parts.store, self._parts.edge
        if store.chain.as_of_block() < edge.head().number:
            return True
        opened = store.chain.find_log(self._parts.log)
        return opened is not None and opened.publisher != self._parts.relay.address

    def _may_publish(self) -> bool:
        """Whether the relay account is the log's publisher; not yet, while the next one is about to take over.

        Raises:
            ConflictError: it is not, and no rotation is about to change that.
        """
        opened, relay = self._parts.store.chain.find_log(self._parts.log), self._parts.relay.address
        if opened is None or opened.closed or opened.publisher == relay:
            self._handing_over_since = None
            return True
        following = self._parts.keystore.find_next_relay()
        if following is None or following.address != opened.publisher:
            raise ConflictError(
                f"nothing is anchored: the chain lets {opened.publisher} publish the log, and the relay account here "
                f"is {relay}. Put the keys/ folder that has that account in place and restart (a newer backup's, or "
                "that of the folder the gateway ran in); where it is lost, `concord key rotate relay` draws another",
                code="not-the-publisher",
            )
        if self._handing_over_since is None:
            self._handing_over_since = time.monotonic()
        if time.monotonic() - self._handing_over_since > _LONGEST_HAND_OVER_S:
            raise ConflictError(
                f"nothing is anchored: the chain lets {opened.publisher} publish the log, and {relay} has not handed "
                "over to it yet: repeat `concord key rotate relay`, it goes on",
                code="not-the-publisher",
            )
        return False

    def _previous(self) -> Commitment | None:
        """The last checkpoint on chain; None while the log is not open there."""
        chain, log = self._parts.store.chain, self._parts.log
        last = chain.last_checkpoint(log)
        if last is not None:
            return Commitment(last.size, last.root, int(last.time.timestamp()))
        opened = chain.find_log(log)
        if opened is None or opened.closed:
            return None
        return Commitment(0, Bytes32(EMPTY_ROOT), int(opened.opened_at.timestamp()))

    def _due_in_s(self, entries: int) -> float:
        settings = self._parts.settings
        if entries >= settings.publish_after_entries:
            return self._enqueued_at + settings.publish_every_s - time.monotonic()
        oldest = self._parts.store.statements.oldest_unanchored(self._parts.log)
        if oldest is None:
            return 0.0
        since_s = self._since_s(oldest)
        return settings.publish_after_s - since_s if since_s >= 0 else 0.0  # the clock was put back

    def _again_in_s(self, what: str) -> float:
        """A checkpoint whose transaction failed is published again, a while later."""
        failed = self._attempts.newest(what)
        since_s = 0.0 if failed is None else self._since_s(failed.updated_at)
        return 0.0 if failed is None or since_s < 0 else self._parts.settings.publish_every_s - since_s

    def _since_s(self, moment: datetime) -> float:
        return (self._parts.now() - moment).total_seconds()

    def _is_in_flight(self) -> bool:
        rows = self._parts.store.outbox.in_flight(self._parts.relay.address)
        return any(row.subject.startswith("checkpoint:") for row in rows)

    def _encode(self, previous: Commitment, checkpoint: Checkpoint) -> Call:
        reader = self._parts.sequencer.reader
        proof = reader.prove_consistency(previous.size, checkpoint.size) if previous.size else []
        hashes = [Bytes32(each) for each in proof]
        contracts = self._parts.deployment.contracts
        return encode_publish(contracts, self._parts.log, previous, checkpoint.size, Bytes32(checkpoint.root), hashes)
