"""A further gateway: what it needs, refused plans, a kill at every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ledger.chain import ChainSettings, ContractReader, Deployment, ParticipantStatus
from ledger.chain.http import open_session
from ledger.chain.node import NodeConnection, connect_http
from ledger.errors import ConflictError, LedgerError, MalformedError, RefusedError, VerificationError
from ledger.exchange import ExistingChain, Founded, Home, Joined, JoiningPlan, KnownProfile, State, found, join
from ledger.exchange import joining as joining_module
from ledger.exchange.first_steps import dropping_taken_key
from ledger.exchange.intake import Intake
from ledger.exchange.keystore import KeyStore
from ledger.keyfiles import read_key_file
from ledger.statements import compute_log_id, generate_private_key
from ledger.types import Bytes32
from tests.support.chain import running_anvil
from tests.support.exchange import HANDLES, PASSPHRASE, open_gateway, plan_of, registration
from tests.support.measuring import unmeasured
from tests.support.squatting import take_log_key


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@dataclass
class Site:
    """A consortium on a node, whose analyst holds its own key and has no gateway yet."""

    home: Path
    node: ChainSettings
    founded: Founded
    profiles: dict[str, KnownProfile]

    @property
    def analyst(self) -> Bytes32:
        return self.founded.participants["analyst"]

    def key(self, name: str) -> bytes:
        return read_key_file(self.founded.key_files[name], PASSPHRASE)

    def plan(self, origin: str = "b.example/log") -> JoiningPlan:
        assert self.node.rpc_url is not None
        return JoiningPlan(
            deployment=Deployment.parse(Home(self.home).consortium_file.read_bytes()),
            chain=ExistingChain(self.node.rpc_url),
            participant=self.analyst,
            signing_key=self.key("analyst/signing"),
            origin=origin,
            passphrase=PASSPHRASE,
            profiles=tuple(self.profiles.values()),
            kdf_cost=2,
        )

    def fund(self, address: str, amount: int) -> None:
        assert self.node.rpc_url is not None
        with open_session() as session:
            node = NodeConnection(connect_http(self.node.rpc_url, 5.0, session), 1)
            node.ask("anvil_setBalance", address, hex(amount))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("joining") / "a"
    with running_anvil() as node:
        assert node.rpc_url is not None
        with unmeasured():
            founded = found(home, replace(plan_of(), chain=ExistingChain(node.rpc_url)))
        with open_gateway(home, founded) as consortium:
            gateway = consortium.gateway
            views = [gateway.participants.profile(consortium.asker(each), each).value for each in HANDLES]
        profiles = {
            handle: KnownProfile(view.participant, view.document.salt, dict(view.document.document))  # type: ignore[arg-type]  # an object
            for handle, view in zip(HANDLES, views, strict=True)
        }
        yield Site(home, node, founded, profiles)


def test_a_participant_has_a_gateway_of_its_own_once_its_relay_account_is_funded(site: Site, tmp_path: Path) -> None:
    plan = replace(site.plan(), chain=replace(site.plan().chain, gas_price_wei=7))
    with pytest.raises(ConflictError) as unfunded:
        join(tmp_path / "b", plan)
    assert unfunded.value.code == "unfunded"
    [(relay, amount)] = unfunded.value.facts.items()
    assert amount == str(100_000_000 * 7)
    site.fund(relay, int(str(amount)))
    joined = join(tmp_path / "b", plan)
    assert (joined.log, str(joined.relay)) == (compute_log_id(site.analyst, "b.example/log"), relay)
    assert not Home(tmp_path / "b").joining_file.exists()
    with open_gateway(tmp_path / "b", site.founded) as consortium:
        gateway = consortium.gateway
        asker = gateway.api_keys.authenticate(joined.api_key)
        assert asker is not None
        assert asker.participant == site.analyst
        assert {each.value for each in asker.scopes} == {"read", "write", "operate", "audit"}
        assert gateway.health().log_size == 1
        assert gateway.participants.get(asker, "utility").value.id == site.founded.participants["utility"]
        outcome = consortium.state("analyst", registration("power", {"a": b"1"}))
        assert outcome.state is State.FINAL
        assert gateway.health().log_size == 2
    with pytest.raises(ConflictError) as again:
        join(tmp_path / "b", site.plan())
    assert again.value.code == "already-founded"
    with pytest.raises(ConflictError) as other:
        join(tmp_path / "other", site.plan())
    assert other.value.code == "log-open"
    with pytest.raises(ConflictError) as there:
        found(tmp_path / "other", plan_of())
    assert there.value.code == "already-founded"


def test_a_joining_goes_on_after_a_kill_at_every_step(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def step(text: str) -> None:
        if text not in steps:
            steps.append(text)
            raise KilledError

    home, plan, tokens = tmp_path / "home", site.plan("killed.example/log"), list[str]()
    real = joining_module._open_gateway

    def draw_and_die(*arguments: object) -> str:
        tokens.append(real(*arguments))  # type: ignore[arg-type]
        if len(tokens) == 1:
            raise KilledError
        return tokens[-1]

    monkeypatch.setattr(joining_module, "_open_gateway", draw_and_die)
    joined: Joined | None = None
    while joined is None:
        try:
            joined = join(home, plan, on_step=step)
        except KilledError:
            continue
    assert len(steps) == 5
    with open_gateway(home, site.founded) as consortium:
        assert consortium.gateway.health().log_size == 1
        assert consortium.gateway.api_keys.authenticate(tokens[0]) is None
        assert consortium.gateway.api_keys.authenticate(joined.api_key) is not None
    assert KeyStore.open(Home(home).keys_folder, PASSPHRASE).load_relay().address == joined.relay


def test_a_log_key_that_another_log_took_is_dropped(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused after its opening was logged under it: the same call goes on with another key, and the same log."""
    home, plan = tmp_path / "home", site.plan("squatted.example/log")
    keystore = KeyStore(Home(home).keys_folder, PASSPHRASE)
    taken = keystore.ensure_log_signer(plan.origin).verifier_key
    with open_gateway(site.home, site.founded) as consortium:
        take_log_key(consortium.gateway, site.founded.participants["utility"], taken.public_key)
    with monkeypatch.context() as patch:
        patch.setattr(Intake, "_check_once", lambda *_: None)
        with pytest.raises(RefusedError, match="Run the command again, it draws another") as refused:
            join(home, plan)
    assert refused.value.code == "checkpoint-log-key-taken"
    assert not (Home(home).keys_folder / "log.pem").exists()
    log = join(home, plan).log
    with open_gateway(home, site.founded) as consortium:
        assert consortium.gateway.health().log_size == 2
        key = consortium.gateway.parts.reader.log_of(log).verifier_key
        assert key == keystore.load_log_signer(plan.origin).verifier_key.public_key
        assert key != taken.public_key
        assert consortium.state("analyst", registration("squatted", {"a": b"1"})).state is State.FINAL


