"""What a write is answered and how it is followed; lists, pages and filters; idempotency; custodial and own keys."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest

from ledger.canonical import hash_document
from ledger.keccak import keccak256
from ledger.log import VerifierKey, verify_checkpoint, verify_receipt
from ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger.statements import Entry, Statement, recover_signer
from ledger.types import Address, Bytes32, parse_hex
from tests.support.asking import LISTS, Asking, asking, assert_problem, registration, soon

MEMBERS: Final = {
    "digest", "type", "participant", "state", "in_force", "refusal", "index", "receipt", "transaction", "block",
    "custodial", "api_key", "ids", "accepted_at", "as_of_block", "links",
}  # fmt: skip
HEX32: Final = re.compile(r"0x[0-9a-f]{64}\Z")
DATA: Final = b"plant,mwh\nA,1\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("answers"), "utility", "factory") as service:
        service.world.register(service.world.members["utility"], "power", {"a.csv": DATA})
        yield service


def request_intent(**members: object) -> dict[str, Any]:
    return {
        "dataset": "utility/power",
        "purpose": "ResearchAndDevelopment",
        "rights": ["read"],
        "valid_until": soon(days=1),
        **members,
    }


def register(service: Asking, slug: str, data: bytes = DATA, **headers: str) -> httpx.Response:
    """The chamber registers with its custodial key."""
    return service.post("chamber", "/v1/datasets", registration(slug, {"a.csv": data}), **headers)


def check_form(answer: dict[str, Any]) -> None:
    assert answer.keys() == MEMBERS
    assert HEX32.match(answer["digest"])
    assert HEX32.match(answer["participant"])
    assert answer["state"] in ("accepted", "anchored", "final")
    assert answer["in_force"] in ("not-applicable", "pending", "yes", "refused")
    assert isinstance(answer["index"], int)
    assert isinstance(answer["as_of_block"], int)
    assert datetime.fromisoformat(answer["accepted_at"]).utcoffset() is not None
    path = f"/v1/statements/{answer['digest']}"
    assert answer["links"] == {"self": path, "receipt": path + "/receipt", "evidence": path + "/evidence"}


def log_key(service: Asking) -> VerifierKey:
    """The log's verifier key as the chain keeps it."""
    parts = service.world.gateway.parts
    return VerifierKey(parts.config.origin, bytes(parts.reader.log_of(parts.log).verifier_key))


def test_a_write_answers_202_with_its_receipt_and_where_to_follow_it(service: Asking) -> None:
    answer = register(service, "shape")
    assert answer.status_code == 202
    written = answer.json()
    check_form(written)
    assert answer.headers["location"] == written["links"]["self"]
    assert (written["type"], written["custodial"]) == ("DatasetRegistration", True)
    assert written["ids"].keys() == {"participant", "dataset", "version"}
    assert written["ids"]["version"] == "1"
    statement = service.get("chamber", written["links"]["self"]).json()
    assert statement.keys() == MEMBERS | {"message", "signer", "signature", "cosignature", "documents"}
    entry = Entry.of(
        Bytes32.parse(written["digest"]), Bytes32.parse(written["participant"]), parse_hex(statement["signature"])
    ).to_bytes()
    key = log_key(service)
    assert service.get("none", f"/v1/log/entries/{written['index']}").content == entry
    checkpoint = verify_receipt(written["receipt"].encode(), entry, key)
    assert checkpoint.size > written["index"]
    later = verify_receipt(service.get("chamber", written["links"]["receipt"]).content, entry, key)
    assert later.size >= checkpoint.size
    final = service.final(answer)
    assert (final["in_force"], final["refusal"]) == ("yes", None)
    assert HEX32.match(final["transaction"])
    assert 0 < final["block"] <= final["as_of_block"]


