"""The joins behind the lists of requests and grants, and how their states are judged in SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    ScalarSelect,
    Select,
    Table,
    case,
    exists,
    false,
    func,
    null,
    select,
    true,
)
from sqlalchemy import cast as sql_cast

from ledger.store.queries.joined import documents_as, handles_as, join_document
from ledger.store.queries.moments import block_moment
from ledger.store.schema.catalogue import CATALOGUE_OFFERS
from ledger.store.schema.chain import GRANTS, RETIREMENTS, REVOCATIONS
from ledger.store.schema.gateway import DATASET_SLUGS, STATEMENTS
from ledger.store.schema.metadata import TERMS
from ledger.store.schema.said import ACCESS_DENIALS, ACCESS_REQUESTS, SAID_GRANTS
from ledger.types import Bytes32

__all__ = ["Known", "requests_known", "select_grants"]

_SLUG: Final = func.coalesce(DATASET_SLUGS.c.slug, CATALOGUE_OFFERS.c.slug)

Condition = Callable[[Table], ColumnElement[bool]]


@dataclass(frozen=True)
class Known:
    """A query over requests or grants, and the columns that it is filtered and ordered by."""

    query: Select[Any]
    digest: ColumnElement[Bytes32]
    provider: ColumnElement[Bytes32]
    consumer: ColumnElement[Bytes32]
    dataset: ColumnElement[Bytes32]
    state: ColumnElement[str]
    stated_at: ColumnElement[datetime]
    searched: tuple[ColumnElement[Any], ...]


def select_grants(now: datetime, of: Condition) -> Known:
    """Grants that ``of`` holds for, with names, policy, revocation, retirement and state."""
    known = _grants_known(of).subquery("known")
    providers, consumers, policies = handles_as("providers"), handles_as("consumers"), documents_as("policies")
    revoked = (REVOCATIONS.c.participant == known.c.participant) & (REVOCATIONS.c.grant == known.c.digest)
    state = _judge_grant(known.c, int(now.timestamp()))
    joined = (
        known.outerjoin(REVOCATIONS, revoked)
        .outerjoin(RETIREMENTS, RETIREMENTS.c.dataset == known.c.dataset)
        .outerjoin(SAID_GRANTS, SAID_GRANTS.c.digest == known.c.digest)
        .outerjoin(DATASET_SLUGS, DATASET_SLUGS.c.dataset == known.c.dataset)
        .outerjoin(CATALOGUE_OFFERS, CATALOGUE_OFFERS.c.dataset == known.c.dataset)
        .outerjoin(providers, providers.c.participant == known.c.participant)
        .outerjoin(consumers, consumers.c.participant == known.c.consumer)
    )
    joined = join_document(joined, policies, known.c.policy_hash, known.c.participant)
    query = select(
        known,
        known.c.participant.label("provider"),
        state.label("state"),
        REVOCATIONS.c.digest.label("revocation"),
        REVOCATIONS.c.block.label("revoked_block"),
        block_moment(REVOCATIONS.c.time).label("revoked_at"),
        block_moment(RETIREMENTS.c.time).label("retired_at"),
        func.coalesce(SAID_GRANTS.c.dataset_salt, DATASET_SLUGS.c.dataset_salt).label("dataset_salt"),
        _SLUG.label("slug"),
        providers.c.handle.label("provider_handle"),
        consumers.c.handle.label("consumer_handle"),
        policies.c.body.label("policy_body"),
        _request_of(known.c).label("request_digest"),
    ).select_from(joined)
    searched = (_SLUG, providers.c.handle, consumers.c.handle)
    who = (known.c.digest, known.c.participant, known.c.consumer, known.c.dataset)
    return Known(query, *who, state, known.c.stated_at, searched)


def requests_known(now: datetime) -> Known:
    """Accepted requests with names, policy, what answered them, and state."""
    requests = ACCESS_REQUESTS.c
    providers, consumers, policies = handles_as("providers"), handles_as("consumers"), documents_as("policies")
    grant, denial = _grant_of(requests), _denial_of(requests)
    state = case(
        (grant.is_not(None), "granted"),
        (denial.is_not(None), "denied"),
        (requests.valid_until <= int(now.timestamp()), "expired"),
        else_="open",
    )
    joined = (
        ACCESS_REQUESTS.join(STATEMENTS, STATEMENTS.c.digest == requests.digest)
        .outerjoin(DATASET_SLUGS, DATASET_SLUGS.c.dataset == requests.dataset)
        .outerjoin(CATALOGUE_OFFERS, CATALOGUE_OFFERS.c.dataset == requests.dataset)
        .outerjoin(providers, providers.c.participant == requests.provider)
        .outerjoin(consumers, consumers.c.participant == requests.participant)
    )
    joined = join_document(joined, policies, requests.policy_hash, requests.participant)
    query = (
        select(
            ACCESS_REQUESTS,
            requests.participant.label("consumer"),
            STATEMENTS.c.received_at.label("stated_at"),
            state.label("state"),
            grant.label("grant_digest"),
            denial.label("denial_digest"),
            _SLUG.label("slug"),
            providers.c.handle.label("provider_handle"),
            consumers.c.handle.label("consumer_handle"),
            policies.c.body.label("policy_body"),
        )
        .select_from(joined)
        .where(STATEMENTS.c.log_index.is_not(None))
    )
    searched = (_SLUG, providers.c.handle, consumers.c.handle)
    stated_at = STATEMENTS.c.received_at
    return Known(
        query, requests.digest, requests.provider, requests.participant, requests.dataset, state, stated_at, searched
    )


def _grants_known(of: Condition) -> CompoundSelect[Any]:
    """Grants in force, and those said here that are not."""
    time = block_moment(GRANTS.c.time)
    in_force = (
        select(
            *_shared(GRANTS),
            true().label("in_force"),
            false().label("refused"),
            GRANTS.c.block,
            time.label("granted_at"),
            func.coalesce(STATEMENTS.c.received_at, time).label("stated_at"),
        )
        .select_from(GRANTS.outerjoin(STATEMENTS, STATEMENTS.c.digest == GRANTS.c.digest))
        .where(of(GRANTS))
    )
    said = (
        select(
            *_shared(SAID_GRANTS),
            false().label("in_force"),
            STATEMENTS.c.refusal.is_not(None).label("refused"),
            sql_cast(null(), BigInteger).label("block"),
            sql_cast(null(), STATEMENTS.c.received_at.type).label("granted_at"),
            STATEMENTS.c.received_at.label("stated_at"),
        )
        .select_from(SAID_GRANTS.join(STATEMENTS, STATEMENTS.c.digest == SAID_GRANTS.c.digest))
        .where(
            STATEMENTS.c.log_index.is_not(None),
            ~exists().where(GRANTS.c.digest == SAID_GRANTS.c.digest),
            of(SAID_GRANTS),
        )
    )
    return in_force.union_all(said)


def _shared(table: Table) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in ("digest", "participant", "consumer", "dataset", *TERMS)]


def _judge_grant(known: Any, now_s: int) -> ColumnElement[str]:
    return case(
        (known.refused, "refused"),
        (REVOCATIONS.c.digest.is_not(None), "revoked"),
        (RETIREMENTS.c.dataset.is_not(None), "retired"),
        (known.valid_until <= now_s, "expired"),
        (~known.in_force | (known.valid_from > now_s), "pending"),
        else_="active",
    )


def _request_of(grant: Any) -> ScalarSelect[Any]:
    """The request that a grant answers: the same policy hash between the same two about the same data set."""
    requests = ACCESS_REQUESTS.alias("answered")
    same = (
        (requests.c.policy_hash == grant.policy_hash)
        & (requests.c.provider == grant.participant)
        & (requests.c.participant == grant.consumer)
        & (requests.c.dataset == grant.dataset)
    )
    return select(requests.c.digest).where(same).order_by(requests.c.digest).limit(1).scalar_subquery()


def _grant_of(request: Any) -> ColumnElement[Bytes32]:
    """The grant that answers a request: in force, or said and not refused."""

    def answers(grants: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = (
            (grants.policy_hash == request.policy_hash)
            & (grants.participant == request.provider)
            & (grants.consumer == request.participant)
            & (grants.dataset == request.dataset)
        )
        return condition

    statements = STATEMENTS.alias("granting")
    said = (
        select(SAID_GRANTS.c.digest)
        .join(statements, statements.c.digest == SAID_GRANTS.c.digest)
        .where(answers(SAID_GRANTS.c), statements.c.log_index.is_not(None), statements.c.refusal.is_(None))
        .order_by(statements.c.arrival)
        .limit(1)
        .scalar_subquery()
    )
    in_force = (
        select(GRANTS.c.digest)
        .where(answers(GRANTS.c))
        .order_by(GRANTS.c.block, GRANTS.c.position)
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(in_force, said)


def _denial_of(request: Any) -> ScalarSelect[Any]:
    statements = STATEMENTS.alias("denying")
    return (
        select(ACCESS_DENIALS.c.digest)
        .join(statements, statements.c.digest == ACCESS_DENIALS.c.digest)
        .where(
            ACCESS_DENIALS.c.request == request.digest,
            ACCESS_DENIALS.c.participant == request.provider,
            statements.c.log_index.is_not(None),
        )
        .order_by(statements.c.arrival)
        .limit(1)
        .scalar_subquery()
    )
