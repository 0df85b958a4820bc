"""Versions sealed, stated, replaced and destroyed by a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.content import parse_manifest
from ledger.content.sealing_files import FileOpener, open_chunks
from ledger.content.sealing_proofs import verify_sealed_chunk, verify_sealed_file
from ledger.errors import ConflictError, NotFoundError
from ledger.exchange.sealed_version import SealedVersion
from ledger.merkle import leaf_hash
from ledger.types import Bytes32
from tests.support.content import make_bytes
from tests.support.exchange import Consortium, found_in, open_gateway, registration, upload

FILES = {
    "a.csv": b"hour,mwh\n0,12.5\n",
    "empty": b"",
    "large.bin": make_bytes("large", (2 << 20) + 5),
}


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("sealings") / "home"
    with open_gateway(home, found_in(home)) as opened:
        yield opened


def register(consortium: Consortium, slug: str) -> Bytes32:
    outcome = consortium.state("utility", registration(slug, FILES))
    for path, data in FILES.items():
        upload(consortium, "utility", f"utility/{slug}", 1, path, data)
    return outcome.digest


async def collect(sealed: SealedVersion, position: int) -> list[bytes]:
    return [chunk async for chunk in sealed.read_chunks(position)]


def open_all(consortium: Consortium, sealed: SealedVersion) -> dict[str, bytes]:
    key = consortium.gateway.sealings.unwrap(sealed.id)
    version = consortium.gateway.parts.store.datasets.find_registration(sealed.registration)
    assert version is not None
    assert version.content_root is not None
    content = consortium.gateway.parts.store.contents.find(version.content_root)
    assert content is not None
    opened = {}
    for position, entry in enumerate(parse_manifest(content.manifest).files):
        chunks = asyncio.run(collect(sealed, position))
        opened[entry.path] = b"".join(open_chunks(FileOpener(key, entry), chunks))
    return opened


def test_a_version_is_sealed_stated_and_opens(consortium: Consortium) -> None:
    digest = register(consortium, "power")
    sealings = consortium.gateway.sealings
    assert sealings.current(digest) is None
    sealed = asyncio.run(sealings.make(digest))
    assert sealings.current(digest) == sealed == sealings.find(sealed.statement)
    assert sealings.is_current(sealed.id)
    statement = consortium.gateway.parts.directory.statement(sealed.statement, "Sealing")
    sealed.descriptor.check_statement(
        Bytes32(statement.message["keyCommitment"]),  # type: ignore[arg-type]  # a bytes32
        Bytes32(statement.message["ciphertextRoot"]),  # type: ignore[arg-type]  # as above
        statement.message["ciphertextSize"],  # type: ignore[arg-type]  # a uint64
    )
    assert open_all(consortium, sealed) == FILES
    assert asyncio.run(sealings.make(digest)) == sealed
