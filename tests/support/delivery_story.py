"""A data set sealed, delivered and receipted, and keys that were released for it, or were not: in a log of its own.

Of one version a part was sealed that is not what was registered: `tests.support.wrong_data_story`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ledger.canonical import encode_canonical
from ledger.content.release import RecipientKey, ReleaseTerms
from ledger.content.sealing import SealingKey
from ledger.evidence import Delivery, Evidence, Policy, Silence, build_withheld, build_wrong_key
from ledger.keccak import keccak256
from ledger.merkle import complete_subtrees, compute_root, leaf_hash
from ledger.statements import compute_transfer_id
from ledger.types import Bytes32
from tests.support.evidence_world import Published, Stated, World, salt

__all__ = ["FOLDER", "DeliveryStory", "build_delivery_vectors", "changed"]

FOLDER: Final = Path(__file__).parents[1] / "vectors" / "delivery"
_WRAPPED: Final[dict[str, str]] = json.loads((FOLDER / "wrapped.json").read_text(encoding="utf-8"))
"""HPKE draws at random: what was wrapped once is kept."""


@dataclass(frozen=True)
class Elsewhere:
    """A participant's own log: a receipt, the sealing, a receipt of that, and nothing until long after."""

    log: World
    early: Stated
    sealing: Stated
    receipt: Stated
    silent: Published


