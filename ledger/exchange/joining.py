"""A further gateway on a consortium's chain: the folder of a participant who was admitted through another gateway.

Resumable after a kill, and done once, as founding is: what is random is drawn first and kept in ``joining.json``, keys
are in their files before anything leans on them, signing is deterministic. The journal goes last.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.canonical import JsonValue
from ledger.chain import (
    ChainEdge,
    ContractReader,
    Deployment,
    LocalSigner,
    ParticipantStatus,
    Signer,
    check_deployment,
)
from ledger.errors import ConflictError, MalformedError, RefusedError
from ledger.exchange.first_steps import (
    OPERATORS_SCOPES,
    build_opening,
    draw_first_keys,
    dropping_taken_key,
    make_private,
    open_log,
    put_private_file,
)
from ledger.exchange.founding_chain import RELAY_GAS, ExistingChain, check_funds
from ledger.exchange.gateway import Gateway
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.keystore import KeyStore
from ledger.exchange.profiles import keep_profile
from ledger.exchange.rules import check_origin
from ledger.exchange.settings import GatewaySettings, Home
from ledger.keyfiles import DEFAULT_KDF_COST, write_private_file
from ledger.types import Address, Bytes32

__all__ = ["Joined", "JoiningPlan", "KnownProfile", "join"]

_TIME_TO_JOIN_S: Final = 14 * 24 * 3600
_KEY_LABEL: Final = "joining"
_NO_ADDRESS: Final = Address(bytes(20))
_NO_STANDING: Final[Mapping[ParticipantStatus, str]] = {
    ParticipantStatus.NONE: "is not admitted: `concord join request` at a member's gateway asks for it, and governors "
    "vote; if they have, check the id",
    ParticipantStatus.SUSPENDED: "is suspended: it opens a log once the governors have reinstated it",
    ParticipantStatus.RETIRED: "has left the consortium, for ever: apply anew, with new keys",
}


@dataclass(frozen=True, slots=True)
class KnownProfile:
    """A participant's present profile with its salt, as another gateway gives it."""

    participant: Bytes32
    salt: Bytes32
    profile: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class JoiningPlan:
    """What `join` makes. The participant operates the gateway, which keeps its signing key."""

    deployment: Deployment
    """the consortium's document, taken from a member that is trusted"""
    chain: ExistingChain
    participant: Bytes32
    signing_key: bytes = field(repr=False)
    """32 bytes; a key of the participant that is active on chain"""
    origin: str
    passphrase: str = field(repr=False)
    """encrypts the gateway's keystore"""
    profiles: tuple[KnownProfile, ...] = ()
    """whom it knows by handle and endpoint from the start: itself, and others"""
    kdf_cost: int = DEFAULT_KDF_COST
    """how dear each guess of a passphrase is (scrypt's N)"""
    database_url: str | None = field(default=None, repr=False)
    """where the gateway's store is kept (None: SQLite in the home folder)"""


@dataclass(frozen=True, slots=True)
class Joined:
    """What was made; ``api_key`` is the token of the operator's first key, shown once."""

    chain_id: int
    participant: Bytes32
    log: Bytes32
    relay: Address
    """sends the gateway's transactions"""
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class _Run:
    """One call of `join`."""

    home: Home
    plan: JoiningPlan
    keystore: KeyStore
    signer: Signer
    clock: Callable[[], float]
    say: Callable[[str], None]


