"""Statements: prepared for signing, submitted, followed, proved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.answers import (
    PagingOf,
    answer_as_of,
    answer_file,
    answer_prepared,
    answer_stamped,
    documents_members,
    outcome_members,
)
from api.auth import Applicant, GatewayOf, Reader
from api.bodies import MAX_BODY_BYTES, MAX_MANIFEST_BYTES, IdempotencyKey, read_bounded, schema_of
from api.kinds import note_waiting
from api.names import DigestPath, PinsOf, Since
from api.transfers.callers import SentOf
from api.writes import WaitFor, finish
from ledger.canonical import JsonValue, encode_canonical
from ledger.errors import MalformedError
from ledger.exchange import Asker, ForbiddenError, Scope, SignedStatement, State
from ledger.exchange.intents import INTENTS, Intent, RawIntent
from ledger.statements import STATEMENT_TYPES, Statement
from ledger.surface.codec import MOST_IN_LIST, InvalidMembersError, parse_json
from ledger.surface.forwarding import ForwardedStatement
from ledger.surface.views import StatementView
from ledger.types import Address, Bytes32, parse_hex

router = APIRouter(prefix="/v1/statements", tags=["statements"])

_MAX_APPLICATION_BYTES: Final = 64 << 10
"""The most that a key takes which may only apply: whoever holds it, nobody admitted yet."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What to prepare: a statement type and its intent, as the route of that type takes it."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    type: str
    intent: dict[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A signed statement: ``message`` as prepared, ``signature`` r || s || v in hex, ``signer`` its address."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    type: str
    message: dict[str, JsonValue]
    signature: str
    signer: Address
    cosignature: str | None = None


def _body_of(limit: int) -> Callable[[Request, Asker], Awaitable[bytes]]:
    async def read(request: Request, asker: Applicant) -> bytes:
        return await read_bounded(request, limit if asker.may(Scope.WRITE) else _MAX_APPLICATION_BYTES)

    return read


def _check_lists(message: dict[str, JsonValue]) -> None:
    for name, value in message.items():
        if isinstance(value, list) and len(value) > MOST_IN_LIST:
            raise InvalidMembersError({name[:80]: f"has {len(value)} items, more than {MOST_IN_LIST}"})


def _read_intent(preparation: Preparation) -> Intent:
    if preparation.type not in STATEMENT_TYPES:
        raise MalformedError(f"statement type {preparation.type[:64]!r} is not known; see docs/spec/statements.md")
    kind = INTENTS.get(preparation.type)
    if kind is None:
        _check_lists(preparation.intent)
        return RawIntent(type_name=preparation.type, members=preparation.intent)
    return parse_json(kind, encode_canonical(preparation.intent))


def _require_applicant(asker: Asker, type_name: str) -> None:
    if not asker.may(Scope.WRITE) and type_name != "ParticipantApplication":
        raise ForbiddenError(
            "a key with scope apply files a ParticipantApplication and nothing else", code="missing-scope"
        )


@router.post(
    ":prepare",
    summary="Build a statement to be signed by its participant's own key",
    openapi_extra=schema_of(Preparation),
)
def prepare(
    gateway: GatewayOf,
    asker: Applicant,
    raw: Annotated[bytes, Depends(_body_of(MAX_MANIFEST_BYTES))],
) -> Response:
    """Sign `digest`, or give `typed_data` to a wallet; then submit. Its documents are kept for 24 hours."""
    body = parse_json(Preparation, raw)
    _require_applicant(asker, body.type)
    intent = _read_intent(body)
    return answer_prepared(gateway.statements.prepare(asker, intent))


@router.post("", summary="Submit a signed statement", status_code=202, openapi_extra=schema_of(Submission))
def submit(
    gateway: GatewayOf,
    asker: Applicant,
    raw: Annotated[bytes, Depends(_body_of(MAX_BODY_BYTES))],
    wait_s: WaitFor,
    key: IdempotencyKey,
) -> Response:
    """Checked, simulated against the chain, then logged durably: the answer is its receipt."""
    body = parse_json(Submission, raw)
    _require_applicant(asker, body.type)
    _check_lists(body.message)
    signed = SignedStatement(
        Statement.parse(body.type, body.message),
        parse_hex(body.signature),
        body.signer,
        None if body.cosignature is None else parse_hex(body.cosignature),
    )
    outcome = gateway.idempotent(asker, key, raw, lambda _: gateway.statements.submit(asker, signed))
    return finish(gateway, outcome, wait_s)


@router.put(
    "/{digest}",
    summary="Bring a statement that another gateway took, to its addressee's",
    status_code=202,
    openapi_extra=schema_of(ForwardedStatement),
)
def put_statement(gateway: GatewayOf, sent: SentOf, digest: DigestPath) -> Response:
    """An `AccessRequest` to its provider's gateway, an `AccessDenial` to its consumer's (docs/spec/forwarding.md).

    By a request that an active participant signed; the statement's own signature is what counts.
    """
    forwarded = parse_json(ForwardedStatement, sent.body)
    return finish(gateway, gateway.forwarding.taking.take(sent.caller, digest, forwarded), 0)


def _view_members(view: StatementView) -> dict[str, JsonValue]:
    return {
        **outcome_members(view.outcome),
        "message": view.message,
        "signer": str(view.signer),
        "signature": "0x" + view.signature.hex(),
        "cosignature": None if view.cosignature is None else "0x" + view.cosignature.hex(),
        "documents": documents_members(view.documents),
    }


@router.get("", summary="Statements that the asker signed or that name it")
def list_statements(
    gateway: GatewayOf,
    asker: Reader,
    paging: PagingOf,
    since: Since,
    type_name: Annotated[str | None, Query(alias="type", max_length=64, description="statement type")] = None,
) -> Response:
    """All, for scope audit."""
    if type_name is not None and type_name not in STATEMENT_TYPES:
        raise MalformedError(f"type: there is no statement type {type_name!r}; see docs/spec/statements.md")
    page = gateway.statements.list(asker, paging, type_name=type_name, since=since)
    items: list[JsonValue] = [_view_members(view) for view in page.items]
    return answer_as_of({"items": items, "next": page.next}, page.as_of_block)


@router.get("/{digest}", summary="A statement and what became of it")
def get_statement(
    request: Request,
    gateway: GatewayOf,
    asker: Reader,
    digest: DigestPath,
    wait: Annotated[int, Query(ge=0, le=60, description="hold the answer up to N seconds until it is so far")] = 0,
    until: Annotated[State, Query(alias="for", description="how far `wait` waits")] = State.FINAL,
) -> Response:
    """Readable by its signer, the parties it names and auditors."""
    view = gateway.statements.get(asker, digest)
    if wait:
        note_waiting(request)
        gateway.statements.wait(digest, until, float(wait))
        view = gateway.statements.get(asker, digest)
    return answer_as_of(_view_members(view), view.outcome.as_of_block)


@router.get("/{digest}/receipt", summary="Its receipt: a C2SP tlog-proof", response_class=Response)
def get_receipt(gateway: GatewayOf, asker: Reader, digest: DigestPath) -> Response:
    """Index, inclusion proof and the signed checkpoint of its batch."""
    return Response(gateway.statements.receipt(asker, digest), media_type="text/plain; charset=utf-8")


@router.get("/{digest}/evidence", summary="Its evidence, for scripts/verify_provenance.py")
def get_evidence(
    gateway: GatewayOf,
    asker: Reader,
    digest: DigestPath,
    pins: PinsOf,
    chunks: Annotated[bool, Query(description="with the chunk hashes of its files")] = True,
    upgrade: Annotated[
        bool, Query(description="with a link to the newest checkpoint anchored within the pins")
    ] = False,
) -> Response:
    """409 `not-final` with Retry-After until it is final."""
    raw = gateway.statements.evidence(asker, digest, pins=pins, chunks=chunks, upgrade=upgrade)
    return answer_file(raw, f"{digest.hex()}.json")


documents = APIRouter(prefix="/v1/documents", tags=["statements"])


@documents.get("/{hash}", summary="A document by its salted hash")
def get_document(
    gateway: GatewayOf, asker: Reader, document_hash: Annotated[str, Path(alias="hash", description="0x-hex")]
) -> Response:
    """Readable by those who may read a statement that carries the hash."""
    return answer_stamped(gateway.statements.document(asker, Bytes32.parse(document_hash)))
