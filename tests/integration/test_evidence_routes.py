"""The routes about evidence in raw HTTP: how far a statement is, ranges, attestations, bundles, and what is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.asking import Asking, asking, assert_problem, registration, soon

DATA: Final = b"plant,mwh\nA,1\n"
LONG_AGO: Final = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("routes"), "utility", "factory") as service:
        service.final(service.state("utility", "DatasetRegistration", registration("power", {"a.csv": DATA})))
        yield service


def grant(service: Asking, **members: Any) -> str:
    terms = {
        "dataset": "utility/power",
        "consumer": "factory",
        "purpose": "ResearchAndDevelopment",
        "rights": ["read"],
        "valid_until": soon(days=1),
        **members,
    }
    return str(service.final(service.state("utility", "AccessGrant", terms))["digest"])


def test_each_state_can_be_waited_for(service: Asking) -> None:
    order = ["accepted", "anchored", "final"]
    for wanted in order:
        body = registration(f"waited-{wanted}", {"a.csv": DATA})
        written = service.state("utility", "DatasetRegistration", body).json()
        answer = service.get("utility", f"{written['links']['self']}?wait=30&for={wanted}")
        assert order.index(answer.json()["state"]) >= order.index(wanted)
    started = time.monotonic()
    service.get("utility", f"{written['links']['self']}?wait=60&for=accepted")
    assert time.monotonic() - started < 30
    refused = service.get("utility", f"{written['links']['self']}?wait=1&for=forgotten")
    assert_problem(refused, 422, "malformed", "for")


def test_a_wait_that_ends_too_early_answers_as_it_is(service: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    publishing = service.world.gateway._publishing
    monkeypatch.setattr(publishing, "_step", lambda: False)
    body = registration("unpublished", {"a.csv": DATA})
    written = service.state("utility", "DatasetRegistration", body).json()
    answer = service.get("utility", f"{written['links']['self']}?wait=1&for=anchored")
    assert (answer.status_code, answer.json()["state"]) == (200, "accepted")
    monkeypatch.undo()
    publishing.wake()
    assert service.get("utility", f"{written['links']['self']}?wait=30").json()["state"] == "final"


def test_evidence_is_shown_under_the_range_that_holds_its_block(service: Asking) -> None:
    digest = grant(service)
    path = f"/v1/statements/{digest}/evidence"
    block = int(service.get("utility", path).json()["effect"]["block"]["last"])
    for query in (f"range=0-1&range=0-{block}", f"range=0-1,0-{block}"):
        shown = service.get("utility", f"{path}?{query}").json()
        assert (shown["anchor"]["block"]["first"], shown["anchor"]["block"]["last"]) == ("0", str(block))
    assert_problem(service.get("utility", f"{path}?range=0-1"), 409, "outside-range", "extend the policy")
    for query in ("range=1", "range=5-2", "range=0-99999999", "range=" + "0-1," * 300, "first=-1"):
        assert_problem(service.get("utility", f"{path}?{query}"), 422, "malformed")


def test_an_attestation_is_followed_and_proved(service: Asking) -> None:
    digest = grant(service, last_version=2)
    path = f"/v1/grants/{digest}/attestation"
    assert_problem(service.get("factory", path), 404, "not-found", "POST asks for one")
    asked = service.http.post(path, headers=service.headers("factory"))
    assert asked.status_code in (201, 202)
    assert asked.headers["location"] == path
    done = service.http.post(
        path, params={"after": LONG_AGO}, headers=service.headers("factory") | {"Prefer": "wait=30"}
    )
    assert (done.status_code, done.json()["state"]) == (201, "final")
    followed = service.get("utility", done.json()["links"]["self"]).json()
    assert followed["transaction"] == done.json()["transaction"] == asked.json()["transaction"]
    evidence = service.get("utility", done.json()["links"]["evidence"])
    assert evidence.headers["content-disposition"] == f'attachment; filename="attestation-{digest[2:]}.json"'
    assert evidence.json()["event"]["name"] == "GrantAttested"
    assert evidence.json()["statement"]["type"] == "AccessGrant"


def test_what_is_no_request_for_an_attestation_is_refused(service: Asking) -> None:
    digest = grant(service, last_version=3)
    path = f"/v1/grants/{digest}/attestation"
    headers = service.headers("factory")
    for query in ("after=2026-01-01T00:00:00", "after=then", "after=0001-01-01T00:00:00%2B14:00"):
        assert_problem(service.http.post(f"{path}?{query}", headers=headers), 422, "malformed", "after")
    future = service.http.post(path, params={"after": soon(hours=1)}, headers=headers)
    assert_problem(future, 422, "malformed", "future")
    for body in (b"{", b"[]", b'{"message": 5}', b'{"message": {}, "more": 1}', b'{"message": {}}'):
        assert_problem(service.post("factory", path, body), 422, "malformed")
    message = service.get("factory", f"/v1/statements/{digest}").json()["message"]
    other = {**message, "salt": "0x" + "11" * 32}
    assert_problem(service.post("factory", path, {"message": other}), 422, "malformed", "another grant")
    assert service.post("factory", path, {"message": message}, Prefer="wait=30").status_code == 201
    assert_problem(service.http.post(path), 401, "unauthorized")


@pytest.mark.slow
def test_who_asks_too_often_gets_503_with_a_time_to_come_back(service: Asking) -> None:
    key = {"Authorization": f"Bearer {service.world.api_key('read', participant='factory')}"}
    path = f"/v1/log/attestation?after={LONG_AGO}"
    answers = []
    for _ in range(80):
        answers.append(service.http.post(path, headers=key))
        if answers[-1].status_code == 503:
            break
    assert_problem(answers[-1], 503, "unavailable", "within a minute")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_bundle_is_one_file(service: Asking) -> None:
    path = "/v1/datasets/utility~power/versions/1/evidence"
    answer = service.get("utility", path + "?grants=true")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="utility-power-1.bundle.json"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.json()["format"] == "concord-bundle/1"
    assert json.loads(answer.content) == answer.json()
    assert_problem(service.get("utility", path.replace("/1/", "/9/")), 404, "not-found", "no version 9")
    assert_problem(service.get("utility", path + "?grants=perhaps"), 422, "malformed", "grants")


def test_the_event_of_nothing_is_404(service: Asking) -> None:
    assert_problem(service.get("utility", f"/v1/events/0x{'ab' * 32}/evidence"), 404, "not-found", "took effect")
    asked = service.state("factory", "AccessRequest", {
        "dataset": "utility/power", "purpose": "ResearchAndDevelopment", "rights": ["read"],
        "valid_until": soon(days=1),
    }).json()  # fmt: skip
    assert_problem(service.get("factory", f"/v1/events/{asked['digest']}/evidence"), 404, "not-found")
