"""The same consortium's life on every engine: what is executed, emitted, read and refused does not depend on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ledger.chain import (
    AgreementState,
    ChainEdge,
    ChainEvent,
    ChainSettings,
    Commitment,
    ContractReader,
    LocalSigner,
    LoggedRegistration,
    ParticipantStatus,
    RefusalKind,
    SignedStatement,
    check_deployment,
    decode_events,
    decode_receipt_events,
    encode_attest_grant,
    encode_attest_log,
    encode_publish,
    encode_register_batch,
    encode_register_from_log,
    encode_statement,
)
from ledger.errors import RefusedError
from ledger.evidence.header import encode_header
from ledger.evidence.receipt import encode_receipt
from ledger.evidence.trie import compute_trie_root, receipt_key
from ledger.keccak import keccak256
from ledger.merkle import EMPTY_ROOT, compute_root, leaf_hash, prove_consistency, prove_inclusion
from ledger.statements import (
    Choice,
    Custody,
    Decision,
    Entry,
    Resource,
    Right,
    address_of,
    compute_agreement_id,
    compute_dataset_id,
    compute_log_id,
    generate_private_key,
    sign_digest,
)
from ledger.types import Address, Bytes32
from tests.support.chain import CHAIN_ID, Consortium, Person, draw, found, memory_settings, running_anvil
from tests.support.waiting import eventually

ZERO = Bytes32(bytes(32))


ENGINES = ("embedded in memory", "embedded in a folder", "node", "consortium")
AS_IN_A_CONSORTIUM = ("--hardfork", "london", "--gas-limit", "100000000")
"""The rules and the gas limit of the genesis block that `concord network init` writes."""


@pytest.fixture(scope="module", params=ENGINES)
def consortium(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    if request.param in {"node", "consortium"}:
        options = AS_IN_A_CONSORTIUM if request.param == "consortium" else ()
        with running_anvil(*options) as settings, ChainEdge.open(replace(settings, profile=request.param)) as edge:
            yield found(edge)
        return
    folder: Path | None = tmp_path_factory.mktemp("chain") if "folder" in request.param else None
    settings = ChainSettings("embedded", CHAIN_ID, folder=folder) if folder else memory_settings()
    with ChainEdge.open(settings) as edge:
        yield found(edge)


@pytest.fixture
def reader(consortium: Consortium) -> ContractReader:
    return ContractReader(consortium.edge, consortium.deployment.contracts)


def execute(consortium: Consortium, signed: SignedStatement) -> dict[str, ChainEvent]:
    """Run a statement; its events by name. The statement's digest is in one of them, or it took no effect."""
    call = encode_statement(consortium.deployment.contracts, signed)
    consortium.edge.simulate(call, consortium.relay.address)
    receipt = consortium.run(call)
    assert receipt.is_successful
    assert receipt.gas_used < call.gas_limit
    events = decode_receipt_events(receipt, 0, consortium.deployment.contracts)
    digest = signed.statement.digest(consortium.deployment.domains)
    assert digest in [event.args.get("digest") for event in events]
    return {event.name: event for event in events}


def refuse(consortium: Consortium, signed: SignedStatement) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        consortium.edge.simulate(encode_statement(consortium.deployment.contracts, signed), consortium.relay.address)
    return caught.value


def vote(
    consortium: Consortium, decision: Decision, subject: Bytes32, argument: Bytes32 = ZERO
) -> dict[str, ChainEvent]:
    """Two governors approve; the events of the second vote."""
    reader = ContractReader(consortium.edge, consortium.deployment.contracts)
    members = {"decision": decision, "subject": subject, "argument": argument, "choice": Choice.APPROVE}
    members |= {"epoch": reader.epoch(), "counter": reader.counter_of(subject)}
    domains = consortium.deployment.domains
    execute(consortium, consortium.founders[0].state(domains, "GovernanceVote", **members))
    assert reader.tally_of(decision, subject, argument) == (1, 0)
    return execute(consortium, consortium.founders[1].state(domains, "GovernanceVote", **members))


def cosign(consortium: Consortium, signed: SignedStatement, key: bytes) -> SignedStatement:
    digest = signed.statement.digest(consortium.deployment.domains)
    return SignedStatement(signed.statement, signed.signer, signed.signature, sign_digest(key, digest))


def admit(consortium: Consortium, person: Person) -> None:
    founding = person.found(consortium.deployment.domains)
    application = SignedStatement(
        founding.application, address_of(person.control_key), founding.control_signature, founding.key_signature
    )
    execute(consortium, application)
    events = vote(consortium, Decision.ADMIT, person.id, founding.application.digest(consortium.deployment.domains))
    assert events["DecisionExecuted"].args["subject"] == person.id


