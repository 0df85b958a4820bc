"""Datasets: versions, lineage, manifests."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.answers import PagingOf, answer_page, answer_stamped, file_headers
from api.auth import GatewayOf, Reader
from api.bodies import MAX_MANIFEST_BYTES
from api.names import DatasetPath, Since
from api.writes import add_custodial_write
from ledger.exchange import Stamped
from ledger.exchange.intents import DatasetRegistrationIntent, DatasetRetirementIntent

__all__ = ["VersionPath", "router"]

router = APIRouter(prefix="/v1", tags=["datasets"])

VersionPath = Annotated[int, Path(ge=1, le=2**63 - 1, description="version, from 1")]


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


add_custodial_write(
    router, "/datasets", DatasetRegistrationIntent, "Register the next version of a dataset", MAX_MANIFEST_BYTES
)
add_custodial_write(router, "/dataset-retirements", DatasetRetirementIntent, "Retire a dataset")
