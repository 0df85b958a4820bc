"""What a statement says, as rows of the tables that lists filter and join by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Table

from ledger.statements import Statement, compute_dataset_id
from ledger.store.schema.metadata import TERMS
from ledger.store.schema.said import (
    ACCESS_DENIALS,
    ACCESS_REQUESTS,
    SAID_ERASURES,
    SAID_GRANTS,
    SAID_PARENTS,
    SAID_REVISION_PARTIES,
    SAID_REVISIONS,
    USAGE_DISPUTES,
    USAGE_REPORTS,
)
from ledger.store.version_keys import DATASET_KEY_SIZE, version_key
from ledger.types import Bytes32

__all__ = ["columns_of", "document_hashes", "rows_of"]

Fact = tuple[Table, dict[str, Any]]
_OF_REGISTRATIONS: Final = (
    "dataset", "version", "content_hash", "metadata_hash", "dataset_salt", "dataset_key", "version_key",
)  # fmt: skip


def rows_of(statement: Statement, digest: Bytes32) -> Iterator[Fact]:
    """The rows that a statement is indexed by; none for a type that no list needs."""
    build = _BUILDERS.get(statement.type.name)
    if build is not None:
        for table, values in build(statement.message):
            yield table, {"digest": digest, **values}


def columns_of(statement: Statement) -> dict[str, Any]:
    """The columns of the statement's own row that lists filter and join by, null where its type has none."""
    message: Mapping[str, Any] = statement.message
    if statement.type.name != "DatasetRegistration":
        return dict.fromkeys(_OF_REGISTRATIONS)
    dataset = compute_dataset_id(message["participant"], message["datasetSalt"])
    return {
        "dataset": dataset,
        "version": message["version"],
        "content_hash": message["contentHash"],
        "metadata_hash": message["metadataHash"],
        "dataset_salt": message["datasetSalt"],
        "dataset_key": dataset[:DATASET_KEY_SIZE],
        "version_key": version_key(message["version"]),
    }


def document_hashes(statement: Statement) -> list[Bytes32]:
    """Hashes of the documents that a statement commits to."""
    return [
        Bytes32(value)
        for name, value in statement.message.items()
        if name.endswith("Hash") and name != "contentHash" and isinstance(value, bytes)
    ]


def _terms(message: Mapping[str, Any]) -> dict[str, Any]:
    return {column: message[member] for column, member in TERMS.items()}


def _registration(message: Mapping[str, Any]) -> Iterator[Fact]:
    for ordinal, parent in enumerate(message["parents"]):
        yield SAID_PARENTS, {"ordinal": ordinal, **parent}


def _grant(message: Mapping[str, Any]) -> Iterator[Fact]:
    yield (
        SAID_GRANTS,
        {
            "participant": message["participant"],
            "consumer": message["consumer"],
            "dataset": compute_dataset_id(message["participant"], message["datasetSalt"]),
            "dataset_salt": message["datasetSalt"],
            **_terms(message),
        },
    )


def _proposal(message: Mapping[str, Any]) -> Iterator[Fact]:
    yield (
        SAID_REVISIONS,
        {
            "agreement": message["agreement"],
            "revision": message["revision"],
            "participant": message["participant"],
            "supplier": message["supplier"],
            "user": message["user"],
            "resource": message["resource"],
            "terms_hash": message["termsHash"],
            "valid_from": message["validFrom"],
            "valid_until": message["validUntil"],
            "quota": message["quota"],
            "decimals": message["decimals"],
            "unit": message["unit"],
        },
    )
    for ordinal, party in enumerate(message["parties"]):
        yield SAID_REVISION_PARTIES, {"ordinal": ordinal, "participant": party}


def _request(message: Mapping[str, Any]) -> Iterator[Fact]:
    names = ("participant", "provider", "dataset")
    yield ACCESS_REQUESTS, {**{name: message[name] for name in names}, **_terms(message)}


def _denial(message: Mapping[str, Any]) -> Iterator[Fact]:
    yield (
        ACCESS_DENIALS,
        {
            "participant": message["participant"],
            "request": message["request"],
            "reason_hash": message["reasonHash"],
        },
    )


def _report(message: Mapping[str, Any]) -> Iterator[Fact]:
    yield (
        USAGE_REPORTS,
        {
            "participant": message["participant"],
            "user": message["user"],
            "agreement": message["agreement"],
            "quantity": message["quantity"],
            "period_from": message["periodFrom"],
            "period_until": message["periodUntil"],
            "detail_hash": message["detailHash"],
        },
    )


def _dispute(message: Mapping[str, Any]) -> Iterator[Fact]:
    yield (
        USAGE_DISPUTES,
        {
            "participant": message["participant"],
            "agreement": message["agreement"],
            "report": message["report"],
            "reason_hash": message["reasonHash"],
        },
    )


def _erasure(message: Mapping[str, Any]) -> Iterator[Fact]:
    names = ("participant", "dataset", "version", "registration")
    yield SAID_ERASURES, {**{name: message[name] for name in names}, "reason_hash": message["reasonHash"]}


_BUILDERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[Fact]]]] = {
    "DatasetRegistration": _registration,
    "AccessGrant": _grant,
    "AgreementProposal": _proposal,
    "AccessRequest": _request,
    "AccessDenial": _denial,
    "UsageReport": _report,
    "UsageDispute": _dispute,
    "Erasure": _erasure,
}
