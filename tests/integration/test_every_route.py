"""Every route of the OpenAPI document with every kind of API key: one table says what each is answered."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import httpx
import pytest

from ledger.client import access, agreements, evidence, statements
from ledger.errors import UnavailableError
from ledger.exchange import Scope
from ledger.types import Bytes32
from tests.support.world import Member, World, serving

DATA: Final = b"plant,mwh\nA,1\n"
TOKENLESS: Final = ("none", "unknown", "expired", "revoked", "other scheme")
BEARERS: Final = ("apply", "read", "write", "audit", "operate", "own", "other")
"""Of these read, write and own are the utility's, other is the outsider's, the rest are no participant's."""

Expected = Mapping[str, int]


def answers(status: int, **otherwise: int) -> Expected:
    return dict.fromkeys(BEARERS, status) | otherwise


PUBLIC: Final = answers(200)
MEMBERS: Final = answers(200, apply=403, write=403)
"""What every reader may know."""
PARTIES: Final = answers(200, apply=403, write=403, operate=404, other=404)
"""What signer, named parties and auditors may read; to others it is not there."""
CONTENTS: Final = answers(200, apply=403, write=403, operate=403, other=403)
"""What the provider, holders of a grant and auditors may read; that it is there, the catalogue says."""
BYTES: Final = answers(403, read=200, own=200)
STATING: Final = answers(403, write=422, own=422, other=422)
"""A body that says nothing: 422 is answered to who may state."""
TRANSFERS: Final = answers(403, read=404, own=404, other=404)
"""To a participant that it is not delivered to, a transfer is not there; others get no data at all."""
DELIVERIES: Final = answers(404, apply=403, write=403)
"""Which deliveries there are, their consumers alone know."""
APPLYING: Final = dict(STATING) | {"apply": 422}


@dataclass(frozen=True)
class Route:
    """A request that fits, and what each bearer is answered."""

    expected: Expected
    path: str | Callable[[Stage], str] = ""
    json: object = None
    content: bytes | None = None


@dataclass
class Stage:
    """The served consortium, the tokens of all bearers, and the values of path parameters."""

    world: World
    http: httpx.Client
    tokens: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, template: str, route: Route, headers: Mapping[str, str]) -> httpx.Response:
        path = route.path(self) if callable(route.path) else route.path or template.format_map(self.values)
        return self.http.request(method, path, json=route.json, content=route.content, headers=headers)


def _new_key(stage: Stage) -> str:
    token = stage.world.api_key("read", participant="utility")
    return f"/v1/api-keys/{token.split('_')[1]}"


def _new_sealing(stage: Stage) -> str:
    return f"/v1/datasets/{stage.values['dataset']}/versions/1/sealings/0x{secrets.token_hex(32)}"


_VERSION = "/v1/datasets/{dataset}/versions/{version}"
LONG_AGO: Final = "?after=2020-01-01T00:00:00Z"
NOTHING: Final = Route(STATING, json={})
OPERATING: Final = answers(403, operate=200)
"""What is the gateway's operator's alone."""

