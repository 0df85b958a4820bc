"""Which rows an event is: one small function an event, of its arguments alone.

What is not named here (attestations, lifted registrations, tallies) changes nothing that is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Table

from ledger.store.columns import to_moment
from ledger.store.rows import ChainEvent
from ledger.store.schema.chain import (
    ACTIVATIONS,
    AGREEMENT_MOVES,
    APPLICATIONS,
    CHECKPOINTS,
    CLAIMS,
    CONFIRMATIONS,
    DECISIONS,
    EFFECTS,
    FACTS,
    GRANTS,
    HISTORY,
    LOG_CLOSINGS,
    LOG_ROTATIONS,
    LOGS,
    PARENTS,
    PROFILES,
    REGISTRATIONS,
    RETIREMENTS,
    REVISION_PARTIES,
    REVISIONS,
    REVOCATIONS,
    SETTLEMENTS,
    VOTES,
)
from ledger.store.schema.metadata import TERMS

__all__ = ["EFFECT_EVENTS", "facts_of"]

Args = Mapping[str, Any]
Fact = tuple[Table, dict[str, Any]]

EFFECT_EVENTS: Final = frozenset(
    {
        "AccessGranted", "AccessRevoked", "AgreementAccepted", "AgreementProposed", "AgreementRejected",
        "AgreementTerminated", "ApplicationFiled", "ControlKeyClaimed", "ControlKeyRotated", "DatasetRegistered",
        "DatasetRetired", "KeyAdded", "KeyRevoked", "LogClosed", "LogOpened", "LogRotated", "ParticipantRetired",
        "ProfileUpdated", "SettlementRecorded", "UsageConfirmed", "VoteCast",
    }
)  # fmt: skip
"""The event by which each executed statement shows: it comes once for a digest."""


def facts_of(event: ChainEvent) -> Iterator[Fact]:
    """The rows of an event, each with the event's place."""
    place: dict[str, Any] = {
        "block": event.block_number,
        "position": event.log_index_in_block,
        "time": _moment(event.timestamp),
    }
    if event.name in EFFECT_EVENTS:
        effect = {"digest": event.args["digest"], "contract": event.contract, "event": event.name}
        yield EFFECTS, effect | {"transaction": event.tx_hash} | place
    build = _BUILDERS.get(event.name)
    for table, values in () if build is None else build(event.args):
        row: dict[str, Any] = values | (place if table in _PLACED else {"block": event.block_number})
        if table is CHECKPOINTS:
            row["transaction"] = event.tx_hash
        yield table, row


_moment: Final = lru_cache(maxsize=256)(to_moment)  # a block's events have one
_PLACED: Final = frozenset(table for table in FACTS if {"position", "time"} <= set(table.c.keys()))
"""Tables whose rows have the event's whole place; the others have its block."""


def _pick(table: Table, **members: str) -> Callable[[Args], Iterator[Fact]]:
    """A builder whose columns are arguments of the event, some under another name."""

    def build(args: Args) -> Iterator[Fact]:
        yield table, {column: args[member] for column, member in members.items()}

    return build


_WHO: Final = {"digest": "digest", "participant": "participant"}
_BALLOT: Final = {
    "digest": "digest",
    "decision": "decision",
    "subject": "subject",
    "argument": "argument",
    "epoch": "epoch",
    "counter": "counter",
}
_AGREEMENT: Final = _WHO | {"agreement": "agreement"}
_LOG: Final = {"digest": "digest", "log": "log"}
_PUBLISHER: Final = _LOG | {"publisher": "publisher", "verifier_key": "verifierKey"}


def _decision(*, executed: bool) -> Callable[[Args], Iterator[Fact]]:
    def build(args: Args) -> Iterator[Fact]:
        yield DECISIONS, {column: args[member] for column, member in _BALLOT.items()} | {"executed": executed}

    return build