def test_founding_is_as_the_file_says(consortium: Consortium, reader: ContractReader) -> None:
    check_deployment(consortium.edge, consortium.deployment)
    assert (reader.governor_count(), reader.threshold()) == (3, 2)
    first = consortium.founders[0]
    assert reader.status_of(first.id) is ParticipantStatus.ACTIVE
    assert reader.is_governor(first.id)
    assert reader.control_key_of(first.id) == address_of(first.control_key)
    assert reader.participant_of(address_of(first.signing_key)) == first.id
    assert reader.signer_status(first.id, address_of(first.signing_key)) == (ParticipantStatus.ACTIVE, True)
    assert reader.profile_of(first.id) == (1, ZERO)
    at = consortium.deployment.deployment_block
    assert reader.history_head(at) == consortium.deployment.history_head
    block = consortium.edge.block(at)
    assert block is not None
    events = decode_events(block, consortium.deployment.contracts)
    assert reader.history_length(at) == len([event for event in events if event.name == "HistoryExtended"])


def test_participants_and_keys(consortium: Consortium, reader: ContractReader) -> None:
    domains, fourth = consortium.deployment.domains, Person()
    admit(consortium, fourth)
    key, control = generate_private_key(), generate_private_key()
    addition = fourth.state(domains, "KeyAddition", key=address_of(key), custody=Custody.CUSTODIAL)
    execute(consortium, cosign(consortium, addition, key))
    kept = reader.key_of(fourth.id, address_of(key))
    assert (kept.custody, kept.active_until) == (Custody.CUSTODIAL, 0)
    assert abs(kept.active_from - time.time()) < 60
    execute(consortium, fourth.state(domains, "KeyRevocation", key=address_of(key)))
    assert reader.key_of(fourth.id, address_of(key)).active_until >= kept.active_from
    rotation = fourth.state(domains, "ControlKeyRotation", newKey=address_of(control))
    execute(consortium, cosign(consortium, rotation, control))
    assert reader.control_key_of(fourth.id) == address_of(control)
    execute(consortium, fourth.state(domains, "ProfileUpdate", version=2, profileHash=Bytes32(b"\x07" * 32)))
    assert reader.profile_of(fourth.id) == (2, Bytes32(b"\x07" * 32))
    fourth.control_key, recovered = control, generate_private_key()
    claim = fourth.state(domains, "ControlKeyClaim", newKey=address_of(recovered)).statement
    digest = claim.digest(domains)
    execute(consortium, SignedStatement(claim, address_of(recovered), sign_digest(recovered, digest)))
    vote(consortium, Decision.RECOVER_CONTROL_KEY, fourth.id, digest)
    assert reader.control_key_of(fourth.id) == address_of(recovered)
    for decision, status in (
        (Decision.SUSPEND, ParticipantStatus.SUSPENDED),
        (Decision.REINSTATE, ParticipantStatus.ACTIVE),
        (Decision.RETIRE, ParticipantStatus.RETIRED),
    ):
        vote(consortium, decision, fourth.id)
        assert reader.status_of(fourth.id) is status
    refused = refuse(consortium, fourth.state(domains, "ProfileUpdate", version=3, profileHash=ZERO))
    assert refused.facts["participant"] == str(fourth.id)


def register(person: Person, consortium: Consortium, salt: Bytes32, version: int, **members: Any) -> SignedStatement:
    given = {"contentHash": draw(), "metadataHash": draw(), "parents": ()} | members
    return person.state(
        consortium.deployment.domains, "DatasetRegistration", datasetSalt=salt, version=version, **given
    )


