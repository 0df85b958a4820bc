"""What a sealing consists of, as its provider tells: checked against what is registered and stated, and kept.

It is kept beside the good chunks, so that a key that is released later opens them, whatever became of the sealing at
its provider since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.client.flow import Flow, Request
from ledger.client.sealed_files import PullState
from ledger.content import ChunkIndex, Manifest, compute_content_hash, parse_chunks, parse_manifest
from ledger.content.sealing import (
    MAX_DESCRIPTOR_SIZE_BYTES,
    SealingDescriptor,
    parse_sealed_leaves,
    parse_sealing,
)
from ledger.errors import VerificationError
from ledger.merkle import HASH_SIZE_BYTES
from ledger.statements import Statement
from ledger.surface.transfers import TransferView

__all__ = ["Described", "describe", "expect_same", "fetch_part", "load_part"]

FetchPart = Callable[[str, int], Flow[bytes]]
"""Where ``manifest``, ``chunks``, ``sealing`` and ``leaves`` come from, each with at most so many bytes."""

_MOST_OF_LIST: Final = 64 << 20
"""No gateway takes a registration whose manifest and chunk hashes are larger."""


@dataclass(frozen=True)
class Described:
    """What is about to be received: checked against each other and against what is registered."""

    manifest: Manifest
    chunks: ChunkIndex | None
    descriptor: SealingDescriptor
    leaves: tuple[bytes, ...]


def describe(view: TransferView, fetch: FetchPart) -> Flow[Described]:
    """What is delivered by a transfer.

    Raises:
        VerificationError, MalformedError: it is not what is registered, or not what the ``Sealing`` states.
        Others as ``fetch``.
    """
    manifest = parse_manifest((yield from fetch("manifest", _MOST_OF_LIST)))
    found = compute_content_hash(view.version_salt, manifest.content_root)
    expect_same("the manifest is not the one registered: nothing was fetched", view.content_hash, found)
    chunks = None
    if any(entry.chunk_count > 1 for entry in manifest.files):
        chunks = parse_chunks((yield from fetch("chunks", _MOST_OF_LIST)), manifest)
    descriptor = parse_sealing((yield from fetch("sealing", MAX_DESCRIPTOR_SIZE_BYTES)))
    message: Any = Statement.parse("Sealing", dict(view.sealing.message)).message
    descriptor.check_statement(message["keyCommitment"], message["ciphertextRoot"], message["ciphertextSize"])
    descriptor.check_manifest(manifest)
    raw = yield from fetch("leaves", descriptor.chunk_count * HASH_SIZE_BYTES)
    leaves: list[bytes] = []
    for first, file in zip(descriptor.first_chunks, descriptor.files, strict=True):
        place = first * HASH_SIZE_BYTES
        leaves.extend(parse_sealed_leaves(file, raw[place : place + file.chunk_count * HASH_SIZE_BYTES]))
    return Described(manifest, chunks, descriptor, tuple(leaves))


def fetch_part(state: PullState, view: TransferView) -> FetchPart:
    """From the provider; what comes is kept with ``state``."""

    def fetch(name: str, most_bytes: int) -> Flow[bytes]:
        raw = (yield Request("GET", f"/v1/transfers/{view.id}/{name}", most_bytes=most_bytes)).content
        state.keep(name, raw)
        return raw

    return fetch


def load_part(state: PullState) -> FetchPart:
    """From what was kept with ``state``. Raises, from what it returns: OSError: it is not there."""

    def load(name: str, _most_bytes: int) -> Flow[bytes]:
        yield from ()  # a flow, as the other is
        return state.load(name)

    return load


def expect_same(what: str, expected: object, found: object) -> None:
    """Raise VerificationError, which says ``what``, unless both are the same."""
    if expected != found:
        raise VerificationError(what, expected=str(expected), found=str(found))
