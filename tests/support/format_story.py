"""One story from which evidence of every newer format is made: events, permission, breaches, bundles, upgrades.

A utility registers data and grants an analytics firm access, which is suspended for a while; the grant is revoked. The
gateway's log receipts entries that it anchors late, replaces or drops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ledger.content import Manifest
from ledger.evidence import (
    Breach,
    ChainProof,
    EventEvidence,
    Evidence,
    HistoryRecord,
    build_event_evidence,
    build_forked,
    build_missed,
    build_replaced,
    upgrade_evidence,
)
from ledger.log import Checkpoint, SignedNote, TlogProof, format_anchor_by
from ledger.merkle import compute_root, leaf_hash, prove_consistency, prove_inclusion
from ledger.statements import Entry, HistoryKind, Statement, address_of, compute_dataset_id, sign_digest
from ledger.types import Bytes32
from tests.support.evidence_world import ORIGIN, START, Block, Json, Published, Stated, World, make_event, salt, word

__all__ = ["FormatStory", "Promised"]


class Promised:
    """A statement with its signature, and the entry that the log promised."""

    def __init__(self, world: World, grant: int) -> None:
        member = world.members["utility"]
        self.statement = Statement.build(
            "AccessRevocation", participant=member.id, grant=salt(grant), deadline=START + 100_000, salt=salt(grant)
        )
        digest = self.statement.digest(world.domains)
        self.signature = sign_digest(member.signing, digest)
        self.entry = Entry.of(digest, member.id, self.signature).to_bytes()


class FormatStory:
    """The story; each step is a block, ten seconds after the one before."""

    def __init__(self, manifest: Manifest) -> None:
        self.world = world = World()
        self.utility, self.analytics = world.admit("utility", 2), world.admit("analytics", 3)
        self.key = word(address_of(self.utility.signing))
        self.dataset = compute_dataset_id(self.utility.id, salt(40))
        self._register(manifest)
        self._grant()
        self._agree()
        self._break_promises()

    def _register(self, manifest: Manifest) -> None:
        world = self.world
        self.registration = world.register("utility", 1, manifest)
        world.publish()
        message = self.registration.statement.message
        hashes = bytes(message["contentHash"]) + bytes(message["metadataHash"])  # type: ignore[arg-type]  # bytes both
        data = self.key + word(1) + hashes + word(160) + word(0)
        self.registered = world.take_effect(
            self.registration, "DatasetRegistered", [self.dataset, self.utility.id], data
        )
        parent = {"dataset": self.dataset, "version": 1, "registration": self.digest_of(self.registration)}
        self.derived = world.register("analytics", 1, manifest, parents=[parent], slug="forecast")
        world.publish()

    def _grant(self) -> None:
        world = self.world
        self.valid_from, self.valid_until = self.now + 30, self.now + 200
        terms: dict[str, Any] = {
            "datasetSalt": salt(40), "consumer": self.analytics.id, "firstVersion": 1, "lastVersion": 3,
            "purpose": salt(5), "rights": 3, "validFrom": self.valid_from, "validUntil": self.valid_until,
            "policyHash": salt(6),
        }  # fmt: skip
        self.grant = world.state("utility", "AccessGrant", **terms)
        self.unknown = self.attest(granted=0)
        words = b"".join(word(terms[name]) for name in list(terms)[2:])
        indexed: list[int | bytes] = [self.utility.id, self.analytics.id]
        self.granted = world.take_effect(self.grant, "AccessGranted", indexed, self.key + self.dataset + words)
        self.granted_at = self.granted.time
        self.early = self.attest()
        world.mine()
        world.mine()
        self.suspended = world.extend_history((HistoryKind.SUSPENDED, self.analytics.id, 0))
        self.reinstated = world.extend_history((HistoryKind.REINSTATED, self.analytics.id, 0))
        self.middle = self.attest()
        self.revocation = world.state("utility", "AccessRevocation", grant=self.digest_of(self.grant))
        self.revoked = world.take_effect(
            self.revocation, "AccessRevoked", [self.utility.id], self.key + self.digest_of(self.grant)
        )
        self.late = self.attest(revoked=self.revoked.time)
        world.publish()

    def _agree(self) -> None:
        world = self.world
        parties = sorted([self.utility.id, self.analytics.id])
        self.proposal = world.state(
            "utility", "AgreementProposal", agreement=salt(50), revision=1, parties=parties, supplier=self.utility.id,
            user=self.analytics.id, resource=1, termsHash=salt(51), validFrom=START, validUntil=START + 9_000,
            quota=10**20, decimals=3, unit=b"kWh".ljust(32, b"\0"),
        )  # fmt: skip
        message = self.proposal.statement.message
        names = [field.name for field in self.proposal.statement.type.fields]
        head = [word(32 * len(names)) if name == "parties" else word(message[name]) for name in names]  # type: ignore[arg-type]  # as above
        struct = b"".join(head) + word(2) + b"".join(parties)
        proposed = make_event(
            "AgreementProposed",
            [self.digest_of(self.proposal), salt(50), self.utility.id],
            self.key + word(64) + struct,
        )
        activated = make_event("AgreementActivated", [self.digest_of(self.proposal), salt(50)], word(1))
        self.agreed = world.mine([proposed, activated])

    def _break_promises(self) -> None:
        world = self.world
        self.kept = world.state("utility", "AccessRevocation", grant=salt(21))
        count = len(world.entries)
        self.kept_receipt = self.receipt(world.entries, count - 1, self.now + 30)
        self.kept_by = world.publish()
        self.dropped = Promised(world, 22)
        self.lied = [*world.entries, self.dropped.entry]
        self.dropped_receipt = self.receipt(self.lied, count, self.now + 20)
        self.too_early = self.attest_log()
        world.mine()
        self.missing = self.attest_log()
        self.tardy = world.state(
            "analytics", "AccessDenial", consumer=self.utility.id, request=salt(1), reasonHash=salt(2)
        )
        self.tardy_receipt = self.receipt(world.entries, count, self.now - 1)
        self.tardy_by = world.publish()
        world.state("utility", "AccessRevocation", grant=salt(23))
        self.last = world.publish()
        self.anchored = self.attest_log()

    @property
    def now(self) -> int:
        """The time of the last block."""
        return self.world.blocks[-1].time

    def digest_of(self, stated: Stated) -> Bytes32:
        return stated.statement.digest(self.world.domains)

    def attest(self, granted: int | None = None, revoked: int = 0, retired: int = 0) -> EventEvidence:
        """Have the grant attested, and prove that with its terms and the history up to then."""
        granted = self.granted_at if granted is None else granted
        window = (self.valid_from, self.valid_until) if granted else (0, 0)
        values: list[int | bytes] = [self.dataset, *window, granted, revoked, retired, self.world.head()]
        data = b"".join(map(word, values))
        indexed: list[int | bytes] = [self.digest_of(self.grant), self.utility.id, self.analytics.id]
        block = self.world.mine([make_event("GrantAttested", indexed, data)])
        return self.event(block, statement=self.grant.statement, history=tuple(self.world.history))

    def attest_log(self) -> Block:
        """Have the log attested."""
        last = self.world.published[-1]
        data = word(last.size) + last.root + word(last.time) + self.world.head()
        return self.world.mine([make_event("LogAttested", [self.world.log_id], data)])

    def event(
        self,
        block: Block,
        position: int = 0,
        *,
        statement: Statement | None = None,
        history: Sequence[HistoryRecord] | None = None,
    ) -> EventEvidence:
        """The evidence of an event, its block not placed under the last pin yet."""
        return build_event_evidence(self.world.prove(block, 0, position), statement=statement, history=history)

    def pinned(self, event: EventEvidence) -> EventEvidence:
        """The same, its block placed under the pin of the policy."""
        return replace(event, chain=self.world.pin(event.chain))

    def chain(self, block: Block) -> ChainProof:
        """The first event of a block, under the pin of the policy."""
        return self.world.pin(self.world.prove(block, 0, 0))

    def receipt(self, entries: Sequence[bytes], index: int, anchor_by: int) -> bytes:
        """What the log answers to an entry of a tree."""
        leaves = [leaf_hash(entry) for entry in entries]
        promise = format_anchor_by(datetime.fromtimestamp(anchor_by, UTC))
        proof = prove_inclusion(leaves, index, len(leaves))
        return TlogProof(index, tuple(proof), self.sign(leaves, (promise,))).to_bytes()

    def sign(self, leaves: Sequence[bytes], extensions: tuple[str, ...] = ()) -> SignedNote:
        """The log's checkpoint over some leaves."""
        return self.world.signer.sign(Checkpoint(ORIGIN, len(leaves), compute_root(leaves), extensions).text)

    def events(self) -> dict[str, EventEvidence]:
        """The evidence of events, by name."""
        registry = self.world.blocks[1]
        found = {
            "dataset-registered": self.event(self.registered, statement=self.registration.statement),
            "access-granted": self.event(self.granted, statement=self.grant.statement),
            "access-revoked": self.event(self.revoked, statement=self.revocation.statement),
            "agreement-proposed": self.event(self.agreed, statement=self.proposal.statement),
            "agreement-activated": self.event(self.agreed, 1, statement=self.proposal.statement),
            "agreement-activated-without-terms": self.event(self.agreed, 1),
            "grant-attested": self.late,
            "grant-attested-without-history": replace(self.late, history=None),
            "log-attested": self.event(self.missing, history=tuple(self.world.history)),
            "history-extended": self.event(registry, 1, history=tuple(self.world.history[:2])),
            "log-opened": self.event(self.world.opened),
        }
        return {name: self.pinned(event) for name, event in found.items()}

    def breaches(self) -> dict[str, Breach]:
        """Promises that were broken."""
        dropped, leaves, count = self.dropped, self._leaves, len(self.lied)
        return {
            "missed": build_missed(
                self.dropped_receipt, dropped.statement, dropped.signature, self.chain(self.missing)
            ),
            "late": build_missed(
                self.tardy_receipt, self.tardy.statement, self.tardy.signature, self._published(self.tardy_by)
            ),
            "replaced": build_replaced(
                self.dropped_receipt,
                dropped.statement,
                dropped.signature,
                self.chain(self.anchored),
                leaf_hash=leaves[count - 1],
                proof=prove_inclusion(leaves, count - 1, len(leaves)),
            ),
            "forked": build_forked(
                self._lied_note(),
                self.chain(self.anchored),
                root=compute_root(leaves[:count]),
                proof=prove_consistency(leaves, count, len(leaves)),
            ),
            "forked-at-one-size": build_forked(
                self._lied_note(), self._published(self.tardy_by), root=compute_root(leaves[:count]), proof=()
            ),
        }

    def kept_promises(self) -> dict[str, Breach]:
        """Accusations of a log that kept its word."""
        kept, leaves = self.kept, self._leaves
        parts = self.kept_receipt, kept.statement, kept.signature
        note = self.sign(leaves[:2]).to_bytes()
        return {
            "anchored-in-time": build_missed(*parts, self._published(self.kept_by)),
            "anchored-before-attested": build_missed(*parts, self.chain(self.missing)),
            "the-entry-itself": build_replaced(
                *parts,
                self.chain(self.anchored),
                leaf_hash=leaves[kept.index],
                proof=prove_inclusion(leaves, kept.index, len(leaves)),
            ),
            "one-history": build_forked(
                note,
                self.chain(self.anchored),
                root=compute_root(leaves[:2]),
                proof=prove_consistency(leaves, 2, len(leaves)),
            ),
        }

    def open_promises(self) -> dict[str, Breach]:
        """Accusations that the event shown does not settle."""
        dropped, count = self.dropped, len(self.lied)
        replaced_in_time = self.receipt(self.lied, count - 1, self.now + 10_000)
        return {
            "another-entry-in-time": build_missed(
                replaced_in_time, dropped.statement, dropped.signature, self.chain(self.anchored)
            ),
            "attested-before-the-time": build_missed(
                self.dropped_receipt, dropped.statement, dropped.signature, self.chain(self.too_early)
            ),
            "anchored-by-whenever": build_missed(
                self.tardy_receipt, self.tardy.statement, self.tardy.signature, self.chain(self.anchored)
            ),
        }

    def upgraded(self, stated: Stated | None = None, last: int | None = None) -> Evidence:
        """Evidence linked to the log's last checkpoint; its own blocks under the pin up to ``last``."""
        stated, leaves = stated or self.registration, self._leaves
        evidence = self.world.prove_stated(stated, last=last)
        size = next(each.size for each in self.world.published if stated.index < each.size)
        return upgrade_evidence(
            evidence,
            checkpoint=self.last.note,
            proof=prove_consistency(leaves, size, self.last.size),
            anchor=self.world.pin(self.last.chain),
            history=self.world.history[: self.last.records],
        )

    def members(self) -> list[bytes]:
        """What belongs into a bundle about the derived dataset."""
        statements = [self.world.prove_stated(each) for each in (self.registration, self.derived, self.grant)]
        events = [self.pinned(self.middle), self.pinned(self.late)]
        return [*(each.to_bytes() for each in statements), *(each.to_bytes() for each in events)]

    def with_event(self, event: Json) -> Block:
        """A block with one more event."""
        return self.world.mine([event])

    @property
    def _leaves(self) -> list[bytes]:
        return [leaf_hash(entry) for entry in self.world.entries]

    def _lied_note(self) -> bytes:
        return self.sign([leaf_hash(entry) for entry in self.lied]).to_bytes()

    def _published(self, published: Published) -> ChainProof:
        return self.world.pin(published.chain)
