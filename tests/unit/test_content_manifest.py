"""Manifests: strict reading, one form, one content root."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from ledger.canonical import JsonValue, encode_canonical
from ledger.content import CHUNK_SIZE_BYTES, FileEntry, Manifest, compute_content_hash, hash_bytes, parse_manifest
from ledger.content import manifest as manifest_module
from ledger.errors import MalformedError, NotFoundError
from ledger.merkle import EMPTY_ROOT, compute_root, leaf_hash
from ledger.types import Bytes32
from tests.support.content import make_entry, make_manifest


def entry_document(**changes: JsonValue) -> dict[str, JsonValue]:
    document = make_entry("a.csv").to_document()
    document.update(changes)
    return document


def manifest_bytes(*entries: JsonValue, **changes: JsonValue) -> bytes:
    document: dict[str, JsonValue] = {"files": list(entries), "format": "concord-manifest/1"}
    document.update(changes)
    return encode_canonical(document)


def test_a_manifest_reads_as_it_was_written() -> None:
    manifest = make_manifest("a.csv", "b/c.csv", "résumé.csv")
    raw = manifest.to_bytes()
    assert parse_manifest(raw) == manifest
    assert parse_manifest(raw).content_root == manifest.content_root
    assert json.loads(raw)["files"][1] == manifest.files[1].to_document()


def test_the_content_root_is_over_the_canonical_entries_and_the_hash_over_salt_and_root() -> None:
    manifest = make_manifest("a.csv", "b.csv", "c.csv")
    leaves = [leaf_hash(encode_canonical(entry.to_document())) for entry in manifest.files]
    assert manifest.content_root == compute_root(leaves)
    salt = Bytes32(b"\x07" * 32)
    expected = hashlib.sha256(salt + manifest.content_root).digest()
    assert compute_content_hash(salt, manifest.content_root) == expected


def test_an_entry_has_the_hashes_of_its_bytes() -> None:
    data = b"x" * CHUNK_SIZE_BYTES + b"y"
    entry, leaves = hash_bytes("x.bin", data)
    assert entry.sha256 == hashlib.sha256(data).digest()
    assert leaves == (leaf_hash(data[:CHUNK_SIZE_BYTES]), leaf_hash(b"y"))
    assert entry.root == compute_root(leaves)
    assert entry.chunk_count == 2
    assert entry.chunk_span(0) == (0, CHUNK_SIZE_BYTES - 1)
    assert entry.chunk_span(1) == (CHUNK_SIZE_BYTES, CHUNK_SIZE_BYTES)
    with pytest.raises(ValueError, match="no chunk 2"):
        entry.chunk_span(2)


def test_an_empty_file_has_no_chunk_and_the_empty_root() -> None:
    entry, leaves = hash_bytes("empty", b"")
    assert (entry.size_bytes, entry.chunk_count, leaves) == (0, 0, ())
    assert entry.root == entry.sha256 == EMPTY_ROOT


@pytest.mark.parametrize(
    ("size", "sha256", "root"),
    [
        (-1, b"\x01" * 32, b"\x01" * 32),
        (2**53 + 1, b"\x01" * 32, b"\x01" * 32),
        (0, b"\x01" * 32, EMPTY_ROOT),
        (0, EMPTY_ROOT, b"\x01" * 32),
        (1, EMPTY_ROOT, b"\x01" * 32),
        (1, b"\x01" * 32, EMPTY_ROOT),
    ],
)
def test_sizes_and_hashes_that_can_not_be_are_refused(size: int, sha256: bytes, root: bytes) -> None:
    with pytest.raises(MalformedError, match=r"a\.csv"):
        FileEntry("a.csv", size, Bytes32(sha256), Bytes32(root))


def test_the_largest_size_is_taken() -> None:
    entry = dataclasses.replace(make_entry("a"), size_bytes=2**53)
    assert parse_manifest(Manifest((entry,)).to_bytes()).files[0].size_bytes == 2**53


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "members files and format"),
        (manifest_bytes(entry_document(), surplus=1), "members files and format"),
        (b'{"files":[]}', "members files and format"),
        (manifest_bytes(entry_document(), format="concord-manifest/2"), "format is not"),
        (manifest_bytes(entry_document(), format=None), "format is not"),
        (manifest_bytes(files={}), "not a list"),
        (manifest_bytes(), "data set is empty"),
        (manifest_bytes("a.csv"), "entry is an object"),
        (manifest_bytes(entry_document(mode="0644")), "entry is an object"),
        (manifest_bytes({"path": "a"}), "entry is an object"),
        (manifest_bytes(entry_document(size=10)), "size of a manifest's entry is not a string"),
        (manifest_bytes(entry_document(path=None)), "path of a manifest's entry is not a string"),
        (manifest_bytes(entry_document(size="010")), "leading zeros"),
        (manifest_bytes(entry_document(size="-1")), "leading zeros"),
        (manifest_bytes(entry_document(size="1e3")), "leading zeros"),
        (manifest_bytes(entry_document(size="")), "leading zeros"),
        (manifest_bytes(entry_document(size="\u0661")), "leading zeros"),
        (manifest_bytes(entry_document(size="10\n")), "leading zeros"),
        (manifest_bytes(entry_document(size="9007199254740993")), "2\\^53"),
        (manifest_bytes(entry_document(size="99999999999999999999999")), "leading zeros"),
        (manifest_bytes(entry_document(sha256="0x" + "AB" * 32)), "lower-case hex"),
        (manifest_bytes(entry_document(sha256="ab" * 32)), "lower-case hex"),
        (manifest_bytes(entry_document(root="0xabcd")), "32 bytes"),
        (manifest_bytes(entry_document(path="../a.csv")), "'..' segment"),
        (manifest_bytes(entry_document(path="/a.csv")), "absolute"),
        (manifest_bytes(entry_document(path="e\u0301")), "form C"),
        (manifest_bytes(entry_document(), entry_document()), "twice"),
        (manifest_bytes(entry_document(path="b"), entry_document(path="a")), "not sorted"),
        (manifest_bytes(entry_document(path="\U00010000"), entry_document(path="\uff00")), "not sorted"),
        (manifest_bytes(entry_document(path="A.csv"), entry_document(path="a.csv")), "only in case"),
        (manifest_bytes(entry_document(path="a"), entry_document(path="a/b/c")), "file and the folder"),
        (manifest_bytes(entry_document(path="A"), entry_document(path="a/b/c")), "file and the folder"),
        (make_manifest("a.csv").to_bytes() + b"\n", "canonical"),
        (make_manifest("a.csv").to_bytes().replace(b":", b": ", 1), "canonical"),
    ],
)
def test_anything_else_is_malformed(raw: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        parse_manifest(raw)


def test_order_is_that_of_utf8_bytes_not_of_utf16() -> None:
    assert parse_manifest(make_manifest("\uff00", "\U00010000").to_bytes()).files[1].path == "\U00010000"


def test_a_manifest_holds_so_many_files_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "MAX_FILES", 2)
    make_manifest("a", "b")
    with pytest.raises(MalformedError, match="at most 2"):
        make_manifest("a", "b", "c")


def test_files_are_found_by_path_and_sizes_add_up() -> None:
    manifest = make_manifest("a", "b")
    assert manifest.find("b") == (1, manifest.files[1])
    assert manifest.size_bytes == 20
    with pytest.raises(NotFoundError, match="no file 'c'"):
        manifest.find("c")
