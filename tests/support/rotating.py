"""A served consortium whose keys are rotated, and what is stated meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ledger.canonical import JsonValue
from ledger.client import statements
from ledger.errors import LedgerError
from ledger.evidence import Policy, Verdict, Verifier, summarize, verify_all
from ledger.evidence.node import Node
from ledger.evidence.pinning import create_policy
from ledger.surface.outcomes import InForce, Outcome, State
from ledger.types import Bytes32
from tests.support.console import Console
from tests.support.world import Member, World, serving

__all__ = ["Traffic", "concord", "ending", "evidence_of", "finish", "policy_of", "state", "traffic", "verdict", "world"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With a member whose keys the gateway holds."""
    with serving(tmp_path_factory.mktemp("rotation")) as world:
        world.enroll("mill", custodial=True)
        yield world


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[World]:
    """A world whose gateway a test may stop."""
    with serving(tmp_path) as world:
        yield world


@pytest.fixture
def concord(concord: Console) -> Console:
    """As the operator."""
    concord.be("chamber")
    return concord


def state(member: Member, name: str) -> Outcome:
    """A custodial statement that is final and in force."""
    outcome = member.client.run(statements.state("ProfileUpdate", {"profile": {"handle": member.handle, "name": name}}))
    return finish(member, outcome)


def finish(member: Member, outcome: Outcome) -> Outcome:
    """Wait until it is final and in force."""
    done = member.client.run(statements.wait(outcome.digest))
    assert (done.state, done.in_force) == (State.FINAL, InForce.YES), done
    return done


def policy_of(world: World, extends: Policy | None = None) -> Policy:
    """The policy that pins the chain as it is now."""
    return create_policy(Node(world.url + "/rpc"), world.founded.contracts, extends=extends)


def evidence_of(member: Member, digest: Bytes32, policy: Policy) -> bytes:
    """The evidence of a statement, within the last range of the policy."""
    last = policy.epochs[-1].last
    return member.client.run(statements.evidence(digest, first=policy.epochs[-1].first, last=last))


def verdict(policy: Policy, evidence: bytes) -> Verdict:
    """What the verifier says of evidence under the policy."""
    return summarize(verify_all(Verifier(policy, None), [("evidence.json", evidence)], None))


@dataclass
class Traffic:
    """Statements that come in all the while."""

    outcomes: list[Outcome] = field(default_factory=list)
    errors: list[LedgerError] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, member: Member) -> None:
        """State until told to stop, each in force before the next: a profile's versions follow one another."""
        number = 0
        while not self.stop.is_set():
            try:
                profile: JsonValue = {"handle": member.handle, "name": f"Mill {number}"}
                outcome = member.client.run(statements.state("ProfileUpdate", {"profile": profile}))
                self.outcomes.append(member.client.run(statements.wait(outcome.digest)))
                number += 1
            except LedgerError as error:
                self.errors.append(error)
                return


@contextmanager
def traffic(member: Member) -> Iterator[Traffic]:
    """Let a member state all through the block; then each of them is final and in force."""
    coming = Traffic()
    thread = threading.Thread(target=coming.run, args=(member,))
    thread.start()
    try:
        yield coming
    finally:
        coming.stop.set()
        thread.join()
    assert coming.errors == []
    assert coming.outcomes
    for outcome in coming.outcomes:
        finish(member, outcome)
