"""Whether anything is on its way to the chain, asked while it goes from one place to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.store.rows import SignedTransaction
from tests.support.store_world import NOW, World, account, open_world, word


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


def in_another_thread(act: Callable[[], object]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def test_what_is_given_its_transaction_meanwhile_is_not_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store, new = world.store, world.say("ParticipantRetirement", participant=word("a"))
    subject = str(new.digest)
    is_given = False

    def give() -> None:
        signing = [(subject, lambda nonce: SignedTransaction(b"raw", word(f"hash {nonce}")))]
        assert store.outbox.enqueue(account("relay"), 0, signing, NOW)

    def between(read: Callable[..., Any]) -> Callable[..., Any]:
        def reading(*given: object) -> Any:
            nonlocal is_given
            found = read(*given)
            if not is_given:
                is_given = True
                in_another_thread(give)
            return found

        return reading

    monkeypatch.setattr(store.outbox, "depth", between(store.outbox.depth))
    monkeypatch.setattr(store.statements, "list_submittable", between(store.statements.list_submittable))
    assert store.is_submitting()
    assert is_given
    assert store.is_submitting(), "it has its transaction and no outcome"
    store.outbox.mark_done(subject, NOW + timedelta(seconds=1))
    assert not store.is_submitting()
