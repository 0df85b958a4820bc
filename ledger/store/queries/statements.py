"""Statements joined with what the chain says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.engine import Row

from ledger.store.queries.standing import read_cursor
from ledger.store.rows import CheckpointRow, EffectRow, InForce, StatementRow, StatementState
from ledger.store.schema.chain import CHECKPOINTS, EFFECTS
from ledger.store.schema.gateway import STATEMENTS

__all__ = ["checkpoint_of", "load_statements", "select_statements"]

_COVERING: Final = CHECKPOINTS.alias("covering")
_FIRST_COVERING: Final = (
    select(func.min(_COVERING.c.size))
    .where(_COVERING.c.log == STATEMENTS.c.log, _COVERING.c.size > STATEMENTS.c.log_index)
    .correlate(STATEMENTS)
    .scalar_subquery()
)
_ANCHOR: Final = [column.label(f"anchor_{column.name}") for column in CHECKPOINTS.c]
_EFFECT: Final = [column.label(f"effect_{column.name}") for column in EFFECTS.c]


def select_statements() -> Select[Any]:
    """Statements with the first recorded checkpoint that covers them and the event that executed them."""
    anchored = (CHECKPOINTS.c.log == STATEMENTS.c.log) & (CHECKPOINTS.c.size == _FIRST_COVERING)
    joined = STATEMENTS.outerjoin(CHECKPOINTS, anchored).outerjoin(EFFECTS, EFFECTS.c.digest == STATEMENTS.c.digest)
    return select(STATEMENTS, *_ANCHOR, *_EFFECT).select_from(joined)


def load_statements(connection: Connection, given: Select[Any] | Sequence[Row[Any]]) -> tuple[StatementRow, ...]:
    """Run a query made of `select_statements` (or take its rows) and judge each statement's state."""
    cursor = read_cursor(connection)
    final = 0 if cursor is None else cursor.final
    rows = connection.execute(given).all() if isinstance(given, Select) else given
    return tuple(_to_row(row, final) for row in rows)


def checkpoint_of(row: Row[Any], prefix: str = "") -> CheckpointRow:
    """A recorded checkpoint, from columns named with ``prefix``."""
    values = row._mapping
    return CheckpointRow(**{name: values[prefix + name] for name in CheckpointRow.__dataclass_fields__})


def _effect_of(row: Row[Any]) -> EffectRow:
    return EffectRow(**{name: row._mapping[f"effect_{name}"] for name in EffectRow.__dataclass_fields__})


def _to_row(row: Row[Any], final: int) -> StatementRow:
    anchor = None if row.anchor_size is None else checkpoint_of(row, "anchor_")
    effect = None if row.effect_block is None else _effect_of(row)
    in_force = _judge_in_force(row, effect)
    return StatementRow(
        digest=row.digest,
        type=row.type,
        participant=row.participant,
        message=row.message,
        signature=bytes(row.signature),
        signer=row.signer,
        cosignature=None if row.cosignature is None else bytes(row.cosignature),
        custodial=row.custodial,
        api_key=row.api_key,
        received_at=row.received_at,
        executable=row.executable,
        log=row.log,
        log_index=row.log_index,
        checkpoint_size=row.checkpoint_size,
        refusal=row.refusal,
        anchor=anchor,
        effect=effect,
        state=_judge_state(row, anchor, effect, in_force, final),
        in_force=in_force,
    )


def _judge_in_force(row: Row[Any], effect: EffectRow | None) -> InForce:
    if effect is not None:
        return InForce.YES
    if not row.executable:
        return InForce.NOT_APPLICABLE
    return InForce.PENDING if row.refusal is None else InForce.REFUSED


def _judge_state(
    row: Row[Any], anchor: CheckpointRow | None, effect: EffectRow | None, in_force: InForce, final: int
) -> StatementState:
    if row.log_index is None:
        return StatementState.STAGED
    if anchor is None:
        return StatementState.ACCEPTED
    settled = in_force is not InForce.PENDING and (effect is None or effect.block <= final)
    return StatementState.FINAL if settled and anchor.block <= final else StatementState.ANCHORED
