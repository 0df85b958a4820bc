"""The vectors below tests/vectors/evidence/substituted: true parts in the place of other true parts, under one policy.

An RFC 6962 root does not commit to its tree's size: the proof of entry 6 of 7 is also one of 3 of 4, 5 of 6 and 9 of
10. So a log that lies signs such checkpoints, and everything but the contract's event agrees.
`tests.support.evidence_vectors` writes these with the others.
"""

from __future__ import annotations

from dataclasses import replace

from ledger.evidence import Evidence
from ledger.log import Checkpoint
from ledger.merkle import EMPTY_ROOT
from ledger.statements import HistoryKind, address_of
from ledger.types import Bytes32
from tests.support.evidence_world import ORIGIN, Published, World, make_event, salt, word

__all__ = ["PLACES", "build_substituted_vectors"]

PLACES = ((3, 4), (5, 6), (9, 10))
"""Index and size under which the proof of entry 6 of 7 leads from the same leaf to the same root."""


class SubstitutedStory:
    """A utility states seven things and one more, then its key is revoked; others say what only the contract may."""

    def __init__(self) -> None:
        self.world = world = World()
        utility = world.admit("utility", 2)
        self.stated = [world.state("utility", "AccessRevocation", grant=salt(number)) for number in range(7)]
        self.first = world.publish()
        self.last_words = world.state("utility", "AccessRevocation", grant=salt(7))
        world.publish()
        world.extend_history((HistoryKind.KEY_REVOKED, utility.id, address_of(utility.signing)))
        world.state("gateway", "AccessRevocation", grant=salt(8))
        self.third = world.publish()
        self.of_another_contract = self._say(world.log_id, contract="AccessGrants")
        self.of_another_log = self._say(salt(77))
        self.good = {
            "entry-6-of-7": world.prove_stated(self.stated[6]),
            "key-revoked-after-the-interval": world.prove_stated(self.last_words),
        }

    def spoilt(self) -> dict[str, Evidence]:
        """One thing wrong in each."""
        world, last, good = self.world, self.stated[6], self.good["entry-6-of-7"]
        kept = [record for record in good.history if record.kind != HistoryKind.CONTROL_KEY_SET]
        swapped = (good.history[1], good.history[0], *good.history[2:])
        return {f"entry-{index}-of-{size}-for-6-of-7": self._moved(index, size) for index, size in PLACES} | {
            "event-of-another-contract": world.prove_stated(last, published=self.of_another_contract),
            "event-of-another-log": world.prove_stated(last, published=self.of_another_log),
            "a-change-in-the-middle-left-out": replace(good, history=tuple(kept)),
            "two-changes-in-another-order": replace(good, history=swapped),
            "history-of-a-later-checkpoint": replace(good, history=tuple(world.history)),
            "last-checkpoint-as-the-first": world.prove_stated(last, published=self.third),
        }

    def _moved(self, index: int, size: int) -> Evidence:
        """With a checkpoint of another size over the same root, which the log did sign."""
        good, note = self.good["entry-6-of-7"], self.world.signer.sign(Checkpoint(ORIGIN, size, self.first.root).text)
        return replace(good, log=replace(good.log, index=index, checkpoint=note.to_bytes()))

    def _say(self, log: Bytes32, *, contract: str = "CheckpointLog") -> Published:
        """The words of the first checkpoint's event, of another log or from another contract."""
        world, first = self.world, self.first
        before = word(0) + EMPTY_ROOT + word(world.opened.time)
        time = world.blocks[-1].time + 10
        data = word(first.size) + first.root + word(time) + before + world.head(first.records)
        block = world.mine([make_event("CheckpointPublished", [log], data, contract=contract)])
        return replace(first, time=time, chain=world.prove(block, 0, 0))


def build_substituted_vectors() -> dict[str, bytes]:
    """Every file by its path below ``substituted``."""
    story = SubstitutedStory()
    files = {"policy.json": story.world.policy().to_bytes()}
    files |= {f"good/{name}.json": evidence.to_bytes() for name, evidence in story.good.items()}
    return files | {f"{name}_fail/evidence.json": each.to_bytes() for name, each in story.spoilt().items()}
