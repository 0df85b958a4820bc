"""A small consortium with a story to audit: versions, a derivation, grants that end in every way."""

from __future__ import annotations

from pathlib import Path

from ledger.content import scan_folder
from ledger.evidence import Evidence
from ledger.log import Sequencer
from ledger.statements import HistoryKind, Right, compute_dataset_id
from ledger.types import Bytes32
from tests.support.evidence_world import START, Stated, World, salt, word
from tests.support.log import ANCHOR_BY, MemoryCheckpointStore

__all__ = ["HOSTILE", "Story"]

HOSTILE = "<script>alert(1)</script>\u202egnp.exe\x1b[31m\x00" + "x" * 10_000


class Story:
    """Evidence in ``evidence/``, the policy in ``policy.json``, the log in ``log/``, one bundle in ``bundle.json``."""

    def __init__(self, folder: Path, *, title: str = HOSTILE) -> None:
        self.folder, self.world = folder, World()
        self.evidence, self.policy, self.log = folder / "evidence", folder / "policy.json", folder / "log"
        self.evidence.mkdir(parents=True)
        self.stated: dict[str, Stated] = {}
        for handle, seed in (("utility", 2), ("analyst", 3)):
            self.world.admit(handle, seed)
        (folder / "data").mkdir()
        (folder / "data" / "a.csv").write_bytes(b"1")
        self._register(title)
        for name, consumer in (("open", "analyst"), ("revoked", "analyst"), ("said", "gateway")):
            self._grant(name, consumer, in_force=name != "said")
        self._end()
        self._write()

    @property
    def dataset(self) -> Bytes32:
        return compute_dataset_id(self.world.members["utility"].id, salt(40))

    def _register(self, title: str) -> None:
        manifest = scan_folder(self.folder / "data").manifest
        metadata: dict[str, object] = {"provider": "utility", "slug": "power", "title": title}
        source = self.world.register("utility", 1, manifest, metadata=metadata)
        self._publish("source", source)
        parent = {
            "dataset": self.dataset,
            "version": 1,
            "registration": source.statement.digest(self.world.domains),
        }
        derived: dict[str, object] = {"provider": "utility", "slug": "derived", "title": "Derived"}
        self._publish("derived", self.world.register("analyst", 1, manifest, parents=[parent], metadata=derived))

    def _grant(self, name: str, consumer: str, *, in_force: bool) -> None:
        members = self.world.members
        stated = self.world.state(
            "utility",
            "AccessGrant",
            datasetSalt=salt(40),
            consumer=members[consumer].id,
            firstVersion=1,
            lastVersion=0,
            purpose=salt(1),
            rights=int(Right.READ | Right.DERIVE) | 1 << 40,
            validFrom=START,
            validUntil=START + 86_400 * 365 * 300,
            policyHash=salt(2),
        )
        if in_force:
            numbers: list[int | bytes] = [1, 0, salt(1), 3, START, START + 90_000, salt(2)]
            terms = b"".join(map(word, numbers))
            indexed: list[int | bytes] = [members["utility"].id, self.dataset]
            self.world.take_effect(stated, "AccessGranted", indexed, word(bytes(20)) + members[consumer].id + terms)
        self._publish(name, stated)

    def _end(self) -> None:
        """Revoke a grant, suspend the consumer for a while, retire the data set."""
        members = self.world.members
        analyst = members["analyst"].id
        self.world.extend_history((HistoryKind.SUSPENDED, analyst, 0))
        grant = self.stated["revoked"].statement.digest(self.world.domains)
        revocation = self.world.state("utility", "AccessRevocation", grant=grant)
        self.world.take_effect(revocation, "AccessRevoked", [members["utility"].id], word(bytes(20)) + grant)
        self._publish("revocation", revocation)
        self.world.extend_history((HistoryKind.REINSTATED, analyst, 0))
        retirement = self.world.state("utility", "DatasetRetirement", datasetSalt=salt(40))
        indexed: list[int | bytes] = [self.dataset, members["utility"].id]
        self.world.take_effect(retirement, "DatasetRetired", indexed, word(bytes(20)))
        self._publish("retirement", retirement)

    def _publish(self, name: str, stated: Stated) -> None:
        self.stated[name] = stated
        self.world.publish()

    def _write(self) -> None:
        for number, (name, stated) in enumerate(self.stated.items()):
            (self.evidence / f"{number}-{name}.json").write_bytes(self.prove(stated).to_bytes())
        self.policy.write_bytes(self.world.policy().to_bytes())
        with Sequencer.open(self.log, self.world.signer, MemoryCheckpointStore(), anchor_by=lambda: ANCHOR_BY) as log:
            for entry in self.world.entries:
                log.append([entry])

    def prove(self, stated: Stated) -> Evidence:
        return self.world.prove_stated(stated)
