"""Outcomes as clients see them, out of what the store keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from ledger.canonical import JsonValue
from ledger.errors import FatalError, NotFoundError
from ledger.exchange.parts import Parts
from ledger.log import build_receipt
from ledger.statements import Statement, compute_dataset_id, compute_log_id
from ledger.store.rows import StatementRow
from ledger.surface.outcomes import InForce, Outcome, Refusal, State
from ledger.types import Bytes32

__all__ = ["describe_outcome", "find_outcome", "ids_of", "parse_refusal", "refusal_json"]


def find_outcome(parts: Parts, digest: Bytes32) -> Outcome | None:
    """What became of an accepted statement; None when there is none with this digest."""
    with parts.store.snapshot():
        row = parts.store.statements.find(digest)
        return None if row is None or row.log_index is None else describe_outcome(parts, row)


def describe_outcome(parts: Parts, row: StatementRow) -> Outcome:
    """What became of a statement so far; called in the snapshot that ``row`` was read in, so that all is of one block.

    Raises:
        NotFoundError: it is not in the log.
    """
    if row.log_index is None:
        raise NotFoundError(f"no statement {row.digest} was accepted here")
    outbox = parts.store.outbox.find(str(row.digest)) if row.executable and row.effect is None else None
    return Outcome(
        digest=row.digest,
        type=row.type,
        participant=row.participant,
        state=State(row.state.value),
        in_force=InForce(row.in_force.value),
        refusal=_tell_refusal(row),
        index=row.log_index,
        receipt=_build_receipt(parts, row.log_index, row.checkpoint_size),
        transaction=row.effect.transaction if row.effect else outbox.hash if outbox else None,
        block=row.effect.block if row.effect else outbox.block if outbox else None,
        custodial=row.custodial,
        api_key=row.api_key,
        ids=ids_of(Statement.parse(row.type, dict(row.message)), row.digest),
        accepted_at=row.received_at,
        as_of_block=parts.store.chain.as_of_block(),
    )


def _tell_refusal(row: StatementRow) -> Refusal | None:
    """Why it is not in force, and until when it may come to be: an effect outranks a refusal."""
    if row.refusal is None or row.effect is not None:
        return None
    refusal = parse_refusal(row.refusal)
    return replace(refusal, facts={**refusal.facts, "relayable_until": _fact(int(str(row.message["deadline"])))})


def _build_receipt(parts: Parts, index: int, checkpoint_size: int | None) -> str:
    """Under its own batch's checkpoint, whose anchor-by is the promise that was given. Signing is deterministic."""
    checkpoint = None if checkpoint_size is None else parts.store.checkpoints.find(parts.config.origin, checkpoint_size)
    if checkpoint is None:
        raise FatalError(f"the checkpoint that covers entry {index} is not in the database: restore it from a backup")
    note = parts.log_signer.sign(checkpoint.text).to_bytes()
    return build_receipt(parts.sequencer.reader, index, note).decode()


def refusal_json(code: str, detail: str, facts: Mapping[str, object]) -> dict[str, JsonValue]:
    """A refusal as the store keeps it."""
    return {"code": code, "detail": detail, "facts": {name: _fact(value) for name, value in facts.items()}}


def _fact(value: object) -> JsonValue:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {str(name): _fact(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fact(item) for item in value]
    return str(value)


def parse_refusal(refusal: Mapping[str, JsonValue]) -> Refusal:
    """A refusal that the store kept."""
    facts = refusal.get("facts")
    return Refusal(str(refusal.get("code")), str(refusal.get("detail")), facts if isinstance(facts, dict) else {})


_NAMED = ("agreement", "dataset", "version", "proposal", "request", "grant", "report", "log", "sequence", "revision")


def ids_of(statement: Statement, digest: Bytes32) -> dict[str, str]:
    """What a statement is about or made: ids by name, numbers as decimal strings."""
    message = statement.message
    ids = {"participant": str(statement.participant)}
    ids |= {name: str(message[name]) for name in _NAMED if name in message}
    if "datasetSalt" in message:
        ids["dataset"] = str(compute_dataset_id(statement.participant, cast("Bytes32", message["datasetSalt"])))
    kind = statement.type.name
    if kind == "LogOpening":
        ids["log"] = str(compute_log_id(statement.participant, str(message["origin"])))
    made = {
        "AccessRequest": "request",
        "AccessGrant": "grant",
        "UsageReport": "report",
        "AgreementProposal": "proposal",
    }
    if kind in made:
        ids[made[kind]] = str(digest)
    if kind == "ParticipantApplication":
        ids["proposal"] = str(digest)
    return ids
