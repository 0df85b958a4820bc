"""The consortium file and the founding file: strict, and compared with the chain."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.chain import (
    ChainEdge,
    ChainSettings,
    ContractReader,
    Deployment,
    FoundingFile,
    LocalSigner,
    check_deployment,
    check_foundings,
    deploy,
    predict_domains,
)
from ledger.chain.contracts import load_artifact
from ledger.errors import ConflictError, MalformedError, RefusedError, UnavailableError, VerificationError
from ledger.statements import generate_private_key
from ledger.types import Address, Bytes32
from tests.support.chain import CHAIN_ID, Consortium, Person, found, memory_settings


@pytest.fixture(scope="module")
def consortium() -> Iterator[Consortium]:
    with ChainEdge.open(memory_settings()) as edge:
        yield found(edge)


def test_file_is_its_own_inverse(consortium: Consortium) -> None:
    raw = consortium.deployment.to_bytes()
    assert Deployment.parse(raw) == consortium.deployment
    assert Deployment.parse(raw + b"\n").to_bytes() == raw
    assert consortium.deployment.domains.chain_id == CHAIN_ID


Change = Callable[[dict[str, Any]], Any]
CHANGES: list[Change] = [
    lambda form: form.pop("genesis_hash"),
    lambda form: form.update(surplus="1"),
    lambda form: form.update(format="concord-consortium/2"),
    lambda form: form.update(chain_id=5),
    lambda form: form.update(chain_id="05"),
    lambda form: form.update(chain_id="²"),
    lambda form: form.update(chain_id="-5"),
    lambda form: form.update(chain_id="1" * 21),
    lambda form: form.update(genesis_hash=form["genesis_hash"].upper()),
    lambda form: form.update(contracts=[]),
    lambda form: form["contracts"].pop("AccessGrants"),
    lambda form: form["contracts"]["AccessGrants"].pop("code_hash"),
    lambda form: form["contracts"]["AccessGrants"].update(address="0x00"),
    lambda form: form["deployment_block"].update(number=None),
]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_file_is_malformed(consortium: Consortium, change: Change) -> None:
    form = json.loads(consortium.deployment.to_bytes())
    change(form)
    with pytest.raises(MalformedError, match="not a consortium file"):
        Deployment.parse(encode_canonical(form))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b"{ }", b"[" * 20_000])
def test_anything_else_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        Deployment.parse(raw)


def test_chain_that_differs_is_told_with_both_values(consortium: Consortium) -> None:
    deployment, edge = consortium.deployment, consortium.edge
    check_deployment(edge, deployment)
    other = Bytes32(b"\x05" * 32)
    for changed, says in (
        (replace(deployment, genesis_hash=other), "genesis hash"),
        (replace(deployment, code_hashes=dict.fromkeys(deployment.code_hashes, other)), "code of ParticipantRegistry"),
        (replace(deployment, deployment_block_hash=other), "deployment block"),
        (replace(deployment, deployment_block=10**6), "deployment block"),
        (replace(deployment, history_head=other), "founding history"),
    ):
        with pytest.raises(VerificationError, match=says) as caught:
            check_deployment(edge, changed)
        assert caught.value.expected != caught.value.found
    later = replace(deployment, deployment_block=2)
    block = edge.block(2)
    assert block is not None
    with pytest.raises(VerificationError, match="founding history"):
        check_deployment(edge, replace(later, deployment_block_hash=block.hash))


def test_reader_at_a_place_without_contracts_is_unavailable(consortium: Consortium) -> None:
    nowhere = dict.fromkeys(consortium.deployment.contracts, Address(b"\x01" * 20))
    with pytest.raises(UnavailableError, match="no ParticipantRegistry answers"):
        ContractReader(consortium.edge, nowhere).threshold()


# Deploying


class Site:
    """An empty chain, a deployer and founders."""

    def __init__(self, edge: ChainEdge) -> None:
        self.edge = edge
        self.deployer = LocalSigner(generate_private_key())
        self.domains = predict_domains(edge.settings.chain_id, self.deployer.address)
        self.foundings = [Person().found(self.domains) for _ in range(2)]


@pytest.fixture
def site() -> Iterator[Site]:
    with ChainEdge.open(memory_settings()) as edge:
        yield Site(edge)


def test_deploying_again_finds_what_is_there(site: Site) -> None:
    first = deploy(site.edge, site.deployer, site.foundings, 2)
    head, told = site.edge.head(), list[str]()
    assert deploy(site.edge, site.deployer, site.foundings, 2, report=told.append) == first
    assert site.edge.head() == head
    assert all("is there" in each for each in told)
    assert len(told) == 5


def test_deployer_that_was_used_for_something_else(site: Site) -> None:
    site.edge.send([site.edge.sign_noop(site.deployer, 0)])
    with pytest.raises(ConflictError, match="Take a fresh one") as caught:
        deploy(site.edge, site.deployer, site.foundings, 2)
    assert caught.value.code == "deployer-used"


def test_other_code_at_the_address(site: Site) -> None:
    stopping = bytes.fromhex("600180600b6000396000f3fe")
    site.edge.send([site.edge.sign_creation(site.deployer, stopping, 0, 200_000)])
    with pytest.raises(ConflictError, match="not this version's ParticipantRegistry") as caught:
        deploy(site.edge, site.deployer, site.foundings, 2)
    assert caught.value.code == "other-code"


def test_registry_of_other_founders(site: Site) -> None:
    deploy(site.edge, site.deployer, site.foundings, 2)
    with pytest.raises(ConflictError, match="founded without participant") as caught:
        deploy(site.edge, site.deployer, [Person().found(site.domains)], 1)
    assert caught.value.code == "other-founding"


def test_constructor_that_refuses_spends_no_nonce(site: Site) -> None:
    with pytest.raises(RefusedError) as caught:
        deploy(site.edge, site.deployer, [site.foundings[0], site.foundings[0]], 2)
    assert caught.value.code.startswith("participant-registry-")
    assert site.edge.nonce(site.deployer.address) == 0


def test_creation_that_failed_in_its_block(site: Site) -> None:
    artifact = load_artifact("ParticipantRegistry")
    members = {"founders": [], "threshold_": 0}
    site.edge.send([site.edge.sign_creation(site.deployer, artifact.encode_creation(members), 0, 3_000_000)])
    with pytest.raises(ConflictError):
        deploy(site.edge, site.deployer, site.foundings, 2)


def test_network_that_refuses_the_sender_says_why(site: Site) -> None:
    poor = ChainSettings("embedded", CHAIN_ID, gas_price_wei=1)
    with ChainEdge.open(poor) as edge, pytest.raises(RefusedError, match="insufficient funds") as caught:
        deploy(edge, site.deployer, site.foundings, 2)
    assert caught.value.code == "transaction-insufficient-funds"


def test_founders_are_checked_before_anything_is_sent(site: Site) -> None:
    other = predict_domains(CHAIN_ID, Address(b"\x01" * 20))
    for domains, foundings, threshold, error in (
        (site.domains, [], 1, MalformedError),
        (site.domains, site.foundings * 9, 1, MalformedError),
        (site.domains, site.foundings, 0, MalformedError),
        (site.domains, site.foundings, 3, MalformedError),
        (other, site.foundings, 2, VerificationError),
    ):
        with pytest.raises(error):
            check_foundings(domains, foundings, threshold)
    vote = Person().state(site.domains, "ProfileUpdate", version=2, profileHash=Bytes32(bytes(32)))
    with pytest.raises(MalformedError, match="brings a ParticipantApplication"):
        check_foundings(site.domains, [replace(site.foundings[0], application=vote.statement)], 1)


def test_founding_file(site: Site) -> None:
    file = FoundingFile(CHAIN_ID, tuple(site.foundings), 2)
    raw = file.to_bytes()
    assert FoundingFile.parse(raw) == FoundingFile.parse(raw + b"\n") == file
    changes: list[Change] = [
        lambda form: form.update(format="concord-founding/2"),
        lambda form: form.pop("threshold"),
        lambda form: form.update(threshold=2),
        lambda form: form.update(threshold="02"),
        lambda form: form.update(founders={}),
        lambda form: form.update(founders=[5]),
        lambda form: form["founders"][0].update(key_signature=5),
        lambda form: form["founders"][0].update(key_signature="0x00"),
        lambda form: form["founders"][0]["application"].pop("salt"),
    ]
    for change in changes:
        form = json.loads(raw)
        change(form)
        with pytest.raises(MalformedError):
            FoundingFile.parse(encode_canonical(form))
