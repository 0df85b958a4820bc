"""ledger.log.note: c2sp.org/signed-note, with the example of Go's sumdb/note documentation."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from ledger.errors import MalformedError, VerificationError
from ledger.log import NoteSignature, NoteSigner, SignedNote, VerifierKey, verify_note, verify_sole_signature

SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NOTE = f"{TEXT}\n{LINE}".encode()
KEY = VerifierKey.parse(VKEY)
SIGNER = NoteSigner.parse(SKEY)


def test_the_example_of_go() -> None:
    note = SignedNote.parse(NOTE)
    verify_note(note, KEY)
    verify_sole_signature(note, KEY)
    assert note.to_bytes() == NOTE
    assert SIGNER.sign(TEXT) == note
    assert SIGNER.verifier_key == KEY
    assert (str(KEY), SIGNER.to_text()) == (VKEY, SKEY)


@pytest.mark.parametrize(
    "vkey",
    [
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
    ],
)
def test_verifier_keys_of_real_logs(vkey: str) -> None:
    assert str(VerifierKey.parse(vkey)) == vkey


def test_a_text_may_have_blank_lines_and_other_scripts() -> None:
    for text in ("\n", "a\n\nb\n", "a\n\n", "\n\n\n", "Ognuno sta solo sul cuor della terra\n\ned è subito sera.\n"):
        note = SIGNER.sign(text)
        assert SignedNote.parse(note.to_bytes()) == note
        verify_note(note, KEY)


def test_a_generated_key_signs_and_shows_no_secret() -> None:
    signer = NoteSigner.generate("gateway.example/log")
    verify_sole_signature(signer.sign("a\n"), signer.verifier_key)
    assert NoteSigner.parse(signer.to_text()) == signer
    secret = base64.b64encode(b"\x01" + signer.seed).decode()
    assert secret in signer.to_text()
    assert signer.seed.hex() not in repr(signer)
    assert repr(signer.seed) not in repr(signer)


def test_signatures_of_others_are_ignored_but_surplus_where_every_byte_counts() -> None:
    witness = NoteSigner.generate("witness.example")
    note = SignedNote(TEXT, (*witness.sign(TEXT).signatures, *SIGNER.sign(TEXT).signatures))
    assert SignedNote.parse(note.to_bytes()) == note
    verify_note(note, KEY)
    verify_note(note, witness.verifier_key)
    with pytest.raises(MalformedError, match="surplus"):
        verify_sole_signature(note, KEY)


def test_a_note_that_this_key_did_not_sign() -> None:
    other = NoteSigner.generate("PeterNeumann")
    with pytest.raises(VerificationError, match="not signed by"):
        verify_note(other.sign(TEXT), KEY)
    with pytest.raises(VerificationError, match="not signed by"):
        verify_sole_signature(NoteSigner("Other", SIGNER.seed).sign(TEXT), KEY)


def test_a_false_signature_of_this_key_condemns_the_note() -> None:
    good = SIGNER.sign(TEXT).signatures[0]
    bad = NoteSignature(good.name, good.key_id, bytes(64))
    for signatures in ((bad,), (good, bad), (bad, good)):
        with pytest.raises(VerificationError, match="false"):
            verify_note(SignedNote(TEXT, signatures), KEY)
    with pytest.raises(VerificationError, match="false"):
        verify_note(SignedNote(TEXT, (NoteSignature(good.name, good.key_id, b"short"),)), KEY)
    with pytest.raises(VerificationError, match="false"):
        verify_note(SignedNote("other\n", (good,)), KEY)


MALFORMED_NOTES = {
    "empty": b"",
    "no signature": TEXT.encode(),
    "no signature after the blank line": TEXT.encode() + b"\n",
    "no blank line": (TEXT + LINE).encode(),
    "no final newline": NOTE[:-1],
    "no text": b"\n" + LINE.encode(),
    "surplus newline": NOTE + b"\n",
    "surplus line": NOTE + b"x\n",
    "carriage return": NOTE.replace(b"\n", b"\r\n"),
    "tab": NOTE.replace(b" ", b"\t", 1),
    "nul": b"\0" + NOTE,
    "not UTF-8": b"\xff" + NOTE,
    "hyphen": NOTE.replace("\u2014".encode(), b"-"),
    "no space after the dash": NOTE.replace("\u2014 ".encode(), "\u2014".encode()),
    "no name": NOTE.replace(b" PeterNeumann", b" "),
    "no signature in the line": NOTE.replace(LINE[14:].encode(), b"\n"),
    "two spaces": NOTE.replace(b"PeterNeumann ", b"PeterNeumann  "),
    "trailing space": NOTE[:-1] + b" \n",
    "plus in the name": NOTE.replace(b"\x94 PeterNeumann", b"\x94 Peter+Neumann"),
    "space of another script in the name": NOTE.replace(
        b"\x94 PeterNeumann", "\x94 Peter\u2003Neumann".encode("utf-8")
    ),
    "url-safe base64": NOTE.replace(b"/", b"_"),
    "no padding": NOTE.replace(b"=", b""),
    "base64 of bits beyond the bytes": NOTE.replace(b"nAM=", b"nAN="),
    "key id alone": NOTE.replace(LINE.encode(), "\u2014 PeterNeumann x08gow==\n".encode()),
    "too many signatures": NOTE + LINE.encode() * 64,
    "too large": b"a" * (1 << 20) + NOTE,
}


@pytest.mark.parametrize("name", MALFORMED_NOTES)
def test_malformed_notes(name: str) -> None:
    assert MALFORMED_NOTES[name] != NOTE
    with pytest.raises(MalformedError):
        SignedNote.parse(MALFORMED_NOTES[name])


MALFORMED_KEYS = {
    "empty": "",
    "no key": "PeterNeumann+c74f20a3",
    "key id of another key": VKEY.replace("c74f20a3", "c74f20a4"),
    "key id in upper case": VKEY.replace("c74f20a3", "C74F20A3"),
    "short key id": VKEY.replace("c74f20a3", "c74f20"),
    "another name": VKEY.replace("PeterNeumann", "PeterNeuman"),
    "no name": VKEY.replace("PeterNeumann", ""),
    "space in the name": VKEY.replace("PeterNeumann", "Peter Neumann"),
    "another key type": "PeterNeumann+c74f20a3+" + base64.b64encode(b"\x02" + KEY.public_key).decode(),
    "short key": "PeterNeumann+c74f20a3+" + base64.b64encode(b"\x01" + KEY.public_key[1:]).decode(),
    "no base64": VKEY[:-1],
    "trailing newline": VKEY + "\n",
}


@pytest.mark.parametrize("name", MALFORMED_KEYS)
def test_malformed_keys(name: str) -> None:
    with pytest.raises(MalformedError):
        VerifierKey.parse(MALFORMED_KEYS[name])
    with pytest.raises(MalformedError):
        NoteSigner.parse("PRIVATE+KEY+" + MALFORMED_KEYS[name])


def test_a_key_of_the_other_kind_is_refused_without_being_shown() -> None:
    with pytest.raises(MalformedError):
        NoteSigner.parse(VKEY)
    with pytest.raises(MalformedError) as refusal:
        NoteSigner.parse(SKEY.replace("c74f20a3", "00000000"))
    assert SKEY[-44:] not in str(refusal.value)


def test_values_that_no_note_has() -> None:
    mistakes: list[Callable[[], object]] = [
        lambda: VerifierKey("name", bytes(31)),
        lambda: VerifierKey("na me", bytes(32)),
        lambda: NoteSigner("name", bytes(33)),
        lambda: NoteSigner("", bytes(32)),
        lambda: SIGNER.sign("no newline"),
        lambda: SIGNER.sign(""),
        lambda: SIGNER.sign("a\tb\n"),
    ]
    for mistake in mistakes:
        with pytest.raises(MalformedError):
            mistake()
