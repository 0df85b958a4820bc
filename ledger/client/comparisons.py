"""What a statement says against what an intent asks for, member by member."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, Final, cast

from ledger.canonical import JsonValue, encode_canonical
from ledger.content import compute_content_hash, parse_manifest
from ledger.errors import VerificationError
from ledger.keccak import keccak256
from ledger.statements import (
    Choice,
    Custody,
    Decision,
    Resource,
    Statement,
    compute_agreement_id,
    compute_dataset_id,
    compute_participant_id,
)
from ledger.surface.terms import (
    build_policy,
    expand_purpose,
    hash_purpose,
    parse_quantity,
    parse_rights,
    parse_unit,
    to_seconds,
)
from ledger.surface.views import AgreementView
from ledger.types import Bytes32

__all__ = ["CLOCKS_APART_S", "COMPARISONS", "Case"]

CLOCKS_APART_S: Final = 3600
"""How far the gateway's clock and ours may be apart."""

_FILED: Final = (Decision.ADMIT, Decision.RECOVER_CONTROL_KEY)
_TERMS: Final = ("firstVersion", "lastVersion", "purpose", "rights", "validFrom", "validUntil", "policyHash")


@dataclass(frozen=True)
class Case:
    """One prepared statement, and what it is compared with.

    Attributes:
        statement: what is to be signed.
        intent: what was asked for.
        documents: those that the gateway gave, by their salted hashes, which were computed here.
        version_salt: opens a registration's content hash.
        answered: the statement that it answers, whose digest was asked for.
        agreement: the agreement whose amounts it continues.
    """

    statement: Statement
    intent: Mapping[str, JsonValue]
    documents: Mapping[Bytes32, JsonValue]
    version_salt: Bytes32 | None = None
    answered: Statement | None = None
    agreement: AgreementView | None = None

    def __getitem__(self, name: str) -> Any:
        return self.statement.message[name]

    def require(self, name: str, expected: object, found: object) -> None:
        """Raises: VerificationError: they differ."""
        if expected != found:
            raise VerificationError(
                f"the gateway prepared another {name} than was asked for: nothing was signed, and its operator should "
                "explain it",
                expected=str(expected),
                found=str(found),
            )

    def require_document(self, name: str, document: JsonValue) -> None:
        """The document ``name`` is committed to, and is this one. Raises: VerificationError, MalformedError."""
        found = self.documents.get(self[f"{name}Hash"])
        self.require(name, encode_canonical(document), None if found is None else encode_canonical(found))


Comparison = Callable[[Case, Any], None]


def _is_id(value: JsonValue) -> bool:
    return isinstance(value, str) and value.startswith("0x")


def _same(member: str) -> Comparison:
    """An id, digest or address, compared where an id was given; None: left to the gateway."""

    def check(case: Case, asked: JsonValue) -> None:
        if _is_id(asked):
            case.require(member, asked, str(case[member]))

    return check


def _number(member: str) -> Comparison:
    return lambda case, asked: case.require(member, asked, case[member])


def _time(member: str) -> Comparison:
    return lambda case, asked: case.require(member, to_seconds(datetime.fromisoformat(asked)), case[member])


def _document(name: str) -> Comparison:
    return lambda case, asked: case.require_document(name, asked)


def _compare_content(case: Case, manifest: JsonValue) -> None:
    """Contents are those of the manifest, under the salt that the gateway drew."""
    root = parse_manifest(encode_canonical(manifest)).content_root
    expected = None if case.version_salt is None else compute_content_hash(case.version_salt, root)
    case.require("contentHash", expected, case["contentHash"])


def _compare_metadata(case: Case, metadata: dict[str, JsonValue]) -> None:
    """As given, with the dataset's name, which the gateway adds."""
    found = case.documents.get(case["metadataHash"])
    provider = found.get("provider") if isinstance(found, dict) else None
    case.require_document("metadata", {**metadata, "slug": case.intent.get("slug"), "provider": provider})


