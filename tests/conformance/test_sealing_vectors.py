"""docs/spec/sealing.md: example and vectors are what the code makes, and what an implementation from the spec makes."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ledger.content import FileEntry, parse_manifest
from ledger.content.chunks import ChunkMismatchError
from ledger.content.sealing import SealingKey, WrongSealingKeyError, parse_sealing
from ledger.content.sealing_files import FileOpener, SealedChunkError, open_chunks, sealed_size
from ledger.content.sealing_proofs import SealedFileProof, verify_sealed_chunk, verify_sealed_file
from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.types import Bytes32, parse_hex
from tests.conformance.test_evidence_vectors import check_schema
from tests.support.content import make_bytes
from tests.support.sealing_reference import (
    Refused,
    commitment_of,
    file_key,
    files_root,
    fold,
    open_file,
    seal_file,
    tree_root,
)
from tests.support.sealing_vectors import FOLDER, build_sealing_vectors

DOCS = Path(__file__).parents[2] / "docs" / "spec"
SPEC = (DOCS / "sealing.md").read_text(encoding="utf-8")
SCHEMA = json.loads((DOCS / "sealing.schema.json").read_text(encoding="utf-8"))
EXAMPLE = {
    "README.md": b"Hourly output of one plant.\n",
    "readings/2024.csv": b"hour,mwh\n0,12.5\n1,11.75\n",
    "readings/empty.csv": b"",
    "readings/raw.bin": b"U" * 1_048_577,
}


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


SEALINGS = load("sealings.json")
OPENINGS = load("openings.json")
DESCRIPTORS = load("descriptors.json")


def unhex(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


@cache
def sealed(name: str) -> dict[str, list[bytes]]:
    """The sealed chunks of every file of a vector, made by the implementation from the spec."""
    vector = next(each for each in SEALINGS if each["name"] == name)
    entries = json.loads(vector["manifest"])["files"]
    key = unhex(vector["key"])
    return {entry["path"]: seal_file(key, entry, make_bytes(entry["path"], int(entry["size"]))) for entry in entries}


def test_regenerating_changes_nothing() -> None:
    committed = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
    assert build_sealing_vectors() == committed


@pytest.mark.parametrize("vector", SEALINGS, ids=lambda vector: vector["name"])
def test_an_implementation_from_the_spec_makes_the_same(vector: dict[str, Any]) -> None:
    key = unhex(vector["key"])
    entries, descriptor = json.loads(vector["manifest"])["files"], json.loads(vector["descriptor"])
    check_schema(SCHEMA, descriptor, SCHEMA)
    assert unhex(descriptor["keyCommitment"]) == commitment_of(key)
    roots: list[tuple[bytes, int]] = []
    for entry, file, described in zip(entries, vector["files"], descriptor["files"], strict=True):
        chunks = sealed(vector["name"])[entry["path"]]
        ciphertext = b"".join(chunks)
        leaves = [hashlib.sha256(b"\x00" + chunk).digest() for chunk in chunks]
        assert unhex(file["fileKey"]) == file_key(key, entry)
        assert unhex(file["sha256"]) == hashlib.sha256(ciphertext).digest()
        assert [unhex(leaf) for leaf in file["leaves"]] == leaves
        assert unhex(file.get("ciphertext", ciphertext.hex())) == ciphertext
        assert fold(leaves[-1], len(leaves) - 1, len(leaves), [*map(unhex, file["lastChunkProof"])]) == tree_root(
            leaves
        )
        assert (unhex(described["root"]), int(described["size"])) == (tree_root(leaves), len(ciphertext))
        roots.append((tree_root(leaves), len(ciphertext)))
    assert unhex(vector["ciphertextRoot"]) == files_root(roots)
    assert int(vector["ciphertextSize"]) == sum(size for _, size in roots)


@pytest.mark.parametrize("vector", SEALINGS, ids=lambda vector: vector["name"])
def test_what_it_makes_is_opened_and_proved_by_ours(vector: dict[str, Any]) -> None:
    key, manifest = SealingKey(unhex(vector["key"])), parse_manifest(vector["manifest"].encode())
    descriptor = parse_sealing(vector["descriptor"].encode())
    assert descriptor.to_bytes() == vector["descriptor"].encode()
    descriptor.check_manifest(manifest)
    root = Bytes32.parse(vector["ciphertextRoot"])
    descriptor.check_statement(key.commitment, root, int(vector["ciphertextSize"]))
    for position, (entry, file) in enumerate(zip(manifest.files, descriptor.files, strict=True)):
        chunks, said = sealed(vector["name"])[entry.path], vector["files"][position]
        assert sealed_size(entry) == file.size_bytes
        assert b"".join(open_chunks(FileOpener(key, entry), chunks)) == make_bytes(entry.path, entry.size_bytes)
        proof = SealedFileProof(file, position, len(descriptor.files), tuple(map(unhex, said["fileProof"])))
        verify_sealed_file(proof, root)
        verify_sealed_chunk(file, len(chunks) - 1, chunks[-1], [*map(unhex, said["lastChunkProof"])])


def take(chunk: dict[str, Any]) -> bytes:
    """The bytes that an opening hands over."""
    if "bytes" in chunk:
        return unhex(chunk["bytes"])
    data = bytearray(sealed(chunk["sealing"])[chunk["path"]][chunk["index"]])
    if "flip" in chunk:
        data[chunk["flip"] // 8] ^= 1 << chunk["flip"] % 8
    return bytes(data[: len(data) - chunk.get("cut", 0)]) + unhex(chunk.get("add", "0x"))


def open_by_ours(opening: dict[str, Any], chunks: list[bytes]) -> bytes:
    entry = opening["entry"]
    expected = FileEntry(
        entry["path"], int(entry["size"]), Bytes32.parse(entry["sha256"]), Bytes32.parse(entry["root"])
    )
    key = SealingKey.opened(unhex(opening["key"]), Bytes32.parse(opening["commitment"]))
    return b"".join(open_chunks(FileOpener(key, expected), chunks))


ERRORS: dict[str, type[LedgerError]] = {
    "wrong-key": WrongSealingKeyError,
    "does-not-open": SealedChunkError,
    "malformed": MalformedError,
    "incomplete": VerificationError,
    "other-plaintext": ChunkMismatchError,
}


@pytest.mark.parametrize("opening", OPENINGS, ids=lambda opening: opening["name"])
def test_openings_end_as_they_must(opening: dict[str, Any]) -> None:
    chunks = [take(chunk) for chunk in opening["chunks"]]
    result = opening["result"]
    arguments = (unhex(opening["key"]), unhex(opening["commitment"]), opening["entry"], chunks)
    if result == "opens":
        data = make_bytes(opening["entry"]["path"], int(opening["entry"]["size"]))
        assert open_file(*arguments) == open_by_ours(opening, chunks) == data
        return
    with pytest.raises(Refused, match=f"^{result}$"):
        open_file(*arguments)
    with pytest.raises(ERRORS[result]) as caught:
        open_by_ours(opening, chunks)
    assert type(caught.value) is ERRORS[result]


@pytest.mark.parametrize("case", DESCRIPTORS, ids=lambda case: case["name"])
def test_descriptors_are_read_strictly(case: dict[str, str]) -> None:
    with pytest.raises(MalformedError):
        parse_sealing(case["descriptor"].encode())


def test_every_way_to_fail_has_vectors() -> None:
    assert {opening["result"] for opening in OPENINGS} == {"opens", *ERRORS}


def row(name: str) -> list[bytes]:
    """The values in a row of the example's table."""
    found = re.search(rf"^\| {re.escape(name)}[^|]*\| `([^`]*)` \|$", SPEC, re.MULTILINE)
    assert found is not None, name
    return [unhex(value) for value in found[1].split()]


