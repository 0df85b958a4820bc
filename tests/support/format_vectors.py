"""The vectors below tests/vectors/formats: run this module to write them anew, which changes nothing.

One folder a format; in each ``good`` verifies, ``open`` can not be told, every ``<what-is-wrong>_fail`` has one thing
wrong, all under one policy. ``permission`` has attestations and, in ``cases.json``, what is asked of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ledger.canonical import encode_canonical, parse_canonical
from ledger.evidence import Breach, EventEvidence, Evidence, build_bundle
from ledger.evidence.fork import Fork
from ledger.log import Checkpoint, NoteSigner, SignedNote, TlogProof
from ledger.merkle import EMPTY_ROOT, leaf_hash, prove_inclusion
from ledger.types import Bytes32
from tests.support.evidence_vectors import _scan
from tests.support.evidence_world import ORIGIN, Published, make_event, salt, word
from tests.support.format_story import FormatStory

__all__ = ["FOLDER", "build_format_vectors"]

Files = Mapping[str, Any]  # by name, evidence of any format

FOLDER = Path(__file__).parents[1] / "vectors" / "formats"


def build_format_vectors() -> dict[str, bytes]:
    """Every file by its path below `FOLDER`."""
    story = Spoiler()
    files: dict[str, tuple[Files, Files, Files]] = {
        "event": (story.events(), story.spoilt_events(), {}),
        "breach": (
            story.breaches(),
            story.spoilt_breaches() | {f"{name}-kept": each for name, each in story.kept_promises().items()},
            story.open_promises(),
        ),
        "fork": ({"fork": story.fork}, story.spoilt_forks(), story.open_forks()),
        "upgrade": ({"registration": story.upgraded()}, story.spoilt_upgrades(), story.open_upgrades()),
        "bundle": ({"lineage": story.bundle}, story.spoilt_bundles(), {}),
    }
    found = {"policy.json": story.world.policy().to_bytes()}
    for form, (good, spoilt, opened) in files.items():
        found |= {f"{form}/good/{name}.json": _raw(each) for name, each in good.items()}
        found |= {f"{form}/open/{name}.json": _raw(each) for name, each in opened.items()}
        found |= {f"{form}/{name}_fail/evidence.json": _raw(each) for name, each in spoilt.items()}
    found |= {f"permission/{name}.json": _raw(each) for name, each in story.attestations().items()}
    return {**found, "permission/cases.json": encode_canonical(cast("Any", story.cases()))}


class Spoiler(FormatStory):
    """The story, and everything that may be wrong with its evidence."""

    def __init__(self) -> None:
        super().__init__(_scan())
        world = self.world
        attested = make_event("LogAttested", [world.log_id], self._attested(world.published[-1]))
        self.twice = world.mine([attested, attested])
        self.elsewhere = world.mine([attested | {"address": "0x" + "c2" * 20}])
        self.of_another_log = world.mine([make_event("LogAttested", [salt(77)], self._attested(world.published[-1]))])
        self.larger_before = self._republish()
        self.bundle = build_bundle(self.members())
        lied = self.sign([leaf_hash(entry) for entry in self.lied])
        true = self.sign([leaf_hash(entry) for entry in world.entries[: len(self.lied)]])
        self.fork = Fork(true.to_bytes(), lied.to_bytes(), Checkpoint.parse(lied.text).root, ())

    def spoilt_events(self) -> dict[str, EventEvidence | bytes]:
        """One thing wrong in each."""
        good = self.events()
        attested, granted, revoked = good["grant-attested"], good["access-granted"], good["access-revoked"]
        history = attested.history or ()
        return {
            "another-name": replace(revoked, name="AccessGranted"),
            "another-contract": replace(revoked, contract="DatasetRegistry"),
            "a-revocation-hidden": replace(attested, members=attested.members | {"revokedAt": "0"}),
            "a-member-left-out": changed(attested, lambda each: each["event"]["members"].pop("revokedAt")),
            "statement-of-another-grant": replace(granted, statement=_with(granted, policyHash=str(salt(9)))),
            "statement-of-another-type": replace(granted, statement=revoked.statement),
            "a-statement-where-none-belongs": replace(good["log-attested"], statement=granted.statement),
            "a-change-left-out": replace(attested, history=(*history[:3], *history[4:])),
            "the-last-change-left-out": replace(attested, history=history[:-1]),
            "no-history-at-all": replace(attested, history=()),
            "a-history-where-none-belongs": replace(revoked, history=history),
            "receipt-of-another-block": replace(granted, chain=replace(granted.chain, receipt=revoked.chain.receipt)),
            "event-of-another-contract": self.pinned(self.event(self.elsewhere)),
            "the-same-event-further-back": self.pinned(self.event(self.twice, 1)),
            "no-such-position": replace(granted, chain=replace(granted.chain, log_position=1)),
            "no-block-proof": replace(granted, chain=replace(granted.chain, block=None)),
            "a-member-that-nothing-binds": changed(granted, lambda each: each.update(note="true")),
        }

    def spoilt_breaches(self) -> dict[str, Breach | bytes]:
        """One thing wrong in each."""
        good = self.breaches()
        missed, replaced, forked = good["missed"], good["replaced"], good["forked"]
        promise, contradiction = missed.promise, forked.contradiction
        assert promise is not None
        assert contradiction is not None
        receipt = TlogProof.parse(promise.receipt)
        plain = self.sign([leaf_hash(entry) for entry in self.lied])
        return {
            "statement-that-was-not-receipted": replace(
                missed, promise=replace(promise, statement=replace(promise.statement, message=_other_grant(missed)))
            ),
            "signature-that-was-not-receipted": replace(
                missed, promise=replace(promise, signature=promise.signature[:-1] + b"\x00")
            ),
            "receipt-with-a-false-signature": _with_receipt(missed, replace(receipt, note=falsified(receipt.note))),
            "receipt-without-anchor-by": _with_receipt(
                missed, replace(receipt, note=self.world.signer.sign(plain.text))
            ),
            "receipt-with-extra-data": _with_receipt(missed, replace(receipt, extra=b"surplus")),
            "receipt-of-another-index": _with_receipt(missed, replace(receipt, index=3)),
            "event-of-another-log": replace(missed, chain=self.chain(self.of_another_log)),
            "event-of-another-contract": replace(missed, chain=self.chain(self.elsewhere)),
            "event-of-another-kind": replace(missed, chain=self.chain(self.revoked)),
            "leaf-that-is-not-there": changed(replaced, lambda each: each.update(leaf_hash="A" * 43 + "=")),
            "leaf-of-another-index": self._moved_leaf(replaced),
            "leaf-beyond-the-log": replace(replaced, chain=self.chain(self.missing)),
            "fork-from-another-root": replace(forked, contradiction=replace(contradiction, root=bytes(32))),
            "fork-from-the-empty-log": replace(
                forked,
                contradiction=replace(contradiction, checkpoint=self.sign([]).to_bytes(), root=EMPTY_ROOT, proof=()),
            ),
            "another-kind": changed(missed, lambda each: each.update(kind="unkind")),
        }

    def spoilt_forks(self) -> dict[str, Fork]:
        """One thing wrong in each."""
        fork = self.fork
        smaller = self.sign([leaf_hash(entry) for entry in self.world.entries[:2]])
        witness = NoteSigner("witness.example", bytes(32)).sign(smaller.text)
        lines = replace(smaller, signatures=smaller.signatures + witness.signatures)
        return {
            "one-history": replace(fork, larger=fork.smaller, root=Checkpoint.parse(_text(fork.smaller)).root),
            "another-root": replace(fork, root=bytes(32)),
            "larger-first": replace(fork, larger=smaller.to_bytes()),
            "false-signature": replace(fork, larger=falsified(SignedNote.parse(fork.larger)).to_bytes()),
            "surplus-note-signature": replace(fork, smaller=lines.to_bytes()),
        }

    def spoilt_upgrades(self) -> dict[str, Evidence]:
        """One thing wrong in each."""
        good, other = self.upgraded(), self.upgraded(self.derived)
        later = good.later
        assert later is not None
        assert other.later is not None
        first = self.world.prove_stated(self.registration)
        falsely = falsified(SignedNote.parse(later.checkpoint)).to_bytes()
        return {
            "consistency-from-another-size": replace(good, later=replace(later, proof=other.later.proof)),
            "the-first-checkpoint-again": replace(
                good, later=replace(later, checkpoint=first.log.checkpoint, anchor=first.anchor, proof=())
            ),
            "later-with-a-false-signature": replace(good, later=replace(later, checkpoint=falsely)),
            "event-of-another-size": replace(good, later=replace(later, anchor=self._published(self.tardy_by))),
            "recorded-before-the-first": self._link(self.larger_before),
            "history-that-ends-before-it": replace(good, history=first.history),
            "a-change-since-left-out": replace(good, history=(*good.history[:-2], good.history[-1])),
            "a-later-first-checkpoint": replace(
                good, log=self.world.prove_stated(self.registration, published=self.world.published[1]).log
            ),
        }

    def open_upgrades(self) -> dict[str, Evidence]:
        """What the policy does not know of them."""
        good = self.upgraded()
        assert good.later is not None
        note = stranger(good.later.checkpoint)
        return {
            "first-block-under-another-pin": self.upgraded(last=8),
            "later-of-an-unknown-log-key": replace(good, later=replace(good.later, checkpoint=note)),
        }

    def open_forks(self) -> dict[str, Fork]:
        """What the policy does not know of them."""
        return {"of-an-unknown-log-key": replace(self.fork, larger=stranger(self.fork.larger))}

    def open_promises(self) -> dict[str, Breach]:
        """Besides the story's: what the policy does not know of them."""
        missed = self.breaches()["missed"]
        assert missed.promise is not None
        receipt = TlogProof.parse(missed.promise.receipt)
        note = SignedNote.parse(stranger(receipt.note.to_bytes()))
        unknown = {"receipt-of-an-unknown-log-key": _with_receipt(missed, replace(receipt, note=note))}
        return super().open_promises() | unknown

    def spoilt_bundles(self) -> dict[str, bytes]:
        """One thing wrong in each."""

        def swap(bundle: Any) -> None:
            bundle["headers"][0], bundle["headers"][1] = bundle["headers"][1], bundle["headers"][0]

        spoilt: dict[str, Callable[[Any], object]] = {
            "a-part-that-nothing-uses": lambda each: each["headers"].append("0x00"),
            "a-part-twice": lambda each: each["headers"].append(each["headers"][0]),
            "a-part-missing": lambda each: each["nodes"].pop(),
            "parts-in-another-order": swap,
            "members-in-another-order": lambda each: each["evidence"].reverse(),
            "a-member-twice": lambda each: each["evidence"].append(each["evidence"][-1]),
            "a-reference-to-nothing": lambda each: _event_of(each)["chain"].update(header="99"),
            "a-change-that-nobody-needs": lambda each: each["history"].append(each["history"][-1]),
            "fewer-changes-than-proven": _shorten_history,
            "a-breach-among-them": lambda each: each["evidence"].append({"format": "concord-breach/1"}),
            "nothing-in-it": lambda each: each.update(evidence=[]),
        }
        return {name: changed(self.bundle, change) for name, change in spoilt.items()}

    def attestations(self) -> dict[str, EventEvidence]:
        """What is asked in the cases."""
        found = {"unknown": self.unknown, "early": self.early, "middle": self.middle, "late": self.late}
        return {name: self.pinned(each) for name, each in found.items()}

    def cases(self) -> list[dict[str, object]]:
        """Questions by attestation, with the exit code of the answer; by its grant alone, and by any."""
        start, end = self.valid_from, self.revoked.time
        lines: list[tuple[str, int, int | None, str | None, int]] = [
            ("unknown", self.now - 10_000, None, None, 2),
            ("unknown", self.unknown_at, None, None, 2),
            ("early", self.granted_at - 1, None, None, 1),
            ("early", self.granted_at, None, None, 1),
            ("early", start, None, None, 2),
            ("early", self.valid_until, None, None, 1),
            ("middle", start - 1, None, None, 1),
            ("middle", start, 1, "read", 0),
            ("middle", start, 3, "derive", 0),
            ("middle", start, 4, "read", 1),
            ("middle", start, 0, "read", 1),
            ("middle", start, 1, "archive", 1),
            ("middle", self.suspended.time - 1, None, None, 0),
            ("middle", self.suspended.time, None, None, 1),
            ("middle", self.reinstated.time - 1, None, None, 1),
            ("middle", self.reinstated.time, None, None, 0),
            ("middle", end, None, None, 2),
            ("late", end - 1, None, None, 0),
            ("late", end, None, None, 1),
            ("late", self.valid_until + 10**9, None, None, 1),
        ]
        names = ("attestation", "at", "version", "right", "exit_code")
        asked = [dict(zip(names, map(_dump, line), strict=True)) for line in lines]
        grants = {name: each.members["digest"] for name, each in self.attestations().items()}
        return [
            *({**each, "grant": grants[cast("str", each["attestation"])]} for each in asked),
            *({**each, "grant": None, "exit_code": "2"} for each in asked if each["exit_code"] == "1"),
        ]

    @property
    def unknown_at(self) -> int:
        """The time of the attestation of a grant that the contract did not know yet."""
        return self.granted_at - 10

    def _attested(self, last: Published) -> bytes:
        return word(last.size) + last.root + word(last.time) + self.world.head()

    def _moved_leaf(self, replaced: Breach) -> Breach:
        leaves = [leaf_hash(entry) for entry in self.world.entries]
        assert replaced.replacement is not None
        other = replace(replaced.replacement, leaf_hash=leaves[2], proof=tuple(prove_inclusion(leaves, 2, len(leaves))))
        return replace(replaced, replacement=other)

    def _republish(self) -> Published:
        """A larger checkpoint whose event says that it came before the first one."""
        world, last = self.world, self.last
        time = world.blocks[-1].time + 10
        data = word(last.size) + last.root + word(time) + word(0) + EMPTY_ROOT + word(world.opened.time) + world.head()
        block = world.mine([make_event("CheckpointPublished", [world.log_id], data)])
        return replace(last, time=time, records=len(world.history), chain=world.prove(block, 0, 0))

    def _link(self, published: Published) -> Evidence:
        good = self.upgraded()
        assert good.later is not None
        later = replace(good.later, anchor=self._published(published))
        return replace(good, later=later, history=tuple(self.world.history[: published.records]))


