"""What a read answers is of one moment: what is folded while it reads is in all of it or in none."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from ledger.content import hash_bytes
from ledger.exchange import Asker, Outcome, Paging, State
from ledger.surface.outcomes import InForce
from ledger.types import Bytes32
from tests.support.exchange import Consortium, found_in, open_gateway, registration, upload
from tests.support.waiting import eventually

DATA = b"plant,mwh\nA,1\n"


@dataclass
class Late:
    """A gateway whose indexer is stopped: blocks are folded when a test says so."""

    consortium: Consortium
    documents: Bytes32
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def block(self) -> int:
        """The last block that is folded."""
        return self.consortium.gateway.parts.store.chain.as_of_block()

    def state(self) -> Bytes32:
        """State a registration and wait until a block has it that is not folded."""
        name = f"late-{next(self.numbers)}"
        gateway, asker = self.consortium.gateway, self.consortium.asker("utility")
        digest = gateway.statements.sign_and_submit(asker, registration(name, {"a.csv": DATA})).digest
        eventually(lambda: gateway.parts.store.outbox.find(str(digest)) is not None)
        eventually(lambda: gateway.parts.store.outbox.depth("0x") == 0)
        return digest

    def fold(self) -> None:
        """Fold all there is, as the indexer does: in another thread."""
        folding = threading.Thread(target=self.consortium.gateway._indexer.catch_up)
        folding.start()
        folding.join()


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Late]:
    home = tmp_path_factory.mktemp("late") / "home"
    with open_gateway(home, found_in(home)) as consortium:
        digest = consortium.state("utility", registration("power", {"a.csv": DATA})).digest
        upload(consortium, "utility", "utility/power", 1, "a.csv", DATA)
        view = consortium.gateway.statements.get(consortium.asker("utility"), digest)
        consortium.gateway._indexing.stop()
        yield Late(consortium, view.documents[0].hash)


READS: dict[str, Callable[[Consortium, Asker, Bytes32], Outcome]] = {
    "outcome": lambda consortium, _asker, digest: consortium.gateway.statements.outcome(digest),
    "wait": lambda consortium, _asker, digest: consortium.gateway.statements.wait(digest, State.ACCEPTED),
    "get": lambda consortium, asker, digest: consortium.gateway.statements.get(asker, digest).outcome,
    "list": lambda consortium, asker, digest: next(
        view.outcome
        for view in consortium.gateway.statements.list(asker, Paging(limit=200)).items
        if view.outcome.digest == digest
    ),
}


@pytest.mark.parametrize("name", READS)
def test_an_outcome_is_of_the_block_that_it_names(late: Late, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    consortium, digest, before = late.consortium, late.state(), late.block
    find = consortium.gateway.parts.store.outbox.find

    def find_late(subject: str) -> object:
        if subject == str(digest):
            late.fold()
        return find(subject)

    monkeypatch.setattr(consortium.gateway.parts.store.outbox, "find", find_late)
    told = READS[name](consortium, consortium.asker("utility"), digest)
    assert late.block > before
    assert (told.in_force, told.as_of_block) == (InForce.PENDING, before)
    monkeypatch.undo()
    told = READS[name](consortium, consortium.asker("utility"), digest)
    assert (told.in_force, told.as_of_block) == (InForce.YES, late.block)
    assert told.block is not None
    assert before < told.block <= late.block


STAMPED: dict[str, Callable[[Late, Asker], int]] = {
    "version": lambda late, asker: late.consortium.gateway.datasets.version(asker, "utility/power", 1).as_of_block,
    "manifest": lambda late, asker: late.consortium.gateway.datasets.manifest(asker, "utility/power", 1).as_of_block,
    "files": lambda late, asker: late.consortium.gateway.datasets.files(asker, "utility/power", 1).as_of_block,
    "download": lambda late, asker: (
        asyncio.run(late.consortium.gateway.datasets.download(asker, "utility/power", 1, "a.csv")).as_of_block
    ),
    "verify": lambda late, asker: (
        late.consortium.gateway.datasets.verify(asker, Bytes32(hash_bytes("a.csv", DATA)[0].sha256)).as_of_block
    ),
    "document": lambda late, asker: late.consortium.gateway.statements.document(asker, late.documents).as_of_block,
}


@pytest.mark.parametrize("name", STAMPED)
def test_what_is_read_is_at_least_as_new_as_it_says(late: Late, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The block is folded when the answer has been read: it does not say that it is of that one."""
    late.state()
    before = late.block
    chain = late.consortium.gateway.parts.store.chain
    as_of_block = chain.as_of_block

    def as_of_block_late() -> int:
        late.fold()
        return as_of_block()

    monkeypatch.setattr(chain, "as_of_block", as_of_block_late)
    told = STAMPED[name](late, late.consortium.asker("utility"))
    monkeypatch.undo()
    assert told == before < late.block
