"""Properties of the log's formats: what parses encodes to itself, and no bit of a note or receipt is ignored."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError, VerificationError
from ledger.log import (
    Checkpoint,
    NoteSignature,
    NoteSigner,
    SignedNote,
    Tile,
    TlogProof,
    VerifierKey,
    format_anchor_by,
    parse_anchor_by,
    verify_receipt,
    verify_sole_checkpoint,
    verify_sole_signature,
)
from ledger.log.edge import RightEdge
from ledger.log.tiles import encode_bundle, parse_bundle
from ledger.merkle import compute_root, leaf_hash, prove_inclusion
from tests.support.log import ORIGIN, SIGNER

KEY = SIGNER.verifier_key
ENTRIES = [bytes([number]) * 97 for number in range(7)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
CHECKPOINT = Checkpoint(ORIGIN, 7, compute_root(LEAVES), ("anchor-by 2026-11-21T09:30:00Z",))
NOTE = SIGNER.sign(CHECKPOINT.text)
RECEIPT = TlogProof(5, tuple(prove_inclusion(LEAVES, 5, 7)), NOTE).to_bytes()

line_text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
names = line_text.filter(lambda name: "+" not in name and not any(char.isspace() for char in name))
signers = st.builds(NoteSigner, names, st.binary(min_size=32, max_size=32))
hashes = st.binary(min_size=32, max_size=32)
texts = st.lists(line_text | st.just(""), min_size=1, max_size=6).map(lambda lines: "\n".join(lines) + "\n")
signatures = st.builds(NoteSignature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=99))
notes = st.builds(SignedNote, texts, st.lists(signatures, min_size=1, max_size=20).map(tuple))
checkpoints = st.builds(
    Checkpoint, line_text, st.integers(1, 2**63 - 1), hashes, st.lists(line_text, max_size=3).map(tuple)
)
proofs = st.builds(
    TlogProof, st.integers(0, 2**63 - 1), st.lists(hashes, max_size=63).map(tuple), notes, st.none() | st.binary()
)
tiles = st.builds(Tile, st.integers(-1, 63), st.integers(0, 10**12), st.integers(1, 256))


@given(notes, checkpoints, proofs, tiles)
def test_what_is_encoded_parses_to_itself(note: SignedNote, checkpoint: Checkpoint, proof: TlogProof, at: Tile) -> None:
    assert SignedNote.parse(note.to_bytes()) == note
    assert Checkpoint.parse(checkpoint.text) == checkpoint
    assert TlogProof.parse(proof.to_bytes()) == proof
    assert Tile.parse(at.path) == at


@given(signers, texts)
def test_keys_sign_for_their_name_alone(signer: NoteSigner, text: str) -> None:
    key = signer.verifier_key
    assert VerifierKey.parse(str(key)) == key
    assert NoteSigner.parse(signer.to_text()) == signer
    note = signer.sign(text)
    verify_sole_signature(SignedNote.parse(note.to_bytes()), key)
    with pytest.raises(VerificationError):
        verify_sole_signature(note, VerifierKey(key.name + "x", key.public_key))


def flips(raw: bytes) -> list[bytes]:
    return [
        raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :] for at in range(len(raw)) for bit in range(8)
    ]  # fmt: skip


def test_every_bit_of_a_note() -> None:
    for changed in flips(NOTE.to_bytes()):
        with pytest.raises((MalformedError, VerificationError)):
            verify_sole_checkpoint(changed, KEY)
        with contextlib.suppress(MalformedError):  # strict: what parses is what was read
            assert SignedNote.parse(changed).to_bytes() == changed


def test_every_bit_of_a_signed_text_and_of_a_signature_is_a_finding() -> None:
    """Well formed and false: never malformed where the note's form is untouched."""
    text = CHECKPOINT.text
    for changed in flips(CHECKPOINT.root):
        other = Checkpoint(ORIGIN, 7, changed, CHECKPOINT.extensions).text
        with pytest.raises(VerificationError):
            verify_sole_checkpoint(SignedNote(other, NOTE.signatures).to_bytes(), KEY)
    line = NOTE.signatures[0]
    for changed in flips(line.signature):
        with pytest.raises(VerificationError):
            verify_sole_checkpoint(SignedNote(text, (NoteSignature(line.name, line.key_id, changed),)).to_bytes(), KEY)


def test_every_bit_of_a_receipt() -> None:
    assert verify_receipt(RECEIPT, ENTRIES[5], KEY) == CHECKPOINT
    for changed in flips(RECEIPT):
        with pytest.raises((MalformedError, VerificationError)):
            verify_receipt(changed, ENTRIES[5], KEY)
        with contextlib.suppress(MalformedError):
            assert TlogProof.parse(changed).to_bytes() == changed


def test_every_bit_of_a_receipts_hashes_and_entry_is_a_finding() -> None:
    proof = TlogProof.parse(RECEIPT)
    for at, value in enumerate(proof.hashes):
        for changed in flips(value):
            values = (*proof.hashes[:at], changed, *proof.hashes[at + 1 :])
            with pytest.raises(VerificationError):
                verify_receipt(TlogProof(5, values, NOTE).to_bytes(), ENTRIES[5], KEY)
    for changed in flips(ENTRIES[5]):
        with pytest.raises(VerificationError):
            verify_receipt(RECEIPT, changed, KEY)


def test_every_byte_dropped_or_doubled_in_a_receipt() -> None:
    for at in range(len(RECEIPT)):
        for changed in (RECEIPT[:at] + RECEIPT[at + 1 :], RECEIPT[:at] + RECEIPT[at : at + 1] + RECEIPT[at:]):
            if changed != RECEIPT:
                with pytest.raises((MalformedError, VerificationError)):
                    verify_receipt(changed, ENTRIES[5], KEY)


@given(st.binary(max_size=300))
def test_rubbish_is_malformed(raw: bytes) -> None:
    for parse in (SignedNote.parse, TlogProof.parse):
        with pytest.raises(MalformedError):
            parse(raw)
    with contextlib.suppress(MalformedError):
        assert encode_bundle(parse_bundle(raw, 1)) == raw


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries), len(entries)) == entries


@given(st.datetimes(timezones=st.timezones()))
def test_anchor_by_keeps_the_second(moment: datetime) -> None:
    with contextlib.suppress(OverflowError):  # the first and last day in another zone are no UTC time
        expected = moment.astimezone(UTC).replace(microsecond=0)
        assert parse_anchor_by(format_anchor_by(moment)) == expected


@given(st.lists(st.integers(1, 600), min_size=1, max_size=6))
def test_the_edge_has_the_root_of_all_entries_however_they_are_batched(counts: list[int]) -> None:
    edge, leaves = RightEdge(), list[bytes]()
    for count in counts:
        batch = [number.to_bytes(2, "big") for number in range(count)]
        edge, _ = edge.extend(batch)
        leaves += map(leaf_hash, batch)
        assert edge.root() == compute_root(leaves)
    assert edge.size == len(leaves)
