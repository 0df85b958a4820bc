"""One sealed chunk that was receipted, and what the registered manifest demands of it (docs/spec/evidence-delivery.md).

A chunk is at most 1 MiB and its proofs are short, so that a stranger judges it without the data set. The consumer makes
it from what it received; nothing in it is believed: it leads to the ciphertext root that was receipted, and to the
content hash that was registered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.content import ChunkIndex, FileEntry, Manifest, compute_content_hash, prove_chunk, prove_file
from ledger.content.chunks import derive_chunk_hashes
from ledger.content.manifest import parse_entry
from ledger.content.sealing import (
    SEALED_CHUNK_SIZE_BYTES,
    SealedFile,
    SealingDescriptor,
    SealingKey,
    parse_sealed_file,
)
from ledger.content.sealing_proofs import prove_sealed_chunk, prove_sealed_file, verify_sealed_chunk
from ledger.errors import MalformedError, VerificationError
from ledger.evidence.documents import Document, each_of, expect_members, expect_text, parse_number
from ledger.log.text import format_base64, parse_base64
from ledger.merkle import HASH_SIZE_BYTES, leaf_hash, node_hash, verify_inclusion
from ledger.types import Bytes32

__all__ = ["Demanded", "ShownChunk", "find_sides", "parse_shown_chunk", "read_shown_chunk", "show_chunk"]

_MAX_SIZE_BYTES: Final = 1 << 22
_SIDES: Final = re.compile(r"[lr]{0,64}\Z", re.ASCII)
_MEMBERS: Final = (
    "version_salt", "sides", "entry", "entry_proof", "sealed", "sealed_proof", "index", "ciphertext",
    "ciphertext_proof",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Demanded:
    """The hash that the manifest demands of a chunk, and its inclusion proof under the ``root`` of the file's entry."""

    hash: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ShownChunk:
    """Sealed chunk ``index`` of a file: ``ciphertext`` under the receipted root, ``demanded`` under the content root.

    The entry and the sealed file stand in the same place of two trees of the same shape. ``sides`` leads to that place
    in both, from the leaf up: ``l`` where the proof's hash stands left, else ``r``. So no consumer can show one file's
    entry with another file's ciphertext, though neither root tells how many files there are. Of an empty file nothing
    is ``demanded``.
    """

    version_salt: Bytes32
    sides: str
    entry: FileEntry
    entry_proof: tuple[bytes, ...]
    sealed: SealedFile
    sealed_proof: tuple[bytes, ...]
    index: int
    ciphertext: bytes
    ciphertext_proof: tuple[bytes, ...]
    demanded: Demanded | None

    def to_document(self) -> Document:
        """The member as JSON values."""
        document: Document = {
            "version_salt": str(self.version_salt),
            "sides": self.sides,
            "entry": self.entry.to_document(),
            "entry_proof": [format_base64(each) for each in self.entry_proof],
            "sealed": self.sealed.to_document(),
            "sealed_proof": [format_base64(each) for each in self.sealed_proof],
            "index": str(self.index),
            "ciphertext": format_base64(self.ciphertext),
            "ciphertext_proof": [format_base64(each) for each in self.ciphertext_proof],
        }
        if self.demanded is not None:
            proof: list[JsonValue] = [format_base64(each) for each in self.demanded.proof]
            document["demanded"] = {"hash": format_base64(self.demanded.hash), "proof": proof}
        return document

    def to_bytes(self) -> bytes:
        """It alone, as a consumer keeps it."""
        return encode_canonical(self.to_document())

    def verify(self, content_hash: Bytes32, ciphertext_root: Bytes32) -> None:
        """Check that it is of the registered content, and of the ciphertext.

        Raises:
            MalformedError: no tree has a proof of that shape, or a chunk that index or size.
            VerificationError: it leads to another content hash or root.
        """
        entry = self.entry
        content_root = _climb(entry.to_bytes(), self.sides, self.entry_proof)
        found = compute_content_hash(self.version_salt, content_root)
        if found != content_hash:
            raise VerificationError("the entry is not of the registered content", expected=content_hash, found=found)
        found = _climb(self.sealed.to_leaf(), self.sides, self.sealed_proof)
        if found != ciphertext_root:
            raise VerificationError(
                "the sealed file is not of the ciphertext that was receipted", expected=ciphertext_root, found=found
            )
        if self.sealed.plain_size_bytes != entry.size_bytes:  # which is seen before any receipt is given
            raise VerificationError(
                "the sealed file is not of its entry's size",
                expected=entry.size_bytes,
                found=self.sealed.plain_size_bytes,
            )
        verify_sealed_chunk(self.sealed, self.index, self.ciphertext, self.ciphertext_proof)
        if self.demanded is not None:
            demanded = self.demanded
            verify_inclusion(demanded.hash, self.index, entry.chunk_count, demanded.proof, entry.root)

    def find_wrong(self, key: SealingKey) -> str | None:
        """What is wrong with a chunk that was verified, under the sealing's key; None: it opens to what is demanded."""
        from ledger.content.sealing_files import (  # noqa: PLC0415 - loads asyncio, and few files are of this kind
            FileOpener,
            SealedChunkError,
        )

        what = f"sealed chunk {self.index} of {self.entry.path}"
        try:
            plain = FileOpener(key, self.entry).open(self.index, self.ciphertext)
        except SealedChunkError:
            return f"{what} does not open with the sealing's key"
        if self.demanded is not None and leaf_hash(plain) != self.demanded.hash:
            return f"{what} opens to other bytes than were registered"
        return None


