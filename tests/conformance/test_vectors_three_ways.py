"""Every committed vector through Python, through Solidity and through the script as a process: all say the same.

`FAILING` names for each folder the steps that fail, in all three. What a contract can judge of evidence, it judges
here: digest, leaf hash, inclusion; by the library alone and by `CheckpointLog` over a recorded checkpoint.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from eth_tester.exceptions import TransactionFailed
from web3.contract import Contract
from web3.exceptions import Web3Exception

from ledger.chain import ChainEdge, Commitment, LocalSigner, decode_receipt_events, encode_publish
from ledger.chain.contracts import load_artifact
from ledger.errors import MalformedError, RefusedError, VerificationError
from ledger.evidence import Evidence, Verifier, parse_evidence, parse_policy
from ledger.log import Checkpoint, SignedNote
from ledger.merkle import EMPTY_ROOT, leaf_hash, verify_inclusion
from ledger.statements import Domains, Entry, Statement, compute_log_id, generate_private_key
from ledger.types import Address, Bytes32
from tests.conformance.test_solidity_statements import to_abi
from tests.support.chain import Consortium, draw, found, memory_settings
from tests.support.ethereum_tester import deploy_harness
from tests.support.statements import CONTRACTS
from tests.support.substituted_vectors import PLACES

ROOT: Final = Path(__file__).parents[2]
VECTORS: Final = ROOT / "tests" / "vectors" / "evidence"
CODES: Final = {"good": 0, "fail": 1, "open": 2}

FAILING: Final[dict[str, tuple[int, ...]]] = {
    "another-index": (5,),
    "block-under-another-root": (9,),
    "changed-version": (3, 5, 7),
    "content-of-another-version": (11,),
    "effect-of-another-statement": (7,),
    "event-at-another-position": (7,),
    "forged-header": (9,),
    "high-s-signature": (3, 5),
    "history-with-a-change-left-out": (10,),
    "key-revoked-before-the-interval": (10,),
    "later-checkpoint-as-the-first": (5,),
    "no-block-proof": (9,),
    "note-of-another-log-key": (5, 7),
    "receipt-of-another-block": (5, 7, 8, 9),
    "root-for-another-size": (5, 7),
    "signature-of-another-key": (3,),
    "surplus-note-signature": (6,),
    "sealed/another-round-than-sealed": (9,),
    "sealed/block-hash-with-its-round": (9,),
    "sealed/block-of-another-epoch": (9,),
    "sealed/header-of-another-block": (8, 9),
    "sealed/malleated-seal": (9,),
    "sealed/no-seals": (9,),
    "sealed/receipt-of-another-block": (7, 8, 9),
    "sealed/root-over-a-hash-with-a-round": (9,),
    "sealed/seal-beside-a-quorum-twice": (9,),
    "sealed/seal-counted-twice-malleated": (9,),
    "sealed/seal-counted-twice": (9,),
    "sealed/seal-of-a-stranger-beside-a-quorum": (9,),
    "sealed/seal-of-the-validator-voted-out": (9,),
    "sealed/seals-beside-a-block-proof": (9,),
    "sealed/two-of-four-seals": (9,),
    "sealed/validators-of-another-epoch": (9,),
    "substituted/a-change-in-the-middle-left-out": (10,),
    # The proof holds: that the tree had another size only the contract's event tells.
    **{f"substituted/entry-{index}-of-{size}-for-6-of-7": (7,) for index, size in PLACES},
    "substituted/event-of-another-contract": (7,),
    "substituted/event-of-another-log": (7,),
    "substituted/history-of-a-later-checkpoint": (10,),
    "substituted/last-checkpoint-as-the-first": (5,),
    "substituted/two-changes-in-another-order": (10,),
}

REFUSED_ON_CHAIN: Final = {
    "another-index",
    "changed-version",
    "high-s-signature",
    "note-of-another-log-key",
    "root-for-another-size",
}
"""Whose inclusion proof a contract refuses, too."""


@dataclass(frozen=True)
class Vector:
    """One evidence file with the policy of the folder that it belongs to."""

    path: Path
    policy: Path

    @property
    def kind(self) -> str:
        """good, open or fail."""
        return self.path.parent.name.rpartition("_")[2]

    @property
    def name(self) -> str:
        """Its folder, or its file in a folder of several."""
        path = self.path.parent if self.kind == "fail" else self.path.with_suffix("")
        return path.relative_to(VECTORS).as_posix().removesuffix("_fail")

    @property
    def raw(self) -> bytes:
        return self.path.read_bytes()


def find_vectors() -> Iterator[Vector]:
    for policy in sorted(VECTORS.rglob("policy.json")):
        folder = policy.parent
        for path in sorted([*folder.glob("good/*.json"), *folder.glob("open/*.json"), *folder.glob("*_fail/*.json")]):
            if json.loads(path.read_bytes())["format"] == "concord-evidence/1":
                yield Vector(path, policy)


ALL: Final = tuple(find_vectors())


def test_every_refused_case_is_named() -> None:
    assert {vector.name for vector in ALL if vector.kind == "fail"} == set(FAILING)
    assert {vector.kind for vector in ALL} == set(CODES)


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.name)
def test_python(vector: Vector) -> None:
    report = Verifier(parse_policy(vector.policy.read_bytes())).verify(vector.raw)
    assert CODES[vector.kind] == {"verified": 0, "refuted": 1, "undetermined": 2}[report.verdict.value]
    failing = tuple(step.number for step in report.steps if step.outcome.value == "FAIL")
    assert failing == FAILING.get(vector.name, ())


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.name)
def test_the_script_as_a_process(vector: Vector) -> None:
    program = [sys.executable, str(ROOT / "scripts" / "verify_provenance.py"), str(vector.path)]
    command = [*program, "--policy", str(vector.policy), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (CODES[vector.kind], "")
    [report] = json.loads(done.stdout)["reports"]
    failing = tuple(step["number"] for step in report["steps"] if step["outcome"] == "FAIL")
    assert failing == FAILING.get(vector.name, ())


@dataclass(frozen=True)
class Included:
    """What `verifyInclusion` takes, and what Python says of it."""

    statement: Statement
    entry: bytes
    index: int
    checkpoint: Checkpoint
    proof: tuple[bytes, ...]

    @classmethod
    def of(cls, evidence: Evidence, domains: Domains) -> Included:
        statement = Statement.parse(evidence.type_name, evidence.message)
        digest = statement.digest(domains)
        checkpoint = Checkpoint.parse(SignedNote.parse(evidence.log.checkpoint).text)
        entry = Entry.of(digest, statement.participant, evidence.signature).to_bytes()
        return cls(statement, entry, evidence.log.index, checkpoint, tuple(evidence.log.proof))

    @property
    def leaf(self) -> bytes:
        return leaf_hash(self.entry)

    @property
    def holds(self) -> bool:
        try:
            verify_inclusion(self.leaf, self.index, self.checkpoint.size, self.proof, self.checkpoint.root)
        except (MalformedError, VerificationError):
            return False
        return True


def read_included(vector: Vector) -> Included:
    return Included.of(parse_evidence(vector.raw), parse_policy(vector.policy.read_bytes()).domains)


@cache
def harness(name: str) -> Contract:
    return deploy_harness(name)


def accepts(function: Any) -> bool:
    try:
        function.call()
    except (Web3Exception, TransactionFailed):
        return False
    return True


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.name)
def test_solidity_makes_the_same_digest_and_leaf_and_judges_the_proof_alike(vector: Vector) -> None:
    included, tree, digests = read_included(vector), harness("Rfc6962Harness"), harness("DigestHarness")
    own = Domains(digests.w3.eth.chain_id, dict.fromkeys(CONTRACTS, Address(bytes.fromhex(digests.address[2:]))))
    digest = digests.functions[f"digestOf{included.statement.type.name}"](to_abi(included.statement.message)).call()
    assert bytes(digest) == included.statement.digest(own)
    assert tree.functions.leafHash(included.entry).call() == included.leaf
    root = included.checkpoint.root
    arguments = included.leaf, included.index, included.checkpoint.size, included.proof, root
    assert accepts(tree.functions.verifyInclusion(*arguments)) is included.holds
    assert included.holds is (vector.name not in REFUSED_ON_CHAIN)


@dataclass
class Recorded:
    """A `CheckpointLog` that records checkpoints as they are asked for, each as the first one of a log."""

    consortium: Consortium
    publisher: LocalSigner
    known: dict[Checkpoint, tuple[Bytes32, Commitment]]

    def record(self, checkpoint: Checkpoint) -> tuple[Bytes32, Commitment]:
        if checkpoint not in self.known:
            self.known[checkpoint] = self._publish(checkpoint)
        return self.known[checkpoint]

    def _publish(self, checkpoint: Checkpoint) -> tuple[Bytes32, Commitment]:
        founder, contracts = self.consortium.founders[0], self.consortium.deployment.contracts
        origin = f"example.org/{len(self.known)}"
        opening = {"origin": origin, "publisher": self.publisher.address, "verifierKey": draw()}
        opened = self.consortium.run(founder.state(self.consortium.deployment.domains, "LogOpening", **opening))
        log, block = compute_log_id(founder.id, origin), self.consortium.edge.header(opened.block_number)
        assert block is not None
        before = Commitment(0, Bytes32(EMPTY_ROOT), block.timestamp)
        call = encode_publish(contracts, log, before, checkpoint.size, Bytes32(checkpoint.root), [])
        [published] = decode_receipt_events(self.consortium.run(call, self.publisher), 0, contracts)
        return log, Commitment(checkpoint.size, Bytes32(checkpoint.root), published.args["time"])

    def accepts(self, included: Included) -> bool:
        log, commitment = self.record(included.checkpoint)
        arguments = {
            "log": log,
            "checkpoint": commitment.to_abi(),
            "leafHash": included.leaf,
            "index": included.index,
            "proof": list(included.proof),
        }
        contract = self.consortium.deployment.contracts["CheckpointLog"]
        data = load_artifact("CheckpointLog").encode_call("verifyInclusion", arguments)
        try:
            self.consortium.edge.call(contract, data)
        except RefusedError as refused:
            if refused.code.startswith("rfc6962-"):
                return False
            raise
        return True


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    with ChainEdge.open(memory_settings()) as edge:
        yield Recorded(found(edge), LocalSigner(generate_private_key()), {})


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.name)
def test_the_contract_over_its_own_record_judges_the_proof_alike(vector: Vector, recorded: Recorded) -> None:
    included = read_included(vector)
    assert recorded.accepts(included) is (vector.name not in REFUSED_ON_CHAIN)
