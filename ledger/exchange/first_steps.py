"""A gateway's first steps, where a consortium is founded as where one is joined. Each may be repeated after a kill."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger.chain import Signer
from ledger.errors import RefusedError, UnavailableError
from ledger.exchange.asker import Scope
from ledger.exchange.gateway import Gateway
from ledger.exchange.keystore import KeyStore
from ledger.exchange.log_keys import KEY_TAKEN, is_taken_elsewhere
from ledger.exchange.signatures import sign_statement
from ledger.keyfiles import write_private_file
from ledger.statements import Statement
from ledger.surface.outcomes import SignedStatement, State
from ledger.types import Bytes32

__all__ = [
    "OPERATORS_SCOPES",
    "build_opening",
    "draw_first_keys",
    "dropping_taken_key",
    "make_private",
    "open_log",
    "put_private_file",
]

OPERATORS_SCOPES: Final = frozenset({Scope.READ, Scope.WRITE, Scope.OPERATE, Scope.AUDIT})
"""Of the first API key of whoever operates the gateway."""
_FINALITY_WAIT_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.5


def make_private(home: Path) -> None:
    """Make the folder, and close one that was there: it will hold every statement's text. Raises: UnavailableError."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
    except OSError as error:
        raise UnavailableError(f"the folder {home.name} can not be made private: {error.strerror}") from error


def put_private_file(path: Path, data: bytes) -> None:
    """Write a file that its owner alone reads, in place of one that an interrupted run left. Raises: OSError."""
    path.unlink(missing_ok=True)
    write_private_file(path, data)


def build_opening(keystore: KeyStore, operator: Bytes32, origin: str, deadline: int, salt: Bytes32) -> Statement:
    """The statement that opens the log of the keystore's log key, published by its relay account."""
    return Statement.build(
        "LogOpening",
        participant=operator,
        origin=origin,
        publisher=keystore.load_relay().address,
        verifierKey=Bytes32(keystore.load_log_signer(origin).verifier_key.public_key),
        deadline=deadline,
        salt=salt,
    )


def open_log(gateway: Gateway, signer: Signer, opening: Statement) -> None:
    """State the opening and wait until it is final.

    Raises:
        RefusedError: another log has its verifier key (``checkpoint-log-key-taken``).
        UnavailableError: it is not yet, or was refused: the same command goes on.
        Others as `Gateway.take`.
    """
    signature = sign_statement(signer, opening, gateway.parts.domains)
    outcome = gateway.take(SignedStatement(opening, signature, signer.address), custodial=True)
    end = time.monotonic() + _FINALITY_WAIT_S
    while outcome.state is not State.FINAL and outcome.refusal is None and time.monotonic() < end:
        outcome = gateway.statements.wait(outcome.digest, State.FINAL, _LOOK_AGAIN_S)
    if outcome.refusal is not None and outcome.refusal.code == KEY_TAKEN:
        raise RefusedError(outcome.refusal.detail, code=KEY_TAKEN, facts=outcome.refusal.facts)
    if outcome.state is not State.FINAL or outcome.refusal is not None:
        raise UnavailableError(
            "the log is not open on chain yet: run it again; a network that takes transactions of named accounts alone "
            f"must name the relay account {gateway.parts.relay.address} first",
            retry_after_s=1.0,
        )


@contextmanager
def dropping_taken_key(keystore: KeyStore, log: Bytes32) -> Iterator[None]:
    """Drop the log's key if another log turns out to have it: nothing else would ever open this one.

    What it signed lies in this folder alone, and is signed anew with the next one.

    Raises:
        RefusedError: that happened; says to run the command again.
    """
    try:
        yield
    except RefusedError as error:
        if not is_taken_elsewhere(error, log):
            raise
        keystore.drop_log_signer()
        raise RefusedError(
            f"another log took the key of this one ({error.facts.get('verifierKey')}) before it was open: the key was "
            "dropped. Run the command again, it draws another and goes on",
            code=KEY_TAKEN,
            facts=error.facts,
        ) from error


def draw_first_keys(gateway: Gateway, holders: Sequence[tuple[Bytes32, frozenset[Scope]]], label: str) -> list[str]:
    """An API key for each participant, with its scopes; those of an interrupted run, by the label, end. The tokens."""
    store, now = gateway.parts.store, gateway.parts.now()
    for row in store.api_keys.list(limit=200).items:
        if row.label == label:
            store.api_keys.revoke(row.id, now)
    return [gateway.api_keys.draw(participant, scopes, label)[1] for participant, scopes in holders]