class DeliveryStory:
    """The utility seals; the analytics firm receipts again and again; its keys are right, wrong, another's, or missing.

    It also logs receipts that nobody answers, of which some are of what the utility never offered.
    """

    def __init__(self, wrap: Callable[[str, bytes, bytes, ReleaseTerms], bytes] | None = None) -> None:
        self.wrap = wrap or (lambda name, *_: bytes.fromhex(_WRAPPED[name]))
        self.world = world = World()
        self.utility, self.analytics = world.admit("utility", 2), world.admit("analytics", 3)
        self.key, self.other_key = SealingKey(keccak256(b"sealing")), SealingKey(keccak256(b"another"))
        self.recipient, self.stranger = RecipientKey(_clamped(b"one")), RecipientKey(_clamped(b"two"))
        self.root = salt(81)
        self.sealing = self._seal("utility")
        self.foreign_sealing, self.other_sealing = self._seal("analytics"), self._seal("utility", version=2)
        world.publish()
        self.receipt = self._receipt(1)
        self.releases = {
            "right": self._release("right", self.key, self.recipient),
            "another-key": self._release("another-key", self.other_key, self.recipient),
            "another-recipient": self._release("another-recipient", self.key, self.stranger),
            "a-short-key": self._release("a-short-key", None, self.recipient),
            "another-transfer": self._release("right", self.key, self.recipient, transfer=salt(90)),
            "another-grant": self._release("right", self.key, self.recipient, grant=salt(91)),
            "another-consumer": self._release("right", self.key, self.recipient, consumer=salt(92)),
            "another-receipt": self._release("right", self.key, self.recipient, receipt=salt(93)),
            "by-another": self._release("right", self.key, self.recipient, handle="gateway"),
        }
        self.other_bytes = self._receipt(5, ciphertextRoot=salt(94))
        self.release_of_other_bytes = self._release("right", self.key, self.recipient, receipted=self.other_bytes)
        world.publish()
        self._leave_unanswered()
        self.of_consumer, self.of_provider = self._log_elsewhere("analytics"), self._log_elsewhere("utility")

    def _leave_unanswered(self) -> None:
        world, now = self.world, self.world.blocks[-1].time
        self.unanswered = self._receipt(2, deadline=now + 400)
        self.hasty = self._receipt(6, deadline=now + 15)
        self.overtaken = self._receipt(7, deadline=now + 5)  # the checkpoint comes after that
        self.of_foreign_sealing = self._receipt(8, sealing=self.digest_of(self.foreign_sealing))
        self.of_other_bytes = self._receipt(9, ciphertextRoot=salt(94))
        world.publish()
        world.state("gateway", "AccessRevocation", grant=salt(60))
        self.too_early = world.publish()
        self.not_from_provider = self._await(now + 410)
        world.state("utility", "AccessRevocation", grant=salt(61))
        self.spoken = world.publish()

    def _log_elsewhere(self, handle: str) -> Elsewhere:
        """Somebody's own log, which has what the utility sealed; the consumer can copy that into its own."""
        log = self.world.beside(handle, f"{handle}.example/log")
        early = self._receipt(10, log=log, deadline=log.blocks[-1].time + 40)
        log.publish()
        sealing = log.append(self.sealing.statement, self.sealing.signature)
        receipt = self._receipt(11, log=log, deadline=log.blocks[-1].time + 40)
        log.publish()
        return Elsewhere(log, early, sealing, receipt, self._await(log.blocks[-1].time + 400, log))

    def policy(self) -> Policy:
        """Of an auditor who knows all three logs."""
        policy = self.world.policy()
        logs = (self.world.pinned_log, self.of_consumer.log.pinned_log, self.of_provider.log.pinned_log)
        return replace(policy, logs=tuple(sorted(logs, key=lambda log: (log.operator, log.origin))))

    def _seal(self, handle: str, version: int = 1) -> Stated:
        return self.world.state(
            handle, "Sealing", dataset=salt(40), version=version, registration=salt(41),
            keyCommitment=self.key.commitment, ciphertextRoot=self.root, ciphertextSize=1_000,
        )  # fmt: skip

    def _receipt(self, number: int, log: World | None = None, **members: Any) -> Stated:
        given: dict[str, Any] = {
            "provider": self.utility.id, "transferSalt": salt(70 + number), "grant": salt(50),
            "sealing": self.digest_of(self.sealing), "ciphertextRoot": self.root, "recipientKey": self.recipient.public,
        }  # fmt: skip
        return (log or self.world).state("analytics", "TransferReceipt", **given | members)

    def receipt_of(self, sealing: Stated, number: int) -> Stated:
        """A receipt of another sealing."""
        root = sealing.statement.message["ciphertextRoot"]
        return self._receipt(number, sealing=self.digest_of(sealing), ciphertextRoot=root)

    def _release(
        self,
        name: str,
        key: SealingKey | None,
        recipient: RecipientKey,
        *,
        handle: str = "utility",
        receipted: Stated | None = None,
        **members: Any,
    ) -> Stated:
        receipt = receipted or self.receipt
        message: Any = receipt.statement.message
        transfer = compute_transfer_id(self.analytics.id, message["transferSalt"])
        terms = ReleaseTerms(transfer, message["grant"], message["sealing"], self.analytics.id)
        wrapped = b"short" if key is None else self.wrap(name, key.to_bytes(), recipient.public, terms)
        given: dict[str, Any] = {
            "consumer": self.analytics.id, "transfer": transfer, "grant": message["grant"],
            "receipt": self.digest_of(receipt), "wrappedKey": wrapped,
        }  # fmt: skip
        return self.world.state(handle, "KeyRelease", **given | members)

    def _await(self, moment: int, log: World | None = None) -> Published:
        world = log or self.world
        while world.blocks[-1].time < moment:
            world.mine()
        world.state("gateway", "AccessRevocation", grant=salt(62))
        return world.publish()

    def digest_of(self, stated: Stated) -> Bytes32:
        return stated.statement.digest(self.world.domains)

    def prove(self, stated: Stated, log: World | None = None) -> Evidence:
        return (log or self.world).prove_stated(stated)

    def released(self, name: str) -> Delivery:
        """What the consumer accuses one of the releases with."""
        sealing, release = self.prove(self.sealing), self.prove(self.releases[name])
        return build_wrong_key(self.prove(self.receipt), self.recipient, sealing=sealing, release=release)

    def silence(
        self,
        published: Published,
        receipt: Stated | None = None,
        sealing: Evidence | None = None,
        log: World | None = None,
    ) -> Delivery:
        """What the consumer accuses of giving no release at all, by this log or another."""
        receipt, world = receipt or self.unanswered, log or self.world
        leaves = [leaf_hash(entry) for entry in world.entries]
        parts = complete_subtrees(0, receipt.index) if receipt.index else []
        left = [compute_root(leaves[place << level : place + 1 << level]) for level, place in parts]
        entries = world.entries[receipt.index + 1 : published.size]
        since = Silence(world.pin(published.chain), tuple(left), tuple(entries))
        shown = sealing or self.prove(self.sealing)
        return build_withheld(self.prove(receipt, world), self.recipient, sealing=shown, since=since)

    def silence_in(self, other: Elsewhere, receipt: Stated | None = None, sealing: Evidence | None = None) -> Delivery:
        """The same by somebody's own log."""
        shown = sealing or self.prove(other.sealing, other.log)
        return self.silence(other.silent, receipt or other.receipt, shown, other.log)

    def good(self) -> dict[str, Delivery]:
        """What is shown."""
        names = ("another-key", "another-recipient", "a-short-key", "another-transfer", "another-grant",
                 "another-consumer")  # fmt: skip
        silences = {"withheld": self.unanswered, "withheld-after-a-near-deadline": self.hasty}
        found = {name: self.silence(self.not_from_provider, receipt) for name, receipt in silences.items()}
        found["withheld-in-the-providers-own-log"] = self.silence_in(self.of_provider)
        return {name: self.released(name) for name in names} | found

    def open(self) -> dict[str, Delivery]:
        """What can not be told."""
        return {
            "not-due": self.silence(self.too_early),
            "too-soon-after-the-receipt": self.silence(self.too_early, self.hasty),
            "receipt-anchored-after-its-deadline": self.silence(self.not_from_provider, self.overtaken),
            "provider-spoke": self.silence(self.spoken),
            "in-the-consumers-own-log": self.silence_in(self.of_consumer),
        }

    def spoilt(self) -> dict[str, Delivery | bytes]:
        """What is false; ``-kept`` is an accusation of a provider that delivered."""
        good, silence = self.released("another-key"), self.silence(self.not_from_provider)
        since = silence.shown
        assert isinstance(since, Silence)
        rest = since.entries[1:]
        of_other_bytes = self.prove(self.release_of_other_bytes)
        return self._spoilt_receipts() | {
            "the-right-key-kept": self.released("right"),
            "of-another-receipt": self.released("another-receipt"),
            "of-another-provider": self.released("by-another"),
            "another-private-key": replace(good, recipient=self.stranger),
            "a-foreign-sealing": replace(good, sealing=self.prove(self.foreign_sealing)),
            "other-bytes-receipted": build_wrong_key(
                self.prove(self.other_bytes), self.recipient, sealing=self.prove(self.sealing), release=of_other_bytes
            ),
            "a-sealing-for-a-receipt": replace(good, receipt=self.prove(self.sealing)),
            "another-kind": changed(good, lambda each: each.update(kind="unkind")),
            "a-private-key-not-clamped": changed(good, lambda each: each.update(private_key="0x" + "ff" * 32)),
            "a-member-too-many": changed(good, lambda each: each.update(note="x")),
            "an-entry-left-out": replace(silence, shown=replace(since, entries=since.entries[1:])),
            "an-entry-changed": replace(silence, shown=replace(since, entries=(self.world.entries[0], *rest))),
            "an-entry-of-no-version": replace(silence, shown=replace(since, entries=(bytes(97), *rest))),
            "a-subtree-left-out": replace(silence, shown=replace(since, left=since.left[1:])),
            "the-event-of-another-size": replace(
                silence, shown=replace(since, chain=self.world.pin(self.spoken.chain))
            ),
        }

    def _spoilt_receipts(self) -> dict[str, Delivery | bytes]:
        """Receipts of what the provider did not offer there, which it therefore owes no key to."""
        silent, foreign = self.not_from_provider, self.prove(self.foreign_sealing)
        return {
            "a-receipt-of-a-foreign-sealing": self.silence(silent, self.of_foreign_sealing, foreign),
            "a-receipt-of-other-bytes": self.silence(silent, self.of_other_bytes),
            "a-receipt-of-another-sealing": self.silence(silent, sealing=self.prove(self.other_sealing)),
            "a-receipt-alone": changed(self.silence(silent), lambda each: each.pop("sealing")),
            "a-receipt-in-another-log": self.silence_in(self.of_provider, sealing=self.prove(self.sealing)),
            "a-receipt-before-the-sealing": self.silence_in(self.of_provider, self.of_provider.early),
        }


def changed(delivery: Delivery, change: Callable[[Any], object]) -> bytes:
    """The file with its document changed."""
    document = delivery.to_document()
    change(document)
    return encode_canonical(document)


def build_delivery_vectors() -> dict[str, bytes]:
    """Every file by its path below `FOLDER`."""
    story = DeliveryStory()
    found = {"policy.json": story.policy().to_bytes(), "wrapped.json": (FOLDER / "wrapped.json").read_bytes()}
    found |= {f"good/{name}.json": each.to_bytes() for name, each in story.good().items()}
    found |= {f"open/{name}.json": each.to_bytes() for name, each in story.open().items()}
    for name, each in story.spoilt().items():
        found[f"{name}_fail/evidence.json"] = each if isinstance(each, bytes) else each.to_bytes()
    return found


def _clamped(seed: bytes) -> bytes:
    raw = keccak256(seed)
    return bytes([raw[0] & 248, *raw[1:31], raw[31] & 127 | 64])


if __name__ == "__main__":
    for path, raw in build_delivery_vectors().items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_bytes(raw)