def test_prefer_wait_answers_201_when_it_is_final(service: Asking) -> None:
    for prefer in ("wait=30", "respond-async, wait=30", "wait=999999999"):
        answer = register(service, "waited", prefer.encode(), Prefer=prefer)
        assert answer.status_code == 201
        check_form(answer.json())
        assert (answer.json()["state"], answer.json()["in_force"]) == ("final", "yes")
    started = time.monotonic()
    assert register(service, "unwaited", Prefer="wait=0").status_code == 202
    assert register(service, "unwaited", b"2", Prefer="handling=strict").status_code == 202
    assert time.monotonic() - started < 20


def test_a_statement_that_only_the_log_keeps_has_no_transaction(service: Asking) -> None:
    answer = service.state("factory", "AccessRequest", request_intent(), Prefer="wait=30")
    written = answer.json()
    assert (answer.status_code, written["state"], written["in_force"]) == (201, "final", "not-applicable")
    assert (written["transaction"], written["block"]) == (None, None)
    assert written["ids"].keys() == {"participant", "dataset", "request"}
    evidence = service.get("utility", written["links"]["evidence"])
    assert evidence.status_code == 200
    assert evidence.headers["content-disposition"].endswith('.json"')


def test_evidence_before_final_is_409_with_a_time_to_come_back(service: Asking) -> None:
    refused = None
    for number in range(20):
        written = register(service, "early", str(number).encode()).json()
        asked = service.get("chamber", written["links"]["evidence"])
        if asked.status_code == 409:
            refused = asked
            break
    assert refused is not None
    assert_problem(refused, 409, "not-final", "ask again soon")
    assert int(refused.headers["retry-after"]) >= 1
    service.get("chamber", written["links"]["self"] + "?wait=30")
    evidence = service.get("chamber", written["links"]["evidence"])
    assert evidence.status_code == 200
    outside = service.get("chamber", written["links"]["evidence"] + "?first=0&last=1")
    assert_problem(outside, 409, "outside-range", "extend the policy")
    for query in ("first=5&last=2", "last=99999999"):
        assert_problem(service.get("chamber", written["links"]["evidence"] + f"?{query}"), 422, "malformed", "0 to")


def test_the_same_idempotency_key_with_the_same_body_is_one_statement(service: Asking) -> None:
    body = registration("nightly", {"a.csv": DATA})
    first = service.post("chamber", "/v1/datasets", body, Idempotency_Key="night-1", Prefer="wait=30").json()
    with service.unchanged():
        again = service.post("chamber", "/v1/datasets", body, Idempotency_Key="night-1")
        assert again.status_code == 201
        assert again.json()["digest"] == first["digest"]
        spaced = {name: body[name] for name in reversed(body)}
        assert (
            service.post("chamber", "/v1/datasets", spaced, Idempotency_Key="night-1").json()["index"] == first["index"]
        )
        other = registration("nightly", {"a.csv": b"other"})
        reused = service.post("chamber", "/v1/datasets", other, Idempotency_Key="night-1")
        assert_problem(reused, 422, "idempotency-key-reused", "take a new key")
    second = service.post("chamber", "/v1/datasets", body, Idempotency_Key="night-2").json()
    assert second["ids"]["version"] == "2"


def test_an_idempotency_key_is_of_one_route(service: Asking) -> None:
    terms = {
        "parties": ["chamber"], "supplier": "utility", "user": "chamber", "resource": "capacity",
        "terms": {"title": "Capacity"}, "valid_from": soon(), "valid_until": soon(days=1), "quota": "1", "unit": "MW.h",
    }  # fmt: skip
    proposed = service.final(service.state("utility", "AgreementProposal", terms))
    body = {"agreement": proposed["ids"]["agreement"]}
    accepted = service.post("chamber", "/v1/agreement-acceptances", body, Idempotency_Key="route")
    assert accepted.status_code == 202
    for route in ("agreement-rejections", "agreement-terminations"):
        other = service.post("chamber", f"/v1/{route}", body, Idempotency_Key="route")
        assert_problem(other, 422, "idempotency-key-reused")
    again = service.post("chamber", "/v1/agreement-acceptances", body, Idempotency_Key="route")
    assert again.json()["digest"] == accepted.json()["digest"]


