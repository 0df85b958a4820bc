"""A client looks at the receipt that it is given: one of its own statement, or nothing was promised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import pytest
from coincurve import PrivateKey
from coincurve._libsecp256k1 import ffi  # type: ignore[import-not-found]  # compiled, without a stub

from ledger.client import Identity, LocalKey, statements
from ledger.errors import MalformedError, VerificationError
from ledger.statements import Entry, Statement, generate_private_key
from ledger.surface.codec import dump_value
from ledger.surface.outcomes import InForce, Outcome, State
from tests.support.answering import FACES, Run, Said, answering, run_sync
from tests.support.log import receipt_alone
from tests.support.prepared import CASES, DOMAINS

_PRIVATE: Final = generate_private_key()
_KEY: Final = LocalKey(_PRIVATE)
_CASE: Final = next(case for case in CASES.values() if case.type == "AccessRequest")
_STATEMENT: Final = Statement.parse(_CASE.type, _CASE.prepare({}, _CASE.documents)["message"])
_DIGEST: Final = _STATEMENT.digest(DOMAINS)


def another_signature() -> bytes:
    """By the same key over the same digest: signers that draw their nonce never make the same one twice."""
    nonce = (ffi.NULL, ffi.new("unsigned char [32]", bytes(31) + b"\1"))
    signed = PrivateKey(_PRIVATE).sign_recoverable(_DIGEST, hasher=None, custom_nonce=nonce)
    return signed[:64] + bytes((27 + signed[64],))


def receipt_of(signature: bytes) -> str:
    return receipt_alone(Entry.of(_DIGEST, _STATEMENT.participant, signature))


def submit(receipt: str, kept: bytes, run: Run = run_sync) -> Outcome:
    """Submit to a gateway that answers ``receipt``, and that says it keeps the signature ``kept``."""
    reached = Outcome(
        digest=_DIGEST, type=_STATEMENT.type.name, participant=_STATEMENT.participant, state=State.ACCEPTED,
        in_force=InForce.PENDING, refusal=None, index=0, receipt=receipt, transaction=None, block=None,
        custodial=False, api_key=None, ids={}, accepted_at=datetime.now(UTC), as_of_block=1,
    )  # fmt: skip

    def answer(method: str, _path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        value = dump_value(reached) if method == "POST" else {"signature": "0x" + kept.hex()}
        return Said(body=json.dumps(value).encode())

    with answering(answer) as url:
        taken: Outcome = run(url, statements.submit(_STATEMENT, Identity(_KEY, DOMAINS)))
    return taken


@FACES
def test_a_receipt_of_the_statement_is_taken(run: Run) -> None:
    given = receipt_of(_KEY.sign(_DIGEST))
    assert submit(given, _KEY.sign(_DIGEST), run).receipt == given


@FACES
def test_a_receipt_of_the_statement_as_it_was_signed_before_is_taken(run: Run) -> None:
    assert submit(receipt_of(another_signature()), another_signature(), run).index == 0


def test_a_receipt_of_something_else_is_told() -> None:
    other = receipt_alone(Entry.of(_STATEMENT.participant, _STATEMENT.participant, _KEY.sign(_DIGEST)))
    with pytest.raises(VerificationError):
        submit(other, _KEY.sign(_DIGEST))


def test_a_receipt_with_anothers_signature_is_told() -> None:
    strangers = LocalKey(generate_private_key()).sign(_DIGEST)
    with pytest.raises(VerificationError):
        submit(receipt_of(strangers), strangers)


def test_what_is_no_receipt_is_told() -> None:
    with pytest.raises(MalformedError):
        submit("", _KEY.sign(_DIGEST))