def _compare_parents(case: Case, parents: list[dict[str, JsonValue]]) -> None:
    stated = cast("tuple[Mapping[str, Any], ...]", case["parents"])
    case.require("number of parents", len(parents), len(stated))
    for parent in parents:
        candidates = [
            each
            for each in stated
            if parent.get("version") in (None, each["version"])
            and (not _is_id(parent["dataset"]) or parent["dataset"] == str(each["dataset"]))
        ]
        case.require(f"parent {parent['dataset']}", True, bool(candidates))


def _compare_own_dataset(case: Case, dataset: JsonValue) -> None:
    if _is_id(dataset):
        found = compute_dataset_id(case.statement.participant, case["datasetSalt"])
        case.require("dataset", dataset, str(found))


def _compare_answered_request(case: Case, _digest: JsonValue) -> None:
    request = cast("Statement", case.answered)
    case.require("consumer", request.participant, case["consumer"])
    dataset = compute_dataset_id(case.statement.participant, case["datasetSalt"])
    case.require("dataset", request.message["dataset"], dataset)
    for name in _TERMS:
        case.require(name, request.message[name], case[name])


def _compare_purpose(case: Case, purpose: str) -> None:
    case.require("purpose", hash_purpose(expand_purpose(purpose)), case["purpose"])
    if case.intent.get("policy") is None:
        rights = parse_rights(cast("list[str]", case.intent.get("rights", [])))
        case.require_document("policy", build_policy(expand_purpose(purpose), rights))
    if case.intent.get("valid_from") is None and case["validFrom"] > time.time() + CLOCKS_APART_S:
        case.require("validFrom", "now", case["validFrom"])


def _compare_rights(case: Case, rights: list[str]) -> None:
    case.require("rights", int(parse_rights(rights)), case["rights"])


def _compare_application(case: Case, control_key: str) -> None:
    case.require("controlKey", control_key, str(case["controlKey"]))
    expected = compute_participant_id(case["controlKey"], case["salt"])
    case.require("participant", expected, case.statement.participant)


def _compare_ballot(case: Case, proposal: str) -> None:
    """A proposal's id is what was filed, or commits to everything that is voted on."""
    if case["decision"] in _FILED:
        found = case["argument"]
    else:
        numbers = (case[name].to_bytes(32, "big") for name in ("epoch", "counter"))
        words = (case["decision"].to_bytes(32, "big"), case["subject"], case["argument"], *numbers)
        found = Bytes32(keccak256(b"".join(words)))
    case.require("proposal", proposal, str(found))


def _compare_new_agreement(case: Case, agreement: JsonValue) -> None:
    if agreement is None:
        case.require("revision", 1, case["revision"])
        agreement = str(compute_agreement_id(case.statement.participant, case["salt"]))
    case.require("agreement", agreement, str(case["agreement"]))


def _compare_parties(case: Case, parties: list[str]) -> None:
    stated = {str(each) for each in case["parties"]}
    for party in parties:
        if _is_id(party):
            case.require("party", True, party in stated)
    most = len(set(parties) | {str(case.statement.participant)})
    case.require("number of parties", True, len(stated) <= most)


def _compare_resource(case: Case, resource: str) -> None:
    case.require("resource", Resource.parse_word(resource), case["resource"])


def _compare_quota(case: Case, quota: str) -> None:
    case.require("quota", parse_quantity(Decimal(quota), case["decimals"]), case["quota"])


def _compare_accepted(case: Case, agreement: str) -> None:
    """The revision is one of this agreement."""
    case.require("agreement", agreement, str(case["agreement"]))
    case.require("agreement", case["agreement"], cast("Statement", case.answered).message["agreement"])


def _units(amount: Decimal, decimals: int) -> int:
    with localcontext(prec=120):
        return int(amount.scaleb(decimals))