def test_an_idempotency_key_is_of_one_api_key(service: Asking) -> None:
    body = registration("shared", {"a.csv": DATA})
    first = service.post("chamber", "/v1/datasets", body, Idempotency_Key="same").json()
    token = service.world.api_key("read", "write", participant="chamber")
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "same"}
    other = service.http.post("/v1/datasets", json=body, headers=headers).json()
    assert other["digest"] != first["digest"]
    assert other["api_key"] == token.split("_")[1] != first["api_key"]


def test_a_refused_request_leaves_its_idempotency_key_free(service: Asking) -> None:
    wrong = registration("freed", {"a.csv": DATA}, version=7)
    refused = service.post("chamber", "/v1/datasets", wrong, Idempotency_Key="freed")
    assert_problem(refused, 409, "version-conflict")
    right = registration("freed", {"a.csv": DATA}, version=1)
    answer = service.post("chamber", "/v1/datasets", right, Idempotency_Key="freed")
    assert answer.json()["ids"]["version"] == "1"


def test_concurrent_repeats_make_one_statement(service: Asking) -> None:
    body = registration("stampede", {"a.csv": DATA})
    size = service.world.gateway.parts.sequencer.size

    def post(_number: int) -> httpx.Response:
        return service.post("chamber", "/v1/datasets", body, Idempotency_Key="stampede")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(16)))
    accepted = {answer.json()["digest"] for answer in answers if answer.status_code in (201, 202)}
    assert len(accepted) == 1
    for answer in answers:
        if answer.status_code not in (201, 202):
            assert_problem(answer, 409, "idempotency-key-in-use", "ask again soon")
            assert answer.headers["retry-after"]
    assert service.world.gateway.parts.sequencer.size == size + 1
    assert post(0).json()["digest"] in accepted


def test_concurrent_submissions_of_one_statement_are_one_entry(service: Asking) -> None:
    message = service.prepare("factory", "AccessRequest", request_intent())
    body = service.signed(service.world.members["factory"].identity, "AccessRequest", message)
    size = service.world.gateway.parts.sequencer.size
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.post("factory", "/v1/statements", body), range(16)))
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert {(answer.json()["digest"], answer.json()["index"]) for answer in answers} == {
        (answers[0].json()["digest"], size)
    }
    assert service.world.gateway.parts.sequencer.size == size + 1


def test_prepare_gives_what_a_wallet_signs_and_submit_takes_it(service: Asking) -> None:
    body = {"type": "DatasetRegistration", "intent": registration("own", {"a.csv": DATA})}
    prepared = service.post("utility", "/v1/statements:prepare", body).json()
    assert prepared.keys() == {"type", "digest", "message", "typed_data", "documents", "version_salt", "expires"}
    statement = Statement.parse("DatasetRegistration", prepared["message"])
    domains = service.world.domains
    digest = statement.digest(domains)
    assert prepared["digest"] == str(digest)
    typed = prepared["typed_data"]
    assert typed == statement.typed_data(domains)
    assert typed["domain"]["chainId"] == str(domains.chain_id)
    for document in prepared["documents"]:
        hashed = hash_document(Bytes32.parse(document["salt"]), document["document"])
        assert document["hash"] == str(hashed) == prepared["message"]["metadataHash"]
    assert datetime.fromisoformat(prepared["expires"]).utcoffset() is not None
    missing = service.get("utility", f"/v1/statements/{digest}")
    assert_problem(missing, 404, "not-found")  # prepared is not said
    signed = service.signed(service.world.members["utility"].identity, "DatasetRegistration", prepared["message"])
    final = service.final(service.post("utility", "/v1/statements", signed))
    assert (final["digest"], final["custodial"]) == (str(digest), False)
    assert final["api_key"] == service.world.members["utility"].token.split("_")[1]
    assert recover_signer(digest, parse_hex(final["signature"])) == Address.parse(final["signer"])
    assert [each["hash"] for each in final["documents"]] == [prepared["message"]["metadataHash"]]


