"""Datasets: versions, lineage, manifests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from api.answers import PagingOf, answer_as_of, answer_page, answer_stamped, file_headers, members_of
from api.auth import GatewayOf, Reader, Writer
from api.bodies import MAX_MANIFEST_BYTES, IdempotencyKey, RawBody, intent_of, schema_of
from api.names import DatasetPath, Since
from api.writes import WaitFor, add_custodial_write, finish
from ledger.canonical import JsonValue
from ledger.exchange import Announce, Outcome, Stamped
from ledger.exchange.intents import DatasetRegistrationIntent, DatasetRetirementIntent, ErasureIntent
from ledger.exchange.intents.intent import DEFAULT_DEADLINE_S
from ledger.surface.codec import dump_json, parse_json
from ledger.surface.lifting import LiftState, LiftView
from ledger.types import Address, Bytes32, parse_hex

__all__ = ["VersionPath", "router"]

router = APIRouter(prefix="/v1", tags=["datasets"])

VersionPath = Annotated[int, Path(ge=1, le=2**63 - 1, description="version, from 1")]


@dataclass(frozen=True, kw_only=True)
class LiftSignature:
    """A signature of the registration's digest by a key that is active now, r || s || v in hex, and its address."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    signer: Address
    signature: str


@dataclass(frozen=True, kw_only=True)
class ErasureForm:
    """Why the version is erased; ``registration``, where it is given, must be the digest of its registration."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    reason: str
    registration: Bytes32 | None = None
    deadline_s: int = DEFAULT_DEADLINE_S


_LIFT_SIGNATURE: Final = schema_of(LiftSignature)
_LIFT_SIGNATURE["requestBody"]["required"] = False


@router.get("/datasets", summary="Search the datasets")
def list_datasets(
    gateway: GatewayOf,
    asker: Reader,
    paging: PagingOf,
    since: Since,
    role: Annotated[str | None, Query(description="provider or consumer")] = None,
    provider: Annotated[str | None, Query(max_length=200, description="provider's id or handle")] = None,
    state: Annotated[str | None, Query(description="active or retired")] = None,
    text: Annotated[str | None, Query(max_length=200, description="in slug, title, description, keywords")] = None,
) -> Response:
    """With what the latest version says of each."""
    page = gateway.datasets.list(asker, paging, role=role, provider=provider, state=state, text=text, since=since)
    return answer_page(page)


@router.get("/datasets/{dataset}", summary="One dataset")
def get_dataset(gateway: GatewayOf, asker: Reader, dataset: DatasetPath) -> Response:
    """By id, or `provider~slug`."""
    return answer_stamped(gateway.datasets.get(asker, dataset))


@router.get("/datasets/{dataset}/versions", summary="Its versions")
def list_versions(gateway: GatewayOf, asker: Reader, dataset: DatasetPath, paging: PagingOf) -> Response:
    """Latest first."""
    return answer_page(gateway.datasets.versions(asker, dataset, paging))


@router.get("/datasets/{dataset}/versions/{version}", summary="One version")
def get_version(gateway: GatewayOf, asker: Reader, dataset: DatasetPath, version: VersionPath) -> Response:
    """With its registration, hashes and parents."""
    return answer_stamped(gateway.datasets.version(asker, dataset, version))


@router.get("/datasets/{dataset}/versions/{version}/lineage", summary="What it is derived from")
def get_lineage(gateway: GatewayOf, asker: Reader, dataset: DatasetPath, version: VersionPath) -> Response:
    """A tree, parent by parent."""
    return answer_stamped(gateway.datasets.lineage(asker, dataset, version))


@router.get("/datasets/{dataset}/versions/{version}/descendants", summary="What is derived from it")
def list_descendants(
    gateway: GatewayOf, asker: Reader, dataset: DatasetPath, version: VersionPath, paging: PagingOf
) -> Response:
    """Versions of all generations, each once, the newest first; those that were erased too."""
    return answer_page(gateway.datasets.descendants(asker, dataset, version, paging))


@router.post(
    "/datasets/{dataset}/versions/{version}/erasure",
    summary="Erase a version",
    status_code=202,
    openapi_extra=schema_of(ErasureForm),
)
def erase_version(
    gateway: GatewayOf,
    asker: Writer,
    dataset: DatasetPath,
    version: VersionPath,
    wait_s: WaitFor,
    key: IdempotencyKey,
    form: Annotated[ErasureForm, Depends(intent_of(ErasureForm))],
) -> Response:
    """For its provider. Once the statement is in the log, keys, salt and manifest go at once, the objects soon after.

    There is no way back. Who holds its own key gives the intent `Erasure` to `/v1/statements:prepare`.
    """
    intent = ErasureIntent(
        dataset=dataset, version=version, reason=form.reason, registration=form.registration, deadline_s=form.deadline_s
    )

    def act(announce: Announce) -> Outcome:
        return gateway.statements.sign_and_submit(asker, intent, announce)

    return finish(gateway, gateway.idempotent(asker, key, ErasureIntent.TYPE.encode() + dump_json(intent), act), wait_s)


def _canonical(stamped: Stamped[bytes]) -> Response:
    return Response(stamped.value, media_type="application/json", headers=file_headers(stamped.as_of_block))


@router.get("/datasets/{dataset}/versions/{version}/manifest", summary="Its manifest, canonical JSON")
def get_manifest(gateway: GatewayOf, asker: Reader, dataset: DatasetPath, version: VersionPath) -> Response:
    """For the provider, whoever may download, and auditors."""
    return _canonical(gateway.datasets.manifest(asker, dataset, version))


@router.get("/datasets/{dataset}/versions/{version}/chunks", summary="Its chunk hashes, canonical JSON")
def get_chunks(gateway: GatewayOf, asker: Reader, dataset: DatasetPath, version: VersionPath) -> Response:
    """In the manifest's order."""
    return _canonical(gateway.datasets.chunks(asker, dataset, version))