def changed(evidence: Any, change: Callable[[Any], object]) -> bytes:
    """The file after a change to its document."""
    document: Any = copy.deepcopy(parse_canonical(_raw(evidence)))
    change(document)
    return encode_canonical(document)


def falsified(note: SignedNote) -> SignedNote:
    """The note with a signature of its own key over something else."""
    (line,) = note.signatures
    return SignedNote(note.text, (replace(line, signature=line.signature[:-1] + bytes([line.signature[-1] ^ 1])),))


def stranger(note: bytes) -> bytes:
    """The same text signed with a key of that name which nobody pins."""
    return NoteSigner(ORIGIN, bytes(32)).sign(_text(note)).to_bytes()


def _raw(evidence: Any) -> bytes:
    return evidence if isinstance(evidence, bytes) else cast("bytes", evidence.to_bytes())


def _with(event: EventEvidence, **members: str) -> Any:
    assert event.statement is not None
    return replace(event.statement, message={**event.statement.message, **members})


def _other_grant(breach: Breach) -> Any:
    assert breach.promise is not None
    return {**breach.promise.statement.message, "grant": str(salt(99))}


def _with_receipt(breach: Breach, receipt: TlogProof) -> Breach:
    assert breach.promise is not None
    return replace(breach, promise=replace(breach.promise, receipt=receipt.to_bytes()))


def _text(note: bytes) -> str:
    return note.decode().split("\n\n")[0] + "\n"


def _event_of(bundle: Any) -> Any:
    return next(each for each in bundle["evidence"] if "chain" in each)


def _shorten_history(bundle: Any) -> None:
    member = _event_of(bundle)
    member["history"] = str(int(member["history"]) - 1)


def _dump(value: object) -> object:
    return str(value) if isinstance(value, int | Bytes32) else value


def _write() -> None:
    for path, raw in build_format_vectors().items():
        file = FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)


if __name__ == "__main__":
    _write()
