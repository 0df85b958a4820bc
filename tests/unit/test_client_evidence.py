"""What the client asks about events, attestations and bundles, and how long it waits for an attestation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.client import Client, Flow, evidence, statements
from ledger.errors import ConflictError, UnavailableError
from ledger.surface.attestations import AttestationState, AttestationView
from ledger.surface.codec import dump_value
from ledger.types import Bytes32
from tests.support.answering import Said, answering

ID = Bytes32(bytes([5]) * 32)
NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


def said(value: object, status: int = 200) -> Said:
    return Said(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def view(state: AttestationState, at: datetime | None = None) -> dict[str, Any]:
    found = dump_value(AttestationView("grant", ID, state, ID, None if at is None else 7, at, None, 9))
    assert isinstance(found, dict)
    return {**found, "links": {}}


def asked_by(flow: Flow[Any], answer: Said) -> list[tuple[str, str, str, bytes]]:
    """Method, path, Prefer and body of what a flow asks."""
    asked: list[tuple[str, str, str, bytes]] = []

    def record(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Said:
        asked.append((method, path, {name.lower(): value for name, value in headers.items()}.get("prefer", ""), body))
        return answer

    with answering(record) as url, Client(url) as client:
        client.run(flow)
    return asked


def test_each_is_asked_for_at_its_address() -> None:
    grant, log = f"/v1/grants/{ID}/attestation", "/v1/log/attestation"
    done = said(view(AttestationState.FINAL, NOW))
    pins = [(0, 5), (6, None)]
    ranges = "range=0-5%2C6-"
    versions = "/v1/datasets/utility~power/versions/2/evidence"
    for flow, answer, method, path in (
        (evidence.event(ID), said({}), "GET", f"/v1/events/{ID}/evidence"),
        (evidence.event(ID, name="KeyAdded", pins=pins), said({}), "GET",
         f"/v1/events/{ID}/evidence?{ranges}&event=KeyAdded"),
        (evidence.bundle("utility/power", 2), said({}), "GET", f"{versions}?chunks=true&grants=true"),
        (evidence.bundle("utility/power", 2, pins=pins, chunks=False, grants=False), said({}), "GET",
         f"{versions}?{ranges}&chunks=false&grants=false"),
        (evidence.attest_grant(ID), done, "POST", grant),
        (evidence.grant_attestation(ID), done, "GET", grant),
        (evidence.grant_attestation_evidence(ID, pins=pins), said({}), "GET", f"{grant}/evidence?{ranges}"),
        (evidence.attest_log(), done, "POST", log),
        (evidence.log_attestation(), done, "GET", log),
        (evidence.log_attestation_evidence(), said({}), "GET", f"{log}/evidence"),
        (statements.evidence(ID, pins=pins, upgrade=True, chunks=False), said({}), "GET",
         f"/v1/statements/{ID}/evidence?{ranges}&chunks=false&upgrade=true"),
    ):  # fmt: skip
        ((found_method, found_path, _, _),) = asked_by(flow, answer)
        assert (found_method, found_path) == (method, path)


def test_an_attestation_is_asked_for_with_its_moment_and_its_text() -> None:
    flow = evidence.attest_grant(ID, after=NOW, message={"version": "1"}, wait_s=9)
    ((_, path, prefer, body),) = asked_by(flow, said(view(AttestationState.FINAL, NOW)))
    assert path.endswith("/attestation?after=2026-11-21T10%3A00%3A00%2B00%3A00")
    assert (prefer, body) == ("wait=9", b'{"message":{"version":"1"}}')


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([view(AttestationState.FINAL, NOW + timedelta(seconds=1))], 1),
        ([view(AttestationState.PENDING), view(AttestationState.FINAL, NOW + timedelta(seconds=1))], 2),
        ([view(AttestationState.FINAL, NOW), view(AttestationState.FINAL, NOW + timedelta(seconds=1))], 2),
        ([view(AttestationState.FAILED), view(AttestationState.FINAL, NOW + timedelta(seconds=1))], 2),
        ([view(AttestationState.PENDING)] * 9, 6),
    ],
)
def test_an_attestation_counts_that_is_final_and_later(answers: list[dict[str, Any]], asked: int) -> None:
    count = 0

    def answer(*_: object) -> Said:
        nonlocal count
        count += 1
        return said(answers[count - 1])

    with answering(answer) as url, Client(url) as client:
        if asked < 6:
            assert client.run(evidence.attestation_after(ID, NOW)).time == NOW + timedelta(seconds=1)
        else:
            with pytest.raises(UnavailableError, match="is pending and not final yet"):
                client.run(evidence.attestation_after(ID, NOW))
    assert count == asked


@pytest.mark.parametrize("code", ["outside-range", "not-final", "grant-text-needed", "lineage-too-long"])
def test_what_does_not_fit_now_is_a_conflict(code: str) -> None:
    problem = {"status": 409, "code": code, "detail": "not now", "block": 3}
    with answering(lambda *_: said(problem, 409)) as url, Client(url) as client:
        with pytest.raises(ConflictError) as refused:
            client.run(evidence.event(ID))
        assert (refused.value.code, refused.value.facts) == (code, {"block": 3})


def test_what_a_bundle_lacks_is_told() -> None:
    told: list[str] = []
    named = f"GrantAttested {ID} outside-range, and 2 more"
    answer = Said(200, b"{}", {"Content-Type": "application/json", "Concord-Left-Out": named})
    asked_by(evidence.bundle("utility/power", 2, tell=told.append), answer)
    assert told == [f"GrantAttested {ID} outside-range", "and 2 more"]
