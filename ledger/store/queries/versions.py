"""Versions that are known: registrations in force, and those said here that were not refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    LargeBinary,
    Select,
    Subquery,
    Table,
    exists,
    false,
    func,
    null,
    select,
    true,
)
from sqlalchemy import cast as sql_cast

from ledger.store.queries.moments import block_moment
from ledger.store.schema.chain import REGISTRATIONS
from ledger.store.schema.gateway import STATEMENTS
from ledger.store.version_keys import DATASET_KEY_SIZE
from ledger.types import Bytes32

__all__ = ["has_dataset", "has_digest", "is_among", "versions_known"]

Condition = Callable[[Table], ColumnElement[bool]]


def versions_known(of: Condition | None = None) -> CompoundSelect[Any]:
    """Every known version, of registrations that ``of`` holds for.

    ``stated_at``, by which lists are ordered, is when it came here, or its block's time where it came past us;
    ``registered_at`` is its block's time once it is in force; ``said_salt`` is its data set's, if it was said here.
    """
    in_force, said = _in_force(), _said()
    if of is not None:
        in_force, said = in_force.where(of(REGISTRATIONS)), said.where(of(STATEMENTS))
    return in_force.union_all(said)


def has_digest(registration: Bytes32) -> Condition:
    """The condition of being one registration."""

    def holds(table: Table) -> ColumnElement[bool]:
        same: ColumnElement[bool] = table.c.digest == registration
        return same

    return holds


def has_dataset(dataset: Bytes32) -> Condition:
    """The condition of being a version of one data set."""

    def holds(table: Table) -> ColumnElement[bool]:
        same: ColumnElement[bool] = table.c.dataset == dataset
        return same & (table.c.dataset_key == dataset[:DATASET_KEY_SIZE]) if table is STATEMENTS else same

    return holds


def is_among(table: Table, datasets: Subquery) -> ColumnElement[bool]:
    """Whether a registration in ``table`` is of one of ``datasets``."""
    among: ColumnElement[bool] = table.c.dataset.in_(select(datasets.c.dataset))
    if table is STATEMENTS:
        keys = func.substr(datasets.c.dataset, 1, DATASET_KEY_SIZE, type_=LargeBinary)
        among &= table.c.dataset_key.in_(select(keys))
    return among


def _shared(table: Table) -> tuple[ColumnElement[Any], ...]:
    names = ("digest", "dataset", "participant", "version", "content_hash", "metadata_hash")
    return tuple(table.c[name] for name in names)


def _in_force() -> Select[Any]:
    time = block_moment(REGISTRATIONS.c.time)
    return select(
        *_shared(REGISTRATIONS),
        true().label("in_force"),
        REGISTRATIONS.c.block,
        time.label("registered_at"),
        func.coalesce(STATEMENTS.c.received_at, time).label("stated_at"),
        STATEMENTS.c.dataset_salt.label("said_salt"),
    ).select_from(REGISTRATIONS.outerjoin(STATEMENTS, STATEMENTS.c.digest == REGISTRATIONS.c.digest))


def _said() -> Select[Any]:
    said = STATEMENTS.c
    same = (REGISTRATIONS.c.dataset == said.dataset) & (REGISTRATIONS.c.version == said.version)
    return select(
        *_shared(STATEMENTS),
        false().label("in_force"),
        sql_cast(null(), BigInteger).label("block"),
        said.received_at.label("registered_at"),
        said.received_at.label("stated_at"),
        said.dataset_salt.label("said_salt"),
    ).where(said.dataset.is_not(None), said.log_index.is_not(None), said.refusal.is_(None), ~exists().where(same))
