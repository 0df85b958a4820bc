"""Writes: state something in a participant's name, and follow what becomes of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ledger.canonical import JsonValue
from ledger.client.checking import check_prepared
from ledger.client.flow import LARGE_BYTES, Answer, Flow, Request
from ledger.client.identity import Identity
from ledger.client.reads import BlockRange, filters, pin_filters, read_pages
from ledger.errors import MalformedError, VerificationError
from ledger.log import verify_receipt_entry
from ledger.statements import Entry, Statement, verify_signature
from ledger.surface.codec import parse_object
from ledger.surface.outcomes import InForce, Outcome, State
from ledger.types import Address, Bytes32, parse_hex

__all__ = ["evidence", "fetch", "list_all", "outcome", "receipt", "state", "state_at", "submit", "wait"]

_ROUTES: Final[Mapping[str, str]] = {
    "ProfileUpdate": "/v1/profiles",
    "DatasetRegistration": "/v1/datasets",
    "DatasetRetirement": "/v1/dataset-retirements",
    "AccessRequest": "/v1/access-requests",
    "AccessDenial": "/v1/access-denials",
    "AccessGrant": "/v1/grants",
    "AccessRevocation": "/v1/revocations",
    "AgreementProposal": "/v1/agreements",
    "AgreementAcceptance": "/v1/agreement-acceptances",
    "AgreementRejection": "/v1/agreement-rejections",
    "AgreementTermination": "/v1/agreement-terminations",
    "UsageReport": "/v1/usage-reports",
    "UsageConfirmation": "/v1/usage-confirmations",
    "UsageDispute": "/v1/usage-disputes",
    "SettlementRecord": "/v1/settlements",
}
"""Where a gateway signs with a participant's custodial key."""

_AT_LEAST: Final[Mapping[State, frozenset[State]]] = {
    State.ACCEPTED: frozenset(State),
    State.ANCHORED: frozenset({State.ANCHORED, State.FINAL}),
    State.FINAL: frozenset({State.FINAL}),
}

_BY_KEY: Final = (
    "with the same Idempotency-Key ({key}) the same request has the outcome of the first, however often it is sent; "
    "`concord statement list` shows what was taken. A command that is given anew states anew: look first"
)
_BY_DIGEST: Final = (
    "`concord statement show {digest}` tells whether it was taken; the same signed statement has the outcome of the "
    "first, however often it is sent. A command that is given anew may sign another one: look first"
)
_HELD_S: Final = 30
"""How long one request asks the service to hold its answer."""


def state(
    type_name: str,
    intent: Mapping[str, JsonValue],
    identity: Identity | None = None,
    *,
    wait_s: int = 0,
    idempotency_key: str | None = None,
) -> Flow[Outcome]:
    """State ``intent``: signed by ``identity``, or, without one, by the gateway with the custodial key.

    Raises:
        MalformedError, RefusedError, ConflictError, NotFoundError: what the service or the contract answered.
        VerificationError: the gateway prepared something else than was asked for; nothing was signed.
    """
    given: dict[str, JsonValue] = {name: value for name, value in intent.items() if value is not None}
    if identity is None:
        if type_name not in _ROUTES:
            raise ValueError(f"{type_name} is signed by its owner's key: give an identity")
        return (yield from state_at(_ROUTES[type_name], given, wait_s=wait_s, idempotency_key=idempotency_key))
    asked: dict[str, JsonValue] = {"type": type_name, "intent": given}
    answer = yield Request("POST", "/v1/statements:prepare", json=asked, repeating="Nothing was stated: repeat it")
    statement = yield from check_prepared(type_name, given, _object(answer), identity)
    return (yield from submit(statement, identity, wait_s=wait_s, idempotency_key=idempotency_key))


def state_at(
    path: str, given: Mapping[str, JsonValue], *, wait_s: int = 0, idempotency_key: str | None = None
) -> Flow[Outcome]:
    """State what a route takes, signed by the gateway with the custodial key. Raises: as ``state``."""
    # A custodial statement gets its salt from the gateway: only this key makes a repeated request the same one.
    key = idempotency_key or secrets.token_hex(16)
    headers, repeating = _headers(wait_s, key), _BY_KEY.format(key=key)
    return _outcome((yield Request("POST", path, json=dict(given), headers=headers, repeating=repeating)))


