"""Founding a consortium, on the embedded chain or on one that is there: resumable after a kill, and done once.

What is random is drawn first and kept in ``founding.json``; all else follows from it. Keys are written to their files
before anything leans on them, signing is deterministic, deployment looks what is there, the log knows a statement by
its digest. The journal goes last.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ledger.canonical import JsonValue, encode_canonical, hash_document
from ledger.chain import ChainEdge, Deployment, Founding, Signer, deploy, predict_domains
from ledger.errors import ConflictError, MalformedError
from ledger.exchange.asker import Scope
from ledger.exchange.first_steps import (
    OPERATORS_SCOPES,
    build_opening,
    draw_first_keys,
    dropping_taken_key,
    make_private,
    open_log,
    put_private_file,
)
from ledger.exchange.founding_chain import DEPLOYMENT_GAS, RELAY_GAS, ExistingChain, check_funds
from ledger.exchange.founding_keys import FounderKeys, ensure_founder_keys
from ledger.exchange.gateway import Gateway
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.intents.participants import check_profile
from ledger.exchange.keystore import KeyStore
from ledger.exchange.rules import check_origin
from ledger.exchange.settings import GatewaySettings, Home
from ledger.exchange.signatures import sign_statement
from ledger.keyfiles import DEFAULT_KDF_COST, write_private_file
from ledger.statements import Custody, Domains, Statement, compute_participant_id
from ledger.store.rows import DocumentRow
from ledger.surface.outcomes import SignedStatement
from ledger.types import Address, Bytes32

__all__ = ["Founded", "Founder", "FoundingPlan", "found"]

_TIME_TO_FOUND_S: Final = 14 * 24 * 3600
_KEY_LABEL: Final = "founding"
_FOUNDERS_SCOPES: Final = frozenset({Scope.READ, Scope.WRITE})


@dataclass(frozen=True, slots=True)
class Founder:
    """A founding governor: profile with ``handle`` and ``name``, and who holds its first signing key."""

    profile: Mapping[str, JsonValue]
    custodial: bool = False


@dataclass(frozen=True, slots=True)
class FoundingPlan:
    """What `found` makes. The first founder operates the gateway; its signing key is custodial."""

    founders: tuple[Founder, ...]
    threshold: int = 1
    origin: str = "concord.invalid/log"
    passphrase: str = field(default="", repr=False)
    """encrypts the gateway's keystore"""
    owners_folder: Path | None = None
    """where founders' own keys are written (None: ``founders/`` beside the home folder's other files)"""
    owners_passphrase: str | None = field(default=None, repr=False)
    """encrypts those (None: the gateway's passphrase)"""
    relay_accounts: tuple[Address, ...] = ()
    """outsiders who may send transactions themselves, through the embedded chain's JSON-RPC"""
    kdf_cost: int = DEFAULT_KDF_COST
    """how dear each guess of a passphrase is (scrypt's N)"""
    database_url: str | None = field(default=None, repr=False)
    """where the gateway's store is kept (None: SQLite in the home folder)"""
    chain: ExistingChain | None = None
    """the chain to found it on (None: an embedded one)"""


@dataclass(frozen=True, slots=True)
class Founded:
    """What was made. ``api_keys``: by handle, the token of each founder's first key, shown once."""

    chain_id: int
    contracts: Mapping[str, Address]
    participants: Mapping[str, Bytes32]
    log: Bytes32
    relay: Address
    """sends the gateway's transactions"""
    api_keys: Mapping[str, str] = field(repr=False)
    key_files: Mapping[str, Path]
    """by ``handle/control`` and ``handle/signing``, the owners' encrypted key files"""


@dataclass(frozen=True)
class _Journal:
    """What is random, and a summary of the plan, so that no other plan goes on."""

    chain_id: int
    deadline: int
    salts: tuple[Bytes32, ...]
    profile_salts: tuple[Bytes32, ...]
    opening_salt: Bytes32
    plan: JsonValue


@dataclass(frozen=True)
class _Run:
    """One call of `found`."""

    home: Home
    plan: FoundingPlan
    journal: _Journal
    keystore: KeyStore
    clock: Callable[[], float]
    say: Callable[[str], None]

    @property
    def handles(self) -> list[str]:
        return [str(founder.profile["handle"]) for founder in self.plan.founders]

    @cached_property
    def deployer(self) -> Signer:
        return self.keystore.ensure("deployer")

    @cached_property
    def relay(self) -> Signer:
        return self.keystore.ensure_relay()


