"""For each type of statement an intent, what an honest gateway prepares of it, and lies about each of its members.

A table, hence longer than a module of code would be.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from ledger.canonical import JsonValue, hash_document
from ledger.client import LocalKey
from ledger.content import FileEntry, Manifest, compute_content_hash
from ledger.keccak import keccak256
from ledger.merkle import leaf_hash
from ledger.statements import (
    Custody,
    Decision,
    Domains,
    Resource,
    Right,
    Statement,
    compute_agreement_id,
    compute_dataset_id,
    compute_participant_id,
)
from ledger.surface.codec import dump_value
from ledger.surface.terms import build_policy, expand_purpose, hash_purpose, parse_rights, parse_unit
from ledger.surface.views import AgreementView
from ledger.types import Address, Bytes32

__all__ = ["AGREEMENT_SERVED", "CASES", "CONTROL", "DOMAINS", "NOW", "SERVED", "Case", "b32"]


def b32(number: int) -> Bytes32:
    return Bytes32(bytes([number]) * 32)


NOW: Final = int(time.time())
DOMAINS: Final = Domains(
    7,
    {
        name: Address(bytes([place]) * 20)
        for place, name in enumerate(
            ("ParticipantRegistry", "DatasetRegistry", "AccessGrants", "SharingAgreements", "CheckpointLog"), 1
        )
    },
)
ME, OTHER, SALT, DATASET_SALT, VERSION_SALT = b32(1), b32(2), b32(3), b32(4), b32(5)
DATASET: Final = compute_dataset_id(ME, DATASET_SALT)
CONTROL, NEW_KEY = LocalKey(b"\x11" * 32), LocalKey(b"\x12" * 32)
FILE: Final = b"data"
SHA: Final = Bytes32(hashlib.sha256(FILE).digest())
MANIFEST: Final = Manifest((FileEntry("a.csv", len(FILE), SHA, Bytes32(leaf_hash(FILE))),))
PURPOSE: Final = "ResearchAndDevelopment"
POLICY: Final = build_policy(expand_purpose(PURPOSE), Right.READ | Right.DERIVE)
FROM, UNTIL = "2026-11-01T00:00:00+00:00", "2027-11-01T00:00:00Z"
PERIOD: Final = {"from": 1793491200, "until": 1825027200}
METADATA: Final[dict[str, JsonValue]] = {"title": "Power", "licence": "CC0-1.0"}
BASIC: Final = {"participant": ME, "deadline": NOW + 3600, "salt": SALT}
TERMS: Final = {
    "firstVersion": 1,
    "lastVersion": 0,
    "purpose": hash_purpose(expand_purpose(PURPOSE)),
    "rights": int(parse_rights(["read", "derive"])),
    "validFrom": PERIOD["from"],
    "validUntil": PERIOD["until"],
}
ASKED_TERMS: Final[dict[str, JsonValue]] = {
    "purpose": PURPOSE,
    "rights": ["read", "derive"],
    "valid_from": FROM,
    "valid_until": UNTIL,
}
OTHER_TERMS: Final = {
    "firstVersion": 2, "lastVersion": 5, "purpose": b32(77), "rights": 255, "validFrom": 5, "validUntil": 6,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One intent, what an honest gateway prepares of it, and lies: other members or documents."""

    type: str
    intent: dict[str, JsonValue]
    members: dict[str, Any]
    documents: dict[str, JsonValue] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    other_documents: dict[str, JsonValue] = field(default_factory=dict)
    served: Mapping[str, JsonValue] = field(default_factory=dict)
    version_salt: Bytes32 | None = None

    def prepare(self, members: Mapping[str, Any], documents: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """What the gateway answers: members and documents as given, the digest fits."""
        hashes = {f"{name}Hash": hash_document(b32(9), document) for name, document in documents.items()}
        statement = Statement.build(self.type, **{**BASIC, **hashes, **self.members, **members})
        return {
            "type": self.type,
            "digest": str(statement.digest(DOMAINS)),
            "message": statement.to_json(),
            "documents": [{"salt": str(b32(9)), "document": each} for each in documents.values()],
            "version_salt": None if self.version_salt is None else str(self.version_salt),
        }


def said(type_name: str, **members: Any) -> tuple[Bytes32, JsonValue]:
    """A statement that the gateway serves, and its digest."""
    statement = Statement.build(type_name, **{**BASIC, "participant": OTHER, **members})
    return statement.digest(DOMAINS), {"type": type_name, "message": statement.to_json()}


REQUEST, REQUEST_SERVED = said("AccessRequest", provider=ME, dataset=DATASET, policyHash=b32(8), **TERMS)
AGREEMENT: Final = b32(60)
OFFER, OFFER_SERVED = said(
    "AgreementProposal", agreement=AGREEMENT, revision=1, parties=[ME, OTHER], supplier=ME, user=OTHER,
    resource=int(Resource.CAPACITY), termsHash=b32(8), validFrom=1, validUntil=2, quota=1000, decimals=3,
    unit=parse_unit("MW.h"),
)  # fmt: skip
STRAY, STRAY_SERVED = said(
    "AgreementProposal", agreement=b32(61), revision=1, parties=[ME, OTHER], supplier=ME, user=OTHER,
    resource=int(Resource.CAPACITY), termsHash=b32(8), validFrom=1, validUntil=2, quota=1000, decimals=3,
    unit=parse_unit("MW.h"),
)  # fmt: skip
REPORT, REPORT_SERVED = said(
    "UsageReport", user=ME, agreement=AGREEMENT, quantity=740_250, periodFrom=1, periodUntil=2, detailHash=b32(8)
)
AGREEMENT_SERVED: Final = dump_value(
    AgreementView(
        id=AGREEMENT, proposal=OFFER, revision=1, proposer=OTHER, state="active", parties=(ME, OTHER),
        party_handles=("me", None), accepted_by=(ME, OTHER), supplier=ME, user=OTHER, resource="capacity", terms={},
        terms_hash=b32(8), valid_from=datetime.now(UTC), valid_until=datetime.now(UTC), unit="MW.h", decimals=3,
        quota=Decimal(1200), confirmed=Decimal("740.25"), settled=Decimal(40), confirmations=1, settlements=1,
        proposed_at=None,
    )
)  # fmt: skip
SERVED: Final[dict[str, JsonValue]] = {
    f"/v1/statements/{REQUEST}": REQUEST_SERVED,
    f"/v1/statements/{OFFER}": OFFER_SERVED,
    f"/v1/statements/{STRAY}": STRAY_SERVED,
    f"/v1/statements/{REPORT}": REPORT_SERVED,
    f"/v1/agreements/{AGREEMENT}": AGREEMENT_SERVED,
}


def ballot_id(decision: Decision, subject: Bytes32, argument: Bytes32, epoch: int, counter: int) -> Bytes32:
    numbers = [number.to_bytes(32, "big") for number in (decision, epoch, counter)]
    return Bytes32(keccak256(numbers[0] + subject + argument + numbers[1] + numbers[2]))


SUSPENSION: Final = ballot_id(Decision.SUSPEND, OTHER, b32(0), 3, 4)
PARENT: Final = {"dataset": b32(40), "version": 2, "registration": b32(41)}
PROPOSED: Final = {
    "revision": 1, "parties": [ME, OTHER], "supplier": ME, "user": OTHER, "resource": int(Resource.CAPACITY),
    "validFrom": PERIOD["from"], "validUntil": PERIOD["until"], "quota": 1_200_500, "decimals": 3,
    "unit": parse_unit("MW.h"),
}  # fmt: skip
OFFERING: Final[dict[str, JsonValue]] = {
    "parties": [str(ME), str(OTHER)], "supplier": str(ME), "user": str(OTHER), "resource": "capacity",
    "terms": {"price": "41.50"}, "valid_from": FROM, "valid_until": UNTIL, "quota": "1200.5", "unit": "MW.h",
}  # fmt: skip
OTHER_OFFERS: Final = {
    "parties": [ME, b32(55)], "supplier": OTHER, "user": ME, "resource": int(Resource.DATA), "validFrom": 1,
    "validUntil": 2, "quota": 1_200_501, "decimals": 2, "unit": parse_unit("h"), "revision": 2,
    "agreement": b32(62), "termsHash": b32(7),
}  # fmt: skip
CASES: Final = {
    "application": Case(
        "ParticipantApplication",
        {"control_key": str(CONTROL.address), "signing_key": str(NEW_KEY.address), "profile": {"handle": "me"}},
        {
            "participant": compute_participant_id(CONTROL.address, SALT), "controlKey": CONTROL.address,
            "signingKey": NEW_KEY.address, "custody": int(Custody.OWN),
        },
        {"profile": {"handle": "me"}},
        {
            "participant": OTHER, "controlKey": NEW_KEY.address, "signingKey": CONTROL.address,
            "custody": int(Custody.CUSTODIAL), "profileHash": b32(7),
        },
        {"profile": {"handle": "me", "name": "Other"}},
    ),
    "key addition": Case(
        "KeyAddition",
        {"key": str(NEW_KEY.address)},
        {"key": NEW_KEY.address, "custody": 0},
        lies={"key": CONTROL.address, "custody": 1},
    ),
    "key that the gateway draws": Case(
        "KeyAddition", {"key": None, "custody": "custodial"}, {"key": NEW_KEY.address, "custody": 1}
    ),
    "key revocation": Case(
        "KeyRevocation", {"key": str(NEW_KEY.address)}, {"key": NEW_KEY.address}, lies={"key": CONTROL.address}
    ),
    "rotation": Case(
        "ControlKeyRotation",
        {"new_key": str(NEW_KEY.address)},
        {"newKey": NEW_KEY.address},
        lies={"newKey": CONTROL.address},
    ),
    "claim": Case(
        "ControlKeyClaim",
        {"participant": str(ME), "new_key": str(NEW_KEY.address)},
        {"newKey": NEW_KEY.address},
        lies={"newKey": CONTROL.address, "participant": OTHER},
    ),
    "retirement": Case("ParticipantRetirement", {}, {}),
    "vote to admit": Case(
        "GovernanceVote",
        {"proposal": str(b32(30))},
        {"decision": 1, "subject": OTHER, "argument": b32(30), "choice": 1, "epoch": 1, "counter": 0},
        lies={"argument": b32(31), "choice": 2, "decision": int(Decision.SUSPEND)},
    ),
    "vote to suspend": Case(
        "GovernanceVote",
        {"proposal": str(SUSPENSION), "choice": "reject"},
        {"decision": 2, "subject": OTHER, "argument": b32(0), "choice": 2, "epoch": 3, "counter": 4},
        lies={
            "decision": int(Decision.RETIRE), "subject": ME, "argument": b32(1), "choice": 1, "epoch": 4, "counter": 5,
        },
    ),
    "proposal to suspend": Case(
        "GovernanceVote",
        {"decision": "suspend", "subject": str(OTHER), "argument": str(b32(0))},
        {"decision": 2, "subject": OTHER, "argument": b32(0), "choice": 1, "epoch": 3, "counter": 4},
        lies={"decision": 4, "subject": ME, "argument": b32(1), "choice": 2},
    ),
    "profile": Case(
        "ProfileUpdate",
        {"profile": {"handle": "me", "name": "Me"}},
        {"version": 2},
        {"profile": {"handle": "me", "name": "Me"}},
        {"profileHash": b32(7)},
        {"profile": {"handle": "me", "name": "Other"}},
    ),
    "registration": Case(
        "DatasetRegistration",
        {
            "slug": "power", "metadata": METADATA, "manifest": json.loads(MANIFEST.to_bytes()), "chunks": {"x": "y"},
            "parents": [{"dataset": str(b32(40)), "version": 2}], "version": 1,
        },
        {
            "datasetSalt": DATASET_SALT, "version": 1, "parents": [PARENT],
            "contentHash": compute_content_hash(VERSION_SALT, MANIFEST.content_root),
        },
        {"metadata": {**METADATA, "slug": "power", "provider": "me"}},
        {
            "version": 2, "contentHash": b32(7), "metadataHash": b32(7), "parents": [],
        },
        {"metadata": {**METADATA, "slug": "other", "provider": "me"}},
        version_salt=VERSION_SALT,
    ),
    "parent of another version": Case(
        "DatasetRegistration",
        {"slug": "power", "metadata": METADATA, "parents": [{"dataset": "me/fleet", "version": 2}]},
        {"datasetSalt": DATASET_SALT, "version": 1, "contentHash": b32(6), "parents": [PARENT]},
        {"metadata": {**METADATA, "slug": "power", "provider": "me"}},
        {"parents": [{**PARENT, "version": 3}]},
        {"metadata": {**METADATA, "slug": "power", "provider": "me", "contact": "added"}},
    ),
    "parent of another dataset": Case(
        "DatasetRegistration",
        {"slug": "power", "metadata": METADATA, "parents": [{"dataset": str(b32(40)), "version": None}]},
        {"datasetSalt": DATASET_SALT, "version": 1, "contentHash": b32(6), "parents": [PARENT]},
        {"metadata": {**METADATA, "slug": "power", "provider": "me"}},
        {"parents": [{**PARENT, "dataset": b32(42)}]},
    ),
    "dataset's end": Case(
        "DatasetRetirement", {"dataset": str(DATASET)}, {"datasetSalt": DATASET_SALT}, lies={"datasetSalt": b32(44)}
    ),
    "dataset's end by name": Case("DatasetRetirement", {"dataset": "me/power"}, {"datasetSalt": DATASET_SALT}),
    "request": Case(
        "AccessRequest",
        {"dataset": str(DATASET), **ASKED_TERMS},
        {"provider": OTHER, "dataset": DATASET, **TERMS},
        {"policy": POLICY},
        {"dataset": b32(44), "policyHash": b32(7), **OTHER_TERMS},
        {"policy": {"permission": []}},
    ),
    "request with a policy, from now": Case(
        "AccessRequest",
        {
            "dataset": "other/power", "purpose": PURPOSE, "rights": ["read", "derive"], "valid_until": UNTIL,
            "policy": {"prohibition": []}, "first_version": 2, "last_version": 3,
        },
        {"provider": OTHER, "dataset": DATASET, **TERMS, "validFrom": NOW, "firstVersion": 2, "lastVersion": 3},
        {"policy": {"prohibition": []}},
        {"validFrom": NOW + 100_000, "firstVersion": 1, "lastVersion": 0},
        {"policy": POLICY},
    ),
    "denial": Case(
        "AccessDenial",
        {"request": str(REQUEST), "reason": "no"},
        {"consumer": OTHER, "request": REQUEST},
        {"reason": {"reason": "no"}},
        {"request": b32(7), "reasonHash": b32(7)},
        {"reason": {"reason": "yes"}},
    ),
    "grant of a request": Case(
        "AccessGrant",
        {"request": str(REQUEST)},
        {"datasetSalt": DATASET_SALT, "consumer": OTHER, "policyHash": b32(8), **TERMS},
        lies={"datasetSalt": b32(44), "consumer": ME, "policyHash": b32(7), **OTHER_TERMS},
    ),
    "grant": Case(
        "AccessGrant",
        {"dataset": str(DATASET), "consumer": str(OTHER), **ASKED_TERMS},
        {"datasetSalt": DATASET_SALT, "consumer": OTHER, **TERMS},
        {"policy": POLICY},
        {"datasetSalt": b32(44), "consumer": ME, **OTHER_TERMS},
        {"policy": {"permission": []}},
    ),
    "revocation": Case("AccessRevocation", {"grant": str(b32(50))}, {"grant": b32(50)}, lies={"grant": b32(51)}),
    "offer": Case(
        "AgreementProposal",
        OFFERING,
        {"agreement": compute_agreement_id(ME, SALT), **PROPOSED},
        {"terms": {"price": "41.50"}},
        OTHER_OFFERS,
        {"terms": {"price": "1.50"}},
    ),
    "next offer": Case(
        "AgreementProposal",
        {**OFFERING, "agreement": str(AGREEMENT), "decimals": 3, "parties": ["me", str(OTHER)]},
        {"agreement": AGREEMENT, **PROPOSED, "revision": 2},
        {"terms": {"price": "41.50"}},
        {"agreement": b32(62), "parties": [ME, OTHER, b32(56), b32(57)], "decimals": 4},
    ),
    "acceptance": Case(
        "AgreementAcceptance",
        {"agreement": str(AGREEMENT)},
        {"agreement": AGREEMENT, "proposal": OFFER},
        lies={"agreement": b32(62), "proposal": STRAY},
    ),
    "acceptance of what was read": Case(
        "AgreementAcceptance",
        {"agreement": str(AGREEMENT), "proposal": str(OFFER)},
        {"agreement": AGREEMENT, "proposal": OFFER},
        lies={"agreement": b32(62), "proposal": STRAY},
    ),
    "rejection": Case(
        "AgreementRejection",
        {"agreement": str(AGREEMENT)},
        {"agreement": AGREEMENT, "proposal": OFFER},
        lies={"agreement": b32(62), "proposal": STRAY},
    ),
    "termination": Case(
        "AgreementTermination", {"agreement": str(AGREEMENT)}, {"agreement": AGREEMENT}, lies={"agreement": b32(62)}
    ),
    "report": Case(
        "UsageReport",
        {
            "agreement": str(AGREEMENT), "quantity": "12.5", "period_from": FROM, "period_until": UNTIL,
            "detail": {"meter": 1},
        },
        {
            "user": OTHER, "agreement": AGREEMENT, "quantity": 12_500, "periodFrom": PERIOD["from"],
            "periodUntil": PERIOD["until"],
        },
        {"detail": {"meter": 1}},
        {"user": ME, "quantity": 125_000, "periodFrom": 1, "periodUntil": 2, "detailHash": b32(7)},
        {"detail": {"meter": 2}},
    ),
    "confirmation": Case(
        "UsageConfirmation",
        {"report": str(REPORT)},
        {"agreement": AGREEMENT, "sequence": 2, "report": REPORT, "total": 1_480_500},
        lies={"report": b32(7), "total": 1_480_501},
    ),
    "dispute": Case(
        "UsageDispute",
        {"report": str(REPORT), "reason": "too much"},
        {"supplier": OTHER, "agreement": AGREEMENT, "report": REPORT},
        {"reason": {"reason": "too much"}},
        {"report": b32(7), "agreement": b32(62), "reasonHash": b32(7)},
        {"reason": {"reason": "fine"}},
    ),
    "settlement of all": Case(
        "SettlementRecord",
        {"agreement": str(AGREEMENT)},
        {"agreement": AGREEMENT, "sequence": 2, "total": 740_250},
        {"invoice": {}},
        {"total": 740_251, "invoiceHash": b32(7)},
        {"invoice": {"number": 1}},
    ),
    "settlement": Case(
        "SettlementRecord",
        {"agreement": str(AGREEMENT), "quantity": "0.25", "invoice": {"number": 1}},
        {"agreement": AGREEMENT, "sequence": 2, "total": 40_250},
        {"invoice": {"number": 1}},
        {"total": 40_000},
        {"invoice": {"number": 2}},
    ),
    "erasure": Case(
        "Erasure",
        {"dataset": str(DATASET), "version": 1, "registration": str(b32(40)), "reason": "asked for"},
        {"dataset": DATASET, "version": 1, "registration": b32(40)},
        {"reason": {"reason": "asked for"}},
        {"dataset": b32(7), "version": 2, "registration": b32(7), "reasonHash": b32(7)},
        {"reason": {"reason": "for fun"}},
    ),
    "sealing, by its members": Case(
        "Sealing",
        {
            "dataset": str(DATASET), "version": "1", "registration": str(b32(40)), "keyCommitment": str(b32(41)),
            "ciphertextRoot": str(b32(42)), "ciphertextSize": "16",
        },
        {
            "dataset": DATASET, "version": 1, "registration": b32(40), "keyCommitment": b32(41),
            "ciphertextRoot": b32(42), "ciphertextSize": 16,
        },
        lies={"version": 2, "registration": b32(7), "keyCommitment": b32(7), "ciphertextSize": 17},
    ),
}  # fmt: skip