def show_chunk(
    version_salt: Bytes32,
    manifest: Manifest,
    chunks: ChunkIndex | None,
    descriptor: SealingDescriptor,
    leaves: tuple[bytes, ...],
    number: int,
    ciphertext: bytes,
) -> ShownChunk:
    """Show chunk ``number`` of a sealing; ``leaves`` are the hashes of all its chunks. It is not opened here.

    Raises:
        ValueError: no such chunk.
        VerificationError: the ciphertext is not that of ``leaves``, or the parts do not belong together.
    """
    position, index = descriptor.locate(number)
    sealed, entry = descriptor.files[position], manifest.files[position]
    first = descriptor.first_chunks[position]
    own = leaves[first : first + sealed.chunk_count]
    if leaf_hash(ciphertext) != leaves[number]:
        raise VerificationError(f"what was kept of sealed chunk {index} of {entry.path} is not what was received")
    hashes = derive_chunk_hashes(entry) if chunks is None else chunks[entry.path]
    demanded = None
    if entry.size_bytes:
        known = hashes or ()
        demanded = Demanded(known[index], prove_chunk(entry, known, index))
    return ShownChunk(
        version_salt=version_salt,
        sides=find_sides(position, len(manifest.files)),
        entry=entry,
        entry_proof=prove_file(manifest, entry.path).hashes,
        sealed=sealed,
        sealed_proof=prove_sealed_file(descriptor, position).hashes,
        index=index,
        ciphertext=ciphertext,
        ciphertext_proof=prove_sealed_chunk(sealed, own, index),
        demanded=demanded,
    )


def find_sides(index: int, size: int) -> str:
    """On which side each hash of an inclusion proof stands, from the leaf up: RFC 9162, section 2.1.3.2."""
    fn, sn, sides = index, size - 1, ""
    while sn:
        is_left = fn & 1 == 1 or fn == sn
        sides += "l" if is_left else "r"
        while is_left and not fn & 1 and fn:  # the last node of an odd level moves up as it is
            fn, sn = fn >> 1, sn >> 1
        fn, sn = fn >> 1, sn >> 1
    return sides


def parse_shown_chunk(raw: bytes) -> ShownChunk:
    """Read what a consumer kept. Raises: MalformedError: not canonical JSON, or not of this form."""
    return read_shown_chunk(parse_canonical(raw, max_size_bytes=_MAX_SIZE_BYTES))


def read_shown_chunk(value: JsonValue) -> ShownChunk:
    """Read it from its canonical document. Raises: MalformedError."""
    demands = isinstance(value, dict) and "demanded" in value
    document = expect_members(value, "chunk", (*_MEMBERS, "demanded") if demands else _MEMBERS)
    entry, sealed = parse_entry(document["entry"]), parse_sealed_file(document["sealed"])
    if demands != (entry.size_bytes > 0):
        raise MalformedError("of a chunk its hash is demanded, and of an empty file nothing")
    sides = expect_text(document, "sides")
    if not _SIDES.match(sides):
        raise MalformedError("the sides are not letters l and r")
    ciphertext = parse_base64(expect_text(document, "ciphertext"))
    if len(ciphertext) > SEALED_CHUNK_SIZE_BYTES:
        raise MalformedError(f"a sealed chunk has at most {SEALED_CHUNK_SIZE_BYTES} bytes")
    return ShownChunk(
        version_salt=Bytes32.parse(expect_text(document, "version_salt")),
        sides=sides,
        entry=entry,
        entry_proof=each_of(document, "entry_proof", _parse_hash),
        sealed=sealed,
        sealed_proof=each_of(document, "sealed_proof", _parse_hash),
        index=parse_number(document, "index"),
        ciphertext=ciphertext,
        ciphertext_proof=each_of(document, "ciphertext_proof", _parse_hash),
        demanded=_read_demanded(document["demanded"]) if demands else None,
    )


def _read_demanded(value: JsonValue) -> Demanded:
    demanded = expect_members(value, "demanded", ("hash", "proof"))
    return Demanded(_parse_hash(expect_text(demanded, "hash")), each_of(demanded, "proof", _parse_hash))


def _climb(leaf: bytes, sides: str, proof: Sequence[bytes]) -> Bytes32:
    """The root above a leaf. Raises: MalformedError: another number of hashes than sides."""
    if len(proof) != len(sides):
        raise MalformedError(f"a proof of {len(sides)} sides has {len(proof)} hashes")
    root = leaf_hash(leaf)
    for side, each in zip(sides, proof, strict=True):
        root = node_hash(each, root) if side == "l" else node_hash(root, each)
    return Bytes32(root)


def _parse_hash(text: str) -> bytes:
    return parse_base64(text, HASH_SIZE_BYTES)
