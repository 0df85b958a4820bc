"""Leaf, node and root hashes: RFC 9162, section 2.1.1."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

__all__ = ["EMPTY_ROOT", "HASH_SIZE_BYTES", "begin_leaf_hash", "compute_root", "leaf_hash", "node_hash"]

HASH_SIZE_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
_LEAF = b"\x00"
_NODE = b"\x01"
_LARGE: Final = 1 << 14


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 || entry), the hash that stands for ``entry`` in the tree."""
    if len(entry) < _LARGE:
        return sha256(_LEAF + entry).digest()
    begun = begin_leaf_hash()
    begun.update(entry)  # not copied, to stand behind the prefix
    return begun.digest()


def begin_leaf_hash() -> Hash:
    """Return a SHA-256 that becomes the leaf hash of an entry once it is updated with all of it, piece by piece."""
    return sha256(_LEAF)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right).

    Raises:
        ValueError: a child is not 32 bytes long.
    """
    if len(left) != HASH_SIZE_BYTES or len(right) != HASH_SIZE_BYTES:
        raise ValueError("both children of a node are hashes of 32 bytes")
    return sha256(_NODE + left + right).digest()


def compute_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root hash over ``leaf_hashes`` in order; `EMPTY_ROOT` when there is none.

    Raises:
        ValueError: a leaf hash is not 32 bytes long.
    """
    if not leaf_hashes:
        return EMPTY_ROOT
    if set(map(len, leaf_hashes)) != {HASH_SIZE_BYTES}:
        raise ValueError("every leaf hash is 32 bytes long")
    # Joining neighbours level by level, the odd one moving up as it is, builds the same tree as the RFC's split at
    # the largest power of two: a complete left part of 2^k leaves never leaves an odd node on a level below k.
    level = list(leaf_hashes)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[0::2], level[1::2], strict=False)
        level = [sha256(_NODE + left + right).digest() for left, right in pairs] + odd
    return level[0]
