"""Merkle-Patricia tries: the receipts trie of a block, a proof of one receipt, its verification (Yellow Paper, app. D).

A proof is the list of the nodes from the root down that the path meets, each but the first named by its hash in the one
before. Nodes shorter than 32 bytes are embedded in their parent and do not stand in the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ledger.errors import MalformedError, VerificationError
from ledger.evidence.rlp import RlpItem, encode_int, encode_rlp, expect_bytes, expect_list, parse_rlp
from ledger.keccak import keccak256

__all__ = ["EMPTY_TRIE_ROOT", "compute_trie_root", "prove_receipt", "receipt_key", "verify_branch", "verify_receipt"]

EMPTY_TRIE_ROOT: Final = keccak256(encode_rlp(b""))
_BRANCH_SIZE: Final = 17
_HASH_SIZE: Final = 32
_Nibbles = tuple[int, ...]


def receipt_key(index: int) -> bytes:
    """The key of a block's receipt ``index`` (from 0) in its receipts trie: the RLP of the index."""
    return encode_rlp(encode_int(index))


def compute_trie_root(items: Mapping[bytes, bytes]) -> bytes:
    """Return the root hash of the trie that maps each key to its value; no value is empty."""
    return keccak256(encode_rlp(_build(_paths(items)))) if items else EMPTY_TRIE_ROOT


def prove_receipt(receipts: Sequence[bytes], index: int) -> tuple[bytes, list[bytes]]:
    """Return the root of the receipts trie over encoded ``receipts`` and the proof of receipt ``index``.

    Raises:
        ValueError: no such receipt.
    """
    if not 0 <= index < len(receipts):
        raise ValueError(f"there is no receipt {index} among {len(receipts)}")
    pairs = _paths({receipt_key(at): receipt for at, receipt in enumerate(receipts)})
    proof: list[bytes] = []
    root = _build(pairs, _to_nibbles(receipt_key(index)), proof)
    encoded = encode_rlp(root)
    return keccak256(encoded), [encoded, *reversed(proof)]


def verify_receipt(receipts_root: bytes, index: int, receipt: bytes, proof: Sequence[bytes]) -> None:
    """Check that ``receipt`` (encoded) is receipt ``index`` of the block with this receipts root.

    Raises:
        MalformedError: the proof has a node that is no trie node, or surplus nodes.
        VerificationError: the proof leads to another root, or to another receipt or none.
    """
    found = verify_branch(receipts_root, receipt_key(index), proof)
    if found != receipt:
        raise VerificationError(
            f"receipt {index} of the block is another one than this",
            expected="0x" + keccak256(found).hex(),
            found="0x" + keccak256(receipt).hex(),
        )


def verify_branch(root: bytes, key: bytes, proof: Sequence[bytes]) -> bytes:
    """Return the value that the trie with this root has under ``key``.

    Raises:
        MalformedError: a node is not canonical, or nodes are surplus or missing.
        VerificationError: the nodes lead to another root, or the trie has no such key.
    """
    path, used, is_value = _to_nibbles(key), 0, False
    item: RlpItem = root
    while not is_value:
        if isinstance(item, bytes):
            node = _open(proof, used, item)
            used += 1
        else:
            node = item  # embedded in its parent
        path, item, is_value = _descend(node, path)
    if used != len(proof):
        raise MalformedError(f"a trie proof with {len(proof) - used} surplus nodes")
    return expect_bytes(item)


def _open(proof: Sequence[bytes], position: int, expected: bytes) -> list[RlpItem]:
    if position == len(proof):
        raise MalformedError(f"a trie proof that ends after {position} nodes")
    found = keccak256(proof[position])
    if found != expected:
        raise VerificationError(
            f"node {position} of the trie proof is not the one that its parent (or the block) names",
            expected="0x" + expected.hex(),
            found="0x" + found.hex(),
        )
    return expect_list(parse_rlp(proof[position]))


