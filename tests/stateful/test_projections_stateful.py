"""Fold, roll back, fold another branch, rebuild: the rows are always those of the chain alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from ledger.statements import Decision, HistoryKind
from ledger.store import Store
from ledger.store.schema.chain import BLOCKS, FACTS
from tests.support.store_world import ZERO, Chain, World, open_world, padded, word

Rows = dict[str, list[tuple[Any, ...]]]


def dump(store: Store) -> Rows:
    """Every row of every projection."""
    with store._database.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in (*FACTS, BLOCKS)
        }


class Projecting(RuleBasedStateMachine):
    """A chain that grows and is reorganised, and a store that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._opened = open_world(Path(self._folder.name))
        self.world: World = self._opened.__enter__()
        self.forks = 0

    @initialize()
    def found(self) -> None:
        self.world.found("gov", "reg")

    @rule(names=st.lists(st.sampled_from("abcdefgh"), max_size=3, unique=True), skip=st.booleans())
    def mine(self, names: list[str], skip: bool) -> None:
        """A block of registrations, grants, votes and checkpoints; now and then the one before has no events."""
        world = self.world
        if skip:
            world.chain.prepare()
        events: list[Any] = []
        for name in names:
            number = next(world._salts)
            registration = world.registration(f"{name}{number}", "set")
            world.accept(registration)
            events += [world.registered(registration), world.filed(f"{name}{number}", word("p"), word(f"f{number}"))]
            grant = world.new(
                "AccessGrant", participant=word(name), datasetSalt=ZERO, consumer=word("c"), **world.terms()
            )
            proposal = world.proposal(name, "user")
            events += [world.granted(grant), world.proposed(proposal)]
            events += world.vote("gov", Decision.SET_THRESHOLD, ZERO, padded(number))
        events += [world.history(HistoryKind.THRESHOLD_SET, ZERO, padded(1)), world.published(world.chain.number + 2)]
        world.chain.mine(*events, final=False)

    @rule(back=st.integers(1, 4))
    def reorganise(self, back: int) -> None:
        """The head goes back and another branch grows from there."""
        folded = self.world.store.projections.folded_blocks()
        target = folded[min(back, len(folded) - 1)]
        self.world.store.projections.rollback(target)
        chain = self.world.chain
        chain.blocks = [(block, events) for block, events in chain.blocks if block.number <= target]
        self.world.records = max((record.index for record in self.world.store.chain.history()), default=0)
        self.forks += 1
        chain.fork = f"fork {self.forks}"

    @rule()
    def rebuild(self) -> None:
        """Everything is dropped and folded again, in one go."""
        projections = self.world.store.projections
        folded = set(projections.folded_blocks())
        before, final = dump(self.world.store), projections.cursor()
        projections.reset()
        assert projections.count_rows() == 0
        blocks = [(block, events) for block, events in self.world.chain.blocks if block.number in folded]
        projections.fold_many(blocks)
        assert dump(self.world.store) == before
        after = projections.cursor()
        assert final is not None
        assert after is not None
        assert (after.block, after.hash, after.time) == (final.block, final.hash, final.time)

    @invariant()
    def rows_are_those_of_the_chain_alone(self) -> None:
        """A second store that saw only the present branch has the same rows."""
        if not self.world.chain.blocks:
            return
        folded = set(self.world.store.projections.folded_blocks())
        with tempfile.TemporaryDirectory() as folder, open_world(Path(folder)) as fresh:
            for block, events in self.world.chain.blocks:
                if block.number in folded:
                    fresh.store.projections.fold(block, events)
            assert dump(fresh.store) == dump(self.world.store)
            assert fresh.store.governance.governors() == self.world.store.governance.governors()
            assert isinstance(self.world.chain, Chain)

    def teardown(self) -> None:
        self._opened.__exit__(None, None, None)
        self._folder.cleanup()


TestProjecting = Projecting.TestCase
TestProjecting.settings = settings(max_examples=8, stateful_step_count=6, deadline=None)