def test_datasets_and_grants(consortium: Consortium, reader: ContractReader) -> None:
    provider, consumer, _ = consortium.founders
    domains, salt, now = consortium.deployment.domains, draw(), int(time.time())
    dataset = compute_dataset_id(provider.id, salt)
    first = register(provider, consortium, salt, 1)
    event = execute(consortium, first)["DatasetRegistered"]
    assert event.args["dataset"] == dataset
    digest = first.statement.digest(domains)
    assert reader.registration_of(dataset, 1) == digest
    repeat = consortium.run(first)
    assert (repeat.is_successful, repeat.logs) == (True, ())
    refused = refuse(consortium, register(provider, consortium, salt, 3))
    assert refused.code == "dataset-registry-version-skipped"
    assert refused.facts == {"dataset": str(dataset), "version": 3}
    parent = {"dataset": dataset, "version": 1, "registration": digest}
    derived = register(consumer, consortium, draw(), 1, parents=(parent,))
    assert "DatasetRegistered" in execute(consortium, derived)
    batch = [register(provider, consortium, salt, version) for version in (2, 3)]
    receipt = consortium.run(encode_register_batch(consortium.deployment.contracts, [*batch, first]))
    assert len(decode_receipt_events(receipt, 0, consortium.deployment.contracts)) == 2

    terms = {"datasetSalt": salt, "consumer": consumer.id, "firstVersion": 1, "lastVersion": 0, "purpose": draw()}
    terms |= {"rights": Right.READ | Right.DERIVE, "validFrom": now - 100, "validUntil": now + 10_000}
    grant = provider.state(domains, "AccessGrant", policyHash=draw(), **terms)
    assert not reader.is_permitted(grant.statement, 1, Right.READ)
    execute(consortium, grant)
    assert reader.is_permitted(grant.statement, 2, Right.READ)
    assert not reader.is_permitted(grant.statement, 2, Right.DISTRIBUTE)
    identity = grant.statement.digest(domains)
    assert reader.grant_of(provider.id, identity).granted_at >= now
    execute(consortium, provider.state(domains, "AccessRevocation", grant=identity))
    assert reader.grant_of(provider.id, identity).revoked_at >= now
    assert not reader.is_permitted(grant.statement, 2, Right.READ)
    attested = consortium.run(encode_attest_grant(consortium.deployment.contracts, grant.statement))
    events = decode_receipt_events(attested, 0, consortium.deployment.contracts)
    assert events[0].args["historyHead"] == reader.history_head()
    execute(consortium, provider.state(domains, "DatasetRetirement", datasetSalt=salt))
    assert reader.retired_at(dataset) >= now


def test_logs_and_lifting(consortium: Consortium, reader: ContractReader) -> None:
    operator = consortium.founders[0]
    domains, contracts, edge = consortium.deployment.domains, consortium.deployment.contracts, consortium.edge
    publisher, origin, salt = LocalSigner(generate_private_key()), f"example.org/{draw().hex()[:8]}", draw()
    opening = {"origin": origin, "publisher": publisher.address, "verifierKey": draw()}
    execute(consortium, operator.state(domains, "LogOpening", **opening))
    log = compute_log_id(operator.id, origin)
    assert reader.log_of(log).publisher == publisher.address

    registration = register(operator, consortium, salt, 1)
    digest = registration.statement.digest(domains)
    entry = Entry.of(digest, operator.id, registration.signature)
    leaves = [leaf_hash(each) for each in (b"0", entry.to_bytes(), b"2")]
    before = Commitment(0, Bytes32(EMPTY_ROOT), reader.log_of(log).time)
    for size in (1, 3):
        root = Bytes32(compute_root(leaves[:size]))
        proof = [Bytes32(each) for each in prove_consistency(leaves, before.size, size)] if before.size else []
        call = encode_publish(contracts, log, before, size, root, proof)
        if size == 3:
            with pytest.raises(RefusedError) as caught:
                edge.simulate(call, consortium.relay.address)
            assert caught.value.code == "checkpoint-log-not-publisher"
            assert caught.value.facts["sender"] == str(consortium.relay.address)
        published = decode_receipt_events(consortium.run(call, publisher), 0, contracts)[0]
        assert (published.args["previousSize"], published.args["size"]) == (before.size, size)
        before = Commitment(size, root, published.args["time"])
        assert reader.is_kept(log, before)
    attested = consortium.run(encode_attest_log(contracts, log, before))
    assert decode_receipt_events(attested, 0, contracts)[0].args["size"] == 3
    proof = [Bytes32(each) for each in prove_inclusion(leaves, 1, 3)]
    logged = LoggedRegistration(entry.signature_hash, log, before, 1, proof)
    lifted = consortium.run(encode_register_from_log(contracts, registration, logged))
    assert "RegistrationLifted" in [event.name for event in decode_receipt_events(lifted, 0, contracts)]
    assert reader.registration_of(compute_dataset_id(operator.id, salt), 1) == digest

    rotation = {"log": log, "counter": 1, "publisher": consortium.relay.address, "verifierKey": draw()}
    execute(consortium, operator.state(domains, "LogRotation", **rotation))
    execute(consortium, operator.state(domains, "LogClosing", log=log, successor=ZERO))
    assert (reader.log_of(log).is_closed, reader.log_of(log).rotations) == (True, 1)