def test_the_example_of_the_specification_is_real() -> None:
    ((key,), (commitment,)) = row("sealing key"), row("key commitment")
    assert commitment == commitment_of(key)
    manifest_text = re.findall(r"```json\n(.*)\n```", (DOCS / "manifest.md").read_text(encoding="utf-8"))[0]
    (descriptor_text,) = re.findall(r"```json\n(.*)\n```", SPEC)
    descriptor = json.loads(descriptor_text)
    assert parse_sealing(descriptor_text.encode()).to_bytes() == descriptor_text.encode()
    assert unhex(descriptor["keyCommitment"]) == commitment
    entries = json.loads(manifest_text)["files"]
    chunks = [seal_file(key, entry, EXAMPLE[entry["path"]]) for entry in entries]
    leaves = [[hashlib.sha256(b"\x00" + each).digest() for each in file] for file in chunks]
    files = [(tree_root(each), len(b"".join(file))) for each, file in zip(leaves, chunks, strict=True)]
    assert files == [(unhex(file["root"]), int(file["size"])) for file in descriptor["files"]]
    root = files_root(files)
    assert row("ciphertext root") == [root]
    assert row("file key of `README.md`") == [file_key(key, entries[0])]
    assert (row("sealed `README.md`"), row("sealed `readings/empty.csv`")) == ([chunks[0][0]], [chunks[2][0]])
    assert row("sealed chunk 1 of `readings/raw.bin`") == [chunks[3][1]]
    (leaf,) = row("leaf of `README.md` under the ciphertext root")
    assert leaf == b"concord-sealing/1 file" + files[0][0] + files[0][1].to_bytes(8, "big")
    described = parse_sealing(descriptor_text.encode()).files
    proof = tuple(row("proof of sealed `readings/2024.csv`, index 1 of 4"))
    verify_sealed_file(SealedFileProof(described[1], 1, 4, proof), Bytes32(root))
    verify_sealed_chunk(described[3], 1, chunks[3][1], row("proof of sealed chunk 1 of `readings/raw.bin`"))
    assert parse_hex("0x" + root.hex(), 32) == root