def _descend(node: list[RlpItem], path: _Nibbles) -> tuple[_Nibbles, RlpItem, bool]:
    """Follow ``path`` through one node: what is left of it, the child or value there, and whether it is the value."""
    if len(node) == _BRANCH_SIZE:
        item, rest, is_value = node[path[0] if path else -1], path[1:], not path
    elif len(node) == 2:
        is_value, nibbles = _parse_path(expect_bytes(node[0]))
        rest, item = path[len(nibbles) :], node[1]
        if path[: len(nibbles)] != nibbles or (is_value and rest):
            raise VerificationError("the trie has no such key")
    else:
        raise MalformedError(f"a trie node has 2 or {_BRANCH_SIZE} items, found {len(node)}")
    if item == b"":
        raise VerificationError("the trie has no such key")
    if not is_value and isinstance(item, bytes) and len(item) != _HASH_SIZE:
        raise MalformedError("a trie node names its child by a hash of 32 bytes, or holds it")
    return rest, item, is_value


def _to_nibbles(key: bytes) -> _Nibbles:
    return tuple(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _parse_path(raw: bytes) -> tuple[bool, _Nibbles]:
    """Read a hex-prefix encoded path: whether its node is a leaf, and its nibbles."""
    nibbles = _to_nibbles(raw)
    flags = nibbles[0] if nibbles else 16
    path = nibbles[1 if flags & 1 else 2 :]
    if flags > 3 or (not flags & 1 and nibbles[1] != 0) or (flags < 2 and not path):
        raise MalformedError("a trie node's path is not in hex-prefix form")
    return flags >= 2, path


def _encode_path(path: _Nibbles, *, is_leaf: bool) -> bytes:
    flags = 2 * is_leaf + len(path) % 2
    nibbles = (flags, *path) if len(path) % 2 else (flags, 0, *path)
    return bytes(high << 4 | low for high, low in zip(nibbles[0::2], nibbles[1::2], strict=True))


def _paths(items: Mapping[bytes, bytes]) -> dict[_Nibbles, bytes]:
    return {_to_nibbles(key): value for key, value in items.items()}


def _build(
    items: Mapping[_Nibbles, bytes], wanted: _Nibbles | None = None, proof: list[bytes] | None = None
) -> RlpItem:
    """Return the node over ``items``, and append to ``proof`` the encoded nodes below it that ``wanted`` meets."""
    if len(items) == 1:
        path, value = next(iter(items.items()))
        return [_encode_path(path, is_leaf=True), value]
    shared = _shared_prefix(items)
    if shared:
        below = {path[len(shared) :]: value for path, value in items.items()}
        follow = _after(wanted, shared)
        return [_encode_path(shared, is_leaf=False), _refer(below, follow, proof)]
    branch: list[RlpItem] = []
    for nibble in range(_BRANCH_SIZE - 1):
        below = {path[1:]: value for path, value in items.items() if path and path[0] == nibble}
        branch.append(_refer(below, _after(wanted, (nibble,)), proof) if below else b"")
    return [*branch, items.get((), b"")]


def _refer(items: Mapping[_Nibbles, bytes], wanted: _Nibbles | None, proof: list[bytes] | None) -> RlpItem:
    """How a parent holds the node over ``items``: itself when it is short, else by its hash."""
    node = _build(items, wanted, proof)
    encoded = encode_rlp(node)
    if len(encoded) < _HASH_SIZE:
        return node
    if wanted is not None and proof is not None:
        proof.append(encoded)
    return keccak256(encoded)


def _after(wanted: _Nibbles | None, prefix: _Nibbles) -> _Nibbles | None:
    return wanted[len(prefix) :] if wanted is not None and wanted[: len(prefix)] == prefix else None


def _shared_prefix(items: Mapping[_Nibbles, bytes]) -> _Nibbles:
    first, last = min(items), max(items)
    length = 0
    while length < len(first) and first[length] == last[length]:
        length += 1
    return first[:length]
