"""Attempts: numbered without gaps, the newest first, and no more on their way than have room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ledger.chain import Call
from ledger.errors import RefusedError, UnavailableError
from ledger.exchange.attempts import Attempts
from ledger.exchange.parts import Parts
from ledger.store.rows import OutboxRow, SignedTransaction
from ledger.types import Address
from tests.support.store_world import NOW, World, account, open_world, word

RELAY = account("relay")
CALL = Call("CheckpointLog", "attestLog", account("contract"), b"", 100_000)


@dataclass
class Chain:
    """Answers what a contract would, and stores what is sent to it."""

    world: World
    answer: bytes | RefusedError = b"\x01"
    woken: int = 0

    def simulate(self, _call: Call, sender: Address) -> bytes:
        assert sender == RELAY
        if isinstance(self.answer, RefusedError):
            raise self.answer
        return self.answer

    def enqueue(self, subject: str, _call: Call) -> OutboxRow | None:
        signed = SignedTransaction(subject.encode(), word(subject))
        added = self.world.store.outbox.enqueue(RELAY, 0, [(subject, lambda _nonce: signed)], NOW)
        return added[0] if added else None

    def wake(self) -> None:
        self.woken += 1

    def attempts(self, kind: str) -> Attempts:
        relay = SimpleNamespace(address=RELAY)
        parts = cast("Parts", SimpleNamespace(store=self.world.store, edge=self, relay=relay))
        return Attempts(kind, parts, self, self.wake)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with open_world(tmp_path) as world:
        yield Chain(world)


def test_they_are_counted_without_gaps_and_found_the_newest_first(chain: Chain) -> None:
    lifts, others = chain.attempts("lift"), chain.attempts("attestation")
    assert lifts.newest("a") is None
    for count in range(1, 20):
        lifts.send("a", CALL)
        assert [row.subject for row in lifts.rows("a")] == [f"lift:a:{each}" for each in range(count - 1, -1, -1)]
    newest = lifts.newest("a")
    assert newest is not None
    assert newest.subject == "lift:a:18"
    assert chain.woken == 19
    assert (lifts.newest("b"), others.newest("a")) == (None, None)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 62, 63, 64, 65, 1000])
def test_a_few_look_ups_tell_how_many_there_are(chain: Chain, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    def find(subject: str) -> bool | None:
        looked_up.append(subject)
        return True if int(subject.removeprefix("lift:a:")) < count else None

    monkeypatch.setattr(chain.world.store.outbox, "find", find)
    monkeypatch.setattr(chain, "enqueue", lambda subject, _call: looked_up.append(subject))
    chain.attempts("lift").send("a", CALL)
    assert looked_up[-1] == f"lift:a:{count}"
    assert len(looked_up) <= 2 * count.bit_length() + 3


def test_so_many_of_one_kind_have_room_on_their_way(chain: Chain) -> None:
    lifts, others = chain.attempts("lift"), chain.attempts("attestation")
    for number in range(64):
        assert lifts.simulate(CALL) == b"\x01"
        lifts.send(str(number), CALL)
    with pytest.raises(UnavailableError, match="too many lifts are on their way"):
        lifts.simulate(CALL)
    assert others.simulate(CALL) == b"\x01"
    chain.world.store.outbox.mark_done("lift:5:0", NOW)
    assert lifts.simulate(CALL) == b"\x01"


def test_while_the_index_is_behind_the_asker_comes_back(chain: Chain) -> None:
    lifts = chain.attempts("lift")
    for code in ("checkpoint-log-not-current", "checkpoint-log-not-kept", "dataset-registry-version-taken"):
        chain.answer = RefusedError("no", code=code)
        with pytest.raises(UnavailableError, match="ask again") as found:
            lifts.simulate(CALL)
        assert found.value.retry_after_s == 0.5
    chain.answer = RefusedError("it is retired", code="dataset-registry-retired")
    with pytest.raises(RefusedError, match="it is retired"):
        lifts.simulate(CALL)
