"""Evidence beyond a statement's own: contract events, attestations of grants and of the log, bundles of data sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Final

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from api.answers import answer_as_of, answer_file, disposition, members_of
from api.auth import GatewayOf, Reader
from api.bodies import RawBody, schema_of
from api.datasets.routes import VersionPath
from api.names import DatasetPath, DigestPath, PinsOf, to_utc
from api.writes import WaitFor
from ledger.canonical import JsonValue
from ledger.exchange.evidence.bundling import LeftOut
from ledger.surface.attestations import AttestationState, AttestationView
from ledger.surface.codec import parse_json

router = APIRouter(prefix="/v1", tags=["evidence"])

_PIECE_BYTES: Final = 1 << 20
_MOST_NAMED: Final = 20


@dataclass(frozen=True, kw_only=True)
class GrantText:
    """The text of a grant that never came through this gateway: ``message`` as it was signed."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    message: dict[str, JsonValue]


_GRANT_TEXT: Final = schema_of(GrantText)
_GRANT_TEXT["requestBody"]["required"] = False


def _after(
    after: Annotated[
        datetime | None,
        Query(description="RFC 3339 with its zone: an attestation later than this answers, too; without: a new one"),
    ] = None,
) -> datetime | None:
    return to_utc("after", after)


After = Annotated[datetime | None, Depends(_after)]


def _answer(view: AttestationView, path: str, *, is_asked: bool = False) -> Response:
    links: dict[str, JsonValue] = {"self": path, "evidence": f"{path}/evidence"}
    status = 200 if not is_asked else 201 if view.state is AttestationState.FINAL else 202
    headers = {"Location": path} if is_asked else {}
    return answer_as_of({**members_of(view), "links": links}, view.as_of_block, status_code=status, headers=headers)


@router.get("/events/{digest}/evidence", summary="Evidence of the contract event that shows a statement's effect")
def get_event_evidence(
    gateway: GatewayOf,
    asker: Reader,
    digest: DigestPath,
    pins: PinsOf,
    event: Annotated[
        str | None,
        Query(max_length=64, description="another event of its transaction: AgreementActivated, DecisionExecuted"),
    ] = None,
) -> Response:
    """Also of what came past every gateway. The statement's text is in it for those who may read that."""
    raw = gateway.evidence.event(asker, digest, name=event, pins=pins)
    return answer_file(raw, f"event-{digest.hex()}.json")


@router.post(
    "/grants/{digest}/attestation",
    summary="Have the chain attest a grant",
    status_code=202,
    openapi_extra=_GRANT_TEXT,
)
def attest_grant(
    gateway: GatewayOf,
    asker: Reader,
    digest: DigestPath,
    after: After,
    wait_s: WaitFor,
    raw: RawBody,
) -> Response:
    """What the contract keeps of it becomes an event, which shows offline what was permitted at any moment before.

    For provider, consumer and auditors. 201 when it is final within `Prefer: wait=N`, else 202: follow `links.self`.
    Its text is sent as `message` where it never came through this gateway.
    """
    message = parse_json(GrantText, raw).message if raw else None
    view = gateway.evidence.attest_grant(asker, digest, message=message, after=after, wait_s=float(wait_s))
    return _answer(view, f"/v1/grants/{digest}/attestation", is_asked=True)


@router.get("/grants/{digest}/attestation", summary="The newest attestation of a grant that was asked for here")
def get_grant_attestation(gateway: GatewayOf, asker: Reader, digest: DigestPath) -> Response:
    """For provider, consumer and auditors."""
    return _answer(gateway.evidence.grant_attestation(asker, digest), f"/v1/grants/{digest}/attestation")


@router.get("/grants/{digest}/attestation/evidence", summary="Evidence of a grant's newest final attestation")
def get_grant_attestation_evidence(gateway: GatewayOf, asker: Reader, digest: DigestPath, pins: PinsOf) -> Response:
    """With the grant's terms and the registry's history up to it: whether something was permitted is told from it."""
    raw = gateway.evidence.grant_attestation_evidence(asker, digest, pins=pins)
    return answer_file(raw, f"attestation-{digest.hex()}.json")


@router.post("/log/attestation", summary="Have the chain attest this gateway's log", status_code=202)
def attest_log(gateway: GatewayOf, asker: Reader, after: After, wait_s: WaitFor) -> Response:
    """Its size, root and time become an event: shows that something was not anchored by then."""
    view = gateway.evidence.attest_log(asker, after=after, wait_s=float(wait_s))
    return _answer(view, "/v1/log/attestation", is_asked=True)


@router.get("/log/attestation", summary="The newest attestation of the log that was asked for here")
def get_log_attestation(gateway: GatewayOf, _asker: Reader) -> Response:
    """State, block and time."""
    return _answer(gateway.evidence.log_attestation(), "/v1/log/attestation")


@router.get("/log/attestation/evidence", summary="Evidence of the log's newest final attestation")
def get_log_attestation_evidence(gateway: GatewayOf, _asker: Reader, pins: PinsOf) -> Response:
    """Canonical JSON, for the verifier."""
    return answer_file(gateway.evidence.log_attestation_evidence(pins=pins), "log-attestation.json")


@router.get(
    "/datasets/{dataset}/versions/{version}/evidence",
    summary="All evidence about a dataset up to a version, and its ancestors, in one file",
)
def get_bundle(
    gateway: GatewayOf,
    asker: Reader,
    dataset: DatasetPath,
    version: VersionPath,
    pins: PinsOf,
    chunks: Annotated[bool, Query(description="with the chunk hashes of their files")] = True,
    grants: Annotated[bool, Query(description="with their grants that you may know of")] = True,
) -> Response:
    """A bundle: the version, those before it, what they are derived from, their grants and the grants' attestations.

    Of registrations that you may not read it has the contract's events, which anyone may read. Beside the version and
    its ancestors, what is not final yet or outside the pins is left out and named in `Concord-Left-Out`.
    """
    left_out: list[LeftOut] = []
    raw = gateway.evidence.bundle(
        asker, dataset, version, pins=pins, chunks=chunks, grants=grants, tell=left_out.append
    )
    name = f"{dataset.replace('/', '-')}-{version}.bundle.json"
    headers = {"Content-Length": str(len(raw)), **disposition(name)}
    if left_out:
        named = [str(each) for each in left_out[:_MOST_NAMED]]
        more = [f"and {len(left_out) - _MOST_NAMED} more"] if len(left_out) > _MOST_NAMED else []
        headers["Concord-Left-Out"] = ", ".join(named + more)
    return StreamingResponse(_pieces(raw), media_type="application/json", headers=headers)


def _pieces(raw: bytes) -> Iterator[bytes]:
    for first in range(0, len(raw), _PIECE_BYTES):
        yield raw[first : first + _PIECE_BYTES]
