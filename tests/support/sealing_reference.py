"""Sealings once more, straight from docs/spec/sealing.md and by nothing of ledger: the vectors are checked with it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Refused", "commitment_of", "file_key", "files_root", "fold", "open_file", "seal_file", "tree_root"]

MIB = 1_048_576
LABEL = b"concord-sealing/1"


class Refused(Exception):  # noqa: N818 - a result, in the words of the vectors
    """An opening that does not succeed; its text is the result's name in the vectors."""


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, for 32 bytes: one block of output."""
    extracted = hmac.digest(salt or bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def commitment_of(key: bytes) -> bytes:
    """The key commitment."""
    return hkdf(key, b"", LABEL + b" commitment")


def entry_bytes(entry: dict[str, str]) -> bytes:
    """The canonical JSON of an entry: four strings."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def file_key(key: bytes, entry: dict[str, str]) -> bytes:
    """The file key."""
    leaf = hashlib.sha256(b"\x00" + entry_bytes(entry)).digest()
    return hkdf(key, commitment_of(key), LABEL + b" file key" + leaf)


def plain_chunks(data: bytes) -> list[bytes]:
    """Chunks of 1 MiB; an empty file is one empty chunk."""
    return [data[first : first + MIB] for first in range(0, len(data), MIB)] or [b""]


def seal_file(key: bytes, entry: dict[str, str], data: bytes) -> list[bytes]:
    """The sealed chunks of a file."""
    cipher, chunks = AESGCM(file_key(key, entry)), plain_chunks(data)
    last = len(chunks) - 1
    return [
        cipher.encrypt(index.to_bytes(11, "big") + (b"\x01" if index == last else b"\x00"), chunk, b"")
        for index, chunk in enumerate(chunks)
    ]


def open_file(key: bytes, commitment: bytes, entry: dict[str, str], chunks: list[bytes]) -> bytes:
    """The plaintext of a file. Raises: Refused."""
    if len(key) != 32 or commitment_of(key) != commitment:
        raise Refused("wrong-key")
    size = int(entry["size"])
    count = max(1, -(-size // MIB))
    cipher, opened = AESGCM(file_key(key, entry)), b""
    for index, sealed in enumerate(chunks):
        if index >= count or len(sealed) != min(size - index * MIB, MIB) + 16:
            raise Refused("malformed")
        nonce = index.to_bytes(11, "big") + (b"\x01" if index == count - 1 else b"\x00")
        try:
            opened += cipher.decrypt(nonce, sealed, b"")
        except InvalidTag as error:
            raise Refused("does-not-open") from error
    if len(chunks) != count:
        raise Refused("incomplete")
    if "0x" + hashlib.sha256(opened).hexdigest() != entry["sha256"]:
        raise Refused("other-plaintext")
    return opened


def tree_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, by its definition, over leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + tree_root(leaves[:split]) + tree_root(leaves[split:])).digest()


def files_root(files: list[tuple[bytes, int]]) -> bytes:
    """The ciphertext root over roots and sizes of the sealed files."""
    leaves = [hashlib.sha256(b"\x00" + LABEL + b" file" + root + size.to_bytes(8, "big")) for root, size in files]
    return tree_root([leaf.digest() for leaf in leaves])


def fold(leaf: bytes, index: int, size: int, proof: list[Any]) -> bytes:
    """The root to which an inclusion proof leads: RFC 9162, section 2.1.3.2, from the root down."""
    if size == 1:
        assert not proof
        return leaf
    split = 1
    while split * 2 < size:
        split *= 2
    if index < split:
        left, right = fold(leaf, index, split, proof[:-1]), proof[-1]
    else:
        left, right = proof[-1], fold(leaf, index - split, size - split, proof[:-1])
    return hashlib.sha256(b"\x01" + left + right).digest()
