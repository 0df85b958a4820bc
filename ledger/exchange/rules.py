"""Rules for statements that logs alone keep: no contract checks them, so the gateway does before it logs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from ledger.content.release import LEAST_TERM_S
from ledger.errors import ConflictError, MalformedError, RefusedError
from ledger.exchange.directory import Directory
from ledger.exchange.intents.agreements import check_quota
from ledger.exchange.permission import covers
from ledger.statements import Statement
from ledger.types import Bytes32

__all__ = ["check_origin", "check_route", "check_rules", "contended_by"]


def check_rules(directory: Directory, statement: Statement, now_s: int) -> None:
    """Check a statement of a type that only logs keep, and how a log names itself; every other passes.

    Raises:
        MalformedError: a window, a period or an origin that can not be.
        NotFoundError: it is about what is not known here.
        RefusedError: the participant is not the one who may state it.
        ConflictError: it does not fit the present state.
    """
    rule = _RULES.get(statement.type.name)
    if rule is not None:
        rule(directory, statement.participant, dict(statement.message), now_s)


def check_route(type_name: str) -> None:
    """Check that statements of this type may come by themselves, alone or in bulk. Raises: RefusedError.

    A receipt obliges its provider: only where the provider's gateway offered the transfer is it known what is owed.
    """
    if type_name in _OF_TRANSFERS:
        raise _refuse(
            f"a {type_name} is taken where its transfer was opened alone: POST /v1/transfers/{{id}}/receipt at the "
            "provider's gateway, which answers with the key",
            "transfers-only",
            statement_type=type_name,
        )


def contended_by(statement: Statement) -> Bytes32 | None:
    """About what statements of this type take turns: each is checked against what those before it changed."""
    member = _CONTENDED.get(statement.type.name)
    return None if member is None else cast("Bytes32", statement.message[member])


def _refuse(sentence: str, code: str, **facts: object) -> RefusedError:
    return RefusedError(sentence, code=code, facts={name: str(value) for name, value in facts.items()})


def _check_request(directory: Directory, consumer: Bytes32, message: Mapping[str, Any], now_s: int) -> None:
    dataset = directory.dataset(str(message["dataset"]))
    if dataset.provider != message["provider"]:
        raise _refuse("the dataset is another provider's", "not-provider", provider=dataset.provider)
    if dataset.provider == consumer:
        raise _refuse("a participant needs no access to its own dataset", "own-dataset", dataset=dataset.id)
    if dataset.is_retired:
        raise _refuse("the dataset is retired", "dataset-retired", dataset=dataset.id)
    if message["validFrom"] >= message["validUntil"] or message["validUntil"] <= now_s:
        raise MalformedError("the window is empty or over: valid_until lies after valid_from and after now")
    if message["firstVersion"] < 1 or 0 < message["lastVersion"] < message["firstVersion"] or not message["rights"]:
        raise MalformedError("versions count from 1, the last is not before the first, and one right at least is named")


def _check_denial(directory: Directory, provider: Bytes32, message: Mapping[str, Any], _now_s: int) -> None:
    request = directory.request(message["request"])
    if request.provider != provider:
        raise _refuse("the request was made to another provider", "not-provider", provider=request.provider)
    if request.consumer != message["consumer"]:
        raise _refuse("the request is another consumer's", "not-consumer", consumer=request.consumer)
    if request.state not in {"open", "expired"}:
        raise ConflictError(f"the request is {request.state} already", code=f"request-{request.state}")


def _check_report(directory: Directory, supplier: Bytes32, message: Mapping[str, Any], _now_s: int) -> None:
    agreement = directory.agreement(message["agreement"])
    if agreement.state != "active":
        raise ConflictError(
            f"the agreement is {agreement.state}: usage is reported while it is active",
            code=f"agreement-{agreement.state}",
        )
    if agreement.supplier != supplier or agreement.user != message["user"]:
        raise _refuse(
            "only the agreement's supplier reports usage, to its user",
            "not-supplier",
            supplier=agreement.supplier,
            user=agreement.user,
        )
    if message["periodFrom"] >= message["periodUntil"] or not message["quantity"]:
        raise MalformedError("a report is of a quantity above zero, in a period that ends after it begins")
    check_quota(agreement, message["quantity"])


def _check_dispute(directory: Directory, user: Bytes32, message: Mapping[str, Any], _now_s: int) -> None:
    report = directory.report(message["report"])
    if report.user != user or report.agreement != message["agreement"] or report.supplier != message["supplier"]:
        raise _refuse("only the agreement's user disputes a report, to its supplier", "not-user", user=report.user)
    if report.state != "reported":
        raise ConflictError(f"the report is {report.state} already", code=f"report-{report.state}")


def _check_version(directory: Directory, provider: Bytes32, message: Mapping[str, Any], _now_s: int) -> None:
    dataset = directory.dataset(str(message["dataset"]))
    if dataset.provider != provider:
        raise _refuse("the dataset is another provider's", "not-provider", provider=dataset.provider)
    registered = directory.registration(dataset.id, message["version"])
    if registered != message["registration"]:
        raise _refuse("that version holds another registration", "other-registration", registration=registered)


def _check_kept(directory: Directory, provider: Bytes32, message: Mapping[str, Any], now_s: int) -> None:
    """A version that is sealed, or erased, is its provider's and was not erased before."""
    _check_version(directory, provider, message, now_s)
    tombstone = directory.erasure_of(message["registration"])
    if tombstone is not None:
        raise ConflictError(
            "the version was erased already", code="version-erased", facts={"tombstone": str(tombstone)}
        )