def test_custodial_and_own_keys_are_told_apart(service: Asking) -> None:
    written = register(service, "custody").json()
    assert written["custodial"]
    assert written["api_key"] == service.world.founded.api_keys["chamber"].split("_")[1]
    keys = service.get("chamber", "/v1/participants/chamber/keys").json()["items"]
    custodial = [each["key"] for each in keys if each["custody"] == "custodial"]
    assert service.get("chamber", written["links"]["self"]).json()["signer"] in custodial
    with service.unchanged():
        for who in ("utility", "regulator"):
            answer = service.post(who, "/v1/datasets", registration("mine", {"a.csv": DATA}))
            assert_problem(answer, 409, "no-custodial-key", "/v1/statements:prepare", "POST /v1/statements")


def test_a_providers_inbox(service: Asking) -> None:
    begin = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for word in ("ResearchAndDevelopment", "ServiceProvision", "Marketing"):
        service.final(service.state("factory", "AccessRequest", request_intent(purpose=word)))
    inbox = "/v1/access-requests?role=provider&state=open"
    found = service.get("utility", f"{inbox}&since={begin}").json()["items"]
    assert len(found) == 3
    assert {each["consumer_handle"] for each in found} == {"factory"}
    assert service.get("utility", "/v1/access-requests?role=consumer").json()["items"] == []
    assert service.get("factory", f"{inbox}").json()["items"] == []
    assert len(service.get("factory", f"/v1/access-requests?role=consumer&since={begin}").json()["items"]) == 3
    assert service.get("utility", f"{inbox}&since={soon(hours=1)}").json()["items"] == []
    assert len(service.get("utility", f"{inbox}&dataset=utility/power&since={begin}").json()["items"]) == 3
    denied, granted = found[0]["digest"], found[1]["digest"]
    service.final(service.state("utility", "AccessDenial", {"request": denied, "reason": "not now"}))
    made = service.final(service.state("utility", "AccessGrant", {"request": granted}))
    left = service.get("utility", f"{inbox}&since={begin}").json()["items"]
    assert [each["digest"] for each in left] == [found[2]["digest"]]
    (shown,) = service.get("utility", f"/v1/access-requests?state=granted&since={begin}").json()["items"]
    assert (shown["digest"], shown["grant"]) == (granted, made["digest"])
    (shown,) = service.get("factory", f"/v1/access-requests?state=denied&since={begin}").json()["items"]
    assert shown["digest"] == denied
    again = service.state("utility", "AccessDenial", {"request": denied, "reason": "still not"})
    assert_problem(again, 409, "request-denied")


