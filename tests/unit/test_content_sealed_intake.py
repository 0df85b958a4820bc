"""Ciphertext taken in without its key is described as whoever sealed it described it, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ledger.content import ChunkIndex, Manifest, hash_bytes
from ledger.content.sealed_intake import CiphertextIntake
from ledger.content.sealing import SealingDescriptor, SealingKey
from ledger.content.sealing_version import VersionSealer
from ledger.errors import MalformedError
from tests.support.content import make_bytes

FILES = {"a": b"a", "empty": b"", "large": make_bytes("large", (1 << 20) + 3)}
HASHED = [hash_bytes(path, data) for path, data in FILES.items()]
MANIFEST = Manifest(tuple(entry for entry, _ in HASHED))
SEALER = VersionSealer(SealingKey.draw(), MANIFEST, ChunkIndex({entry.path: hashes for entry, hashes in HASHED}))


async def _pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for first in range(0, len(data), size):
        yield data[first : first + size]
    yield b""  # as a request's body ends


async def _seal() -> list[bytes]:
    return [chunk async for chunk in SEALER.seal(_open)]


async def _open(entry: object) -> AsyncIterator[bytes]:
    return _pieces(FILES[entry.path], 100_000)  # type: ignore[attr-defined]  # a FileEntry


CHUNKS = asyncio.run(_seal())
SEALED: SealingDescriptor = SEALER.finish()


def take(data: bytes, size: int = 99_991) -> tuple[CiphertextIntake, list[bytes]]:
    async def run() -> list[bytes]:
        return [chunk async for chunk in intake.take(_pieces(data, size))]

    intake = CiphertextIntake(MANIFEST)
    return intake, asyncio.run(run())


@pytest.mark.parametrize("size", [7_001, 1 << 22])
def test_it_is_described_as_it_was_sealed(size: int) -> None:
    intake, chunks = take(b"".join(CHUNKS), size)
    assert chunks == CHUNKS
    assert intake.finish(SEALED.key_commitment) == SEALED
    assert intake.leaves == SEALER.leaves
    assert intake.size_bytes == SEALED.size_bytes


def test_changed_ciphertext_has_another_root() -> None:
    data = bytearray(b"".join(CHUNKS))
    data[-1] ^= 1
    intake, _ = take(bytes(data))
    assert intake.finish(SEALED.key_commitment).ciphertext_root != SEALED.ciphertext_root


@pytest.mark.parametrize(("data", "words"), [(b"".join(CHUNKS)[:-1], "fewer"), (b"".join(CHUNKS) + b"x", "more"),
                                            (b"".join(CHUNKS) + bytes(1 << 20), "more"), (b"", "fewer")])  # fmt: skip
def test_another_size_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        take(data)


def test_what_was_not_taken_is_not_described() -> None:
    with pytest.raises(RuntimeError):
        CiphertextIntake(MANIFEST).finish(SEALED.key_commitment)
