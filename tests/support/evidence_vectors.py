"""The vectors below tests/vectors/evidence: run this module to write them anew, which changes nothing.

``good`` holds evidence that verifies, ``open`` what can not be told, each ``<what-is-wrong>_fail`` has one thing wrong;
all under one policy. ``sealed`` holds the same for a chain with validators, ``substituted`` true parts in wrong places.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from ledger.content import Manifest, scan_folder
from ledger.evidence import Evidence, Header
from ledger.log import Checkpoint, NoteSigner, SignedNote
from ledger.statements import HistoryKind, address_of, compute_dataset_id
from ledger.types import Bytes32
from tests.support.evidence_world import ORIGIN, Published, World, private_key, salt, word
from tests.support.qbft_vectors import build_sealed_vectors
from tests.support.substituted_vectors import build_substituted_vectors

__all__ = ["FOLDER", "build_vectors"]

FOLDER = Path(__file__).parents[1] / "vectors" / "evidence"
DATA = {"generation/2024.csv": b"month,mwh\n1,4120\n2,3970\n", "readme.txt": "Strömung\n".encode()}
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def build_vectors() -> dict[str, bytes]:
    """Every file by its path below `FOLDER`."""
    story = _Story()
    world = story.world
    files = {
        "policy.json": world.policy().to_bytes(),
        "good/registration.json": story.evidence.to_bytes(),
        "good/derived.json": world.prove_stated(story.derived).to_bytes(),
        "good/revocation.json": world.prove_stated(story.revocation).to_bytes(),
    }
    files["open/key-revoked-within-the-interval.json"] = world.prove_stated(story.stolen).to_bytes()
    for path, raw in DATA.items():
        files[f"good/data/{path}"] = raw
    for name, evidence in story.spoilt().items():
        files[f"{name}_fail/evidence.json"] = evidence.to_bytes()
    files |= {f"sealed/{path}": raw for path, raw in build_sealed_vectors().items()}
    return files | {f"substituted/{path}": raw for path, raw in build_substituted_vectors().items()}


class _Story:
    """A utility registers, an analytics firm derives, a revocation follows, then the utility's key is revoked."""

    def __init__(self) -> None:
        self.world = world = World()
        self.utility = world.admit("utility", 2)
        world.admit("analytics", 3)
        manifest = _scan()
        self.registration = world.register("utility", 1, manifest)
        world.state("analytics", "AccessDenial", consumer=self.utility.id, request=salt(1), reasonHash=salt(2))
        world.publish()
        key = word(address_of(self.utility.signing))
        world.take_effect(self.registration, "DatasetRegistered", [salt(40), self.utility.id], key + bytes(160))
        parent = {
            "dataset": compute_dataset_id(self.utility.id, salt(40)),
            "version": 1,
            "registration": self.registration.statement.digest(world.domains),
        }
        self.derived = world.register("analytics", 1, manifest, parents=[parent], slug="forecast")
        self.revocation = world.state("utility", "AccessRevocation", grant=salt(9))
        world.publish()
        world.take_effect(self.revocation, "AccessRevoked", [self.utility.id], key + salt(9))
        world.extend_history((HistoryKind.KEY_REVOKED, self.utility.id, address_of(self.utility.signing)))
        self.stolen = world.state("utility", "DatasetRetirement", datasetSalt=salt(40))
        world.publish()
        self.too_late = world.state("utility", "AccessRevocation", grant=salt(10))
        world.publish()
        self.stranger = world.state("analytics", "DatasetRetirement", key=private_key(99), datasetSalt=salt(41))
        world.publish()
        self.evidence = world.prove_stated(self.registration)

    def spoilt(self) -> dict[str, Evidence]:
        """One thing wrong in each."""
        good, world = self.evidence, self.world
        later = world.published[1]
        other = world.prove_stated(self.derived)
        block = good.anchor.block
        assert block is not None
        signature = good.signature
        high_s = (_ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
        log = good.log
        return {
            "changed-version": replace(good, message=good.message | {"version": "2"}),
            "signature-of-another-key": world.prove_stated(self.stranger),
            "high-s-signature": replace(good, signature=signature[:32] + high_s + bytes([55 - signature[64]])),
            "another-index": replace(good, log=replace(log, index=1)),
            "root-for-another-size": self._with_note(self._sign(3, world.published[0])),
            "note-of-another-log-key": self._with_note(
                NoteSigner(ORIGIN, bytes(32)).sign(Checkpoint(ORIGIN, 2, bytes(32)).text)
            ),
            "surplus-note-signature": self._with_note(self._countersigned()),
            "later-checkpoint-as-the-first": world.prove_stated(self.registration, published=later),
            "receipt-of-another-block": replace(good, anchor=replace(good.anchor, receipt=other.anchor.receipt)),
            "event-at-another-position": replace(good, anchor=replace(good.anchor, log_position=0)),
            "block-under-another-root": replace(
                good, anchor=replace(good.anchor, block=replace(block, root=Bytes32(bytes(32))))
            ),
            "no-block-proof": replace(good, anchor=replace(good.anchor, block=None)),
            "forged-header": replace(good, anchor=replace(good.anchor, header=self._forged_header())),
            "history-with-a-change-left-out": replace(good, history=good.history[:-1]),
            "key-revoked-before-the-interval": world.prove_stated(self.too_late),
            "effect-of-another-statement": replace(good, effect=world.prove_stated(self.revocation).effect),
            "content-of-another-version": replace(good, content=other.content),
        }

    def _sign(self, size: int, published: Published) -> SignedNote:
        return self.world.signer.sign(Checkpoint(ORIGIN, size, published.root).text)

    def _with_note(self, note: SignedNote) -> Evidence:
        return replace(self.evidence, log=replace(self.evidence.log, checkpoint=note.to_bytes()))

    def _countersigned(self) -> SignedNote:
        note = SignedNote.parse(self.evidence.log.checkpoint)
        witness = NoteSigner("witness.example", bytes(32)).sign(note.text)
        return SignedNote(note.text, note.signatures + witness.signatures)

    def _forged_header(self) -> bytes:
        header = Header.parse(self.evidence.anchor.header)
        return Header((*header.fields[:3], b"\1" * 32, *header.fields[4:])).to_bytes()


def _scan() -> Manifest:
    with tempfile.TemporaryDirectory() as name:
        for path, raw in DATA.items():
            file = Path(name, path)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(raw)
        return scan_folder(Path(name)).manifest


def _write() -> None:
    for path, raw in build_vectors().items():
        file = FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)


if __name__ == "__main__":
    _write()
