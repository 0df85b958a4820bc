"""A member that opens a log with a verifier key that another one is about to use: whoever uses it first has it."""

from __future__ import annotations

import secrets

from ledger.exchange import Gateway, State
from ledger.exchange.signatures import sign_statement
from ledger.statements import Statement
from ledger.surface.outcomes import SignedStatement
from ledger.types import Address, Bytes32

__all__ = ["take_log_key"]


def take_log_key(gateway: Gateway, member: Bytes32, key: bytes) -> None:
    """Have ``member``, whose key the gateway keeps, open a log of its own with ``key``; final when this returns."""
    found = [gateway.parts.keystore.find(member, each) for each in gateway.parts.directory.signing_keys_of(member)]
    signer = next(each for each in found if each is not None)
    opening = Statement.build(
        "LogOpening",
        participant=member,
        origin=f"squat.example/{secrets.token_hex(4)}",
        publisher=Address(bytes([7]) * 20),
        verifierKey=Bytes32(key),
        deadline=int(gateway.parts.clock()) + 3600,
        salt=Bytes32(secrets.token_bytes(32)),
    )
    signature = sign_statement(signer, opening, gateway.parts.domains)
    outcome = gateway.take(SignedStatement(opening, signature, signer.address))
    done = gateway.statements.wait(outcome.digest, State.FINAL, 20.0)
    assert (done.state, done.refusal) == (State.FINAL, None), done
