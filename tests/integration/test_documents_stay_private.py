"""Who repeats the public hash of a confidential document in a statement of its own gets no document by any view."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from ledger.statements import compute_agreement_id
from ledger.types import Bytes32
from tests.support.asking import Asking, asking, assert_problem, registration, soon

SECRET: Final = "41.50 per MWh, told nobody"
THIEF: Final = "outsider"


@dataclass
class Secrets:
    """The served consortium and the public hashes of what two of its members keep to themselves."""

    asking: Asking
    terms: str
    policy: str
    profile: str
    metadata: str


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secrets]:
    with asking(tmp_path_factory.mktemp("private"), "utility", "analytics", THIEF, "accomplice") as opened:
        yield Secrets(
            opened, agree(opened), grant(opened), message_hash(opened, "profileHash"), register(opened, "utility")
        )


def message_hash(asked: Asking, member: str) -> str:
    """A hash in the utility's application."""
    items = asked.get("audit", "/v1/statements?type=ParticipantApplication").json()["items"]
    utility = str(asked.world.members["utility"].id)
    return next(str(item["message"][member]) for item in items if item["message"]["participant"] == utility)


def file_final(asked: Asking, who: str, type_name: str, intent: dict[str, Any]) -> dict[str, Any]:
    """State, and what became of it."""
    return asked.final(asked.state(who, type_name, intent))


def register(asked: Asking, who: str) -> str:
    made = file_final(asked, who, "DatasetRegistration", registration("power", {"a.csv": b"a"}))
    return str(made["message"]["metadataHash"])


def agree(asked: Asking) -> str:
    intent = {
        "parties": ["utility", "analytics"],
        "supplier": "utility",
        "user": "analytics",
        "resource": "capacity",
        "terms": {"title": "Supply", "price": SECRET},
        "valid_from": soon(hours=0),
        "valid_until": soon(days=9),
        "quota": "5",
        "unit": "MWh",
    }
    return str(file_final(asked, "utility", "AgreementProposal", intent)["message"]["termsHash"])


def grant(asked: Asking) -> str:
    register_first = registration("heat", {"a.csv": b"b"})
    file_final(asked, "utility", "DatasetRegistration", register_first)
    intent = {
        "dataset": "utility/heat",
        "consumer": "analytics",
        "purpose": "ResearchAndDevelopment",
        "rights": ["read"],
        "valid_until": soon(days=9),
        "policy": {"profile": SECRET, "permission": [{"action": "read"}]},
    }
    return str(file_final(asked, "utility", "AccessGrant", intent)["message"]["policyHash"])


def salt() -> str:
    return "0x" + secrets.token_hex(32)


def repeat(kept: Secrets, type_name: str, who: str = THIEF, **members: Any) -> str:
    """The thief states raw members, signed by itself; the statement's digest."""
    asked = kept.asking
    owner = asked.world.members[who]
    given = {"participant": str(owner.id), "deadline": str(int(time.time()) + 3000), "salt": salt(), **members}
    answer = asked.post(who, "/v1/statements", asked.signed(owner.identity, type_name, given))
    return str(asked.final(answer)["digest"])


def nothing_is_told(kept: Secrets, *paths: str) -> bool:
    """Whether no answer to the thief has the secret."""
    return all(SECRET not in kept.asking.get(THIEF, path).text for path in paths)


def test_an_agreement_with_repeated_terms_shows_none(kept: Secrets) -> None:
    members, made = kept.asking.world.members, salt()
    thief, friend = members[THIEF].id, members["analytics"].id
    agreement = str(compute_agreement_id(thief, Bytes32.parse(made)))
    digest = repeat(
        kept,
        "AgreementProposal",
        agreement=agreement,
        revision="1",
        parties=sorted([str(thief), str(friend)]),
        supplier=str(thief),
        user=str(friend),
        resource="1",
        termsHash=kept.terms,
        validFrom="0",
        validUntil="9999999999",
        quota="1",
        decimals="0",
        unit="0x" + b"MWh".ljust(32, b"\0").hex(),
        salt=made,
    )
    assert kept.asking.get(THIEF, f"/v1/agreements/{agreement}").json()["terms"] is None
    assert kept.asking.get(THIEF, f"/v1/statements/{digest}").json()["documents"] == []
    assert nothing_is_told(kept, "/v1/agreements", "/v1/statements", f"/v1/documents/{kept.terms}")
    assert kept.asking.get("audit", f"/v1/statements/{digest}").json()["documents"] == []
    assert SECRET in kept.asking.get("analytics", "/v1/agreements").text


