"""Never sign blindly: what a gateway prepared is compared with what was asked for, member by member.

A gateway resolves names (handles, ``provider/slug``, the latest version); who does not trust it for that names ids,
which are compared. Everything else that a statement says is recomputed here: content hash, documents under their salted
hashes, rights, times, quantities, and what the statement that it answers says, whose digest was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, cast

from ledger.canonical import JsonValue, hash_document
from ledger.client.comparisons import CLOCKS_APART_S, COMPARISONS, Case
from ledger.client.flow import Flow, Request
from ledger.client.identity import Identity
from ledger.client.reads import read_one
from ledger.errors import MalformedError, VerificationError
from ledger.statements import Domains, Statement
from ledger.surface.views import AgreementView
from ledger.types import Bytes32

__all__ = ["check_prepared"]

_DEADLINE_S: Final = 3600
_RAW: Final = frozenset({"LogOpening", "LogRotation", "LogClosing", "Sealing", "TransferReceipt", "KeyRelease"})
"""Whose intents are their members."""
_WINDOW: Final[Mapping[str, JsonValue]] = {"first_version": 1, "last_version": 0}
_DEFAULTS: Final[Mapping[str, Mapping[str, JsonValue]]] = {
    "ParticipantApplication": {"custody": "own"},
    "KeyAddition": {"custody": "own"},
    "GovernanceVote": {"choice": "approve"},
    "DatasetRegistration": {"parents": []},
    "AccessRequest": _WINDOW,
    "AgreementProposal": {"decimals": 3, "agreement": None},
    "AgreementAcceptance": {"proposal": None},
    "AgreementRejection": {"proposal": None},
    "UsageReport": {"detail": {}},
    "SettlementRecord": {"invoice": {}, "quantity": None},
}
"""What an intent says where it says nothing."""


def check_prepared(
    type_name: str, intent: Mapping[str, JsonValue], prepared: Mapping[str, JsonValue], identity: Identity
) -> Flow[Statement]:
    """The statement to sign, which says what ``intent`` asks for and nothing else.

    Raises:
        VerificationError: it says something else; nothing was signed.
        MalformedError: what the gateway prepared is no statement, or the intent has members that can not be compared.
    """
    statement = Statement.parse(type_name, prepared.get("message"))
    found = statement.digest(identity.domains)
    if prepared.get("digest") != str(found):
        raise VerificationError(
            "the gateway's digest is not the one of this consortium's statement: is consortium.json the right one?",
            expected=str(found),
            found=prepared.get("digest"),
        )
    asked = {**_defaults(type_name, intent), **intent}
    salt = prepared.get("version_salt")
    case = Case(
        statement,
        asked,
        _read_documents(prepared.get("documents")),
        Bytes32.parse(salt) if isinstance(salt, str) else None,
        (yield from _fetch_answered(statement, asked, identity.domains)),
        (yield from _fetch_agreement(statement)),
    )
    _check_deadline(case)
    for name, value in asked.items():
        _check_member(case, name, value)
    return statement


def _defaults(type_name: str, intent: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    if type_name == "AccessGrant" and "request" not in intent:
        return _WINDOW
    return _DEFAULTS.get(type_name, {})


def _check_member(case: Case, name: str, value: JsonValue) -> None:
    type_name = case.statement.type.name
    check = COMPARISONS.get(f"{type_name}.{name}") or COMPARISONS.get(name)
    if check is not None and type_name not in _RAW:
        check(case, value)
    elif name in case.statement.message:
        case.require(name, value, case.statement.to_json()[name])
    elif name != "deadline_s":
        raise MalformedError(f"an intent of {type_name} has no member {name}")


def _check_deadline(case: Case) -> None:
    asked_s = case.intent.get("deadline_s")
    latest = time.time() + (asked_s if isinstance(asked_s, int) else _DEADLINE_S) + CLOCKS_APART_S
    if case.statement.deadline > latest:
        raise VerificationError(
            "the gateway prepared a later deadline than was asked for, or its clock and yours are more than an hour "
            "apart: nothing was signed, compare the clocks",
            expected=int(latest),
            found=case.statement.deadline,
        )


def _read_documents(given: JsonValue) -> dict[Bytes32, JsonValue]:
    documents: dict[Bytes32, JsonValue] = {}
    for item in given if isinstance(given, list) else []:
        if not isinstance(item, dict) or not isinstance(item.get("salt"), str):
            raise MalformedError("the gateway answered documents that are none")
        documents[hash_document(Bytes32.parse(str(item["salt"])), item.get("document"))] = item.get("document")
    return documents


def _fetch_answered(statement: Statement, intent: Mapping[str, JsonValue], domains: Domains) -> Flow[Statement | None]:
    """The statement that it answers, under the digest that was asked for."""
    name = statement.type.name
    if name == "AccessGrant" and "request" in intent:
        return (yield from _fetch_statement("AccessRequest", str(intent["request"]), domains))
    if name in ("UsageConfirmation", "UsageDispute"):
        return (yield from _fetch_statement("UsageReport", str(intent["report"]), domains))
    if name in ("AgreementAcceptance", "AgreementRejection"):
        return (yield from _fetch_statement("AgreementProposal", str(statement.message["proposal"]), domains))
    return None


def _fetch_agreement(statement: Statement) -> Flow[AgreementView | None]:
    """The agreement whose amounts it continues."""
    if statement.type.name not in ("UsageReport", "UsageConfirmation", "SettlementRecord"):
        return None
    agreement = cast("Bytes32", statement.message["agreement"])
    return (yield from read_one(AgreementView, f"/v1/agreements/{agreement}"))


def _fetch_statement(type_name: str, digest: str, domains: Domains) -> Flow[Statement]:
    answer = yield Request("GET", f"/v1/statements/{Bytes32.parse(digest)}")
    given = answer.json if isinstance(answer.json, dict) else {}
    if given.get("type") != type_name:
        raise MalformedError(f"{digest} is no {type_name}")
    statement = Statement.parse(type_name, given.get("message"))
    found = str(statement.digest(domains))
    if found != digest:
        raise VerificationError(f"the gateway served another {type_name} than {digest}", expected=digest, found=found)
    return statement
