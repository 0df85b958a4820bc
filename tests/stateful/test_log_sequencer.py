"""A model against the real log: a list of entries, while disk, database and process fail in any order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger.errors import UnavailableError
from ledger.log import Batch, Sequencer, TlogProof, build_receipt, verify_checkpoint, verify_receipt
from ledger.merkle import compute_root, leaf_hash, verify_consistency
from tests.support.log import SIGNER, MemoryCheckpointStore, check_log, open_log, unanswered
from tests.support.log_faults import DISK_FULL, Fault, FaultyCalls, Killed

KEY = SIGNER.verifier_key
counts = st.sampled_from([1, 2, 100, 254, 255, 256, 257, 300])


class LogMachine(RuleBasedStateMachine):
    """`entries` is what the log must hold; `maybe` the batches that unanswered appends may have brought in besides."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = MemoryCheckpointStore()
        self.calls = FaultyCalls()
        self.log: Sequencer = open_log(self.folder, self.store, self.calls)
        self.entries: list[bytes] = []
        self.maybe: list[list[bytes]] = []
        self.checkpoints: list[bytes] = []
        self.drawn = 0

    def draw(self, count: int) -> list[bytes]:
        self.drawn += count
        return [number.to_bytes(4, "big") for number in range(self.drawn - count, self.drawn)]

    def settle(self, size: int) -> None:
        """The log had ``size`` entries: that says which of the unanswered batches are in it."""
        for batch in self.maybe:
            if len(self.entries) < size:
                self.entries += batch
        self.maybe = []

    @rule(count=counts)
    def append(self, count: int) -> None:
        batch = self.draw(count)
        done = self.log.append(batch)
        self.acknowledge(done, batch)

    def acknowledge(self, done: Batch, batch: list[bytes]) -> None:
        self.settle(done.first_index)
        assert done.first_index == len(self.entries)
        self.entries += batch
        self.checkpoints.append(done.note)

    @rule(count=counts, at=st.integers(0, 30), when=st.sampled_from(["before", "half", "after"]))
    def append_on_a_full_disk(self, count: int, at: int, when: str) -> None:
        self.calls.arm(Fault(at, when, DISK_FULL))
        batch = self.draw(count)
        try:
            self.acknowledge(self.log.append(batch), batch)
        except UnavailableError:
            self.settle(self.log.size)
        self.calls.fault = None

    @precondition(lambda self: not self.maybe)
    @rule(count=counts, when=st.sampled_from(["before", "after"]))
    def append_without_an_answer_of_the_database(self, count: int, when: str) -> None:
        self.store.fail = (when, unanswered())
        batch = self.draw(count)
        try:
            self.log.append(batch)
        except UnavailableError:
            self.maybe = [batch] if when == "after" else []
        else:
            raise AssertionError("an append without an answer was acknowledged")

    @rule(count=counts, at=st.integers(0, 30), when=st.sampled_from(["before", "half", "after"]))
    def die_while_appending(self, count: int, at: int, when: str) -> None:
        self.calls.arm(Fault(at, when, Killed()))
        batch = self.draw(count)
        try:
            self.acknowledge(self.log.append(batch), batch)
        except Killed:
            self.maybe.append(batch)
        self.die()

    @rule()
    def die(self) -> None:
        self.log._lock.release()
        self.start()

    @rule()
    def restart(self) -> None:
        self.log.close()
        self.start()

    def start(self) -> None:
        self.calls = FaultyCalls()
        self.log = open_log(self.folder, self.store, self.calls)
        self.settle(self.log.size)

    @precondition(lambda self: self.log.size)
    @rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        size = self.log.size
        index = data.draw(st.integers(0, size - 1))
        receipt = build_receipt(self.log.reader, index, self.log.note)
        assert verify_receipt(receipt, self.entries[index], KEY).size == size
        assert TlogProof.parse(receipt).index == index

    @precondition(lambda self: self.checkpoints)
    @rule(data=st.data())
    def every_old_checkpoint_stays_true(self, data: st.DataObject) -> None:
        old = verify_checkpoint(data.draw(st.sampled_from(self.checkpoints)), KEY)
        new = self.log.checkpoint
        proof = self.log.reader.prove_consistency(old.size, new.size)
        verify_consistency(old.size, new.size, proof, old.root, new.root)

    @precondition(lambda self: not self.maybe)
    @rule()
    def audit(self) -> None:
        if self.log.publish():
            check_log(self.folder, self.entries)

    @invariant()
    def the_checkpoint_is_that_of_the_entries(self) -> None:
        assert self.log.size == len(self.entries)
        assert self.log.checkpoint.root == compute_root([*map(leaf_hash, self.entries)])

    def teardown(self) -> None:
        self.log.close()
        shutil.rmtree(self.folder)


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
