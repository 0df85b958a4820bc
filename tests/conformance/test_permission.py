"""What the verifier tells of a grant offline is what `AccessGrants.isPermitted` answered at the time (INV-4)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ledger.chain import (
    ChainEdge,
    ContractReader,
    ParticipantStatus,
    Receipt,
    SignedStatement,
    decode_receipt_events,
    encode_attest_grant,
    encode_statement,
)
from ledger.evidence import (
    Node,
    PermissionQuestion,
    Policy,
    Verdict,
    Verifier,
    build_event_evidence,
    compute_windows,
    create_policy,
    judge_permission,
    prove_block,
    prove_event,
)
from ledger.evidence.events import EVENTS
from ledger.statements import Choice, Decision, address_of
from ledger.types import Bytes32
from tests.conformance.test_evidence_chain import history_of
from tests.support.chain import Consortium, Person, draw, found, memory_settings
from tests.support.evidence_node import serve

ZERO = Bytes32(bytes(32))
START = 1_900_000_000


@dataclass
class Grant:
    """A grant, the salt of its dataset, and what the contract answered about it: (time, version, right) to answer."""

    signed: SignedStatement
    salt: Bytes32
    answers: dict[tuple[int, int, int], bool] = field(default_factory=dict)
    attested: Receipt | None = None


class Clock:
    """The chain's clock, which stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Story:
    """A provider and a consumer on a chain, and what the contract says of their grants second by second."""

    def __init__(self, consortium: Consortium, clock: Clock) -> None:
        self.clock = clock
        self.consortium, self.domains = consortium, consortium.deployment.domains
        self.reader = ContractReader(consortium.edge, consortium.deployment.contracts)
        self.provider, self.consumer = Person(), Person()
        for person in (self.provider, self.consumer):
            self._admit(person)
        self.grants: list[Grant] = []

    def _admit(self, person: Person) -> None:
        founding = person.found(self.domains)
        signed = SignedStatement(
            founding.application, address_of(person.control_key), founding.control_signature, founding.key_signature
        )
        self.run(signed)
        self.vote(Decision.ADMIT, person, founding.application.digest(self.domains))

    def run(self, signed: SignedStatement) -> Receipt:
        receipt = self.consortium.run(encode_statement(self.consortium.deployment.contracts, signed))
        assert receipt.is_successful
        return receipt

    def vote(self, decision: Decision, person: Person, argument: Bytes32 = ZERO) -> None:
        members = {"decision": decision, "subject": person.id, "argument": argument, "choice": Choice.APPROVE}
        members |= {"epoch": self.reader.epoch(), "counter": self.reader.counter_of(person.id)}
        for founder in self.consortium.founders[:2]:
            self.run(founder.state(self.domains, "GovernanceVote", **members))

    def draw_grant(self, chance: random.Random) -> None:
        """One more grant, with a window about now, of a dataset of its own."""
        start = self.clock.now + chance.randint(-3, 4)
        salt, last = draw(), chance.choice((0, 2))
        signed = self.provider.state(
            self.domains, "AccessGrant", datasetSalt=salt, consumer=self.consumer.id, firstVersion=2, lastVersion=last,
            purpose=draw(), rights=chance.choice((1, 3)), validFrom=start, validUntil=start + chance.randint(6, 24),
            policyHash=draw(),
        )  # fmt: skip
        self.grants.append(Grant(signed, salt))

    def digest_of(self, grant: Grant) -> Bytes32:
        return grant.signed.statement.digest(self.domains)

    def act(self, chance: random.Random) -> None:
        """Something that changes, or may change, what is permitted."""
        grant = chance.choice(self.grants)
        actions = ("grant", "revoke", "retire", "suspend", "reinstate")
        (action,) = chance.choices(actions, weights=(5, 1, 1, 2, 2))
        if action in {"suspend", "reinstate"}:
            person = chance.choice((self.provider, self.consumer))
            is_active = self.reader.status_of(person.id) is ParticipantStatus.ACTIVE
            if is_active == (action == "suspend"):
                self.vote(Decision.SUSPEND if is_active else Decision.REINSTATE, person)
        if action == "grant":  # refused where it is too late or a side is suspended
            self.consortium.run(encode_statement(self.consortium.deployment.contracts, grant.signed))
        if action == "revoke":
            revocation = self.provider.state(self.domains, "AccessRevocation", grant=self.digest_of(grant))
            self.consortium.run(encode_statement(self.consortium.deployment.contracts, revocation))
        if action == "retire":
            retirement = self.provider.state(self.domains, "DatasetRetirement", datasetSalt=grant.salt)
            self.consortium.run(encode_statement(self.consortium.deployment.contracts, retirement))

    def ask(self) -> None:
        """Ask the contract about every grant at the end of this second, and let the next one come."""
        for grant in self.grants:
            for version, right in ((1, 1), (2, 1), (2, 2), (3, 1)):
                answer = self.reader.is_permitted(grant.signed.statement, version, right)
                grant.answers[self.clock.now, version, right] = answer
        self.clock.now += 1

    def attest(self, grant: Grant) -> Receipt:
        contracts = self.consortium.deployment.contracts
        receipt = self.consortium.run(encode_attest_grant(contracts, grant.signed.statement))
        assert "GrantAttested" in [each.name for each in decode_receipt_events(receipt, 0, contracts)]
        return receipt

    def policy(self) -> Policy:
        rpc = self.consortium.edge.rpc
        assert rpc is not None
        contracts = {str(name): address for name, address in self.consortium.deployment.contracts.items()}
        with serve(lambda body: (200, rpc.handle(json.dumps(body).encode()))) as url:
            return create_policy(Node(url), contracts)

    def evidence(self, grant: Grant) -> bytes:
        edge, receipt = self.consortium.edge, grant.attested
        assert receipt is not None
        block = edge.block(receipt.block_number)
        assert block is not None
        position = next(at for at, log in enumerate(receipt.logs) if log.topics[0] == EVENTS["GrantAttested"].topic)
        hashes = [each.hash for each in edge.blocks(0, edge.head().number)]
        receipts = [each.raw for each in block.receipts]
        proof = prove_block(hashes, block.number)
        chain = prove_event(block.header, receipts, receipt.transaction_index, position, proof)
        history = history_of(self.consortium, block.number)
        return build_event_evidence(chain, statement=grant.signed.statement, history=history).to_bytes()


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def consortium(clock: Clock) -> Iterator[Consortium]:
    with ChainEdge.open(memory_settings(), clock=clock) as edge:
        yield found(edge)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_verifier_answers_as_the_contract_did(consortium: Consortium, clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    story = Story(consortium, clock)
    for _ in range(4):
        story.draw_grant(chance)
    story.run(story.grants[0].signed)
    for _ in range(18):
        for _ in range(chance.choice((0, 1, 1, 2))):
            story.act(chance)
        story.ask()
    for grant in story.grants:
        grant.attested = story.attest(grant)
    verifier, asked = Verifier(story.policy()), set()
    for grant in story.grants:
        report = verifier.verify(story.evidence(grant))
        assert report.verdict is Verdict.VERIFIED
        assert report.attestation is not None
        windows = compute_windows(report.attestation)
        for (at, version, right), answer in grant.answers.items():
            question = PermissionQuestion(at, version, right, report.attestation.grant)
            (judged,) = judge_permission([report], question)
            assert judged.claim is not None
            denied = Verdict.REFUTED if report.attestation.granted_at or report.attestation.revoked_at else None
            expected = Verdict.VERIFIED if answer else denied or Verdict.UNDETERMINED
            assert judged.claim.verdict is expected, (at, version, right, judged.claim)
            if (version, right) == (2, 1):  # what every one of the grants covers
                assert any(each.start <= at < each.until for each in windows) is answer
            asked.add(answer)
    assert asked == {True, False}