TABLE: Final[Mapping[tuple[str, str], Route]] = {
    ("get", "/v1/health"): Route(PUBLIC),
    ("get", "/v1/ready"): Route(PUBLIC),
    ("get", "/v1/consortium"): Route(PUBLIC),
    ("post", "/rpc"): Route(PUBLIC, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}),
    ("get", "/metrics"): Route(MEMBERS),
    ("get", "/v1/gateway-keys"): Route(OPERATING),
    ("post", "/v1/gateway-keys/kek:rotate"): Route(OPERATING, json={}),
    ("post", "/v1/gateway-keys/log:rotate"): Route(OPERATING, json={}),
    ("post", "/v1/gateway-keys/relay:rotate"): Route(OPERATING, json={"only_prepare": True}),
    ("post", "/v1/gateway-keys/passphrase:rotate"): Route(
        answers(403, operate=422), json={"passphrase": "a guess", "new_passphrase": "another"}
    ),
    ("get", "/v1/log/checkpoint"): Route(PUBLIC),
    ("get", "/v1/log/tile/{path}"): Route(PUBLIC, "/v1/log/tile/0/000.p/1"),
    ("get", "/v1/log/entries/{index}"): Route(PUBLIC),
    ("get", "/v1/log/proof"): Route(PUBLIC, "/v1/log/proof?index=0"),
    ("get", "/v1/log/consistency"): Route(PUBLIC, "/v1/log/consistency?first=1"),
    ("get", "/v1/whoami"): Route(answers(200)),
    ("get", "/v1/participants"): Route(MEMBERS),
    ("get", "/v1/participants/{participant}"): Route(MEMBERS),
    ("get", "/v1/participants/{participant}/profile"): Route(MEMBERS),
    ("put", "/v1/participants/{participant}/profile"): Route(answers(403, operate=422), json={}),
    ("get", "/v1/participants/{participant}/keys"): Route(MEMBERS),
    ("get", "/v1/offers/{participant}"): Route(answers(403, read=200, own=200, other=200)),
    ("get", "/v1/profiles"): Route(answers(403, read=200, own=200, other=200)),
    ("get", "/v1/proposals"): Route(MEMBERS),
    ("get", "/v1/proposals/{digest}"): Route(MEMBERS, lambda stage: f"/v1/proposals/{stage.values['proposal']}"),
    ("get", "/v1/datasets"): Route(MEMBERS),
    ("get", "/v1/datasets/{dataset}"): Route(MEMBERS),
    ("get", "/v1/datasets/{dataset}/versions"): Route(MEMBERS),
    ("get", _VERSION): Route(MEMBERS),
    ("get", _VERSION + "/lineage"): Route(MEMBERS),
    ("get", _VERSION + "/descendants"): Route(MEMBERS),
    ("post", _VERSION + "/erasure"): NOTHING,
    ("get", _VERSION + "/manifest"): Route(CONTENTS),
    ("get", _VERSION + "/chunks"): Route(CONTENTS),
    ("get", _VERSION + "/files"): Route(CONTENTS),
    ("get", _VERSION + "/files/{path}"): Route(BYTES),
    ("put", _VERSION + "/files/{path}"): Route(answers(403, write=200, own=200), content=DATA),
    ("post", _VERSION + "/files:batch"): Route(STATING, content=DATA),
    ("get", _VERSION + "/sealings/current"): Route(answers(403, read=404, own=404)),
    ("put", _VERSION + "/sealings/{digest}"): Route(answers(403, write=422, own=422), _new_sealing, content=DATA),
    ("post", _VERSION + "/sealings/{digest}/statement"): Route(answers(403, write=404, own=404), json={}),
    ("post", _VERSION + "/lift"): Route(answers(403, write=201, own=201)),
    ("get", _VERSION + "/lift"): Route(MEMBERS),
    ("post", "/v1/verify"): Route(MEMBERS, content=DATA),
    ("get", "/v1/access-requests"): Route(MEMBERS),
    ("get", "/v1/access-requests/{digest}"): Route(PARTIES, lambda stage: f"/v1/access-requests/{stage.values['ask']}"),
    ("get", "/v1/grants"): Route(MEMBERS),
    ("get", "/v1/grants/{digest}"): Route(PARTIES, lambda stage: f"/v1/grants/{stage.values['grant']}"),
    ("post", "/v1/grants/{digest}/attestation"): Route(
        answers(201, apply=403, write=403, operate=404, other=404),
        lambda stage: f"/v1/grants/{stage.values['grant']}/attestation{LONG_AGO}",
    ),
    ("get", "/v1/grants/{digest}/attestation"): Route(
        PARTIES, lambda stage: f"/v1/grants/{stage.values['grant']}/attestation"
    ),
    ("get", "/v1/grants/{digest}/attestation/evidence"): Route(
        PARTIES, lambda stage: f"/v1/grants/{stage.values['grant']}/attestation/evidence"
    ),
    ("post", "/v1/log/attestation"): Route(answers(201, apply=403, write=403), "/v1/log/attestation" + LONG_AGO),
    ("get", "/v1/log/attestation"): Route(MEMBERS),
    ("get", "/v1/log/attestation/evidence"): Route(MEMBERS),
    ("get", "/v1/events/{digest}/evidence"): Route(MEMBERS),
    ("get", _VERSION + "/evidence"): Route(MEMBERS),
    ("get", "/v1/agreements"): Route(MEMBERS),
    ("get", "/v1/agreements/{digest}"): Route(PARTIES, lambda stage: f"/v1/agreements/{stage.values['agreement']}"),
    ("get", "/v1/usage"): Route(MEMBERS),
    ("get", "/v1/settlements"): Route(MEMBERS),
    ("get", "/v1/statements"): Route(MEMBERS),
    ("post", "/v1/transfers"): Route(STATING, json={}),
    ("get", "/v1/transfers"): Route(MEMBERS),
    ("post", "/v1/transfers/{digest}/release"): NOTHING,
    ("get", "/v1/transfers/{digest}"): Route(TRANSFERS),
    ("get", "/v1/transfers/{digest}/accesses"): Route(TRANSFERS),
    ("get", "/v1/transfers/{digest}/manifest"): Route(TRANSFERS),
    ("get", "/v1/transfers/{digest}/chunks"): Route(TRANSFERS),
    ("get", "/v1/transfers/{digest}/sealing"): Route(TRANSFERS),
    ("get", "/v1/transfers/{digest}/leaves"): Route(TRANSFERS),
    ("post", "/v1/deliveries"): Route(STATING, json={}),
    ("get", "/v1/deliveries"): Route(answers(403, read=200, own=200, other=200)),
    ("get", "/v1/deliveries/{digest}"): Route(DELIVERIES),
    ("get", "/v1/deliveries/{digest}/statements"): Route(DELIVERIES),
    ("get", "/v1/deliveries/{digest}/files"): Route(DELIVERIES),
    ("get", "/v1/deliveries/{digest}/files/{path}"): Route(DELIVERIES),
    ("get", "/v1/deliveries/{digest}/evidence/{part}"): Route(
        answers(403, write=404, own=404, other=404),
        lambda stage: f"/v1/deliveries/{stage.values['digest']}/evidence/receipt",
    ),
    ("get", "/v1/deliveries/{digest}/state"): Route(answers(403, write=404, own=404, other=404)),
    ("get", "/v1/deliveries/{digest}/wrong-chunk"): Route(answers(403, write=404, own=404, other=404)),
    ("delete", "/v1/deliveries/{digest}"): Route(answers(403, write=404, own=404, other=404)),
    ("get", "/v1/transfers/{digest}/data"): Route(TRANSFERS),
    ("get", "/v1/transfers/{digest}/evidence/{part}"): Route(
        TRANSFERS, lambda stage: f"/v1/transfers/{stage.values['digest']}/evidence/receipt"
    ),
    ("post", "/v1/transfers/{digest}/receipt"): Route(STATING, json={}),
    ("get", "/v1/statements/{digest}"): Route(PARTIES),
    ("put", "/v1/statements/{digest}"): NOTHING,
    ("get", "/v1/statements/{digest}/receipt"): Route(PARTIES),
    ("get", "/v1/statements/{digest}/evidence"): Route(PARTIES),
    ("get", "/v1/documents/{hash}"): Route(PARTIES),
    ("post", "/v1/statements:prepare"): Route(APPLYING, json={}),
    ("post", "/v1/statements"): Route(APPLYING, json={}),
    ("post", "/v1/statements:batch"): Route(answers(403, write=415, own=415, other=415), json={}),
    ("post", "/v1/profiles"): NOTHING,
    ("post", "/v1/datasets"): NOTHING,
    ("post", "/v1/dataset-retirements"): NOTHING,
    ("post", "/v1/access-requests"): NOTHING,
    ("post", "/v1/access-denials"): NOTHING,
    ("post", "/v1/grants"): NOTHING,
    ("post", "/v1/revocations"): NOTHING,
    ("post", "/v1/agreements"): NOTHING,
    ("post", "/v1/agreement-acceptances"): NOTHING,
    ("post", "/v1/agreement-rejections"): NOTHING,
    ("post", "/v1/agreement-terminations"): NOTHING,
    ("post", "/v1/usage-reports"): NOTHING,
    ("post", "/v1/usage-confirmations"): NOTHING,
    ("post", "/v1/usage-disputes"): NOTHING,
    ("post", "/v1/settlements"): NOTHING,
    ("get", "/v1/api-keys"): Route(answers(200, apply=403, read=403, audit=403)),
    ("post", "/v1/api-keys"): Route(
        answers(201, apply=403, read=403, audit=403, other=403), json={"scopes": ["write"], "participant": "utility"}
    ),
    ("delete", "/v1/api-keys/{key_id}"): Route(answers(204, apply=403, read=403, audit=403, other=404), path=_new_key),
}
UNSTAMPED: Final = (("get", "/v1/log/tile/{path}"), ("get", "/v1/log/entries/{index}"))
"""What they answer is the same for ever, is kept by caches, and costs no look into the database: it names no block."""
PUBLIC_ROUTES: Final = {(method, path) for (method, path), route in TABLE.items() if route.expected is PUBLIC}


