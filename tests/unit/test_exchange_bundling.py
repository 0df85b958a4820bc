"""What a bundle takes in beside a version and its ancestors: earlier versions and grants; and what it leaves out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.errors import ConflictError
from ledger.evidence import parse_bundle
from ledger.exchange import Asker, Scope
from ledger.exchange.evidence import Pin, bundling
from ledger.exchange.evidence.bundling import LeftOut
from ledger.exchange.intents import AccessGrantIntent, ParentName
from ledger.types import Bytes32
from tests.support.exchange import Consortium, found_in, open_gateway, registration, soon

AUDITOR = Asker(None, frozenset({Scope.AUDIT}), "auditor")
FILES = {"a.csv": b"plant,mwh\nA,1\n"}
STEEL = "manufacturer/steel"


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("bundling") / "home"
    founded = found_in(home)
    with open_gateway(home, founded) as running:
        running.state("utility", registration("power", FILES))
        running.state("utility", registration("ore", FILES))
        running.state("manufacturer", registration("steel", FILES, ParentName("utility/ore", 1)))
        running.state("manufacturer", registration("steel", FILES, ParentName("utility/power", 1)))
        yield running


@pytest.fixture(scope="module")
def grant(consortium: Consortium) -> Bytes32:
    terms: dict[str, Any] = {"purpose": "ResearchAndDevelopment", "rights": ("read",), "valid_until": soon(days=1)}
    intent = AccessGrantIntent(dataset="utility/power", consumer="manufacturer", **terms)
    return consortium.state("utility", intent).digest


def attest(consortium: Consortium, grant: Bytes32) -> int:
    view = consortium.gateway.evidence.attest_grant(AUDITOR, grant, wait_s=20)
    assert view.block is not None
    return view.block


def bundle(
    consortium: Consortium, version: int = 2, *, asker: Asker = AUDITOR, **options: Any
) -> tuple[Counter[str], list[dict[str, Any]], list[LeftOut]]:
    left_out: list[LeftOut] = []
    raw = consortium.gateway.evidence.bundle(asker, STEEL, version, tell=left_out.append, **options)
    members = [json.loads(each) for each in parse_bundle(raw)]
    names = Counter(each["event"]["name"] if "event" in each else each["statement"]["type"] for each in members)
    return names, members, left_out


def test_it_has_the_versions_before_with_their_ancestors_and_the_ancestors_grants(
    consortium: Consortium, grant: Bytes32
) -> None:
    attest(consortium, grant)
    names, _, left_out = bundle(consortium)
    assert names == {"DatasetRegistration": 4, "AccessGrant": 1, "GrantAttested": 1}
    assert not left_out
    first, _, _ = bundle(consortium, 1)
    assert first == {"DatasetRegistration": 2}  # ore has no grants, and version 2 comes later
    without, _, _ = bundle(consortium, grants=False)
    assert without == {"DatasetRegistration": 4}


def test_only_parties_have_the_grants(consortium: Consortium, grant: Bytes32) -> None:
    attest(consortium, grant)
    theirs, _, _ = bundle(consortium, asker=consortium.asker("manufacturer"))
    assert theirs == {"DatasetRegistration": 2, "DatasetRegistered": 2, "AccessGrant": 1, "GrantAttested": 1}
    others, _, _ = bundle(consortium, asker=consortium.asker("analyst"))
    assert others == {"DatasetRegistered": 4}


def test_the_newest_attestation_within_the_pins_counts(consortium: Consortium, grant: Bytes32) -> None:
    pinned = attest(consortium, grant)
    newer = attest(consortium, grant)
    assert newer > pinned
    _, members, left_out = bundle(consortium, pins=[Pin(0, pinned)])
    assert [each["chain"]["block"] for each in members if "event" in each]
    place = consortium.gateway.evidence._attestations.place("grant", grant, is_fit=lambda block: block <= pinned)
    assert place.block == pinned
    assert not left_out


def test_what_is_outside_the_pins_is_left_out_and_told(consortium: Consortium, grant: Bytes32) -> None:
    row = consortium.gateway.parts.store.statements.find(grant)
    assert row is not None
    assert row.anchor is not None
    assert row.effect is not None
    last = max(row.anchor.block, row.effect.block)
    attest(consortium, grant)
    names, _, left_out = bundle(consortium, pins=[Pin(0, last)])
    assert names == {"DatasetRegistration": 4, "AccessGrant": 1}
    assert left_out == [LeftOut(f"GrantAttested {grant}", "outside-range")]
    names, _, left_out = bundle(consortium, pins=[Pin(0, min(row.anchor.block, row.effect.block) - 1)])
    assert names == {"DatasetRegistration": 4}
    assert [each.why for each in left_out] == ["outside-range"] * 2


def test_the_version_itself_must_be_within_the_pins(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConflictError) as refused:
        bundle(consortium, pins=[Pin(0, 1)])
    assert refused.value.code == "outside-range"

    def refuse(*_: object, **__: object) -> bytes:
        raise ConflictError("another", code="another")

    monkeypatch.setattr(bundling.Bundling, "_stated_grant", refuse)
    with pytest.raises(ConflictError, match="another"):
        bundle(consortium)


def test_too_much_is_left_out_or_refused(
    consortium: Consortium, grant: Bytes32, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grant
    monkeypatch.setattr(bundling, "_MOST_MEMBERS", 2)
    names, _, left_out = bundle(consortium, grants=False)
    assert names == {"DatasetRegistration": 2}
    assert [str(each) for each in left_out] == ["earlier versions too-many"]
    monkeypatch.undo()
    monkeypatch.setattr(bundling, "_MOST_EARLIER", 1)
    monkeypatch.setattr(bundling, "_PAGE", 1)
    names, _, left_out = bundle(consortium, grants=False)
    assert names == {"DatasetRegistration": 2}
    assert [str(each) for each in left_out] == ["versions up to 1 too-many"]
    monkeypatch.undo()
    monkeypatch.setattr(bundling, "_MOST_GRANTS", 0)
    with pytest.raises(ConflictError, match="without them"):
        bundle(consortium)