def found(
    home: Path,
    plan: FoundingPlan,
    *,
    on_step: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Founded:
    """Found a consortium in ``home``; after a kill, the same call goes on where it stopped.

    Raises:
        ConflictError: the folder holds a consortium already (``already-founded``), or an interrupted founding with
            another plan (``other-founding``); or new accounts can not pay what the chain asks (``unfunded``): fund
            them, and the same call goes on.
        MalformedError: the plan can not work (no founder, threshold, handle, origin).
        RefusedError: another log took the log's key meanwhile (``checkpoint-log-key-taken``): the same call draws
            another and goes on.
        UnavailableError: the disk does not take it, or the node does not answer.
    """
    _check_plan(plan)
    make_private(home)
    journal = _open_journal(Home(home), plan, clock)
    keystore = KeyStore(Home(home).keys_folder, plan.passphrase, kdf_cost=plan.kdf_cost)
    run = _Run(Home(home), plan, journal, keystore, clock, on_step or (lambda _: None))
    run.say("drawing keys")
    keys = [_founder_keys(run, place) for place in range(len(plan.founders))]
    domains = predict_domains(journal.chain_id, run.deployer.address)
    applications = [_apply(run, place, each, domains) for place, each in enumerate(keys)]
    config = _configure(run, applications[0].statement.participant)
    deployment = _deploy(run, config, applications)
    keystore.ensure_log_signer(plan.origin)
    put_private_file(run.home.gateway_file, config.to_bytes())
    run.say("opening the log")
    with dropping_taken_key(keystore, config.log):
        tokens = _open_gateway(run, keys[0], applications)
    run.home.founding_file.unlink()
    return Founded(
        chain_id=journal.chain_id,
        contracts=dict(deployment.contracts),
        participants={
            handle: each.statement.participant for handle, each in zip(run.handles, applications, strict=True)
        },
        log=config.log,
        relay=run.relay.address,
        api_keys=dict(zip(run.handles, tokens, strict=True)),
        key_files={
            f"{handle}/{role}": path
            for handle, each in zip(run.handles, keys, strict=True)
            for role, path in each.files.items()
        },
    )


def _configure(run: _Run, operator: Bytes32) -> GatewayFile:
    plan, chain = run.plan, run.plan.chain
    if chain is None:
        accounts = (run.deployer.address, run.relay.address, *plan.relay_accounts)
        return GatewayFile(operator, plan.origin, accounts, plan.relay_accounts)
    return GatewayFile(
        operator,
        plan.origin,
        genesis_accounts=(),
        rpc_url=chain.rpc_url,
        gas_price_wei=chain.gas_price_wei,
        finality_blocks=chain.finality_blocks,
    )


def _founder_keys(run: _Run, place: int) -> FounderKeys:
    plan = run.plan
    return ensure_founder_keys(
        run.keystore,
        plan.owners_folder or run.home.folder / "founders",
        run.handles[place],
        run.journal.salts[place],
        plan.owners_passphrase or plan.passphrase,
        plan.kdf_cost,
        custodial=plan.founders[place].custodial or place == 0,
    )


def _check_plan(plan: FoundingPlan) -> None:
    if not 1 <= len(plan.founders) <= 16:
        raise MalformedError("a consortium has 1 to 16 founders")
    if not 1 <= plan.threshold <= len(plan.founders):
        raise MalformedError(f"the threshold is from 1 to the number of founders, {len(plan.founders)}")
    if not plan.passphrase:
        raise MalformedError("the keystore needs a passphrase")
    handles = [check_profile(founder.profile)["handle"] for founder in plan.founders]
    if len(set(handles)) != len(handles):
        raise MalformedError("two founders have the same handle")
    check_origin(plan.origin)
    if plan.chain is not None:
        plan.chain.check()
        if plan.relay_accounts:
            raise MalformedError("relay accounts belong to the embedded chain: here the network decides who may send")


def _describe_plan(plan: FoundingPlan) -> JsonValue:
    described: dict[str, JsonValue] = {
        "founders": [{"profile": dict(each.profile), "custodial": each.custodial} for each in plan.founders],
        "threshold": plan.threshold,
        "origin": plan.origin,
        "relay_accounts": [str(each) for each in plan.relay_accounts],
    }
    return described if plan.chain is None else described | {"chain": plan.chain.describe()}


def _open_journal(home: Home, plan: FoundingPlan, clock: Callable[[], float]) -> _Journal:
    if not home.founding_file.exists():
        if home.gateway_file.exists() or home.consortium_file.exists() or home.joining_file.exists():
            raise ConflictError(
                f"the folder {home.folder.name} holds a gateway already: start it, or take another folder",
                code="already-founded",
            )
        drawn = {
            "chain_id": plan.chain.fetch_chain_id() if plan.chain else secrets.randbelow(1 << 52) + 1,
            "deadline": int(clock()) + _TIME_TO_FOUND_S,
            "salts": [secrets.token_hex(32) for _ in plan.founders],
            "profile_salts": [secrets.token_hex(32) for _ in plan.founders],
            "opening_salt": secrets.token_hex(32),
            "plan": _describe_plan(plan),
        }
        write_private_file(home.founding_file, json.dumps(drawn).encode())
    raw: dict[str, Any] = json.loads(home.founding_file.read_bytes())
    if raw["plan"] != _describe_plan(plan):
        raise ConflictError(
            "an interrupted founding with another plan lies here: repeat its settings, or take another folder",
            code="other-founding",
        )
    return _Journal(
        chain_id=int(raw["chain_id"]),
        deadline=int(raw["deadline"]),
        salts=tuple(Bytes32(bytes.fromhex(each)) for each in raw["salts"]),
        profile_salts=tuple(Bytes32(bytes.fromhex(each)) for each in raw["profile_salts"]),
        opening_salt=Bytes32(bytes.fromhex(raw["opening_salt"])),
        plan=raw["plan"],
    )


def _apply(run: _Run, place: int, keys: FounderKeys, domains: Domains) -> SignedStatement:
    """A founder's application, signed by its two keys."""
    salt = run.journal.salts[place]
    profile = dict(run.plan.founders[place].profile)
    statement = Statement.build(
        "ParticipantApplication",
        participant=compute_participant_id(keys.control.address, salt),
        controlKey=keys.control.address,
        signingKey=keys.signing.address,
        custody=int(Custody.CUSTODIAL if keys.is_custodial else Custody.OWN),
        profileHash=hash_document(run.journal.profile_salts[place], profile),
        deadline=run.journal.deadline,
        salt=salt,
    )
    return SignedStatement(
        statement,
        sign_statement(keys.control, statement, domains),
        keys.control.address,
        sign_statement(keys.signing, statement, domains),
    )


def _deploy(run: _Run, config: GatewayFile, applications: list[SignedStatement]) -> Deployment:
    """Start the chain, or go to it, put the contracts on it, write consortium.json."""
    foundings = [
        Founding(each.statement, each.signature, each.cosignature) for each in applications if each.cosignature
    ]
    settings = config.chain_settings(run.journal.chain_id, run.home.chain_folder, 0, founds=True)
    with ChainEdge.open(settings, clock=run.clock) as edge:
        check_funds(edge, {run.deployer.address: DEPLOYMENT_GAS, run.relay.address: RELAY_GAS})
        deployment = deploy(edge, run.deployer, foundings, run.plan.threshold, report=run.say)
    put_private_file(run.home.consortium_file, deployment.to_bytes())
    return deployment


def _open_gateway(run: _Run, operator: FounderKeys, applications: list[SignedStatement]) -> list[str]:
    """Put the first entries into the log, open it on chain, draw the first API keys; their tokens."""
    settings = GatewaySettings(
        home=run.home.folder,
        passphrase=run.plan.passphrase,
        database_url=run.plan.database_url,
        publish_after_s=0.0,
    )
    with Gateway.open(settings, clock=run.clock) as gateway:
        for place, application in enumerate(applications):
            gateway.parts.store.names.claim_handle(application.statement.participant, run.handles[place])
            _keep_profile(
                gateway, application, run.journal.profile_salts[place], dict(run.plan.founders[place].profile)
            )
            gateway.take(application)
            gateway.parts.store.documents.bind([Bytes32(_member(application.statement, "profileHash"))])
        first, journal = applications[0].statement.participant, run.journal
        opening = build_opening(run.keystore, first, run.plan.origin, journal.deadline, journal.opening_salt)
        open_log(gateway, operator.signing, opening)
        return _draw_api_keys(gateway, applications)


def _member(statement: Statement, name: str) -> bytes:
    value = statement.message[name]
    return value if isinstance(value, bytes) else b""


def _keep_profile(gateway: Gateway, application: SignedStatement, salt: Bytes32, profile: JsonValue) -> None:
    document_hash = Bytes32(_member(application.statement, "profileHash"))
    body = encode_canonical(profile)
    gateway.parts.store.documents.add([DocumentRow(document_hash, salt, body, "profile", gateway.parts.now())])


def _draw_api_keys(gateway: Gateway, applications: list[SignedStatement]) -> list[str]:
    """A key for each founder, the first one for operations too; those of an interrupted run end."""
    scopes = [OPERATORS_SCOPES] + [_FOUNDERS_SCOPES] * (len(applications) - 1)
    holders = [(each.statement.participant, scope) for each, scope in zip(applications, scopes, strict=True)]
    return draw_first_keys(gateway, holders, _KEY_LABEL)