def _check_receipt(directory: Directory, consumer: Bytes32, message: Mapping[str, Any], now_s: int) -> None:
    grant = directory.grant(message["grant"])
    if grant.consumer != consumer or grant.provider != message["provider"]:
        raise _refuse("the grant is between others", "not-consumer", consumer=grant.consumer)
    sealing = directory.statement(message["sealing"], "Sealing")
    sealed: Mapping[str, Any] = sealing.message
    found = (sealing.participant, sealed["dataset"], sealed["ciphertextRoot"])
    if found != (grant.provider, grant.dataset, message["ciphertextRoot"]) or not covers(grant, sealed["version"]):
        raise _refuse(
            "the receipt is of other bytes than the provider sealed of what the grant covers",
            "other-sealing",
            sealing=message["sealing"],
            ciphertext_root=sealed["ciphertextRoot"],
        )
    least = now_s + LEAST_TERM_S
    if message["deadline"] < least:
        raise _refuse(
            f"a receipt gives its provider {LEAST_TERM_S} seconds at least for the key: name a later deadline",
            "deadline-too-near",
            least=least,
            deadline=message["deadline"],
        )


def _check_release(directory: Directory, provider: Bytes32, message: Mapping[str, Any], _now_s: int) -> None:
    grant = directory.grant(message["grant"])
    if grant.provider != provider or grant.consumer != message["consumer"]:
        raise _refuse("the grant is between others", "not-provider", provider=grant.provider)
    receipt = directory.statement(message["receipt"], "TransferReceipt")
    if receipt.message["grant"] != message["grant"] or receipt.participant != message["consumer"]:
        raise _refuse(
            "the receipt is of another transfer", "other-transfer", grant=cast("Bytes32", receipt.message["grant"])
        )
    if grant.state != "active":
        raise ConflictError(f"the grant is {grant.state}: no key is released", code=f"grant-{grant.state}")


def _check_opening(_directory: Directory, _operator: Bytes32, message: Mapping[str, Any], _now_s: int) -> None:
    check_origin(message["origin"])


def check_origin(origin: str) -> None:
    """Check that every reader can name a log with this origin in a policy. Raises: MalformedError."""
    if not _ORIGIN.match(origin):
        raise MalformedError("a log's origin is of printable ASCII without space and +, as in log.example.org/concord")


_ORIGIN: Final = re.compile(r"[!-*,-~]+\Z")

_OF_TRANSFERS: Final = frozenset({"TransferReceipt"})

_CONTENDED: Final[Mapping[str, str]] = {
    "AccessDenial": "request",
    "UsageReport": "agreement",
    "UsageDispute": "report",
    "Sealing": "registration",
    "Erasure": "registration",
}
"""Only logs keep these, so that no contract puts them in order."""

_RULES: Final[Mapping[str, Callable[[Directory, Bytes32, Mapping[str, Any], int], None]]] = {
    "AccessRequest": _check_request,
    "AccessDenial": _check_denial,
    "UsageReport": _check_report,
    "UsageDispute": _check_dispute,
    "Sealing": _check_kept,
    "Erasure": _check_kept,
    "TransferReceipt": _check_receipt,
    "KeyRelease": _check_release,
    "LogOpening": _check_opening,
}
