"""A consortium for tests: three founders in a folder, a gateway that runs, and keys to ask with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger.canonical import JsonValue, parse_canonical
from ledger.chain import LocalSigner
from ledger.content import ChunkIndex, Manifest, hash_bytes
from ledger.exchange import (
    Asker,
    Founded,
    Founder,
    FoundingPlan,
    Gateway,
    GatewaySettings,
    Outcome,
    Scope,
    State,
)
from ledger.exchange.intents import DatasetRegistrationIntent, Intent, ParentName
from ledger.exchange.signatures import sign_statement
from ledger.keyfiles import read_key_file
from ledger.surface.outcomes import InForce, SignedStatement
from ledger.types import Bytes32
from tests.support.founded import found_once

__all__ = [
    "HANDLES",
    "PASSPHRASE",
    "Consortium",
    "content_of",
    "found_in",
    "open_gateway",
    "plan_of",
    "read_all",
    "registration",
    "soon",
    "upload",
]

HANDLES = ("manufacturer", "utility", "analyst")
PASSPHRASE = "correct horse"
SCOPES = frozenset({Scope.READ, Scope.WRITE})


def plan_of(*, owners: Path | None = None) -> FoundingPlan:
    """Three founders, threshold two; the analyst holds its own signing key."""
    return FoundingPlan(
        founders=tuple(
            Founder({"handle": each, "name": each.title()}, custodial=each != "analyst") for each in HANDLES
        ),
        threshold=2,
        origin="gateway.example/log",
        passphrase=PASSPHRASE,
        owners_folder=owners,
        kdf_cost=2,
    )


def found_in(home: Path) -> Founded:
    """The consortium, founded in ``home`` or copied there (`found_once`)."""
    return found_once(home, plan_of())


@dataclass
class Consortium:
    """A running gateway and who asks it."""

    gateway: Gateway
    founded: Founded

    def asker(self, handle: str, *more: Scope) -> Asker:
        """The bearer of a key of that participant."""
        return Asker(self.founded.participants[handle], SCOPES | frozenset(more), "test")

    def state(self, who: str | Asker, intent: Intent) -> Outcome:
        """State with a custodial key and wait until it is final and, where a contract executes it, in force."""
        asker = self.asker(who) if isinstance(who, str) else who
        outcome = self.gateway.statements.sign_and_submit(asker, intent)
        return self.finish(outcome)

    def sign(self, who: str | Asker, intent: Intent, signer: LocalSigner) -> SignedStatement:
        """Prepare and sign with a key of the client's own."""
        asker = self.asker(who) if isinstance(who, str) else who
        statement = self.gateway.statements.prepare(asker, intent).statement
        return SignedStatement(statement, sign_statement(signer, statement, self.gateway.parts.domains), signer.address)

    def finish(self, outcome: Outcome) -> Outcome:
        """Wait until it is final, and expect that it is not refused."""
        done = self.gateway.statements.wait(outcome.digest, State.FINAL, 20.0)
        assert done.state is State.FINAL, done
        assert done.in_force in {InForce.YES, InForce.NOT_APPLICABLE}, done
        return done

    def key_of(self, handle: str, role: str) -> LocalSigner:
        """An owner's key out of its file."""
        return LocalSigner(read_key_file(self.founded.key_files[f"{handle}/{role}"], PASSPHRASE))


@contextmanager
def open_gateway(home: Path, founded: Founded, **settings: object) -> Iterator[Consortium]:
    """Run a gateway in a founded home."""
    quick: dict[str, object] = {"publish_after_s": 0.0, "poll_s": 0.02, "batch_delay_s": 0.0, **settings}
    with Gateway.open(GatewaySettings(home=home, passphrase=PASSPHRASE, **quick)) as gateway:  # type: ignore[arg-type]
        yield Consortium(gateway, founded)


def content_of(files: dict[str, bytes]) -> tuple[JsonValue, JsonValue, Manifest]:
    """Manifest and chunk hashes as a client sends them."""
    hashed = [hash_bytes(path, data) for path, data in sorted(files.items())]
    manifest = Manifest(tuple(entry for entry, _ in hashed))
    chunks = ChunkIndex({entry.path: hashes for entry, hashes in hashed})
    return parse_canonical(manifest.to_bytes()), parse_canonical(chunks.to_bytes()), manifest


def registration(slug: str, files: dict[str, bytes], *parents: ParentName, version: int | None = None) -> Intent:
    """Register a version with these files."""
    manifest, chunks, _ = content_of(files)
    metadata: dict[str, JsonValue] = {
        "title": slug,
        "description": "for a test",
        "licence": "CC0-1.0",
        "contact": "data@example.org",
        "keywords": ["x"],
    }
    return DatasetRegistrationIntent(
        slug=slug, metadata=metadata, manifest=manifest, chunks=chunks, parents=parents, version=version
    )


async def _stream(data: bytes) -> AsyncIterator[bytes]:
    for first in range(0, len(data), 100_000):
        yield data[first : first + 100_000]


def upload(consortium: Consortium, who: str, name: str, version: int, path: str, data: bytes) -> bool:
    """Send a file's bytes."""
    asker = consortium.asker(who)
    stored = asyncio.run(consortium.gateway.datasets.upload(asker, name, version, path, _stream(data)))
    return stored.value.uploaded


def read_all(
    consortium: Consortium,
    who: str,
    name: str,
    version: int,
    path: str,
    *,
    grant: Bytes32 | None = None,
    first: int = 0,
    last: int | None = None,
) -> bytes:
    """Download a file, or a part of it."""

    async def read() -> bytes:
        download = await consortium.gateway.datasets.download(
            consortium.asker(who), name, version, path, grant=grant, first=first, last=last
        )
        return b"".join([piece async for piece in download.pieces])

    return asyncio.run(read())


def soon(**delta: float) -> datetime:
    """A moment from now."""
    return datetime.now(UTC) + timedelta(**delta)
