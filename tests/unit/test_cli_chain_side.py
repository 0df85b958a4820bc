"""What `concord` does with a node alone: events found, the history folded, transactions sent and waited for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.chain import ChainEdge, LocalSigner, Refusal, RefusalKind, encode_attest_log
from ledger.errors import ConflictError, MalformedError, NotFoundError, RefusedError, UnavailableError
from ledger.evidence.policy import PinnedLog
from ledger.exchange import Asker, Scope
from ledger.statements import generate_private_key
from ledger.types import Bytes32
from scripts.concord import chain_side
from scripts.concord.chain_side import ChainSide, load_sender, open_chain, place_of
from scripts.concord.evidence import message_of
from tests.support.exchange import Consortium, found_in, open_gateway
from tests.support.proving import policy_of

AUDITOR = Asker(None, frozenset({Scope.AUDIT}), "auditor")


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("side") / "home"
    with open_gateway(home, found_in(home)) as running:
        yield running


@pytest.fixture
def side(consortium: Consortium) -> ChainSide:
    return ChainSide(consortium.gateway.parts.edge)


def attest_call(consortium: Consortium, side: ChainSide) -> Any:
    policy = policy_of(consortium)
    current = side.present(policy.address_of("CheckpointLog"), policy.logs[0])
    return encode_attest_log(policy.domains.contracts, policy.logs[0].id, current)


def test_a_log_is_attested_and_found(consortium: Consortium, side: ChainSide) -> None:
    policy = policy_of(consortium)
    contract = policy.address_of("CheckpointLog")
    receipt = side.send(LocalSigner(generate_private_key()), attest_call(consortium, side))
    recorded = side.recorded(contract, policy.logs[0].id)
    assert recorded[-1].place == place_of(receipt)
    assert recorded[-1].previous_size is None
    published = [each for each in recorded if each.previous_size is not None]
    assert published[-1].size == recorded[-1].size == consortium.gateway.parts.sequencer.size
    assert all(side.time_of(each.place.block) == each.time for each in published)
    assert side.prove(recorded[0].place, policy).block is not None  # under the policy's range
    beyond = side.prove(place_of(receipt), policy).block  # and, where that ends before, under the node's head
    assert beyond is not None
    assert policy.epochs[-1].last is not None
    assert beyond.last >= receipt.block_number > policy.epochs[-1].last
    early = replace(policy, epochs=(replace(policy.epochs[0], last=10**6),))
    with pytest.raises(MalformedError, match="final blocks"):
        side.prove(recorded[0].place, early)


def test_a_log_that_published_nothing_has_its_opening(consortium: Consortium, side: ChainSide) -> None:
    policy = policy_of(consortium)
    contract = policy.address_of("CheckpointLog")
    opened = consortium.gateway.parts.store.chain.find_log(policy.logs[0].id)
    assert opened is not None
    edge = consortium.gateway.parts.edge

    def only_opened(address: Any, topics: Any, first: int, last: int) -> Any:
        return [] if not topics[1:] or topics[1] else edge.find_events(address, topics, first, last)

    quiet = ChainSide(SimpleNamespace(find_events=only_opened, final_head=edge.final_head, header=edge.header))  # type: ignore[arg-type]
    present = quiet.present(contract, policy.logs[0])
    assert (present.size, present.time) == (0, int(opened.opened_at.timestamp()))
    unknown = PinnedLog(policy.logs[0].operator, "other.example/log", policy.logs[0].keys)
    with pytest.raises(NotFoundError, match="not open"):
        side.present(contract, unknown)


def test_the_history_is_read_up_to_the_head_that_was_attested(consortium: Consortium, side: ChainSide) -> None:
    store = consortium.gateway.parts.store.chain
    registry = policy_of(consortium).address_of("ParticipantRegistry")
    rows = store.history()
    for row in (rows[0], rows[-1]):
        records = side.history(registry, row.head)
        assert len(records) == row.index
        assert (records[-1].participant, records[-1].block) == (row.participant, row.block)
    with pytest.raises(UnavailableError, match="do not lead to the head"):
        side.history(registry, Bytes32(bytes(32)))
    with pytest.raises(UnavailableError, match="no block"):
        side.time_of(10**9)


def test_what_the_node_does_not_take_is_said(
    consortium: Consortium, side: ChainSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = attest_call(consortium, side)
    sender = LocalSigner(generate_private_key())
    refusal = Refusal(RefusalKind.OTHER, -32007, "not on this chain's allow list")
    monkeypatch.setattr(ChainEdge, "send", lambda *_: [refusal])
    with pytest.raises(RefusedError, match="allow list") as refused:
        side.send(sender, call)
    assert refused.value.code == "not-sent"
    monkeypatch.setattr(ChainEdge, "send", lambda *_: [None])
    monkeypatch.setattr(ChainEdge, "receipt", lambda *_: SimpleNamespace(is_successful=False))
    with pytest.raises(RefusedError, match="ask again"):
        side.send(sender, call)
    monkeypatch.setattr(ChainEdge, "receipt", lambda *_: None)
    monkeypatch.setattr(chain_side, "_WAIT_S", 0.05)
    monkeypatch.setattr(chain_side, "_LOOK_AGAIN_S", 0.01)
    with pytest.raises(UnavailableError, match="in no block yet"):
        side.send(sender, call)


def test_a_conflict_that_is_not_about_pins_goes_on(
    consortium: Consortium, side: ChainSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = policy_of(consortium)
    place = side.recorded(policy.address_of("CheckpointLog"), policy.logs[0].id)[0].place

    def refuse(*_: object) -> None:
        raise ConflictError("busy", code="conflict")

    monkeypatch.setattr(side._prover, "prove", refuse)
    with pytest.raises(ConflictError, match="busy"):
        side.prove(place, policy)


def test_a_node_of_another_chain_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError), open_chain("http://127.0.0.1:9", 1):
        pass
    with pytest.raises(NotFoundError, match="no key file"):
        load_sender(tmp_path / "none.key")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "1"}',
        '{"message": {"a": "1"}}',
        '{"statement": {"type": "AccessGrant", "message": {"a": "1"}}, "message": 5}',
    ],
)
def test_a_grants_text_is_read_out_of_whatever_has_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "grant.json"
    file.write_text(text)
    assert message_of(file) == {"a": "1"}


@pytest.mark.parametrize(("text", "words"), [("{", "is not JSON"), ("[]", "not a JSON object")])
def test_what_has_no_grants_text_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "grant.json"
    with pytest.raises(NotFoundError):
        message_of(file)
    file.write_text(text)
    with pytest.raises(MalformedError, match=words):
        message_of(file)