def pages(service: Asking, who: str, path: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = service.get(who, f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}").json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        assert len(page["items"]) == limit
        cursor = f"&cursor={page['next']}"


@pytest.mark.parametrize("name", LISTS)
def test_pages_are_the_list(service: Asking, name: str) -> None:
    whole = service.get("audit", f"/v1/{name}?limit=200").json()["items"]
    for limit in (1, 3, 200):
        paged = pages(service, "audit", f"/v1/{name}", limit)
        assert [each.get("digest") or each.get("id") for each in paged] == [
            each.get("digest") or each.get("id") for each in whole
        ]


def test_pages_hold_still_while_more_comes(service: Asking) -> None:
    first = service.get("audit", "/v1/statements?limit=2").json()
    register(service, "arriving", Prefer="wait=30")
    rest = service.get("audit", f"/v1/statements?limit=200&cursor={first['next']}").json()["items"]
    seen = [each["index"] for each in first["items"] + rest]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == len(seen) == seen[0] + 1


def test_filters_of_the_other_lists(service: Asking) -> None:
    retired = register(service, "old", Prefer="wait=30").json()["ids"]["dataset"]
    service.final(service.post("chamber", "/v1/dataset-retirements", {"dataset": "chamber/old"}, Prefer="wait=30"))

    def names(query: str, who: str = "utility") -> list[str]:
        return [each["id"] for each in service.get(who, f"/v1/datasets?limit=200&{query}").json()["items"]]

    assert names("state=retired") == [retired]
    assert retired not in names("state=active")
    assert retired in names("provider=chamber")
    assert names("provider=factory") == []
    assert len(names("role=provider")) == len(names("provider=utility"))
    assert names("text=no-such-word") == []
    assert set(names("text=generation")) == set(names("")), "text looks into descriptions, whatever the case"
    assert names(f"since={soon(hours=1)}") == []
    kinds = service.get("audit", "/v1/statements?type=DatasetRetirement").json()["items"]
    assert [each["type"] for each in kinds] == ["DatasetRetirement"]
    people = service.get("utility", "/v1/participants?state=active&text=utility").json()["items"]
    assert [each["handle"] for each in people] == ["utility"]
    decided = service.get("utility", "/v1/proposals?state=executed").json()["items"]
    assert decided
    assert {each["state"] for each in decided} == {"executed"}


def test_every_read_says_as_of_which_block(service: Asking) -> None:
    answer = service.final(service.state("utility", "AccessGrant", request_intent(consumer="factory")))
    version = "/v1/datasets/utility~power/versions/1"
    objects = [
        *(f"/v1/{name}" for name in LISTS),
        "/v1/participants/utility", "/v1/participants/utility/profile", "/v1/participants/utility/keys",
        "/v1/datasets/utility~power", "/v1/datasets/utility~power/versions", version, version + "/lineage",
        version + "/files", f"/v1/grants/{answer['digest']}", answer["links"]["self"],
        f"/v1/documents/{answer['message']['policyHash']}",
    ]  # fmt: skip
    before = service.get("none", "/v1/ready").json()["final"]
    for path in objects:
        found = service.get("utility", path)
        assert found.status_code == 200, path
        assert found.json()["as_of_block"] >= before, path
    for path in (version + "/manifest", version + "/files/a.csv"):
        assert int(service.get("utility", path).headers["concord-as-of-block"]) >= before


def test_the_log_proves_itself(service: Asking) -> None:
    key = log_key(service)
    checkpoint = verify_checkpoint(service.get("none", "/v1/log/checkpoint").content, key)
    entry = service.get("none", "/v1/log/entries/2").content
    proof = service.get("none", f"/v1/log/proof?index=2&size={checkpoint.size}").json()
    hashes = [base64.b64decode(each) for each in proof["proof"]]
    verify_inclusion(leaf_hash(entry), 2, checkpoint.size, hashes, checkpoint.root)
    register(service, "growing", Prefer="wait=30")
    later = verify_checkpoint(service.get("none", "/v1/log/checkpoint").content, key)
    grown = service.get("none", f"/v1/log/consistency?first={checkpoint.size}&second={later.size}").json()
    hashes = [base64.b64decode(each) for each in grown["proof"]]
    verify_consistency(checkpoint.size, later.size, hashes, checkpoint.root, later.root)


def test_caches_ask_for_the_head_of_what_the_log_keeps(service: Asking) -> None:
    for path in ("checkpoint", "tile/entries/000.p/1", "entries/0"):
        whole, head = (service.http.request(method, f"/v1/log/{path}") for method in ("GET", "HEAD"))
        assert head.status_code == 200
        assert not head.content
        named = ("content-length", "content-type", "cache-control")
        assert [head.headers[each] for each in named] == [whole.headers[each] for each in named]


def test_verify_knows_what_is_registered(service: Asking) -> None:
    uploaded = service.http.post("/v1/verify", content=DATA, headers=service.headers("utility")).json()
    assert uploaded["verdict"] == "verified"
    assert "utility/power" in uploaded["sentence"] or uploaded["matches"]
    sha256 = service.get("utility", "/v1/datasets/utility~power/versions/1/files").json()["files"][0]["sha256"]
    asked = service.post("utility", "/v1/verify", {"sha256": sha256}).json()
    assert asked["matches"] == uploaded["matches"]
    unknown = service.post("utility", "/v1/verify", {"sha256": "0x" + keccak256(b"x").hex()}).json()
    assert (unknown["verdict"], unknown["matches"]) == ("undetermined", [])
    assert {"verdict", "sentence", "matches", "as_of_block"} == unknown.keys()