def join(
    home: Path,
    plan: JoiningPlan,
    *,
    on_step: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Joined:
    """Make a gateway of the plan's participant in ``home``; after a kill, the same call goes on where it stopped.

    Raises:
        MalformedError: the plan can not work (origin, passphrase, the node's URL).
        VerificationError: the node's chain is not the consortium's (genesis, contracts, code), or a profile is not the
            one on chain.
        RefusedError: the participant is not active (``participant-...``), or the key is not an active one of it
            (``key-not-active``); or another log took the log's key meanwhile (``checkpoint-log-key-taken``): the same
            call draws another and goes on.
        ConflictError: the node runs another chain (``wrong-chain``); the folder holds a gateway (``already-founded``)
            or an interrupted joining with another plan (``other-joining``); the participant has a log of that origin
            already (``log-open``); or the new relay account can not pay what the chain asks (``unfunded``): fund it,
            and the same call goes on.
        UnavailableError: the disk does not take it, or the node does not answer.
    """
    _check_plan(plan)
    say = on_step or (lambda _: None)
    say("comparing the chain with the consortium's document")
    settings = _configure(plan).chain_settings(plan.deployment.chain_id, None, 0)
    with ChainEdge.open(settings, clock=clock) as edge:
        signer = LocalSigner(plan.signing_key)
        _check_chain(edge, plan, signer.address)
        make_private(home)
        journal = _open_journal(Home(home), plan, clock)
        say("drawing keys")
        keystore = KeyStore(Home(home).keys_folder, plan.passphrase, kdf_cost=plan.kdf_cost)
        run = _Run(Home(home), plan, keystore, signer, clock, say)
        _prepare_keys(run)
        say(f"the relay account, which sends the transactions, is {keystore.ensure_relay().address}")
        _check_log(edge, run)
        check_funds(edge, {keystore.ensure_relay().address: RELAY_GAS})
    put_private_file(run.home.consortium_file, plan.deployment.to_bytes())
    put_private_file(run.home.gateway_file, _configure(plan).to_bytes())
    with dropping_taken_key(run.keystore, _configure(plan).log):
        api_key = _open_gateway(run, journal)
    run.home.joining_file.unlink()
    relay, log = keystore.load_relay().address, _configure(plan).log
    return Joined(plan.deployment.chain_id, plan.participant, log, relay, api_key)


def _configure(plan: JoiningPlan) -> GatewayFile:
    chain = plan.chain
    return GatewayFile(
        plan.participant,
        plan.origin,
        genesis_accounts=(),
        rpc_url=chain.rpc_url,
        gas_price_wei=chain.gas_price_wei,
        finality_blocks=chain.finality_blocks,
    )


def _check_plan(plan: JoiningPlan) -> None:
    if not plan.passphrase:
        raise MalformedError("the keystore needs a passphrase")
    check_origin(plan.origin)
    plan.chain.check()


def _check_chain(edge: ChainEdge, plan: JoiningPlan, key: Address) -> None:
    """Check that it is the consortium's chain, and that participant and key are active there."""
    check_deployment(edge, plan.deployment)
    reader = ContractReader(edge, plan.deployment.contracts)
    status, is_active = reader.signer_status(plan.participant, key)
    facts = {"participant": str(plan.participant), "signer": str(key)}
    if status is not ParticipantStatus.ACTIVE:
        code = "not-admitted" if status is ParticipantStatus.NONE else status.name.lower()
        sentence = f"the participant {plan.participant} {_NO_STANDING[status]}"
        raise RefusedError(sentence, code=f"participant-{code}", facts=facts)
    if not is_active:
        raise RefusedError(
            f"{key} is not an active signing key of {plan.participant}: give the file of one that is, or add this one "
            "with the control key, `concord participant add-key`",
            code="key-not-active",
            facts=facts,
        )


def _describe_plan(plan: JoiningPlan, key: Address) -> JsonValue:
    return {
        "participant": str(plan.participant),
        "signing_key": str(key),
        "origin": plan.origin,
        "chain": plan.chain.describe(),
        "consortium": str(plan.deployment.contracts["ParticipantRegistry"]),
    }


def _open_journal(home: Home, plan: JoiningPlan, clock: Callable[[], float]) -> Mapping[str, Any]:
    described = _describe_plan(plan, LocalSigner(plan.signing_key).address)
    if not home.joining_file.exists():
        if home.gateway_file.exists() or home.consortium_file.exists() or home.founding_file.exists():
            raise ConflictError(
                f"the folder {home.folder.name} holds a gateway already: start it, or take another folder",
                code="already-founded",
            )
        drawn = {
            "deadline": int(clock()) + _TIME_TO_JOIN_S,
            "opening_salt": secrets.token_hex(32),
            "plan": described,
        }
        write_private_file(home.joining_file, json.dumps(drawn).encode())
    journal: dict[str, Any] = json.loads(home.joining_file.read_bytes())
    if journal["plan"] != described:
        raise ConflictError(
            "an interrupted joining with another plan lies here: repeat its settings, or take another folder",
            code="other-joining",
        )
    return journal


def _prepare_keys(run: _Run) -> None:
    """Keep the operator's key, draw the gateway's. Raises: VerificationError: the passphrase is another than theirs."""
    plan, keystore = run.plan, run.keystore
    if keystore.find(plan.participant, run.signer.address) is None:
        keystore.add(plan.participant, plan.signing_key)
    keystore.ensure_relay()
    keystore.ensure_log_signer(plan.origin)


def _check_log(edge: ChainEdge, run: _Run) -> None:
    """Check that the log is not open yet, or was opened by an interrupted call of this folder's."""
    config = _configure(run.plan)
    record = ContractReader(edge, run.plan.deployment.contracts).log_of(config.log)
    if record.publisher not in {_NO_ADDRESS, run.keystore.ensure_relay().address}:
        raise ConflictError(
            f"the log {config.origin} of this participant is open on chain, with keys of another folder: start that "
            "gateway, or choose another --origin",
            code="log-open",
            facts={"log": str(config.log), "publisher": str(record.publisher)},
        )


def _open_gateway(run: _Run, journal: Mapping[str, Any]) -> str:
    """Index the chain, keep the profiles, open the log, draw the first API key; its token."""
    plan = run.plan
    settings = GatewaySettings(
        home=run.home.folder, passphrase=plan.passphrase, database_url=plan.database_url, publish_after_s=0.0
    )
    run.say("reading the chain")
    with Gateway.open(settings, clock=run.clock) as gateway:
        for known in plan.profiles:
            if not keep_profile(gateway.parts, str(known.participant), known.salt, known.profile):
                run.say(f"another participant is called {known.profile['handle']} here: {known.participant} is not")
        if gateway.parts.directory.handle_of(plan.participant) is None:
            run.say("its own profile is not known here yet, nor its handle: `concord participant learn` brings it")
        run.say("opening the log")
        salt = Bytes32(bytes.fromhex(journal["opening_salt"]))
        opening = build_opening(run.keystore, plan.participant, plan.origin, int(journal["deadline"]), salt)
        open_log(gateway, run.signer, opening)
        return draw_first_keys(gateway, [(plan.participant, OPERATORS_SCOPES)], _KEY_LABEL)[0]