def submit(
    statement: Statement, identity: Identity, *, wait_s: int = 0, idempotency_key: str | None = None
) -> Flow[Outcome]:
    """Sign a statement and submit it; the receipt that comes back is checked to be this statement's.

    Raises:
        VerificationError: the receipt is of something else: do not count on the statement being in the log.
        MalformedError, RefusedError, ConflictError, NotFoundError: as ``state``.
    """
    digest = statement.digest(identity.domains)
    signature = identity.signer.sign(digest)
    body: dict[str, JsonValue] = {
        "type": statement.type.name,
        "message": statement.to_json(),
        "signature": "0x" + signature.hex(),
        "signer": str(identity.signer.address),
    }
    if identity.cosigner is not None:
        body["cosignature"] = "0x" + identity.cosigner.sign(digest).hex()
    headers, repeating = _headers(wait_s, idempotency_key), _BY_DIGEST.format(digest=digest)
    reached = _outcome((yield Request("POST", "/v1/statements", json=body, headers=headers, repeating=repeating)))
    yield from _check_receipt(reached, Entry.of(digest, statement.participant, signature), identity.signer.address)
    return reached


def _check_receipt(reached: Outcome, entry: Entry, signer: Address) -> Flow[None]:
    receipt = reached.receipt.encode()
    try:
        verify_receipt_entry(receipt, entry.to_bytes())
    except VerificationError:
        # Sent before, with another signature: not every signer draws the same one twice. Then it is the signer's, too.
        kept = parse_hex(str((yield from fetch(entry.digest)).get("signature")))
        verify_signature(entry.digest, kept, signer)
        verify_receipt_entry(receipt, Entry.of(entry.digest, entry.participant, kept).to_bytes())


def outcome(digest: Bytes32, *, wait_s: int = 0, until: State = State.FINAL) -> Flow[Outcome]:
    """What became of a statement; the service holds its answer up to ``wait_s`` seconds until it is so far."""
    query = {"wait": str(wait_s), "for": until.value} if wait_s else {}
    return _outcome((yield Request("GET", f"/v1/statements/{digest}", query=query)))


def wait(digest: Bytes32, until: State = State.FINAL, *, timeout_s: int = 300) -> Flow[Outcome]:
    """The outcome once ``until`` is reached, or refused, or after about ``timeout_s`` as it then is."""
    for held_s in (*[_HELD_S] * (timeout_s // _HELD_S), timeout_s % _HELD_S):
        reached = yield from outcome(digest, wait_s=held_s, until=until)
        if reached.in_force is InForce.REFUSED or reached.state in _AT_LEAST[until]:
            break
    return reached


def fetch(digest: Bytes32) -> Flow[dict[str, JsonValue]]:
    """A statement with its message, signature, documents and outcome."""
    return _object((yield Request("GET", f"/v1/statements/{digest}")))


def list_all(
    *, type_name: str | None = None, most: int | None = None, tell: Callable[[int], None] = lambda _: None
) -> Flow[tuple[dict[str, JsonValue], ...]]:
    """Statements that the asker signed or that name it; all, for scope audit. Members as of ``fetch``.

    The newest come first, and of them ``most``; ``tell`` hears how many came so far.
    """
    items = yield from read_pages("/v1/statements", filters(type=type_name), most=most, tell=tell)
    return tuple(item for item in items if isinstance(item, dict))


def receipt(digest: Bytes32) -> Flow[str]:
    """Its receipt: a C2SP tlog-proof."""
    return (yield Request("GET", f"/v1/statements/{digest}/receipt")).content.decode()


def evidence(
    digest: Bytes32,
    *,
    first: int = 0,
    last: int | None = None,
    pins: Iterable[BlockRange] = (),
    chunks: bool = True,
    upgrade: bool = False,
) -> Flow[bytes]:
    """Its evidence, each block under one of the ranges ``pins`` (first and last block) that the auditor's policy has.

    Without ``pins``: under the blocks ``first`` to ``last``. ``upgrade`` adds a link to the newest checkpoint that is
    anchored within the pins.

    Raises:
        ConflictError: ``not-final``: come back after ``retry_after_s``; ``outside-range``: extend the policy.
    """
    query = pin_filters(list(pins) or [(first, last)]) | {"chunks": "true" if chunks else "false"}
    query |= {"upgrade": "true"} if upgrade else {}
    return (yield Request("GET", f"/v1/statements/{digest}/evidence", query=query, most_bytes=LARGE_BYTES)).content


def _headers(wait_s: int, idempotency_key: str | None) -> dict[str, str]:
    headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    return headers


def _object(answer: Answer) -> dict[str, JsonValue]:
    if not isinstance(answer.json, dict):
        raise MalformedError("the service answered something else than a JSON object: is CONCORD_URL right?")
    return answer.json


def _outcome(answer: Answer) -> Outcome:
    return parse_object(Outcome, _object(answer))
