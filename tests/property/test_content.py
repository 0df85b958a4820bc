"""Data sets, generated: round trips, every flipped bit found, the wrong chunk named."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ledger.content import (
    CHUNK_SIZE_BYTES,
    ChunkMismatchError,
    FileState,
    Manifest,
    check_path,
    hash_bytes,
    normalize_path,
    parse_chunks,
    parse_manifest,
    prove_chunk,
    prove_file,
    scan_folder,
    verify_chunk,
    verify_file_entry,
    verify_folder,
)
from ledger.content.intake import FileIntake, verify_stream
from ledger.content.store import ContentStore
from ledger.errors import MalformedError, VerificationError
from tests.support.content import collect, flip_bit, make_bytes, pieces_of, sorted_by_bytes, write_files

MIB = CHUNK_SIZE_BYTES
DATA = make_bytes("property", 4 * MIB + 333)
ENTRY, HASHES = hash_bytes("large.bin", DATA)
SEGMENT = st.text(min_size=1, max_size=12).filter(lambda text: "/" not in text)
PATH = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)


def is_path(path: str) -> bool:
    with contextlib.suppress(MalformedError):
        check_path(path)
        return True
    return False


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    files = draw(st.dictionaries(PATH.filter(is_path), st.binary(max_size=40), min_size=1, max_size=8))
    entries = tuple(hash_bytes(path, files[path])[0] for path in sorted_by_bytes(files))
    try:
        return Manifest(entries)
    except MalformedError:
        assume(False)
        raise


@given(manifests())
def test_a_manifest_reads_as_it_was_written(manifest: Manifest) -> None:
    raw = manifest.to_bytes()
    assert parse_manifest(raw) == manifest
    assert parse_manifest(raw).to_bytes() == raw


@given(manifests(), st.data())
def test_a_flipped_bit_of_a_manifest_is_malformed_or_another_root(manifest: Manifest, data: st.DataObject) -> None:
    raw = bytearray(manifest.to_bytes())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(MalformedError):
        assert parse_manifest(bytes(raw)).content_root != manifest.content_root


@given(st.text(max_size=30))
@example("a/../b")
@example("e\u0301")
def test_a_normalized_path_stays_as_it_is(text: str) -> None:
    try:
        path = normalize_path(text)
    except MalformedError:
        return
    check_path(path)
    assert normalize_path(path) == path
    assert not Path(path).is_absolute()
    assert ".." not in Path(path).parts


@given(manifests())
def test_every_file_is_proved_alone(manifest: Manifest) -> None:
    for entry in manifest.files:
        verify_file_entry(prove_file(manifest, entry.path), manifest.content_root)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 7))
@example(0, 0)
@example(MIB - 1, 7)
@example(MIB, 0)
@example(len(DATA) - 1, 7)
def test_a_flipped_bit_is_found_and_its_chunk_named(position: int, bit: int) -> None:
    wrong = bytearray(DATA)
    wrong[position] ^= 1 << bit
    index = position // MIB
    chunk = bytes(wrong[index * MIB : (index + 1) * MIB])
    with pytest.raises(VerificationError):
        verify_chunk(ENTRY, index, chunk, prove_chunk(ENTRY, HASHES, index))
    with pytest.raises(ChunkMismatchError) as caught:
        asyncio.run(collect(verify_stream(FileIntake(ENTRY, HASHES), pieces_of(bytes(wrong)))))
    assert caught.value.chunk == index
    assert caught.value.first_byte <= position <= caught.value.last_byte


FILES = {"a/large.bin": DATA, "a/exact.bin": DATA[: 2 * MIB], "b.csv": b"hour,mwh\n" * 99}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("content"), FILES)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_flipped_bit_on_the_disk_is_found_and_its_chunk_named(folder: Path, data: st.DataObject) -> None:
    content = scan_folder(folder)
    path = data.draw(st.sampled_from(sorted(FILES)))
    position = data.draw(st.integers(0, len(FILES[path]) - 1))
    bit = data.draw(st.integers(0, 7))
    flip_bit(folder / path, position, bit)
    try:
        report = verify_folder(folder, content.manifest, parse_chunks(content.chunks.to_bytes(), content.manifest))
    finally:
        flip_bit(folder / path, position, bit)
    (finding,) = report.in_state(FileState.CHANGED)
    assert (finding.path, finding.chunk) == (path, position // MIB)
    assert len(report.in_state(FileState.MATCHED)) == len(FILES) - 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2 * MIB + 50), st.integers(1, 3 * MIB), st.data())
@example(MIB, MIB, None)
def test_the_store_gives_back_any_range_of_any_file(size: int, piece: int, data: st.DataObject | None) -> None:
    content = DATA[:size]
    entry, hashes = hash_bytes("x", content)
    first = data.draw(st.integers(0, size)) if data else 0
    last = data.draw(st.integers(first - 1, max(size - 1, first - 1))) if data else size - 1

    async def round_trip(store: ContentStore) -> bytes:
        await store.put_file(entry, pieces_of(content, piece), hashes)
        return await collect(await store.open_file(entry, first, last))

    with tempfile.TemporaryDirectory() as place:
        assert asyncio.run(round_trip(ContentStore.open(place))) == content[first : last + 1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 7))
def test_a_bit_flipped_in_the_store_is_never_sent(position: int, bit: int) -> None:
    sent = bytearray()

    async def serve(store: ContentStore, stored: Path) -> None:
        await store.put_file(ENTRY, pieces_of(DATA), HASHES)
        flip_bit(stored, position, bit)
        async for piece in await store.open_file(ENTRY):
            sent.extend(piece)

    with tempfile.TemporaryDirectory() as place:
        name = ENTRY.sha256.hex()
        with pytest.raises(VerificationError, match=f"chunk {position // MIB} of"):
            asyncio.run(serve(ContentStore.open(place), Path(place) / "files" / name[:2] / name))
    assert sent == DATA[: position // MIB * MIB]
