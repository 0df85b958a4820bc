"""Signed notes with Ed25519 keys: c2sp.org/signed-note, read strictly.

What `SignedNote.parse` and `VerifierKey.parse` accept encodes back to the same bytes, so no byte of a note is ever
ignored. Parsing shows nothing about who signed: a note counts only after `verify_note` or `verify_sole_signature`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import MalformedError, VerificationError
from ledger.log.text import format_base64, parse_base64

__all__ = ["NoteSignature", "NoteSigner", "SignedNote", "VerifierKey", "verify_note", "verify_sole_signature"]

_ED25519: Final = b"\x01"  # signature type identifier byte
_KEY_ID_SIZE: Final = 4
_KEY_SIZE: Final = 32
_MAX_NOTE_SIZE_BYTES: Final = 1 << 20  # a post-quantum signature has up to 5 kB, and 16 signatures must fit
_MAX_SIGNATURES: Final = 64
_EM_DASH: Final = "\u2014 "
_SIGNER_PREFIX: Final = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name: ``example.com/log+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx``."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public_key) != _KEY_SIZE:
            raise MalformedError(f"an Ed25519 public key has {_KEY_SIZE} bytes, found {len(self.public_key)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a C2SP vkey, ``name+key id in hex+base64(0x01 || public key)``.

        Raises:
            MalformedError: another form, another key type, or a key id that is not this key's.
        """
        name, key_id, key = _parse_key(text)
        verifier_key = cls(name, key)
        if key_id != verifier_key.key_id.hex():
            raise MalformedError(f"the key id {key_id} is not that of the key of {name}: {verifier_key.key_id.hex()}")
        return verifier_key

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signature lines name this key."""
        preimage = self.name.encode() + b"\n" + _ED25519 + self.public_key
        return hashlib.sha256(preimage).digest()[:_KEY_ID_SIZE]

    def __str__(self) -> str:
        return _format_key(self.name, self.key_id, self.public_key)


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A private key with its name; signs notes. The seed is in no representation but `to_text`."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.seed) != _KEY_SIZE:
            raise MalformedError(f"an Ed25519 seed has {_KEY_SIZE} bytes, found {len(self.seed)}")

    @classmethod
    def generate(cls, name: str) -> Self:
        """Draw a fresh key. Raises: MalformedError: the name is empty or has a space or a plus."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key as Go's sumdb/note writes it, ``PRIVATE+KEY+name+key id in hex+base64(0x01 || seed)``.

        Raises:
            MalformedError: another form or key type, or a key id that is not this key's. Never says the key.
        """
        if not text.startswith(_SIGNER_PREFIX):
            raise MalformedError("not a signer key: no PRIVATE+KEY+ in front")
        name, key_id, seed = _parse_key(text.removeprefix(_SIGNER_PREFIX))
        signer = cls(name, seed)
        if key_id != signer.verifier_key.key_id.hex():
            raise MalformedError(f"the key id {key_id} is not that of the key of {name}")
        return signer

    @property
    def verifier_key(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self._private_key.public_key().public_bytes_raw())

    def to_text(self) -> str:
        """The secret form that `parse` reads; keep it out of logs and messages."""
        return _SIGNER_PREFIX + _format_key(self.name, self.verifier_key.key_id, self.seed)

    def sign(self, text: str) -> SignedNote:
        """Sign ``text``, which ends in a newline.

        Raises:
            MalformedError: the text can not stand in a note.
        """
        _check_text(text)
        signature = self._private_key.sign(text.encode())
        return SignedNote(text, (NoteSignature(self.name, self.verifier_key.key_id, signature),))

    @property
    def _private_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, not yet verified."""

    name: str
    key_id: bytes
    signature: bytes

    def to_line(self) -> str:
        """The line without its newline."""
        return f"{_EM_DASH}{self.name} {format_base64(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text with signature lines, not yet verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a signed note.

        Raises:
            MalformedError: too large, not UTF-8, a control character, no blank line before the signatures, a line
                there that is no signature, or base64 that is not canonical.
        """
        if len(raw) > _MAX_NOTE_SIZE_BYTES:
            raise MalformedError(f"{len(raw)} bytes of note, at most {_MAX_NOTE_SIZE_BYTES} are taken")
        try:
            decoded = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedError("the note is not UTF-8") from error
        head, blank, tail = decoded.rpartition("\n\n")
        if not blank or not tail.endswith("\n"):
            raise MalformedError("the note is not a text, a blank line and signature lines, each ended by a newline")
        text = head + "\n"
        _check_text(text)
        lines = tail[:-1].split("\n")
        if len(lines) > _MAX_SIGNATURES:
            raise MalformedError(f"{len(lines)} signature lines, at most {_MAX_SIGNATURES} are taken")
        return cls(text, tuple(map(_parse_signature, lines)))

    def to_bytes(self) -> bytes:
        """The note's bytes, as `parse` reads them."""
        lines = "".join(signature.to_line() + "\n" for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()


def verify_note(note: SignedNote, key: VerifierKey) -> None:
    """Check that ``key`` signed the note. Signatures of other keys, such as witnesses', are ignored, as C2SP asks.

    Raises:
        VerificationError: no signature of this key, or one that does not verify.
    """
    own = [line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    if not own:
        found = ", ".join(f"{line.name}+{line.key_id.hex()}" for line in note.signatures)
        expected = f"{key.name}+{key.key_id.hex()}"
        raise VerificationError(
            f"the note is not signed by {expected}, only by {found}", expected=expected, found=found
        )
    public_key = Ed25519PublicKey.from_public_bytes(key.public_key)
    for line in own:
        try:
            public_key.verify(line.signature, note.text.encode())
        except InvalidSignature as error:
            raise VerificationError(f"the note's signature by {key.name}+{key.key_id.hex()} is false") from error


def verify_sole_signature(note: SignedNote, key: VerifierKey) -> None:
    """Check that ``key`` signed the note and that no other signature line stands in it, so that no byte is unbound.

    Raises:
        VerificationError: as `verify_note`.
        MalformedError: surplus signature lines.
    """
    verify_note(note, key)
    if len(note.signatures) != 1:
        raise MalformedError(f"surplus signatures: {len(note.signatures)} lines where only {key.name}'s belongs")


def _parse_key(text: str) -> tuple[str, str, bytes]:
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise MalformedError("not a note key: expected name+key id+base64")
    raw = parse_base64(parts[2])
    if raw[:1] != _ED25519 or len(raw) != 1 + _KEY_SIZE:
        raise MalformedError(f"the key of {parts[0]} is not an Ed25519 key (type 1, {_KEY_SIZE} bytes)")
    return parts[0], parts[1], raw[1:]


def _format_key(name: str, key_id: bytes, key: bytes) -> str:
    return f"{name}+{key_id.hex()}+{format_base64(_ED25519 + key)}"


def _parse_signature(line: str) -> NoteSignature:
    if not line.startswith(_EM_DASH):
        raise MalformedError("a line after the note's blank line is no signature: no em dash and space in front")
    name, separator, encoded = line.removeprefix(_EM_DASH).partition(" ")
    if not separator:
        raise MalformedError("a signature line is not a key name, a space and base64")
    _check_name(name)
    raw = parse_base64(encoded)
    if len(raw) <= _KEY_ID_SIZE:
        raise MalformedError(f"the signature line of {name} has no signature after its key id")
    return NoteSignature(name, raw[:_KEY_ID_SIZE], raw[_KEY_ID_SIZE:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise MalformedError("a note's key name is not empty and has no space, plus or control character")


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise MalformedError("a note's text ends in a newline")
    if any(char < " " and char != "\n" for char in text):
        raise MalformedError("a note has no control character but newline")
