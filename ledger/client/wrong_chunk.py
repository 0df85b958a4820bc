"""What is kept of a receipted chunk that the released key does not open to what was registered: evidence of that.

FOLDER/.concord-pull/<registration>/wrong-chunk.json     as ledger.evidence.shown_chunk has it
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from ledger.client.choosing import Part, runs_of
from ledger.client.described import Described
from ledger.client.sealed_files import PullState
from ledger.content import ChunkMismatchError
from ledger.content.sealing import SealingDescriptor
from ledger.content.sealing_files import SealedChunkError
from ledger.errors import VerificationError
from ledger.evidence import show_chunk
from ledger.keyfiles import replace_private_file
from ledger.types import Bytes32

__all__ = ["WRONG_CHUNK", "keeping_wrong_chunk"]

WRONG_CHUNK: Final = "wrong-chunk.json"
"""Beside a transfer's ``state.json``."""


@contextmanager
def keeping_wrong_chunk(
    state: PullState, sealed: Described, parts: Sequence[Part], version_salt: Bytes32
) -> Iterator[None]:
    """While what was received is opened with the sealing's key: the first wrong chunk is kept, with its proofs.

    Raises:
        VerificationError: what the opening raised, and for what evidence was kept.
        OSError: the disk does not take it.
    """
    try:
        yield
    except (SealedChunkError, ChunkMismatchError) as error:
        manifest, descriptor = sealed.manifest, sealed.descriptor
        number = descriptor.first_chunks[manifest.find(error.path)[0]] + error.chunk
        ciphertext = _read_chunk(state, descriptor, runs_of(parts, descriptor), number)
        shown = show_chunk(version_salt, manifest, sealed.chunks, descriptor, sealed.leaves, number, ciphertext)
        replace_private_file(state.folder / WRONG_CHUNK, shown.to_bytes())
        raise VerificationError(
            f"the provider delivered something else than it registered: {error}. {state.folder / 'state.json'} is what "
            "evidence of that is made from: concord transfer breach",
            expected=error.expected,
            found=error.found,
        ) from error


def _read_chunk(state: PullState, descriptor: SealingDescriptor, runs: Sequence[range], number: int) -> bytes:
    """Where it lies among those that were fetched, which lie one after another."""
    place = 0
    for run in runs:
        begin = descriptor.chunk_span(run[0])[0]
        if number in run:
            first, last = descriptor.chunk_span(number)
            with state.sealed_file.open("rb") as source:
                source.seek(place + first - begin)
                return source.read(last - first + 1)
        place += descriptor.chunk_span(run[-1])[1] + 1 - begin
    raise ValueError(f"chunk {number} was not fetched")
