"""The vectors below tests/vectors/sealing: run this module to write them anew, which changes nothing.

docs/spec/sealing.md says what the members mean. Attempts to open go through every way in which sealed chunks can be
wrong, each with one thing wrong.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.canonical import JsonValue, encode_canonical
from ledger.content import CHUNK_SIZE_BYTES, FileEntry, Manifest, hash_bytes
from ledger.content.sealing import SealedFile, SealingDescriptor, SealingKey
from ledger.content.sealing_files import FileSealer, seal_chunks
from ledger.content.sealing_proofs import prove_sealed_chunk, prove_sealed_file
from tests.support.content import make_bytes

__all__ = ["FOLDER", "build_sealing_vectors"]

FOLDER: Final = Path(__file__).parents[1] / "vectors" / "sealing"
MIB: Final = CHUNK_SIZE_BYTES
_SHORT: Final = 64

Member = dict[str, JsonValue]


@dataclass(frozen=True)
class SealingVector:
    """A sealing of made-up files under a key that follows from its name."""

    name: str
    sizes: dict[str, int]

    @cached_property
    def key(self) -> SealingKey:
        """Its key."""
        return SealingKey(hashlib.sha256(f"concord sealing vector {self.name}".encode()).digest())

    @cached_property
    def entries(self) -> tuple[FileEntry, ...]:
        """The manifest's entries."""
        return tuple(hash_bytes(path, make_bytes(path, size))[0] for path, size in self.sizes.items())

    @cached_property
    def sealed(self) -> tuple[tuple[SealedFile, tuple[bytes, ...]], ...]:
        """Each file and its sealed chunks."""
        return tuple(self._seal(path, size) for path, size in self.sizes.items())

    def _seal(self, path: str, size: int) -> tuple[SealedFile, tuple[bytes, ...]]:
        data = make_bytes(path, size)
        sealer = FileSealer(self.key, *hash_bytes(path, data))
        chunks = tuple(seal_chunks(sealer, (data[first : first + MIB] for first in range(0, size, MIB))))
        return sealer.finish(), chunks

    @cached_property
    def descriptor(self) -> SealingDescriptor:
        """Its descriptor."""
        return SealingDescriptor(self.key.commitment, tuple(file for file, _ in self.sealed))

    def to_json(self) -> Member:
        """What the vectors say of it."""
        return {
            "name": self.name,
            "key": _hex(self.key.to_bytes()),
            "manifest": Manifest(self.entries).to_bytes().decode(),
            "descriptor": self.descriptor.to_bytes().decode(),
            "ciphertextRoot": str(self.descriptor.ciphertext_root),
            "ciphertextSize": str(self.descriptor.size_bytes),
            "files": [self._file(position) for position in range(len(self.sizes))],
        }

    def _file(self, position: int) -> Member:
        entry, (file, chunks) = self.entries[position], self.sealed[position]
        leaves = [hashlib.sha256(b"\0" + chunk).digest() for chunk in chunks]
        ciphertext = b"".join(chunks)
        members: Member = {
            "path": entry.path,
            "size": str(entry.size_bytes),
            "fileKey": _hex(self.key.derive_file_key(entry)),
            "sha256": _hex(hashlib.sha256(ciphertext).digest()),
            "leaves": [_hex(leaf) for leaf in leaves],
            "fileProof": [_hex(each) for each in prove_sealed_file(self.descriptor, position).hashes],
            "lastChunkProof": [_hex(each) for each in prove_sealed_chunk(file, leaves, len(chunks) - 1)],
        }
        return members | ({"ciphertext": _hex(ciphertext)} if len(ciphertext) <= _SHORT else {})


SEALINGS: Final = (
    SealingVector("empty", {"nothing": 0}),
    SealingVector("small", {"five": 5}),
    SealingVector("one chunk", {"a chunk": MIB}),
    SealingVector("two chunks", {"two": 2 * MIB}),
    SealingVector(
        "many",
        {"a.csv": 16, "b/empty": 0, "b/r\u00e9sum\u00e9.csv": 17, "c.bin": 2 * MIB + 3, "d.bin": 3 * MIB, "e": 0},
    ),
    SealingVector("many again", {"a.csv": 16, "c.bin": 2 * MIB + 3}),
)
_BY_NAME: Final = {each.name: each for each in SEALINGS}


def build_sealing_vectors() -> dict[str, bytes]:
    """Every file by its path below `FOLDER`."""
    return {
        "sealings.json": encode_canonical([each.to_json() for each in SEALINGS]),
        "openings.json": encode_canonical(list(_openings())),
        "descriptors.json": encode_canonical(list(_descriptors())),
    }


