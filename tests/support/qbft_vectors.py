"""The vectors below tests/vectors/evidence/sealed: of a chain whose five validators became four, under one policy.

`tests.support.evidence_vectors` writes them with the others.
"""

from __future__ import annotations

from dataclasses import replace

from ledger.evidence import Evidence, Header, prove_block
from ledger.evidence.qbft import normalize_header
from ledger.statements import address_of
from ledger.types import Bytes32
from tests.support.evidence_world import salt, word
from tests.support.qbft_world import SealedWorld, malleate, sealed_by, validator_keys, with_seals

__all__ = ["SealedStory", "build_sealed_vectors"]


class SealedStory:
    """A utility asks and retires a dataset; between them the validators vote one of themselves out."""

    def __init__(self) -> None:
        self.world = world = SealedWorld(keys=validator_keys(1, 2, 3, 4, 5))
        utility = world.admit("utility", 2)
        self.early = early = world.state("utility", "AccessRevocation", grant=salt(9))
        world.round = 1
        world.publish()
        world.round = 0
        key = word(address_of(utility.signing))
        world.take_effect(early, "AccessRevoked", [utility.id], key + salt(9))
        self.removed = world.keys[1]
        self.old_keys = world.keys
        world.vote_out(1)
        self.late = late = world.state("utility", "DatasetRetirement", datasetSalt=salt(40))
        world.round = 1
        world.publish()
        world.round = 0
        world.take_effect(late, "DatasetRetired", [utility.id, salt(40)], key)
        world.mine()
        self.policy = world.policy()
        self.closed = world.prove_stated(early)
        self.sealed = world.prove_stated(late)
        self.closed_by_seals = replace(self.closed, anchor=world.published[0].chain, effect=early.effect)

    def spoilt(self) -> dict[str, Evidence]:
        """One thing wrong in each."""
        raw = self.sealed.anchor.header
        one, two, three, *_ = sealed_by(raw, self.world.keys)
        return {
            "two-of-four-seals": self._sealed(with_seals(raw, [one, two])),
            "seal-counted-twice": self._sealed(with_seals(raw, [one, two, two])),
            "seal-beside-a-quorum-twice": self._sealed(with_seals(raw, [one, two, three, three])),
            "seal-counted-twice-malleated": self._sealed(with_seals(raw, [one, two, malleate(two)])),
            "malleated-seal": self._sealed(with_seals(raw, [one, two, malleate(three)])),
            "seal-of-the-validator-voted-out": self._sealed(
                with_seals(raw, [one, two, *sealed_by(raw, [self.removed])])
            ),
            "seal-of-a-stranger-beside-a-quorum": self._sealed(
                with_seals(raw, [one, two, three, *sealed_by(raw, validator_keys(99))])
            ),
            "validators-of-another-epoch": self._sealed(self._of_the_epoch_before(raw)),
            "another-round-than-sealed": self._sealed(with_seals(raw, [one, two, three], round=b"\2")),
            "no-seals": self._sealed(with_seals(raw, [])),
            "receipt-of-another-block": replace(
                self.sealed, anchor=replace(self.sealed.anchor, receipt=self.closed.anchor.receipt)
            ),
            "header-of-another-block": self._sealed(self.world.headers()[-1]),
            "block-hash-with-its-round": self._with_round(),
            "root-over-a-hash-with-a-round": self._with_round(shows_it=False),
            "seals-beside-a-block-proof": replace(
                self.closed, anchor=replace(self.closed.anchor, header=self.closed_by_seals.anchor.header)
            ),
            "block-of-another-epoch": self._moved(),
        }

    def _sealed(self, header: bytes) -> Evidence:
        return replace(self.sealed, anchor=replace(self.sealed.anchor, header=header))

    def _of_the_epoch_before(self, raw: bytes) -> bytes:
        """The block as the five validators would have sealed it, one of whom is none any more."""
        validators = [address_of(key) for key in self.old_keys]
        unsealed = with_seals(raw, [], validators=[*validators])
        return with_seals(unsealed, sealed_by(unsealed, self.old_keys[1:]))

    def _with_round(self, *, shows_it: bool = True) -> Evidence:
        """A tree over the hash that has the round in it, which is not the block's hash."""
        anchor, block = self.closed.anchor, self.closed.anchor.block
        assert block is not None
        rounded = Header.parse(with_seals(self.closed_by_seals.anchor.header, []))
        hashes = [each.hash for each in self.world.blocks[: block.last + 1]]
        hashes[rounded.number] = rounded.hash
        proof = prove_block(hashes, rounded.number)
        header = rounded if shows_it else normalize_header(rounded)
        return replace(self.closed, anchor=replace(anchor, header=header.to_bytes(), block=proof))

    def _moved(self) -> Evidence:
        """A block of the open epoch under a root made up for the closed one."""
        header = normalize_header(Header.parse(self.sealed.anchor.header))
        first = self.policy.sealed_epochs[0]
        assert first.last is not None
        hashes: list[Bytes32] = [each.hash for each in self.world.blocks[: first.last + 1]]
        hashes[-1] = header.hash
        proof = prove_block(hashes, first.last)
        return replace(self.sealed, anchor=replace(self.sealed.anchor, header=header.to_bytes(), block=proof))


def build_sealed_vectors() -> dict[str, bytes]:
    """Every file by its path below ``sealed``."""
    story = SealedStory()
    files = {
        "policy.json": story.policy.to_bytes(),
        "good/sealed.json": story.sealed.to_bytes(),
        "good/under-a-closed-epoch.json": story.closed.to_bytes(),
        "open/seals-of-a-closed-epoch.json": story.closed_by_seals.to_bytes(),
    }
    return files | {f"{name}_fail/evidence.json": each.to_bytes() for name, each in story.spoilt().items()}
