"""Bodies that are small to send and large to answer: told briefly, and looked at only as far as needed."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import httpx
import pytest
from fastapi import Request

from api import bodies
from api.app import create_app
from api.auth import authenticate, gateway_of
from api.bodies import intent_of
from ledger.exchange import Asker, Gateway, Scope
from ledger.exchange.intents import INTENTS, AccessGrantIntent, AgreementProposalIntent, DatasetRegistrationIntent
from ledger.surface.codec import MOST_IN_LIST, InvalidMembersError, parse_json


@dataclass(frozen=True, kw_only=True)
class Many:
    """Has a list without a bound."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    words: tuple[str, ...]


def refused(kind: type[object], body: object) -> dict[str, str]:
    with pytest.raises(InvalidMembersError) as caught:
        parse_json(kind, json.dumps(body).encode())
    return caught.value.members


def test_the_first_errors_are_told_and_the_others_counted() -> None:
    told = refused(Many, {"words": [1] * 500})
    assert len(told) == 21
    assert told["body"] == "480 more members are not as they must be"
    assert next(iter(told)) == "words.0"


def test_of_a_flood_of_errors_only_their_number_is_told() -> None:
    assert refused(Many, {"words": [1] * 5000}) == {"body": "5000 members are not as they must be"}


def test_a_large_body_with_too_many_members_is_not_looked_at() -> None:
    told = refused(Many, {f"{number:x}": "a" * 100 for number in range(1000)})
    assert told == {"body": "has 1000 members, more than 64"}


def test_a_large_body_is_read_like_others() -> None:
    assert parse_json(Many, json.dumps({"words": ["a" * 100_000]}).encode()).words == ("a" * 100_000,)
    assert list(refused(Many, ["a" * 100_000])) == ["body"]
    with pytest.raises(InvalidMembersError):
        parse_json(Many, b"{" + b"a" * 100_000)


def test_the_name_of_a_member_is_not_repeated_at_length() -> None:
    (name,) = refused(Many, {"words": [], "n" * 5000: 1})
    assert len(name) == 120


@pytest.mark.parametrize(
    ("kind", "member", "item"),
    [
        (DatasetRegistrationIntent, "parents", {"dataset": "a/b"}),
        (AccessGrantIntent, "rights", "read"),
        (AgreementProposalIntent, "parties", "utility"),
    ],
)
def test_lists_end_at_64(kind: type[object], member: str, item: object) -> None:
    assert kind in INTENTS.values()
    assert member not in refused(kind, {member: [item] * MOST_IN_LIST, "unknown": 1})
    assert member in refused(kind, {member: [item] * (MOST_IN_LIST + 1), "unknown": 1})


def test_a_body_is_parsed_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def parse(kind: type[Many], raw: bytes) -> Many:
        threads.append(threading.current_thread())
        return parse_json(kind, raw)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"words":["a"]}', "more_body": False}

    monkeypatch.setattr(bodies, "parse_json", parse)
    request = Request({"type": "http", "headers": [], "method": "POST"}, receive)

    async def read() -> Many:
        return await intent_of(Many)(request)

    assert asyncio.run(read()) == Many(words=("a",))
    assert threads != [threading.main_thread()]


class Writing:
    """A gateway that takes writes, and is asked nothing else."""

    def check_writes(self) -> None:
        """It does."""


def post(scopes: frozenset[Scope], path: str, body: object) -> httpx.Response:
    """POST as the bearer of a key with ``scopes``, to a service whose gateway is never asked."""
    app = create_app(cast(Gateway, None))
    app.dependency_overrides[gateway_of] = lambda: None
    app.state.gateway = Writing()  # whom the middleware asks whether this process writes
    app.dependency_overrides[authenticate] = lambda: Asker(None, scopes, "test")

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://concord.test") as client:
            return await client.post(path, json=body)

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["/v1/statements:prepare", "/v1/statements"])
def test_a_key_that_may_only_apply_sends_little(path: str) -> None:
    body = {"type": "a" * (64 << 10), "intent": {}}
    assert post(frozenset({Scope.APPLY}), path, body).status_code == 413
    assert post(frozenset({Scope.WRITE}), path, body).status_code == 422


def test_scopes_are_asked_before_the_body_is_read() -> None:
    for path in ("/v1/datasets", "/v1/statements:prepare", "/v1/api-keys"):
        answer = post(frozenset({Scope.READ}), path, {"parents": [1] * 5000})
        assert answer.json()["code"] == "missing-scope", path


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/statements:prepare", {"type": "Sealing", "intent": {"keys": ["a"] * 65}}),
        (
            "/v1/statements",
            {
                "type": "DatasetRegistration",
                "message": {"parents": [{}] * 65},
                "signature": "0x",
                "signer": "0x" + "00" * 20,
            },
        ),
    ],
)
def test_lists_of_raw_statements_end_at_64(path: str, body: dict[str, object]) -> None:
    answer = post(frozenset({Scope.WRITE}), path, body)
    assert answer.status_code == 422
    assert "has 65 items, more than 64" in answer.text