def _tokens(world: World) -> dict[str, str]:
    past = datetime.now(UTC) - timedelta(seconds=1)
    utility = world.members["utility"].id
    _, expired = world.gateway.api_keys.draw(utility, frozenset({Scope.READ, Scope.WRITE}), "expired", past)
    revoked = world.api_key("read", "write", participant="utility")
    world.gateway.parts.store.api_keys.revoke(revoked.split("_")[1], past)
    return {
        "unknown": "ck_" + "0" * 16 + "_" + "0" * 64,
        "expired": expired,
        "revoked": revoked,
        "apply": world.api_key("apply"),
        "read": world.api_key("read", participant="utility"),
        "write": world.api_key("write", participant="utility"),
        "audit": world.api_key("audit"),
        "operate": world.api_key("operate"),
        "own": world.members["utility"].token,
        "other": world.members["outsider"].token,
    }


def _agree(world: World, utility: Member, manufacturer: Member) -> str:
    start = datetime.now(UTC).replace(microsecond=0)
    flow = agreements.propose(
        utility.identity,
        parties=["utility", "manufacturer"],
        supplier="utility",
        user="manufacturer",
        resource="capacity",
        terms={"title": "Capacity"},
        valid_from=start,
        valid_until=start + timedelta(days=1),
        quota=Decimal(10),
        unit="MW.h",
        wait_s=30,
    )
    return utility.client.run(flow).ids["agreement"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with serving(tmp_path_factory.mktemp("routes")) as world:
        utility, manufacturer, _ = (world.enroll(handle) for handle in ("utility", "manufacturer", "outsider"))
        _, applied = world.apply("newcomer")
        registered = world.register(utility, "power", {"a.csv": DATA, "big.bin": bytes(2 << 20)})
        terms = {
            "purpose": "ResearchAndDevelopment",
            "rights": ["read"],
            "valid_until": datetime.now(UTC) + timedelta(1),
        }
        asked = manufacturer.client.run(
            access.request("utility/power", manufacturer.identity, **terms, wait_s=30)  # type: ignore[arg-type]
        )
        granted = utility.client.run(access.grant_request(asked.digest, utility.identity, wait_s=30))
        utility.client.run(evidence.attest_grant(granted.digest, wait_s=30))
        utility.client.run(evidence.attest_log(wait_s=30))
        message = utility.client.run(statements.fetch(granted.digest))["message"]
        assert isinstance(message, dict)
        values = {
            "participant": "utility",
            "dataset": "utility~power",
            "version": "1",
            "path": "a.csv",
            "index": "0",
            "digest": str(registered.digest),
            "hash": str(message["policyHash"]),
            "ask": str(asked.digest),
            "grant": str(granted.digest),
            "agreement": _agree(world, utility, manufacturer),
            "proposal": str(applied.digest),
        }
        with httpx.Client(base_url=world.url) as http:
            yield Stage(world, http, _tokens(world), values)


def _bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_table_names_every_route_and_no_other(stage: Stage) -> None:
    document = stage.http.get("/openapi.json").json()
    routes = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert routes == TABLE.keys()


def test_public_are_exactly_these() -> None:
    logs = {"checkpoint", "tile/{path}", "entries/{index}", "proof", "consistency"}
    others = {("get", "/v1/health"), ("get", "/v1/ready"), ("get", "/v1/consortium"), ("post", "/rpc")}
    assert others | {("get", f"/v1/log/{name}") for name in logs} == PUBLIC_ROUTES


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_the_docs_are_public(stage: Stage, path: str) -> None:
    assert stage.http.get(path).status_code == 200


@pytest.mark.parametrize("name", list(TABLE), ids=" ".join)
def test_a_route_answers_each_bearer_as_the_table_says(stage: Stage, name: tuple[str, str]) -> None:
    method, template = name
    route = TABLE[name]
    found = {}
    for bearer in BEARERS:
        answer = stage.ask(method, template, route, _bearing(stage.tokens[bearer]))
        found[bearer] = answer.status_code
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
            assert answer.json()["type"] == f"urn:concord:problem:{answer.json()['code']}"
    assert found == route.expected


def names_block(answer: httpx.Response) -> bool:
    """Whether the header names a block; where the body names one, it is the same."""
    named: str = answer.headers.get("concord-as-of-block", "")
    if answer.headers["content-type"] == "application/json" and b'"as_of_block"' in answer.content:
        body = answer.json()
        assert not isinstance(body, dict) or str(body.get("as_of_block", named)) == named
    return named.isdecimal()


@pytest.mark.parametrize("name", [each for each in TABLE if each[0] == "get"], ids=" ".join)
def test_every_read_says_as_of_which_block(stage: Stage, name: tuple[str, str]) -> None:
    """Whatever it is answered: in the header, and where the body says it, the same there."""
    method, template = name
    before = stage.world.gateway.parts.store.chain.as_of_block()
    statuses = set()
    for bearer in ("unknown", *BEARERS):
        answer = stage.ask(method, template, TABLE[name], _bearing(stage.tokens[bearer]))
        assert names_block(answer) is (name not in UNSTAMPED), (bearer, answer.status_code)
        assert name in UNSTAMPED or int(answer.headers["concord-as-of-block"]) >= before > 0
        statuses.add(answer.status_code)
    assert statuses & {200, 404}


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/datasets/utility~nothing", "/v1/log/proof?index=99999", "/v1/log/consistency"]
)
def test_what_is_not_there_says_as_of_which_block(stage: Stage, path: str) -> None:
    answer = stage.http.get(path, headers=_bearing(stage.tokens["own"]))
    assert answer.status_code in (404, 422)
    assert names_block(answer)


