"""A sealing's key and descriptor. Their bytes are held by the vectors: tests/conformance/test_sealing_vectors.py."""

from __future__ import annotations

import pytest

from ledger.content import CHUNK_SIZE_BYTES, MAX_FILE_SIZE_BYTES, MAX_FILES
from ledger.content.sealing import (
    MAX_DESCRIPTOR_SIZE_BYTES,
    SEALED_CHUNK_SIZE_BYTES,
    TAG_SIZE_BYTES,
    SealedFile,
    SealingDescriptor,
    SealingKey,
    WrongSealingKeyError,
    parse_sealed_leaves,
    parse_sealing,
)
from ledger.errors import MalformedError, VerificationError
from ledger.merkle import compute_root, leaf_hash
from ledger.types import Bytes32
from tests.support.content import make_entry, make_manifest

ROOT = Bytes32(bytes([7]) * 32)
COMMITMENT = Bytes32(bytes([9]) * 32)


def sealed_file(*chunks: bytes) -> tuple[SealedFile, bytes]:
    """A sealed file and the leaf hashes of its chunks, one after another."""
    leaves = [leaf_hash(chunk) for chunk in chunks]
    return SealedFile(sum(map(len, chunks)), Bytes32(compute_root(leaves))), b"".join(leaves)


def test_every_key_is_another_and_shows_nothing_of_itself() -> None:
    keys = [SealingKey.draw() for _ in range(3)]
    assert len({key.to_bytes() for key in keys}) == 3
    assert len({key.commitment for key in keys}) == 3
    for key in keys:
        assert len(key.to_bytes()) == 32
        assert key.to_bytes().hex() not in f"{key} {key!r}"
    entry = make_entry("a")
    file_keys = {key.derive_file_key(each) for key in keys for each in (entry, make_entry("b"), make_entry("a", 11))}
    assert len(file_keys) == 9


def test_a_key_is_taken_by_its_commitment() -> None:
    key = SealingKey.draw()
    assert SealingKey.opened(key.to_bytes(), key.commitment).to_bytes() == key.to_bytes()
    for secret in (SealingKey.draw().to_bytes(), b"", key.to_bytes() + b"\0", key.to_bytes()[:31]):
        with pytest.raises(WrongSealingKeyError):
            SealingKey.opened(secret, key.commitment)
    with pytest.raises(ValueError, match="32 bytes"):
        SealingKey(bytes(31))


@pytest.mark.parametrize(
    ("size", "chunks", "plain"),
    [
        (16, 1, 0),
        (17, 1, 1),
        (SEALED_CHUNK_SIZE_BYTES, 1, CHUNK_SIZE_BYTES),
        (SEALED_CHUNK_SIZE_BYTES + 17, 2, CHUNK_SIZE_BYTES + 1),
        (2 * SEALED_CHUNK_SIZE_BYTES, 2, 2 * CHUNK_SIZE_BYTES),
        (MAX_FILE_SIZE_BYTES + (1 << 33) * TAG_SIZE_BYTES, 1 << 33, MAX_FILE_SIZE_BYTES),
    ],
)
def test_a_sealed_files_size_tells_its_chunks(size: int, chunks: int, plain: int) -> None:
    file = SealedFile(size, ROOT)
    assert (file.chunk_count, file.plain_size_bytes) == (chunks, plain)
    first, last = file.chunk_span(chunks - 1)
    assert last == size - 1
    assert first == (chunks - 1) * SEALED_CHUNK_SIZE_BYTES
    for index in (-1, chunks):
        with pytest.raises(ValueError, match="no chunk"):
            file.chunk_span(index)


@pytest.mark.parametrize(
    "size",
    [
        -1,
        0,
        15,
        SEALED_CHUNK_SIZE_BYTES + 1,
        SEALED_CHUNK_SIZE_BYTES + 16,
        MAX_FILE_SIZE_BYTES + (1 << 33) * TAG_SIZE_BYTES + 17,
    ],
)
def test_some_sizes_no_sealed_file_has(size: int) -> None:
    with pytest.raises(MalformedError, match="no file has"):
        SealedFile(size, ROOT)