def test_a_log_key_that_is_refused_otherwise_stays(tmp_path: Path) -> None:
    keystore, log, other = KeyStore(tmp_path, PASSPHRASE), str(Bytes32(bytes(32))), str(Bytes32(b"\1" * 32))
    keystore.ensure_log_signer("a.example/log")
    for code, facts in (
        ("checkpoint-log-closed", {"owner": other}),
        ("checkpoint-log-key-taken", {"owner": log}),
        ("checkpoint-log-key-taken", {"data": "0x"}),
    ):
        refusal = RefusedError("no", code=code, facts=facts)
        with pytest.raises(RefusedError) as told, dropping_taken_key(keystore, Bytes32(bytes(32))):
            raise refusal
        assert told.value is refusal
    assert keystore.load_log_signer("a.example/log")


def test_another_plan_does_not_go_on(site: Site, tmp_path: Path) -> None:
    def kill(text: str) -> None:
        if text == "drawing keys":
            raise KilledError

    with pytest.raises(KilledError):
        join(tmp_path / "home", site.plan("first.example/log"), on_step=kill)
    with pytest.raises(ConflictError) as other:
        join(tmp_path / "home", site.plan("second.example/log"))
    assert other.value.code == "other-joining"


def code_of(home: Path, plan: JoiningPlan) -> object:
    with pytest.raises(LedgerError) as refused:
        join(home, plan)
    assert not home.exists(), "nothing is made before the chain says that it may be"
    return refused.type if not hasattr(refused.value, "code") else refused.value.code


def test_what_the_chain_does_not_bear_out_is_refused(site: Site, tmp_path: Path) -> None:
    plan, zero = site.plan("none.example/log"), Bytes32(bytes(32))
    deployment = plan.deployment
    strange = replace(deployment, code_hashes={**deployment.code_hashes, "AccessGrants": zero})
    for changed, code in (
        (replace(plan, participant=Bytes32(b"\1" * 32)), "participant-not-admitted"),
        (replace(plan, signing_key=generate_private_key()), "key-not-active"),
        (replace(plan, signing_key=site.key("analyst/control")), "key-not-active"),
        (replace(plan, deployment=replace(deployment, chain_id=7)), "wrong-chain"),
        (replace(plan, deployment=replace(deployment, genesis_hash=zero)), VerificationError),
        (replace(plan, deployment=strange), VerificationError),
        (replace(plan, origin="has space"), MalformedError),
        (replace(plan, passphrase=""), MalformedError),
        (replace(plan, chain=ExistingChain("ftp://node")), MalformedError),
    ):
        assert code_of(tmp_path / "home", changed) == code


def test_a_profile_is_held_against_its_hash_on_chain(site: Site, tmp_path: Path) -> None:
    plan = site.plan("profile.example/log")
    known = site.profiles["utility"]
    forged = replace(known, profile={**known.profile, "endpoint": "https://elsewhere.example"})
    with pytest.raises(VerificationError, match="not the present profile"):
        join(tmp_path / "home", replace(plan, profiles=(forged,)))


@pytest.mark.parametrize("status", [ParticipantStatus.SUSPENDED, ParticipantStatus.RETIRED])
def test_who_is_not_active_opens_no_log(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: ParticipantStatus
) -> None:
    monkeypatch.setattr(ContractReader, "signer_status", lambda *_: (status, False))
    assert code_of(tmp_path / "home", site.plan()) == f"participant-{status.name.lower()}"