def _compare_reported(case: Case, quantity: str) -> None:
    agreement = cast("AgreementView", case.agreement)
    case.require("user", agreement.user, case["user"])
    case.require("quantity", parse_quantity(Decimal(quantity), agreement.decimals), case["quantity"])


def _compare_settled(case: Case, quantity: str | None) -> None:
    """The total is what was settled before, and this; without a quantity, no more than what is confirmed."""
    agreement = cast("AgreementView", case.agreement)
    settled, confirmed = (_units(each, agreement.decimals) for each in (agreement.settled, agreement.confirmed))
    if quantity is None:
        case.require("total", True, settled < case["total"] <= confirmed)
    else:
        case.require("total", settled + parse_quantity(Decimal(quantity), agreement.decimals), case["total"])


def _compare_disputed(case: Case, report: str) -> None:
    case.require("report", report, str(case["report"]))
    case.require("agreement", cast("Statement", case.answered).message["agreement"], case["agreement"])


def _compare_confirmed(case: Case, report: str) -> None:
    """The total is what was confirmed before, and this report's quantity."""
    _compare_disputed(case, report)
    agreement = cast("AgreementView", case.agreement)
    quantity = cast("int", cast("Statement", case.answered).message["quantity"])
    case.require("total", _units(agreement.confirmed, agreement.decimals) + quantity, case["total"])


COMPARISONS: Final[Mapping[str, Comparison]] = {
    "control_key": _compare_application,
    "signing_key": _same("signingKey"),
    "custody": lambda case, asked: case.require("custody", Custody.parse_word(asked), case["custody"]),
    "key": _same("key"),
    "new_key": _same("newKey"),
    "participant": _same("participant"),
    "profile": _document("profile"),
    "decision": lambda case, asked: case.require("decision", Decision.parse_word(asked), case["decision"]),
    "choice": lambda case, asked: case.require("choice", Choice.parse_word(asked), case["choice"]),
    "subject": _same("subject"),
    "argument": _same("argument"),
    "GovernanceVote.proposal": _compare_ballot,
    "slug": lambda _case, _asked: None,  # with the metadata
    "metadata": _compare_metadata,
    "manifest": _compare_content,
    "chunks": lambda _case, _asked: None,  # the manifest's roots are over them
    "parents": _compare_parents,
    "version": _number("version"),
    "AccessRequest.dataset": _same("dataset"),
    "Erasure.dataset": _same("dataset"),
    "registration": _same("registration"),
    "dataset": _compare_own_dataset,
    "consumer": _same("consumer"),
    "request": _same("request"),
    "AccessGrant.request": _compare_answered_request,
    "first_version": _number("firstVersion"),
    "last_version": _number("lastVersion"),
    "purpose": _compare_purpose,
    "rights": _compare_rights,
    "valid_from": _time("validFrom"),
    "valid_until": _time("validUntil"),
    "policy": _document("policy"),
    "reason": lambda case, asked: case.require_document("reason", {"reason": asked}),
    "grant": _same("grant"),
    "agreement": _same("agreement"),
    "AgreementProposal.agreement": _compare_new_agreement,
    "AgreementAcceptance.agreement": _compare_accepted,
    "AgreementRejection.agreement": _compare_accepted,
    "proposal": _same("proposal"),
    "parties": _compare_parties,
    "supplier": _same("supplier"),
    "user": _same("user"),
    "resource": _compare_resource,
    "terms": _document("terms"),
    "quota": _compare_quota,
    "decimals": _number("decimals"),
    "unit": lambda case, asked: case.require("unit", parse_unit(asked), case["unit"]),
    "UsageReport.quantity": _compare_reported,
    "SettlementRecord.quantity": _compare_settled,
    "period_from": _time("periodFrom"),
    "period_until": _time("periodUntil"),
    "detail": _document("detail"),
    "invoice": _document("invoice"),
    "UsageConfirmation.report": _compare_confirmed,
    "UsageDispute.report": _compare_disputed,
}
"""How each member of an intent is compared; ``Type.member`` where types differ."""
