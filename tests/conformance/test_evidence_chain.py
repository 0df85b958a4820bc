"""Evidence about the real contracts on real engines: built from a node's answers, verified under a node's policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from ledger.chain import ChainEdge, Commitment, Receipt, encode_publish
from ledger.chain.events import decode_events
from ledger.evidence import (
    ChainProof,
    Evidence,
    HistoryRecord,
    Node,
    Outcome,
    Verdict,
    Verifier,
    build_evidence,
    create_policy,
    format_sentence,
    prove_block,
    prove_event,
)
from ledger.evidence.events import EVENTS
from ledger.log import Checkpoint, NoteSigner
from ledger.merkle import EMPTY_ROOT, compute_root, leaf_hash, prove_inclusion
from ledger.statements import Entry, compute_log_id
from ledger.types import Bytes32
from tests.support.chain import Consortium, found, memory_settings, running_anvil
from tests.support.evidence_node import serve

ORIGIN = "gateway.example/log"


@contextmanager
def running(engine: str) -> Iterator[tuple[Consortium, str]]:
    """A consortium on an engine, and the URL of its JSON-RPC."""
    if engine == "anvil":
        with running_anvil() as settings, ChainEdge.open(settings) as edge:
            yield found(edge), str(settings.rpc_url)
        return
    with ChainEdge.open(memory_settings()) as edge:
        rpc = edge.rpc
        assert rpc is not None
        with serve(lambda body: (200, rpc.handle(json.dumps(body).encode()))) as url:
            yield found(edge), url


def history_of(consortium: Consortium, last: int) -> list[HistoryRecord]:
    records = []
    for block in consortium.edge.blocks(0, last):
        for event in decode_events(block, consortium.deployment.contracts):
            if event.name == "HistoryExtended":
                args: Mapping[str, Any] = event.args
                records.append(
                    HistoryRecord(args["kind"], args["participant"], args["detail"], block.number, block.timestamp)
                )
    return records


def prove(consortium: Consortium, receipt: Receipt, name: str) -> ChainProof:
    block = consortium.edge.block(receipt.block_number)
    assert block is not None
    position = next(at for at, log in enumerate(receipt.logs) if log.topics[0] == EVENTS[name].topic)
    hashes = [each.hash for each in consortium.edge.blocks(0, consortium.edge.head().number)]
    receipts = [each.raw for each in block.receipts]
    return prove_event(block.header, receipts, receipt.transaction_index, position, prove_block(hashes, block.number))


def state_and_anchor(consortium: Consortium) -> Evidence:
    """The first founder opens a log, states so in it and anchors it."""
    founder, deployment = consortium.founders[0], consortium.deployment
    signer = NoteSigner.generate(ORIGIN)
    key = Bytes32(signer.verifier_key.public_key)
    opening = founder.state(
        deployment.domains, "LogOpening", origin=ORIGIN, publisher=consortium.relay.address, verifierKey=key
    )
    opened = consortium.run(opening)
    opened_block = consortium.edge.block(opened.block_number)
    assert opened_block is not None
    entry = Entry.of(opening.statement.digest(deployment.domains), founder.id, opening.signature).to_bytes()
    leaves = [leaf_hash(entry), leaf_hash(b"another")]
    root = Bytes32(compute_root(leaves))
    before = Commitment(0, Bytes32(EMPTY_ROOT), opened_block.timestamp)
    log_id = compute_log_id(founder.id, ORIGIN)
    published = consortium.run(encode_publish(deployment.contracts, log_id, before, 2, root, []))
    return build_evidence(
        opening.statement,
        opening.signature,
        log_index=0,
        log_proof=prove_inclusion(leaves, 0, 2),
        checkpoint=signer.sign(Checkpoint(ORIGIN, 2, root).text).to_bytes(),
        anchor=prove(consortium, published, "CheckpointPublished"),
        history=history_of(consortium, published.block_number),
        effect=prove(consortium, opened, "LogOpened"),
    )


@pytest.mark.parametrize("engine", ["embedded", "anvil"])
def test_evidence_from_a_node_under_a_policy_from_a_node(engine: str) -> None:
    with running(engine) as (consortium, url):
        evidence = state_and_anchor(consortium)
        contracts = {str(name): address for name, address in consortium.deployment.contracts.items()}
        policy = create_policy(Node(url), contracts)
        online = Verifier(policy, Node(url)).verify(evidence.to_bytes())
        assert online.steps[0].outcome is Outcome.PASS
    report = Verifier(policy).verify(evidence.to_bytes())
    assert report.verdict is online.verdict is Verdict.VERIFIED, format_sentence(report)
    assert report.in_force is not None
    assert report.in_force.event == "LogOpened"
