"""docs/spec/manifest.md: its example is what the code makes of the files that it describes."""

from __future__ import annotations

import re
from pathlib import Path

from ledger.content import (
    FileProof,
    compute_content_hash,
    parse_chunks,
    parse_manifest,
    scan_folder,
    verify_chunk,
    verify_file_entry,
)
from ledger.types import Bytes32, parse_hex
from tests.support.content import write_files

SPEC = (Path(__file__).parents[2] / "docs" / "spec" / "manifest.md").read_text(encoding="utf-8")
FILES = {
    "README.md": b"Hourly output of one plant.\n",
    "readings/2024.csv": b"hour,mwh\n0,12.5\n1,11.75\n",
    "readings/empty.csv": b"",
    "readings/raw.bin": b"U" * 1_048_577,
}


def row(name: str) -> list[bytes]:
    """Return the hashes in a row of the example's table."""
    found = re.search(rf"^\| {re.escape(name)}[^|]*\| `([^`]*)` \|$", SPEC, re.MULTILINE)
    assert found is not None, name
    return [parse_hex(value, 32) for value in found[1].split()]


def test_the_example_of_the_specification_is_real(tmp_path: Path) -> None:
    manifest_text, chunks_text = re.findall(r"```json\n(.*)\n```", SPEC)
    content = scan_folder(write_files(tmp_path, FILES))
    assert content.manifest.to_bytes() == manifest_text.encode()
    assert content.chunks.to_bytes() == chunks_text.encode()
    manifest = parse_manifest(manifest_text.encode())
    assert parse_chunks(chunks_text.encode(), manifest) == content.chunks
    (root,), (salt,), (content_hash,) = row("content root"), row("version salt"), row("content hash")
    assert manifest.content_root == root
    assert compute_content_hash(Bytes32(salt), Bytes32(root)) == content_hash
    _, entry = manifest.find("readings/2024.csv")
    verify_file_entry(FileProof(entry, 1, 4, tuple(row("proof of `readings/2024.csv`"))), Bytes32(root))
    _, raw = manifest.find("readings/raw.bin")
    verify_chunk(raw, 1, b"U", row("proof of chunk 1"))