def test_a_descriptor_finds_every_chunk() -> None:
    sizes = (16, SEALED_CHUNK_SIZE_BYTES + 20, 30)
    descriptor = SealingDescriptor(COMMITMENT, tuple(SealedFile(size, ROOT) for size in sizes))
    assert (descriptor.chunk_count, descriptor.size_bytes) == (4, sum(sizes))
    assert descriptor.first_chunks == (0, 1, 3)
    assert descriptor.first_bytes == (0, 16, 16 + sizes[1])
    assert [descriptor.locate(chunk) for chunk in range(4)] == [(0, 0), (1, 0), (1, 1), (2, 0)]
    spans = [descriptor.chunk_span(chunk) for chunk in range(4)]
    assert spans[0][0] == 0
    assert [first for first, _ in spans[1:]] == [last + 1 for _, last in spans[:-1]]
    assert spans[-1][1] == descriptor.size_bytes - 1
    for chunk in (-1, 4):
        with pytest.raises(ValueError, match="there is no chunk"):
            descriptor.locate(chunk)


def test_a_descriptor_comes_back() -> None:
    descriptor = SealingDescriptor(COMMITMENT, (SealedFile(16, ROOT), SealedFile(99, ROOT)))
    assert parse_sealing(descriptor.to_bytes()) == descriptor
    with pytest.raises(MalformedError, match="at most"):
        parse_sealing(b" " * (MAX_DESCRIPTOR_SIZE_BYTES + 1))
    for files in ((), (SealedFile(16, ROOT),) * (MAX_FILES + 1)):
        with pytest.raises(MalformedError, match="1 to 100000 files"):
            SealingDescriptor(COMMITMENT, files)


def test_the_largest_descriptor_is_read() -> None:
    largest = SealedFile(MAX_FILE_SIZE_BYTES + (1 << 33) * TAG_SIZE_BYTES, ROOT)
    assert len(largest.to_document()["size"] or "") == 16  # type: ignore[arg-type]  # a string
    one, two = (len(SealingDescriptor(COMMITMENT, (largest,) * count).to_bytes()) for count in (1, 2))
    assert one + (two - one) * (MAX_FILES - 1) <= MAX_DESCRIPTOR_SIZE_BYTES


def test_a_descriptor_is_compared_with_manifest_and_statement() -> None:
    manifest = make_manifest("a", "b")
    descriptor = SealingDescriptor(COMMITMENT, (SealedFile(26, ROOT), SealedFile(26, ROOT)))
    descriptor.check_manifest(manifest)
    for files in ((SealedFile(26, ROOT),), (SealedFile(26, ROOT), SealedFile(27, ROOT))):
        with pytest.raises(VerificationError, match="than the manifest"):
            SealingDescriptor(COMMITMENT, files).check_manifest(manifest)
    stated = (descriptor.key_commitment, descriptor.ciphertext_root, descriptor.size_bytes)
    descriptor.check_statement(*stated)
    for other in ((ROOT, *stated[1:]), (stated[0], ROOT, stated[2]), (*stated[:2], 53)):
        with pytest.raises(VerificationError, match="than its statement"):
            descriptor.check_statement(*other)


def test_size_and_root_of_every_file_are_committed_to() -> None:
    files = (SealedFile(26, ROOT), SealedFile(27, ROOT))
    roots = {
        SealingDescriptor(COMMITMENT, each).ciphertext_root
        for each in (files, files[::-1], files[:1], (files[0], files[0]), (files[0], SealedFile(27, COMMITMENT)))
    }
    assert len(roots) == 5


def test_leaf_hashes_are_checked_against_the_files_root() -> None:
    file, raw = sealed_file(bytes(SEALED_CHUNK_SIZE_BYTES), bytes(20))
    assert b"".join(parse_sealed_leaves(file, raw)) == raw
    with pytest.raises(MalformedError):
        parse_sealed_leaves(file, raw[:-1])
    for other in (raw[:32], raw + bytes(32), raw[32:] + raw[:32], bytes(64), b""):
        with pytest.raises(VerificationError):
            parse_sealed_leaves(file, other)