def test_a_grant_and_a_request_with_a_repeated_policy_show_none(kept: Secrets) -> None:
    provider = str(kept.asking.world.members[THIEF].id)
    registered = file_final(kept.asking, THIEF, "DatasetRegistration", registration("own", {"a.csv": b"c"}))
    dataset = kept.asking.get(THIEF, f"/v1/datasets/{THIEF}~own").json()["id"]
    terms = {"firstVersion": "1", "lastVersion": "0", "purpose": salt(), "rights": "1", "policyHash": kept.policy}
    terms |= {"validFrom": "0", "validUntil": "9999999999"}
    asked = repeat(kept, "AccessRequest", "accomplice", provider=provider, dataset=dataset, **terms)
    prepared = kept.asking.prepare(THIEF, "AccessGrant", {"request": asked})
    assert prepared["policyHash"] == kept.policy
    whole = kept.asking.post(THIEF, "/v1/statements:prepare", {"type": "AccessGrant", "intent": {"request": asked}})
    assert whole.json()["documents"] == []
    members = {"consumer": str(kept.asking.world.members["accomplice"].id)}
    members["datasetSalt"] = registered["message"]["datasetSalt"]
    granted = repeat(kept, "AccessGrant", **members, **terms)
    for path in (f"/v1/grants/{granted}", f"/v1/access-requests/{asked}"):
        assert kept.asking.get(THIEF, path).json()["terms"]["policy"] is None
    paths = ("/v1/grants", "/v1/access-requests", f"/v1/statements/{granted}", f"/v1/documents/{kept.policy}")
    assert nothing_is_told(kept, *paths)
    assert SECRET in kept.asking.get("analytics", "/v1/grants").text


def test_repeated_as_a_profile_it_is_no_profile(kept: Secrets) -> None:
    for digest in (kept.terms, kept.profile):
        version = kept.asking.get(THIEF, f"/v1/participants/{THIEF}").json()["profile_version"] + 1
        repeat(kept, "ProfileUpdate", version=str(version), profileHash=digest)
        assert_problem(kept.asking.get("analytics", f"/v1/participants/{THIEF}/profile"), 404, "not-found")
        assert kept.asking.get(THIEF, f"/v1/participants/{THIEF}").json()["name"] is None
    assert nothing_is_told(kept, "/v1/participants", f"/v1/documents/{kept.terms}")
    utility = kept.asking.get(THIEF, "/v1/participants/utility/profile")
    assert utility.json()["document"]["document"]["handle"] == "utility"


def test_repeated_as_metadata_it_is_in_no_catalogue_and_no_evidence(kept: Secrets) -> None:
    for digest in (kept.terms, kept.metadata):
        members: dict[str, Any] = {"datasetSalt": salt(), "version": "1", "contentHash": salt(), "parents": []}
        made = repeat(kept, "DatasetRegistration", metadataHash=digest, **members)
        named = [each for each in kept.asking.get(THIEF, "/v1/datasets").json()["items"] if each["slug"] is None]
        assert all(each["title"] is None for each in named)
        version = kept.asking.get(THIEF, f"/v1/datasets/{named[0]['id']}/versions/1").json()
        assert version["metadata"] is None
        assert nothing_is_told(kept, "/v1/datasets", f"/v1/statements/{made}", f"/v1/statements/{made}/evidence")
    titles = [each["title"] for each in kept.asking.get(THIEF, "/v1/datasets").json()["items"] if each["slug"]]
    assert "Power" in titles