def _answer_lift(view: LiftView, path: str, status: int) -> Response:
    links: dict[str, JsonValue] = {"self": path, "statement": f"/v1/statements/{view.registration}"}
    members = {**members_of(view), "links": links}
    return answer_as_of(members, view.as_of_block, status_code=status, headers={"Location": path})


@router.post(
    "/datasets/{dataset}/versions/{version}/lift",
    summary="Bring a registration that came in bulk into force on chain",
    status_code=202,
    openapi_extra=_LIFT_SIGNATURE,
)
def lift_version(
    gateway: GatewayOf, asker: Writer, dataset: DatasetPath, version: VersionPath, wait_s: WaitFor, raw: RawBody
) -> Response:
    """For the provider. 201 when it is in force within `Prefer: wait=N`, else 202: follow `links.self`.

    409 `lift-first` names the earlier version and the parents that come first. 409 `no-active-key`: the key that signed
    is not active any more; send a signature of the same digest by one that is.
    """
    body = parse_json(LiftSignature, raw) if raw else None
    given = None if body is None else (body.signer, parse_hex(body.signature))
    view = gateway.lifting.ask(asker, dataset, version, given=given, wait_s=float(wait_s))
    status = 201 if view.state is LiftState.FINAL else 202
    return _answer_lift(view, f"/v1/datasets/{dataset.replace('/', '~')}/versions/{version}/lift", status)


@router.get("/datasets/{dataset}/versions/{version}/lift", summary="How far a version is on its way into force")
def get_lift(gateway: GatewayOf, _asker: Reader, dataset: DatasetPath, version: VersionPath) -> Response:
    """404 while it is not in force and nobody asked for it."""
    path = f"/v1/datasets/{dataset.replace('/', '~')}/versions/{version}/lift"
    return _answer_lift(gateway.lifting.newest(dataset, version), path, 200)


add_custodial_write(
    router, "/datasets", DatasetRegistrationIntent, "Register the next version of a dataset", MAX_MANIFEST_BYTES
)
add_custodial_write(router, "/dataset-retirements", DatasetRetirementIntent, "Retire a dataset")
