"""A running gateway that is asked for evidence, and an auditor's policy for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.chain import SignedStatement as ExecutableStatement
from ledger.chain import encode_statement
from ledger.evidence import (
    PinnedContract,
    PinnedLog,
    PinnedRange,
    Policy,
    compute_block_root,
)
from ledger.exchange import Asker, Scope
from ledger.exchange.evidence import Pin
from ledger.exchange.intents import (
    AccessGrantIntent,
    ParentName,
)
from ledger.statements import Statement
from ledger.types import Bytes32
from tests.support.exchange import Consortium, found_in, open_gateway, registration, soon

__all__ = ["AUDITOR", "FILES", "STRANGER", "consortium", "grant", "pins_of", "policy_of", "relay_past"]

AUDITOR = Asker(None, frozenset({Scope.AUDIT}), "auditor")
STRANGER = Asker(None, frozenset({Scope.READ}), "stranger")
FILES = {"a.csv": b"plant,mwh\nA,1\n"}


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """With a version, one derived from it, and one derived from that."""
    home = tmp_path_factory.mktemp("evidence") / "home"
    founded = found_in(home)
    with open_gateway(home, founded) as running:
        running.state("utility", registration("power", FILES))
        running.state("manufacturer", registration("steel", FILES, ParentName("utility/power", 1)))
        running.state("manufacturer", registration("wire", FILES, ParentName("manufacturer/steel", 1)))
        yield running


def policy_of(consortium: Consortium) -> Policy:
    """The policy that pins the chain as it is now."""
    parts = consortium.gateway.parts
    last = parts.edge.final_head().number
    hashes = [head.hash for head in parts.edge.headers(0, last)]
    contracts = parts.deployment.contracts
    return Policy(
        chain_id=parts.deployment.chain_id,
        genesis_hash=hashes[0],
        contracts={name: PinnedContract(at, parts.edge.code_hash(at)) for name, at in contracts.items()},
        epochs=(PinnedRange(0, last, compute_block_root(hashes)),),
        logs=(PinnedLog(parts.config.operator, parts.config.origin, (parts.log_signer.verifier_key,)),),
    )


def pins_of(policy: Policy) -> list[Pin]:
    """The ranges that a policy pins."""
    return [Pin(each.first, each.last) for each in policy.epochs]


def grant(consortium: Consortium, **members: Any) -> Bytes32:
    """Grant the manufacturer the first version."""
    terms: dict[str, Any] = {
        "dataset": "utility/power",
        "consumer": "manufacturer",
        "purpose": "ResearchAndDevelopment",
        "rights": ("read",),
        "valid_until": soon(days=1),
    }
    return consortium.state("utility", AccessGrantIntent(**terms | members)).digest


def relay_past(consortium: Consortium, who: str, intent: Any) -> tuple[Bytes32, Statement]:
    """A statement that the owner of its key relays itself, as an account of the chain may."""
    parts = consortium.gateway.parts
    statement = consortium.gateway.statements.prepare(consortium.asker(who), intent).statement
    signer = consortium.key_of(who, "signing")
    digest = statement.digest(parts.domains)
    call = encode_statement(
        parts.deployment.contracts, ExecutableStatement(statement, signer.address, _sign(signer, digest, parts))
    )
    consortium.gateway._submitter.enqueue(f"past:{digest}", call)
    consortium.gateway._submitting.wake()
    end = datetime.now(UTC) + timedelta(seconds=20)
    while parts.store.chain.find_effect(digest) is None:
        assert datetime.now(UTC) < end
    return digest, statement


def _sign(signer: Any, digest: Bytes32, parts: Any) -> bytes:
    from ledger.statements import sign_digest

    return sign_digest(signer._private_key, digest)