def test_what_never_changes_is_served_without_a_query(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles and entries name no block: caches keep them for a year, and they hold nothing of the chain."""

    def fail() -> int:
        raise AssertionError("the database is asked")

    monkeypatch.setattr(stage.world.gateway.parts.store.chain, "as_of_block", fail)
    for name in UNSTAMPED:
        answer = stage.ask(*name, TABLE[name], {})
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_the_block_is_left_out_while_the_database_does_not_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise UnavailableError("the database does not answer")

    monkeypatch.setattr(stage.world.gateway.parts.store.chain, "as_of_block", fail)
    answer = stage.http.get("/v1/health")
    assert (answer.status_code, names_block(answer)) == (200, False)


@pytest.mark.parametrize("name", list(TABLE), ids=" ".join)
def test_without_a_good_key_a_route_is_401_unless_it_is_public(stage: Stage, name: tuple[str, str]) -> None:
    method, template = name
    route = TABLE[name]
    headers: dict[str, dict[str, str]] = {"none": {}, "other scheme": {"Authorization": "Basic Y2s6Y2s="}}
    for bearer in TOKENLESS:
        bearing = headers[bearer] if bearer in headers else _bearing(stage.tokens[bearer])
        answer = stage.ask(method, template, route, bearing)
        assert answer.status_code == (200 if name in PUBLIC_ROUTES else 401), bearer
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["code"] == "unauthorized"
            assert "API key" in answer.json()["detail"]


@pytest.mark.parametrize("token", ["ck_", "ck_0_0", "x" * 10_000, "ck_" + "é" * 16 + "_" + "0" * 64])
def test_a_token_of_another_form_is_401(stage: Stage, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode()}
    answer = stage.http.get("/v1/whoami", headers=headers)  # type: ignore[arg-type]  # bytes pass as they are
    assert answer.status_code == 401


def test_who_bears_another_participants_key_states_nothing_in_its_name(stage: Stage) -> None:
    utility = str(stage.world.members["utility"].id)
    members = {"participant": utility, "dataset": "0x" + "11" * 32, "version": "1", "ciphertextSize": "16"}
    members |= dict.fromkeys(("registration", "keyCommitment", "ciphertextRoot"), "0x" + "33" * 32)
    prepared = stage.http.post(
        "/v1/statements:prepare",
        json={"type": "Sealing", "intent": members},
        headers=_bearing(stage.tokens["other"]),
    )
    assert (prepared.status_code, prepared.json()["code"]) == (403, "not-yours")
    message = members | {"deadline": "4000000000", "salt": "0x" + "44" * 32}
    body = {"type": "Sealing", "message": message, "signature": "0x" + "00" * 65, "signer": "0x" + "55" * 20}
    for bearer, code in (("other", "not-yours"), ("apply", "missing-scope")):
        submitted = stage.http.post("/v1/statements", json=body, headers=_bearing(stage.tokens[bearer]))
        assert (submitted.status_code, submitted.json()["code"]) == (403, code)


def test_lists_hold_only_what_the_asker_is_a_party_of(stage: Stage) -> None:
    private = ("access-requests", "grants", "agreements", "usage", "settlements", "statements")
    utility = str(stage.world.members["utility"].id)
    for name, bearer in itertools.product(private, ("operate", "other", "own", "audit")):
        answer = stage.http.get(f"/v1/{name}?limit=200", headers=_bearing(stage.tokens[bearer]))
        items = answer.json()["items"]
        if bearer in ("operate", "other"):
            assert utility not in {item.get("participant") for item in items}
            assert name == "statements" or items == []
        elif name not in ("usage", "settlements"):
            assert items, (name, bearer)


def test_keys_are_listed_to_their_participant_without_secrets(stage: Stage) -> None:
    utility = stage.world.members["utility"]
    mine = stage.http.get("/v1/api-keys", headers=_bearing(stage.tokens["own"])).json()["items"]
    assert {Bytes32.parse(each["participant"]) for each in mine} == {utility.id}
    assert all("secret" not in name and name != "token" for each in mine for name in each)
    every = stage.http.get("/v1/api-keys", headers=_bearing(stage.tokens["operate"])).json()["items"]
    assert len(every) > len(mine)


def test_a_key_makes_no_key_with_more_than_it_has(stage: Stage) -> None:
    for body in (
        {"scopes": ["audit"]},
        {"scopes": ["read", "operate"]},
        {"scopes": ["write"], "participant": "chamber"},
    ):
        answer = stage.http.post("/v1/api-keys", json=body, headers=_bearing(stage.tokens["own"]))
        assert answer.status_code == 403
        assert answer.json()["code"] in {"missing-scope", "not-yours"}


def test_a_key_that_was_revoked_is_useless_at_once(stage: Stage) -> None:
    token = stage.world.api_key("read", participant="utility")
    assert stage.http.get("/v1/participants", headers=_bearing(token)).status_code == 200
    own = _bearing(stage.tokens["own"])
    assert stage.http.delete(f"/v1/api-keys/{token.split('_')[1]}", headers=own).status_code == 204
    assert stage.http.get("/v1/participants", headers=_bearing(token)).status_code == 401
