"""ledger.log.tlog_proof and ledger.log.receipt: c2sp.org/tlog-proof@v1 and what *accepted* returns."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import FatalError, MalformedError, NotFoundError, VerificationError
from ledger.log import (
    Checkpoint,
    NoteSigner,
    SignedNote,
    TileReader,
    TlogProof,
    build_receipt,
    build_receipts,
    verify_receipt,
)
from ledger.merkle import compute_root, leaf_hash, prove_inclusion
from tests.support.log import ANCHOR_BY, ORIGIN, SIGNER, MemoryCheckpointStore, entries_of, open_log

KEY = SIGNER.verifier_key
ENTRIES = entries_of("entry", 7)
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
CHECKPOINT = Checkpoint(ORIGIN, 7, compute_root(LEAVES), ("anchor-by 2026-11-21T09:30:00Z",))
NOTE = SIGNER.sign(CHECKPOINT.text)
RECEIPT = TlogProof(6, tuple(prove_inclusion(LEAVES, 6, 7)), NOTE).to_bytes()


def receipt_of(index: int, entry_index: int, checkpoint: Checkpoint, signer: NoteSigner = SIGNER) -> bytes:
    proof = tuple(prove_inclusion(LEAVES, entry_index, 7))
    return TlogProof(index, proof, signer.sign(checkpoint.text)).to_bytes()


def test_a_receipt() -> None:
    assert verify_receipt(RECEIPT, ENTRIES[6], KEY) == CHECKPOINT
    assert TlogProof.parse(RECEIPT).to_bytes() == RECEIPT
    assert RECEIPT.startswith(b"c2sp.org/tlog-proof@v1\nindex 6\n")


def test_the_receipt_of_the_only_entry_has_no_hashes() -> None:
    checkpoint = Checkpoint(ORIGIN, 1, LEAVES[0], CHECKPOINT.extensions)
    receipt = TlogProof(0, (), SIGNER.sign(checkpoint.text)).to_bytes()
    assert receipt.startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + ORIGIN.encode())
    assert verify_receipt(receipt, ENTRIES[0], KEY) == checkpoint


def test_extra_data_parses_but_nothing_binds_it() -> None:
    proof = TlogProof(6, tuple(prove_inclusion(LEAVES, 6, 7)), NOTE, b"extra")
    assert TlogProof.parse(proof.to_bytes()) == proof
    assert b"\nextra ZXh0cmE=\nindex 6\n" in proof.to_bytes()
    with pytest.raises(MalformedError, match="extra"):
        verify_receipt(proof.to_bytes(), ENTRIES[6], KEY)


def test_another_entry_size_or_signer() -> None:
    with pytest.raises(VerificationError):
        verify_receipt(RECEIPT, ENTRIES[5], KEY)
    other = NoteSigner.generate(ORIGIN)
    with pytest.raises(VerificationError):
        verify_receipt(receipt_of(6, 6, CHECKPOINT, other), ENTRIES[6], KEY)
    with pytest.raises(VerificationError):
        verify_receipt(receipt_of(6, 6, Checkpoint("b", 7, CHECKPOINT.root, CHECKPOINT.extensions)), ENTRIES[6], KEY)


def test_a_receipt_built_for_another_size_than_its_checkpoint() -> None:
    # The proof of (6, 7) leads to the same root from (3, 4): only what is signed says the size.
    forged = receipt_of(3, 6, CHECKPOINT)
    with pytest.raises((VerificationError, MalformedError)):
        verify_receipt(forged, ENTRIES[6], KEY)
    smaller = Checkpoint(ORIGIN, 8, CHECKPOINT.root, CHECKPOINT.extensions)
    with pytest.raises((VerificationError, MalformedError)):
        verify_receipt(receipt_of(6, 6, smaller), ENTRIES[6], KEY)


def test_a_receipt_promises_its_anchoring() -> None:
    for extensions in ((), ("anchor-by soon",), CHECKPOINT.extensions * 2):
        unpromised = Checkpoint(ORIGIN, 7, CHECKPOINT.root, extensions)
        with pytest.raises(MalformedError):
            verify_receipt(receipt_of(6, 6, unpromised), ENTRIES[6], KEY)


def test_a_receipt_has_one_signature() -> None:
    witness = NoteSigner.generate("witness.example").sign(CHECKPOINT.text)
    note = SignedNote(NOTE.text, NOTE.signatures + witness.signatures)
    receipt = TlogProof(6, tuple(prove_inclusion(LEAVES, 6, 7)), note).to_bytes()
    with pytest.raises(MalformedError, match="surplus"):
        verify_receipt(receipt, ENTRIES[6], KEY)


MALFORMED = {
    "empty": b"",
    "no blank line": RECEIPT.replace(b"\n\n", b"\n"),
    "no checkpoint": RECEIPT.partition(b"\n\n")[0] + b"\n\n",
    "another header": RECEIPT.replace(b"@v1", b"@v2"),
    "header alone": b"c2sp.org/tlog-proof@v1" + RECEIPT[RECEIPT.index(b"\n\n") :],
    "no index": RECEIPT.replace(b"index 6\n", b""),
    "leading zero": RECEIPT.replace(b"index 6", b"index 06"),
    "negative index": RECEIPT.replace(b"index 6", b"index -6"),
    "huge index": RECEIPT.replace(b"index 6", b"index 9223372036854775808"),
    "unknown line": RECEIPT.replace(b"index 6\n", b"index 6\nsize 7\n"),
    "short hash": RECEIPT.replace(b"index 6\n", b"index 6\nAAAA\n"),
    "carriage return": RECEIPT.replace(b"\n", b"\r\n"),
    "not ASCII": RECEIPT.replace(b"index", "\u0131ndex".encode()),
    "extra that is not base64": RECEIPT.replace(b"index", b"extra ?\nindex"),
    "two extras": RECEIPT.replace(b"index", b"extra YQ==\nextra YQ==\nindex"),
    "too many hashes": RECEIPT.replace(b"index 6\n", b"index 6\n" + (b"A" * 43 + b"=\n") * 64),
    "surplus newline": RECEIPT + b"\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_receipts(name: str) -> None:
    assert MALFORMED[name] != RECEIPT
    with pytest.raises(MalformedError):
        verify_receipt(MALFORMED[name], ENTRIES[6], KEY)


def test_values_that_no_proof_has() -> None:
    for index, hashes in ((-1, ()), (2**63, ()), (0, (bytes(31),)), (0, (bytes(32),) * 64)):
        with pytest.raises(MalformedError):
            TlogProof(index, hashes, NOTE)


def test_receipts_out_of_a_log(tmp_path: Path) -> None:
    entries = entries_of("entry", 300)
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        first = log.append(entries[:270])
        second = log.append(entries[270:])
        for batch in (first, second):
            receipts = build_receipts(log.reader, batch.first_index, batch.count, batch.note)
            assert len(receipts) == batch.count
            for index, receipt in enumerate(receipts, batch.first_index):
                assert verify_receipt(receipt, entries[index], KEY) == batch.checkpoint
                assert TlogProof.parse(receipt).index == index
        assert second.checkpoint.anchor_by == ANCHOR_BY
        assert build_receipt(log.reader, 299, second.note) == receipts[-1]
        with pytest.raises(NotFoundError):
            build_receipt(log.reader, 270, first.note)
        with pytest.raises(MalformedError):
            build_receipt(log.reader, 270, b"no note")


def test_no_receipt_for_files_that_do_not_hash_to_the_checkpoint(tmp_path: Path) -> None:
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        note = log.append(entries_of("entry", 5)).note
    bundle = tmp_path / "tile/entries/000.p/5"
    raw = bytearray(bundle.read_bytes())
    raw[3] ^= 1
    bundle.write_bytes(raw)
    with pytest.raises(FatalError, match="do not hash"):
        build_receipt(TileReader(tmp_path), 0, note)
    build_receipt(TileReader(tmp_path), 1, note)