def _registered(args: Args) -> Iterator[Fact]:
    names = {"dataset": "dataset", "version": "version", "content_hash": "contentHash", "metadata_hash": "metadataHash"}
    yield REGISTRATIONS, {column: args[member] for column, member in (_WHO | names).items()}
    for ordinal, parent in enumerate(args["parents"]):
        named = {name: parent[name] for name in ("dataset", "version", "registration")}
        yield PARENTS, {"digest": args["digest"], "ordinal": ordinal, **named}


def _proposed(args: Args) -> Iterator[Fact]:
    said = args["statement"]
    names = {
        "revision": "revision",
        "supplier": "supplier",
        "user": "user",
        "resource": "resource",
        "terms_hash": "termsHash",
        "valid_from": "validFrom",
        "valid_until": "validUntil",
        "quota": "quota",
        "decimals": "decimals",
        "unit": "unit",
    }
    who = {column: args[member] for column, member in _AGREEMENT.items()}
    yield REVISIONS, who | {column: said[member] for column, member in names.items()}
    for ordinal, party in enumerate(said["parties"]):
        yield REVISION_PARTIES, {"digest": args["digest"], "ordinal": ordinal, "participant": party}


def _move(move: str) -> Callable[[Args], Iterator[Fact]]:
    def build(args: Args) -> Iterator[Fact]:
        who = {column: args[member] for column, member in _AGREEMENT.items()}
        yield AGREEMENT_MOVES, who | {"move": move, "proposal": args.get("proposal")}

    return build


_BUILDERS: Final[Mapping[str, Callable[[Args], Iterator[Fact]]]] = {
    "ApplicationFiled": _pick(
        APPLICATIONS,
        **_WHO,
        control_key="controlKey",
        signing_key="signingKey",
        custody="custody",
        profile_hash="profileHash",
    ),
    "ControlKeyClaimed": _pick(CLAIMS, **_WHO, new_key="newKey"),
    "HistoryExtended": _pick(
        HISTORY, index="index", kind="kind", participant="participant", detail="detail", head="head"
    ),
    "ProfileUpdated": _pick(PROFILES, **_WHO, version="version", profile_hash="profileHash"),
    "VoteCast": _pick(VOTES, **_BALLOT, participant="participant", choice="choice"),
    "DecisionExecuted": _decision(executed=True),
    "ProposalRejected": _decision(executed=False),
    "DatasetRegistered": _registered,
    "DatasetRetired": _pick(RETIREMENTS, **_WHO, dataset="dataset"),
    "AccessGranted": _pick(GRANTS, **_WHO, consumer="consumer", dataset="dataset", **TERMS),
    "AccessRevoked": _pick(REVOCATIONS, **_WHO, grant="grant"),
    "AgreementProposed": _proposed,
    "AgreementAccepted": _move("accepted"),
    "AgreementRejected": _move("rejected"),
    "AgreementTerminated": _move("terminated"),
    "AgreementActivated": _pick(ACTIVATIONS, proposal="proposal", agreement="agreement", revision="revision"),
    "UsageConfirmed": _pick(CONFIRMATIONS, **_AGREEMENT, sequence="sequence", report="report", total="total"),
    "SettlementRecorded": _pick(
        SETTLEMENTS, **_AGREEMENT, sequence="sequence", total="total", invoice_hash="invoiceHash"
    ),
    "LogOpened": _pick(LOGS, **_PUBLISHER, participant="participant", origin="origin"),
    "LogRotated": _pick(LOG_ROTATIONS, **_PUBLISHER, counter="counter"),
    "LogClosed": _pick(LOG_CLOSINGS, **_LOG, successor="successor"),
    "CheckpointPublished": lambda args: iter([(CHECKPOINTS, _checkpoint(args))]),
}


def _checkpoint(args: Args) -> dict[str, Any]:
    return {
        "log": args["log"],
        "size": args["size"],
        "root": args["root"],
        "previous_size": args["previousSize"],
        "previous_root": args["previousRoot"],
        "previous_time": to_moment(args["previousTime"]),
        "history_head": args["historyHead"],
    }