def _chunk(sealing: str, path: str, index: int, **done: JsonValue) -> Member:
    """A sealed chunk by the place that it comes from, and what was done to it."""
    return {"sealing": sealing, "path": path, "index": index, **done}


def _whole(sealing: str, path: str) -> list[Member]:
    position = list(_BY_NAME[sealing].sizes).index(path)
    return [_chunk(sealing, path, index) for index in range(len(_BY_NAME[sealing].sealed[position][1]))]


def _opening(
    name: str, result: str, chunks: list[Member], *, sealing: str = "many", path: str = "c.bin", **other: JsonValue
) -> Member:
    vector = _BY_NAME[sealing]
    entry = vector.entries[list(vector.sizes).index(path)]
    return {
        "name": name,
        "entry": entry.to_document(),
        "key": _hex(vector.key.to_bytes()),
        "commitment": str(vector.key.commitment),
        "chunks": [*chunks],
        "result": result,
        **other,
    }


def _openings() -> list[Member]:
    a, b, c = _whole("many", "c.bin")
    good = [
        _opening(f"{vector.name}: {path}", "opens", _whole(vector.name, path), sealing=vector.name, path=path)
        for vector in SEALINGS
        for path in vector.sizes
    ]
    return [
        *good,
        *_changed_chunks(),
        _opening("the first two chunks swapped", "does-not-open", [b, a, c]),
        _opening("a chunk twice", "does-not-open", [a, a, c]),
        _opening("the second chunk missing", "malformed", [a, c]),
        _opening("a chunk inserted", "does-not-open", [a, a, b, c]),
        _opening("the last chunk missing", "incomplete", [a, b]),
        _opening("no chunk", "incomplete", []),
        _opening("no chunk of an empty file", "incomplete", [], path="b/empty"),
        _opening("a chunk too many", "malformed", [a, b, c, c]),
        _opening("an empty chunk too many", "malformed", [a, b, c, *_whole("many", "b/empty")]),
        *_moved_chunks(),
        *_wrong_flags(),
        *_wrong_keys(),
        *_other_plaintexts(),
    ]


def _changed_chunks() -> list[Member]:
    """Flipped bits at either end of ciphertext and tag, bytes cut off and added, for each kind of chunk."""
    found = []
    for sealing, path, last in (("many", "c.bin", 2), ("small", "five", 0), ("empty", "nothing", 0)):
        whole = _whole(sealing, path)
        vector = _BY_NAME[sealing]
        size = len(vector.sealed[list(vector.sizes).index(path)][1][last])
        places = sorted({0, max(8 * (size - 16) - 1, 0), 8 * (size - 16), 8 * size - 1})
        for done in ({"flip": place} for place in places):
            chunks = [*whole[:last], _chunk(sealing, path, last, **done)]
            found.append(
                _opening(f"{path}: bit {done['flip']} flipped", "does-not-open", chunks, sealing=sealing, path=path)
            )
        for name, changed in (("a byte cut", {"cut": 1}), ("a byte added", {"add": "0x00"}), ("cut", {"cut": size})):
            chunks = [*whole[:last], _chunk(sealing, path, last, **changed)]
            found.append(_opening(f"{path}: {name}", "malformed", chunks, sealing=sealing, path=path))
    first, *rest = _whole("many", "c.bin")
    for name, changed in (("a byte cut", {"cut": 1}), ("its tag cut", {"cut": 16}), ("a byte added", {"add": "0xff"})):
        found.append(_opening(f"first chunk: {name}", "malformed", [{**first, **changed}, *rest]))
    found.append(_opening("first chunk: bit 4000001 flipped", "does-not-open", [{**first, "flip": 4_000_001}, *rest]))
    return found


def _moved_chunks() -> list[Member]:
    """Chunks of another file, of another sealing of the same file, and of another place in both."""
    a, b, c = _whole("many", "c.bin")
    other, again = _whole("many", "d.bin"), _whole("many again", "c.bin")
    return [
        _opening("a chunk of another file", "does-not-open", [other[0], b, c]),
        _opening("another file as a whole", "does-not-open", [*other[:2], c]),
        _opening("a chunk of another sealing", "does-not-open", [a, again[1], c]),
        _opening("the last chunk of another sealing", "does-not-open", [a, b, again[2]]),
        _opening("another sealing as a whole", "does-not-open", again),
        _opening("an empty file's chunk for another", "does-not-open", _whole("many", "e"), path="b/empty"),
        _opening(
            "the two halves of a file for each other", "does-not-open",
            list(reversed(_whole("two chunks", "two"))), sealing="two chunks", path="two",
        ),
    ]  # fmt: skip


