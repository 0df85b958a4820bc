"""Versions sealed rightly and wrongly, delivered, receipted, and the right key released: what it opens counts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.content import CHUNK_SIZE_BYTES, ChunkIndex, Manifest, hash_bytes
from ledger.content.release import ReleaseTerms, wrap_key
from ledger.content.sealing import SealedFile, SealingDescriptor, SealingKey
from ledger.evidence import (
    Delivery,
    EventEvidence,
    Evidence,
    Policy,
    ShownChunk,
    WrongData,
    build_event_evidence,
    build_wrong_data,
    build_wrong_key,
    show_chunk,
)
from ledger.keccak import keccak256
from ledger.merkle import compute_root, leaf_hash
from ledger.statements import compute_transfer_id
from ledger.types import Bytes32
from tests.support.delivery_story import DeliveryStory, changed
from tests.support.evidence_world import Stated, salt, word

__all__ = ["FOLDER", "WrongDataStory", "build_wrong_data_vectors", "wrap_as_kept"]

FOLDER: Final = Path(__file__).parents[1] / "vectors" / "delivery-data"
_NO_HASH: Final = "A" * 43 + "="
FILES: Final = {
    "a.csv": b"year,mwh\n2024,7\n",
    "b.bin": bytes(CHUNK_SIZE_BYTES) + b"the end",
    "empty.csv": b"",
    "z.csv": b"year,mwh\n2023,6\n",
}
"""Files of one, two and no chunks."""
SALT: Final = salt(501)


@cache
def scan() -> tuple[Manifest, ChunkIndex]:
    """The manifest that is registered, with its chunk hashes."""
    hashed = [hash_bytes(path, raw) for path, raw in FILES.items()]
    return Manifest(tuple(entry for entry, _ in hashed)), ChunkIndex({entry.path: each for entry, each in hashed})


@dataclass(frozen=True)
class Sealed:
    """Sealed chunks, and what they lead to."""

    key: SealingKey
    descriptor: SealingDescriptor
    chunks: tuple[bytes, ...]

    @property
    def leaves(self) -> tuple[bytes, ...]:
        return tuple(map(leaf_hash, self.chunks))


def changed_demand(chunk: ShownChunk, **members: Any) -> ShownChunk:
    """The chunk with what is demanded changed."""
    assert chunk.demanded is not None
    return replace(chunk, demanded=replace(chunk.demanded, **members))


def seal(seed: bytes, changes: dict[str, bytes] | None = None, *, spoilt: str | None = None) -> Sealed:
    """Seal what is registered, with ``changes`` to files of the same size; the last chunk of ``spoilt`` is damaged.

    As `FileSealer`, which refuses to do so.
    """
    key, manifest = SealingKey(keccak256(seed)), scan()[0]
    files, sealed = [], list[bytes]()
    for entry in manifest.files:
        raw, cipher, own = (FILES | (changes or {}))[entry.path], AESGCM(key.derive_file_key(entry)), list[bytes]()
        count = max(1, entry.chunk_count)
        for index in range(count):
            plain = raw[index * CHUNK_SIZE_BYTES : (index + 1) * CHUNK_SIZE_BYTES]
            own.append(cipher.encrypt(index.to_bytes(11) + bytes([index == count - 1]), plain, None))
        if entry.path == spoilt:
            own[-1] = bytes([own[-1][0] ^ 1]) + own[-1][1:]
        files.append(SealedFile(sum(map(len, own)), Bytes32(compute_root([leaf_hash(each) for each in own]))))
        sealed += own
    return Sealed(key, SealingDescriptor(key.commitment, tuple(files)), tuple(sealed))


@dataclass(frozen=True)
class Case:
    """A sealing that was delivered: receipted, and its key released."""

    sealed: Sealed
    sealing: Stated
    receipt: Stated
    release: Stated


class WrongDataStory:
    """Told in the world of a `DeliveryStory`, after it: the same utility and firm, the same auditor."""

    def __init__(self, story: DeliveryStory) -> None:
        self.story, self.world = story, story.world
        self.registration = self.world.register("utility", 1, scan()[0], chunks=scan()[1])
        self.registered = self._emit(self.registration)
        self.other_registration = self.world.register("utility", 2, Manifest(scan()[0].files[:1]))
        self.honest = self._deliver("honest", seal(b"honest"), 20)
        self.unopenable = self._deliver("unopenable", seal(b"unopenable", spoilt="b.bin"), 21)
        self.empty = self._deliver("empty", seal(b"empty", spoilt="empty.csv"), 22)
        changes = {"a.csv": b"year,mwh\n2024,9\n", "b.bin": b"\1" + FILES["b.bin"][1:]}
        self.other_bytes = self._deliver("other-bytes", seal(b"other bytes", changes), 23)
        self.other_key = self._deliver("other-key", seal(b"other key"), 24, key=SealingKey(keccak256(b"no key of it")))
        self.world.publish()

    def policy(self) -> Policy:
        """Of the same auditor, later."""
        return self.story.policy()

    def _emit(self, stated: Stated) -> EventEvidence:
        """The contract's event of a registration, as anybody has it from the chain."""
        message: Any = stated.statement.message
        data = word(b"\x11" * 20) + word(1) + message["contentHash"] + message["metadataHash"] + word(160) + word(0)
        indexed = [stated.statement.digest(self.world.domains), salt(40), self.story.utility.id]
        block = self.world.take_effect(stated, "DatasetRegistered", list(indexed[1:]), data)
        return build_event_evidence(self.world.prove(block, 0, 0))

    def _deliver(self, name: str, sealed: Sealed, number: int, key: SealingKey | None = None) -> Case:
        world, story = self.world, self.story
        sealing = world.state(
            "utility", "Sealing", dataset=salt(40), version=1,
            registration=story.digest_of(self.registration), keyCommitment=sealed.key.commitment,
            ciphertextRoot=sealed.descriptor.ciphertext_root, ciphertextSize=sealed.descriptor.size_bytes,
        )  # fmt: skip
        receipt = story.receipt_of(sealing, number)
        message: Any = receipt.statement.message
        transfer = compute_transfer_id(story.analytics.id, message["transferSalt"])
        terms = ReleaseTerms(transfer, message["grant"], message["sealing"], story.analytics.id)
        wrapped = story.wrap(name, (key or sealed.key).to_bytes(), story.recipient.public, terms)
        release = world.state(
            "utility", "KeyRelease", consumer=story.analytics.id, transfer=transfer, grant=message["grant"],
            receipt=story.digest_of(receipt), wrappedKey=wrapped,
        )  # fmt: skip
        return Case(sealed, sealing, receipt, release)

    def chunk(self, case: Case, number: int) -> ShownChunk:
        """What the consumer shows of a chunk."""
        manifest, chunks = scan()
        return show_chunk(
            SALT, manifest, chunks, case.sealed.descriptor, case.sealed.leaves, number, case.sealed.chunks[number]
        )

    def accuse(
        self,
        case: Case,
        number: int,
        *,
        registration: Evidence | EventEvidence | None = None,
        chunk: ShownChunk | None = None,
        release: Stated | None = None,
    ) -> Delivery:
        """What the consumer accuses the provider of: chunk ``number`` of the sealing."""
        story = self.story
        wrong = WrongData(
            story.prove(release or case.release), registration or self.by_event(), chunk or self.chunk(case, number)
        )
        return build_wrong_data(
            story.prove(case.receipt), story.recipient, sealing=story.prove(case.sealing), wrong=wrong
        )

    def by_event(self) -> EventEvidence:
        """The registration as the contract's event shows it."""
        return replace(self.registered, chain=self.world.pin(self.registered.chain))

    def by_statement(self, stated: Stated | None = None) -> Evidence:
        """The registration as its statement, without the manifest."""
        return replace(self.story.prove(stated or self.registration), content=None)

    def good(self) -> dict[str, Delivery]:
        """What is shown."""
        return {
            "a-chunk-that-does-not-open": self.accuse(self.unopenable, 2),
            "an-empty-file-that-does-not-open": self.accuse(self.empty, 3),
            "other-bytes-than-registered": self.accuse(self.other_bytes, 0),
            "other-bytes-than-stated": self.accuse(self.other_bytes, 0, registration=self.by_statement()),
            "wrong-data-by-a-wrong-key": self.accuse(self.other_key, 0),
        }

    def spoilt(self) -> dict[str, Delivery | bytes]:
        """What a consumer may make up; ``-kept`` is an accusation of a provider that delivered."""
        good, honest, last = self.accuse(self.other_bytes, 0), self.chunk(self.honest, 0), self.chunk(self.honest, 2)
        released = self.story.prove(self.other_bytes.release)
        by_key = build_wrong_key(good.receipt, good.recipient, sealing=good.sealing, release=released)
        wrong_place = replace(honest, entry=scan()[0].files[3], entry_proof=self.chunk(self.honest, 4).entry_proof)
        return {
            "the-right-data-kept": self.accuse(self.honest, 2),
            "an-empty-file-kept": self.accuse(self.honest, 3),
            "a-chunk-made-up": self.accuse(self.honest, 0, chunk=replace(honest, ciphertext=bytes(32))),
            "a-chunk-of-another-sealing": self.accuse(self.honest, 0, chunk=self.chunk(self.unopenable, 0)),
            "a-chunk-of-another-place": self.accuse(self.honest, 2, chunk=replace(last, index=0)),
            "an-entry-of-another-place": self.accuse(self.honest, 0, chunk=wrong_place),
            "sides-of-another-place": self.accuse(self.honest, 0, chunk=replace(wrong_place, sides="ll")),
            "a-hash-made-up": self.accuse(self.honest, 0, chunk=changed_demand(honest, hash=bytes(32))),
            "a-hash-of-another-chunk": self.accuse(
                self.honest, 2, chunk=replace(last, demanded=self.chunk(self.honest, 1).demanded)
            ),
            "another-version-salt": self.accuse(self.honest, 0, chunk=replace(honest, version_salt=salt(502))),
            "another-registration": self.accuse(
                self.honest, 0, registration=self.by_statement(self.other_registration)
            ),
            "a-sealing-for-a-registration": self.accuse(
                self.honest, 0, registration=self.by_statement(self.honest.sealing)
            ),
            "another-transfers-private-key": replace(good, recipient=self.story.stranger),
            "another-transfers-release": self.accuse(self.other_bytes, 0, release=self.honest.release),
            "another-transfers-receipt": replace(good, receipt=self.story.prove(self.honest.receipt)),
            "wrong-data-in-version-1": changed(good, lambda each: each.update(format="concord-delivery/1")),
            "wrong-key-in-version-2": changed(by_key, lambda each: each.update(format="concord-delivery/2")),
            "a-chunk-left-out": changed(good, lambda each: each.pop("chunk")),
            "a-hash-left-out": changed(good, lambda each: each["chunk"].pop("demanded")),
            "a-hash-too-many": changed(good, lambda each: each["chunk"]["entry_proof"].append(_NO_HASH)),
            "sides-of-no-kind": changed(good, lambda each: each["chunk"].update(sides="lx")),
        }


def build_wrong_data_vectors() -> dict[str, bytes]:
    """Every file by its path below `FOLDER`."""
    story = WrongDataStory(DeliveryStory(wrap_as_kept))
    found = {"policy.json": story.policy().to_bytes(), "wrapped.json": (FOLDER / "wrapped.json").read_bytes()}
    found |= {f"good/{name}.json": each.to_bytes() for name, each in story.good().items()}
    for name, each in story.spoilt().items():
        found[f"{name}_fail/evidence.json"] = each if isinstance(each, bytes) else each.to_bytes()
    return found


def wrap_as_kept(name: str, key: bytes, recipient_key: bytes, terms: ReleaseTerms) -> bytes:
    """HPKE draws at random: what was wrapped once is kept."""
    kept = json.loads((FOLDER / "wrapped.json").read_text(encoding="utf-8"))
    if name not in kept:
        kept[name] = wrap_key(key, recipient_key, terms).hex()
        (FOLDER / "wrapped.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return bytes.fromhex(kept[name])


if __name__ == "__main__":
    for path, raw in build_wrong_data_vectors().items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_bytes(raw)
