"""API keys over HTTP: what a stranger with a key to apply can not become, and how long an heir lives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from ledger.exchange.parts import Parts
from ledger.statements import address_of, generate_private_key
from tests.support.world import World, serving


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("api-keys")) as served:
        yield served


def ask(world: World, token: str, method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(method, world.url + path, json=body, headers=headers, timeout=30)


def test_an_application_that_anybody_can_read_on_chain_is_no_key_to_its_applicant(world: World) -> None:
    _, applied = world.apply("utility")
    auditor, stranger = world.api_key("audit"), world.api_key("apply")
    views = ask(world, auditor, "GET", "/v1/statements?limit=50").json()["items"]
    applications = [view for view in views if view["type"] == "ParticipantApplication"]
    assert str(applied.digest) in {view["digest"] for view in applications}
    assert len(applications) == 4  # the operator's own too
    before = ask(world, stranger, "GET", "/v1/whoami").json()
    for view in applications:
        public = {name: view[name] for name in ("type", "message", "signer", "signature", "cosignature")}
        for signature in ("0x" + "00" * 65, "0x00"):
            forged = public | {"signature": signature, "cosignature": signature}
            assert ask(world, stranger, "POST", "/v1/statements", forged).status_code == 422
        ask(world, stranger, "POST", "/v1/statements", public)
        assert ask(world, stranger, "GET", "/v1/whoami").json() == before
        assert ask(world, stranger, "GET", "/v1/statements").status_code == 403


def test_an_heir_ends_no_later_than_its_maker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = world.founded.api_keys["chamber"]
    scopes, end = ["read", "write"], (datetime.now(UTC) + timedelta(seconds=120)).isoformat()
    made = {"scopes": scopes, "participant": "regulator", "expires_at": end}
    maker = ask(world, operator, "POST", "/v1/api-keys", made).json()
    heir = ask(world, maker["token"], "POST", "/v1/api-keys", {"scopes": scopes}).json()
    assert heir["expires_at"] == maker["expires_at"]
    assert ask(world, heir["token"], "GET", "/v1/whoami").status_code == 200
    monkeypatch.setattr(Parts, "now", lambda _: datetime.now(UTC) + timedelta(seconds=121))
    assert ask(world, heir["token"], "GET", "/v1/whoami").status_code == 401


def test_a_revocation_reaches_heirs(world: World) -> None:
    token = world.api_key("read", "write", participant="regulator")
    heir = ask(world, token, "POST", "/v1/api-keys", {"scopes": ["read"]}).json()["token"]
    assert ask(world, token, "DELETE", f"/v1/api-keys/{token.split('_')[1]}").status_code == 204
    assert ask(world, heir, "GET", "/v1/whoami").status_code == 401


def test_preparing_again_and_again_keeps_one_key_file(world: World) -> None:
    token, keys = world.api_key("apply"), world.folder / "home" / "keys"
    before = len(list(keys.rglob("*.json")))
    for number in range(3):
        control = str(address_of(generate_private_key()))
        intent = {"profile": {"handle": f"squat-{number}", "name": "x"}, "control_key": control, "custody": "custodial"}
        body = {"type": "ParticipantApplication", "intent": intent}
        assert ask(world, token, "POST", "/v1/statements:prepare", body).status_code == 200
    assert len(list(keys.rglob("*.json"))) == before + 1
