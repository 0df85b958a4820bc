"""API keys and idempotency keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.errors import ConflictError, MalformedError, NotFoundError, RefusedError
from ledger.store.rows import ApiKeyRow
from tests.support.store_world import NOW, World, open_world, word

KEY = ApiKeyRow("k1", bytes(32), word("a"), frozenset({"read", "write"}), "laptop", NOW)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


def test_a_key_is_kept_as_given(world: World) -> None:
    keys = world.store.api_keys
    keys.add(KEY)
    keys.add(replace(KEY, id="k2", participant=None, expires_at=NOW))
    assert keys.find("k1") == KEY
    assert keys.find("k3") is None
    assert keys.count() == 2
    with pytest.raises(ConflictError):
        keys.add(KEY)


def test_a_key_is_revoked_once(world: World) -> None:
    keys = world.store.api_keys
    keys.add(KEY)
    for seconds in (1, 2):
        keys.revoke("k1", NOW + timedelta(seconds=seconds))
    assert keys.find("k1") == replace(KEY, revoked_at=NOW + timedelta(seconds=1))
    with pytest.raises(NotFoundError):
        keys.revoke("k2", NOW)


def test_a_key_is_bound_to_one_participant(world: World) -> None:
    keys = world.store.api_keys
    keys.add(replace(KEY, participant=None, scopes=frozenset({"apply"})))
    for _ in range(2):
        keys.bind("k1", word("b"), frozenset({"read"}))
    assert keys.find("k1") == replace(KEY, participant=word("b"), scopes=frozenset({"read"}))
    with pytest.raises(ConflictError):
        keys.bind("k1", word("c"), frozenset())
    with pytest.raises(NotFoundError):
        keys.bind("k2", word("c"), frozenset())


def test_the_last_use_is_kept_to_the_minute(world: World) -> None:
    keys = world.store.api_keys
    keys.add(KEY)
    keys.mark_used("unknown", NOW)
    for seconds, expected in ((0, 0), (59, 0), (61, 61)):
        keys.mark_used("k1", NOW + timedelta(seconds=seconds))
        found = keys.find("k1")
        assert found is not None
        assert found.last_used_at == NOW + timedelta(seconds=expected)


def test_keys_are_listed_by_participant(world: World) -> None:
    keys = world.store.api_keys
    for number in range(5):
        owner = word("a") if number % 2 else None
        keys.add(replace(KEY, id=f"k{number}", participant=owner, created_at=NOW + timedelta(seconds=number // 2)))
    page = keys.list(limit=3)
    assert [key.id for key in page.items] == ["k4", "k3", "k2"]
    rest = keys.list(limit=3, cursor=page.next)
    assert ([key.id for key in rest.items], rest.next) == (["k1", "k0"], None)
    assert [key.id for key in keys.list(participant=word("a")).items] == ["k3", "k1"]
    with pytest.raises(MalformedError):
        keys.list(cursor="AAAA")


def test_the_same_request_gets_the_same_answer(world: World) -> None:
    idempotency = world.store.idempotency
    assert idempotency.insert_or_get("k1", "x", b"body", NOW) is None
    waiting = idempotency.insert_or_get("k1", "x", b"body", NOW)
    assert waiting is not None
    assert waiting.response is None
    idempotency.answer("k1", "x", {"status": 202, "body": {"digest": "0x"}})
    answered = idempotency.insert_or_get("k1", "x", b"body", NOW)
    assert answered is not None
    assert answered.response == {"status": 202, "body": {"digest": "0x"}}
    assert idempotency.insert_or_get("k2", "x", b"other", NOW) is None
    with pytest.raises(RefusedError) as caught:
        idempotency.insert_or_get("k1", "x", b"other", NOW)
    assert caught.value.code == "idempotency-key-reused"
    with pytest.raises(NotFoundError):
        idempotency.answer("k1", "y", {})


def test_a_claim_is_released_an_answer_is_not(world: World) -> None:
    idempotency = world.store.idempotency
    for key in ("answered", "failed"):
        idempotency.insert_or_get("k1", key, b"body", NOW)
    idempotency.answer("k1", "answered", {"status": 202})
    for key in ("answered", "failed"):
        idempotency.release("k1", key)
    assert idempotency.insert_or_get("k1", "failed", b"another body", NOW) is None
    assert idempotency.insert_or_get("k1", "answered", b"body", NOW) is not None
    assert idempotency.drop_older(NOW) == 0
    assert idempotency.drop_older(NOW + timedelta(seconds=1)) == 2
