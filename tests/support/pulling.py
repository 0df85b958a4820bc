"""A version that is delivered over HTTP to a consumer that holds its own keys, and what can go wrong on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.canonical import JsonValue
from ledger.client import Client, access, datasets, statements, transfers
from ledger.client.flow import Flow
from ledger.client.sealed_files import KeptTransfer, load_state
from ledger.client.signed import signed
from ledger.client.transfers import Consumer, Pulled
from ledger.content import scan_folder
from ledger.errors import (
    UnavailableError,
)
from ledger.surface.views import VersionView
from ledger.types import Bytes32
from tests.support.content import make_bytes
from tests.support.world import METADATA, WAIT_S, Member, World, serving

__all__ = [
    "FILES",
    "OtherBytes",
    "Spoilt",
    "Stage",
    "Wire",
    "found_in",
    "interrupt",
    "left_in",
    "load_receipt_deadline",
    "load_state_of",
    "sell",
    "stage",
]

FILES = {"a.csv": b"hour,mwh\n0,12.5\n", "deep/empty": b"", "large.bin": make_bytes("large", (2 << 20) + 5)}


@dataclass
class Stage:
    """A gateway, a provider whose keys it holds, a consumer that holds its own, and what was granted."""

    world: World
    provider: Member
    consumer: Member
    version: VersionView
    grant: Bytes32

    @property
    def party(self) -> Consumer:
        return Consumer(self.consumer.id, self.provider.id, self.consumer.identity)

    def reseal(self) -> None:
        """Seal the version under a new key."""
        asyncio.run(self.world.gateway.sealings.replace(self.version.registration))

    def last_release(self, state: Path) -> Bytes32:
        """Digest of the key's release, whatever it is worth."""
        view = self.consumer.client.run(transfers.show(load_state(state).transfer))
        assert view.release is not None
        return view.release.digest

    def pull(
        self,
        folder: Path,
        *,
        by_signature: bool = True,
        client: Client | None = None,
        consumer: Consumer | None = None,
        **more: Any,
    ) -> Pulled:
        flow = transfers.pull(self.version, folder, consumer or self.party, **more)
        if not by_signature:
            return self.consumer.client.run(flow)
        with client or Client(self.world.url) as elsewhere:
            return elsewhere.run(signed(flow, self.world.url, self.consumer.id, self.consumer.signing))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with serving(tmp_path_factory.mktemp("transfers")) as world:
        provider, consumer = world.enroll("utility", custodial=True), world.enroll("analyst")
        profile: JsonValue = {"handle": "utility", "name": "Utility", "endpoint": world.url}
        provider.client.run(statements.state("ProfileUpdate", {"profile": profile}, wait_s=WAIT_S))
        yield sell(world, provider, consumer, "power")


def sell(world: World, provider: Member, consumer: Member, slug: str) -> Stage:
    """A version of that name, registered by the provider and granted to the consumer."""
    folder = world.folder / "staged" / slug
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    made = provider.client.run(datasets.register(folder, scan_folder(folder), "utility", slug, METADATA))
    provider.client.run(statements.wait(made.digest))
    terms = {"purpose": "ResearchAndDevelopment", "rights": ["read"], "valid_until": datetime.now(UTC) + timedelta(1)}
    granted = provider.client.run(access.grant(f"utility/{slug}", "analyst", None, **terms, wait_s=WAIT_S))  # type: ignore[arg-type]  # by name
    version = consumer.client.run(datasets.version(f"utility/{slug}", 1))
    return Stage(world, provider, consumer, version, granted.digest)


def found_in(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def left_in(folder: Path) -> set[str]:
    """Names of what an unfinished pull left, without what describes the sealing."""
    return {Path(name).name for name in found_in(folder) if Path(name).parent.name != "described"}


class Wire(httpx.BaseTransport):
    """The way to the gateway, which does to a download what a test says."""

    def __init__(self, spoil: object) -> None:
        self.inner = httpx.HTTPTransport()
        self.spoil = spoil
        self.ranges: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if not request.url.path.endswith("/data") or response.status_code >= 400:
            return response
        self.ranges.append(request.headers["range"])
        body = response.read()
        response.close()
        return httpx.Response(response.status_code, headers=response.headers, stream=Spoilt(self.spoil(body)))  # type: ignore[operator]  # a function

    def close(self) -> None:
        self.inner.close()


class Spoilt(httpx.SyncByteStream):
    """Pieces of a body; where it ends early, the connection is broken."""

    def __init__(self, pieces: list[bytes | None]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if piece is None:
                raise httpx.ReadError("cut")
            yield piece


class OtherBytes:
    """Encrypts zeros, whatever it is given; opens as ever."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.decrypt = self._cipher.decrypt

    def encrypt(self, nonce: bytes, data: bytes, associated: None) -> bytes:
        return self._cipher.encrypt(nonce, bytes(len(data)), associated)


def load_state_of(folder: Path) -> KeptTransfer:
    """What a pull into the folder keeps of its transfer."""
    return load_state(next(folder.glob(".concord-pull/*/state.json")))


def load_receipt_deadline(state: Path) -> int:
    """Until when the receipt of a kept transfer may be logged."""
    return int(json.loads(state.read_bytes())["receipt"]["message"]["deadline"])


def _interrupted(flow: Flow[Pulled], *, is_sent: bool) -> Flow[Pulled]:
    """A pull that is cut off at its receipt: before that is sent, or before the answer is there."""
    request = next(flow)
    while True:
        if request.path.endswith("/receipt") and not is_sent:
            raise UnavailableError("cut off")
        answer = yield request
        if request.path.endswith("/receipt"):
            raise UnavailableError("cut off")
        request = flow.send(answer)


def interrupt(stage: Stage, folder: Path, *, is_sent: bool, **more: Any) -> KeptTransfer:
    """A pull that ends with its receipt, which arrived or did not."""
    flow = transfers.pull(stage.version, folder, stage.party, **more)
    with pytest.raises(UnavailableError):
        stage.consumer.client.run(_interrupted(flow, is_sent=is_sent))
    return load_state(next(folder.rglob("state.json")))
