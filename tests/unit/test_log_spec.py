"""The examples of docs/spec are real: they verify as printed."""

from __future__ import annotations

import re
from pathlib import Path

from ledger.log import Checkpoint, VerifierKey, verify_receipt, verify_sole_checkpoint
from ledger.log.tiles import encode_bundle, parse_bundle, parse_tile
from ledger.merkle import compute_root, leaf_hash
from tests.support.log import SIGNER, MemoryCheckpointStore, open_log

SPEC = Path(__file__).parents[2] / "docs/spec"


def example(page: str, language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```$", (SPEC / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert match
    return match[1]


def test_the_log_of_the_spec(tmp_path: Path) -> None:
    bundle = bytes.fromhex(example("entry-log.md", "entries"))
    entries = parse_bundle(bundle, 3)
    assert {len(entry) for entry in entries} == {97}
    assert encode_bundle(entries) == bundle
    hashes = parse_tile(bytes.fromhex(example("entry-log.md", "hashes")), 3)
    assert hashes == [leaf_hash(entry) for entry in entries]
    assert compute_root(hashes).hex() in (SPEC / "entry-log.md").read_text("utf-8")
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        assert log.append(entries).note.decode() == example("checkpoint.md", "checkpoint")
    assert (tmp_path / "tile/entries/000.p/3").read_bytes() == bundle
    assert (tmp_path / "tile/0/000.p/3").read_bytes() == b"".join(hashes)


def test_the_checkpoint_and_receipt_of_the_spec() -> None:
    key = VerifierKey.parse(example("checkpoint.md", "vkey").strip())
    assert key == SIGNER.verifier_key
    checkpoint = verify_sole_checkpoint(example("checkpoint.md", "checkpoint").encode(), key)
    assert isinstance(checkpoint, Checkpoint)
    entry = parse_bundle(bytes.fromhex(example("entry-log.md", "entries")), 3)[2]
    assert verify_receipt(example("receipt.md", "receipt").encode(), entry, key) == checkpoint