def _wrong_flags() -> list[Member]:
    """Chunks that were encrypted under the right key and index, with the other flag."""
    found = []
    for path, size, is_last in (("a.csv", 16, False), ("b/empty", 0, False)):
        vector = _BY_NAME["many"]
        entry = vector.entries[list(vector.sizes).index(path)]
        nonce = bytes(11) + bytes([is_last])
        sealed = AESGCM(vector.key.derive_file_key(entry)).encrypt(nonce, make_bytes(path, size), None)
        found.append(_opening(f"{path}: not marked as the last", "does-not-open", [{"bytes": _hex(sealed)}], path=path))
    return found


def _wrong_keys() -> list[Member]:
    small, other = _BY_NAME["small"], _BY_NAME["many"]
    whole = _whole("small", "five")
    flipped = bytearray(small.key.to_bytes())
    flipped[31] ^= 1
    keys = {"another key": other.key.to_bytes(), "a flipped key": bytes(flipped), "a short key": bytes(31), "none": b""}
    found = [
        _opening(name, "wrong-key", whole, sealing="small", path="five", key=_hex(key)) for name, key in keys.items()
    ]
    return [
        *found,
        _opening(
            "another commitment", "wrong-key", whole, sealing="small", path="five", commitment=str(other.key.commitment)
        ),
        _opening(
            "another key with its own commitment", "does-not-open", whole, sealing="small", path="five",
            key=_hex(other.key.to_bytes()), commitment=str(other.key.commitment),
        ),
    ]  # fmt: skip


def _other_plaintexts() -> list[Member]:
    """What a provider makes who seals other bytes than it registered; and entries that are not the sealed file's."""
    vector = _BY_NAME["small"]
    (entry,) = vector.entries
    sealed = AESGCM(vector.key.derive_file_key(entry)).encrypt(bytes(11) + b"\1", b"wrong", None)
    renamed = entry.to_document() | {"path": "six"}
    changed = hash_bytes("five", b"other")[0].to_document()
    whole = _whole("small", "five")
    return [
        _opening("other bytes", "other-plaintext", [{"bytes": _hex(sealed)}], sealing="small", path="five"),
        _opening("another path", "does-not-open", whole, sealing="small", path="five", entry=renamed),
        _opening("another content", "does-not-open", whole, sealing="small", path="five", entry=changed),
    ]


def _descriptors() -> list[Member]:
    good: dict[str, Any] = {
        "files": [{"root": "0x" + "11" * 32, "size": "21"}],
        "format": "concord-sealing/1",
        "keyCommitment": "0x" + "22" * 32,
    }

    def with_file(**members: JsonValue) -> dict[str, Any]:
        return good | {"files": [good["files"][0] | members]}

    text = encode_canonical(good).decode()
    changed: dict[str, JsonValue] = {
        "no files": good | {"files": []},
        "files that are no list": good | {"files": {}},
        "a file that is no object": good | {"files": ["x"]},
        "another format": good | {"format": "concord-sealing/2"},
        "a short commitment": good | {"keyCommitment": "0x" + "22" * 31},
        "a commitment in capitals": good | {"keyCommitment": "0x" + "AA" * 32},
        "a commitment that is a number": good | {"keyCommitment": 2},
        "a member too many": good | {"contentRoot": "0x" + "33" * 32},
        "no commitment": {name: value for name, value in good.items() if name != "keyCommitment"},
        "a file with a name": with_file(path="a.csv"),
        "a file without a root": good | {"files": [{"size": "21"}]},
        "a root that is none": with_file(root="0x11"),
        "a size that is a number": with_file(size=21),
        "a size with a zero in front": with_file(size="021"),
        "a negative size": with_file(size="-21"),
        "a size with a fraction": with_file(size="21.0"),
        "no size": with_file(size="0"),
        "less than a tag": with_file(size="15"),
        "an empty chunk behind another": with_file(size=str(MIB + 16 + 16)),
        "less than a tag behind a chunk": with_file(size=str(MIB + 16 + 15)),
        "a size beyond 2^53": with_file(size="9999999999999999"),
    }
    texts = {name: encode_canonical(value).decode() for name, value in changed.items()}
    texts |= {
        "a byte after the end": text + "\n",
        "another order": '{"format":"concord-sealing/1",' + text[1:].replace('"format":"concord-sealing/1",', ""),
        "a space": text.replace(",", ", ", 1),
        "a member twice": text.replace("{", '{"files":[],', 1),
        "no object": "[]",
        "nothing": "",
        "no JSON": "sealing",
    }
    return [{"name": name, "descriptor": value} for name, value in texts.items()]


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, raw in build_sealing_vectors().items():
        (FOLDER / path).write_bytes(raw)