def test_agreements(consortium: Consortium, reader: ContractReader) -> None:
    supplier, user, _ = consortium.founders
    domains, now, salt = consortium.deployment.domains, int(time.time()), draw()
    agreement = compute_agreement_id(supplier.id, salt)
    terms = {"agreement": agreement, "revision": 1, "parties": sorted([supplier.id, user.id]), "quota": 1_000}
    terms |= {"supplier": supplier.id, "user": user.id, "resource": Resource.CAPACITY, "termsHash": draw()}
    terms |= {
        "validFrom": now - 10,
        "validUntil": now + 10_000,
        "decimals": 3,
        "unit": Bytes32(b"MWh".ljust(32, b"\0")),
    }
    proposal = supplier.state(domains, "AgreementProposal", salt=salt, **terms)
    execute(consortium, proposal)
    digest = proposal.statement.digest(domains)
    execute(consortium, user.state(domains, "AgreementAcceptance", agreement=agreement, proposal=digest))
    assert reader.agreement_of(agreement).state is AgreementState.ACTIVE
    assert reader.is_executed("SharingAgreements", digest)
    assert not reader.is_executed("CheckpointLog", digest)
    assert reader.party_of(digest, user.id).is_user
    over = user.state(domains, "UsageConfirmation", agreement=agreement, sequence=1, report=draw(), total=1_001)
    refused = refuse(consortium, over)
    assert refused.code.startswith("sharing-agreements-")
    assert refused.facts["total"] == 1_001
    usage = {"agreement": agreement, "sequence": 1, "report": draw(), "total": 600}
    execute(consortium, user.state(domains, "UsageConfirmation", **usage))
    settled = {"agreement": agreement, "sequence": 1, "total": 600, "invoiceHash": draw()}
    execute(consortium, supplier.state(domains, "SettlementRecord", **settled))
    execute(consortium, user.state(domains, "AgreementTermination", agreement=agreement))
    kept = reader.agreement_of(agreement)
    assert (kept.state, kept.confirmed, kept.settled) == (AgreementState.TERMINATED, 600, 600)

    other = draw()
    again = terms | {"agreement": compute_agreement_id(supplier.id, other)}
    second = supplier.state(domains, "AgreementProposal", salt=other, **again)
    execute(consortium, second)
    rejection = {"agreement": again["agreement"], "proposal": second.statement.digest(domains)}
    execute(consortium, user.state(domains, "AgreementRejection", **rejection))


def test_transactions_in_flight_and_their_refusals(consortium: Consortium) -> None:
    edge, relay = consortium.edge, LocalSigner(generate_private_key())
    flight = [edge.sign_noop(relay, nonce) for nonce in range(12)]
    assert edge.send(flight) == [None] * 12
    eventually(lambda: None not in edge.receipts([each.hash for each in flight]))
    receipts = edge.receipts([each.hash for each in flight])
    assert all(receipt is not None and receipt.is_successful for receipt in receipts)
    assert edge.nonce(relay.address) == edge.nonce(relay.address, pending=True) == 12
    assert edge.nonces([relay.address, LocalSigner(generate_private_key()).address]) == [12, 0]
    assert edge.is_transaction_known(flight[0].hash)
    assert not edge.is_transaction_known(draw())
    repeated, other = edge.send([flight[3], edge.sign_creation(relay, b"\x00", 3, 100_000)])
    assert repeated is not None
    assert repeated.kind in {RefusalKind.ALREADY_KNOWN, RefusalKind.NONCE_TOO_LOW}
    assert other is not None
    assert other.kind is RefusalKind.NONCE_TOO_LOW
    tight = edge.send([edge.sign_creation(relay, b"\x00", 12, 20_000)])[0]
    assert tight is not None
    assert tight.kind is RefusalKind.INVALID
    with ChainEdge.open(ChainSettings("embedded", 5)) as stranger:
        foreign = stranger.sign_noop(relay, 12)
    refused = edge.send([foreign])[0]
    assert refused is None or refused.kind is RefusalKind.WRONG_CHAIN  # anvil takes it and never mines it


def test_every_block_rebuilds_to_its_hash_and_receipts_root(consortium: Consortium) -> None:
    edge = consortium.edge
    head = edge.head()
    blocks = edge.blocks(0, head.number + 5)
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert (blocks[0].hash, blocks[head.number].hash) == (edge.genesis_hash, head.hash)
    for before, block in pairwise(blocks):
        assert block.parent_hash == before.hash
        assert block.timestamp >= before.timestamp
        assert keccak256(encode_header(block.header)) == block.hash
        receipts = [encode_receipt(receipt.raw) for receipt in block.receipts]
        root = compute_trie_root({receipt_key(index): receipt for index, receipt in enumerate(receipts)})
        assert "0x" + root.hex() == block.header["receiptsRoot"]
        decode_events(block, consortium.deployment.contracts)
    assert edge.block(head.number + 1) is None
    assert edge.header(head.number + 1) is None
    found_header = edge.header(head.number)
    assert found_header == head == edge.final_head()
    assert abs(head.timestamp - time.time()) < 120


def test_state_that_is_not_there(consortium: Consortium) -> None:
    nobody = Address(b"\x99" * 20)
    assert consortium.edge.code(nobody) == b""
    assert consortium.edge.balance_wei(nobody) == 0
    assert consortium.edge.nonce(nobody) == 0
    assert consortium.edge.client_version()
