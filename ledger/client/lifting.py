"""Lifting: a registration that came in bulk, which the log alone holds, is brought into force on chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.canonical import JsonValue
from ledger.client.flow import Flow, Request, quote_name
from ledger.client.identity import Identity
from ledger.client.statements import fetch
from ledger.errors import ConflictError, MalformedError, RefusedError, UnavailableError, VerificationError
from ledger.statements import Statement
from ledger.surface.codec import parse_object
from ledger.surface.lifting import LiftState, LiftView
from ledger.types import Bytes32

__all__ = ["lift", "lift_registration"]

_REPEATING: Final = "Repeat it: the answer names the transaction that was sent"
_HELD_S: Final = 30
_TRIES: Final = 6


def lift(dataset: str, number: int, signed: Mapping[str, JsonValue] | None = None) -> Flow[LiftView]:
    """Bring a version that came in bulk into force on chain, and wait until it is.

    ``signed``: ``signer``, a key that is active now, and its ``signature`` of the registration's digest.

    Raises:
        ConflictError: ``lift-first`` names what comes first; ``not-anchored``: come back; ``no-active-key``.
        RefusedError: the contract refuses it.
        UnavailableError: it was not in force in time.
    """
    path = f"/v1/datasets/{quote_name(dataset)}/versions/{number}/lift"
    body = None if signed is None else dict(signed)
    for _ in range(_TRIES):
        headers = {"Prefer": f"wait={_HELD_S}"}
        answer = yield Request("POST", path, json=body, headers=headers, repeating=_REPEATING)
        view = parse_object(LiftView, answer.json)
        if view.state is LiftState.FINAL:
            return view
        if view.state is LiftState.FAILED:
            reason = "its transaction failed" if view.refusal is None else view.refusal.detail
            code = "lift-failed" if view.refusal is None else view.refusal.code
            raise RefusedError(f"it was not lifted: {reason}", code=code)
    raise UnavailableError("it is on its way to the chain and not final yet; it is not lost: ask again")


def lift_registration(digest: Bytes32, identity: Identity | None = None) -> Flow[LiftView]:
    """As ``lift``, by the registration's digest; ``identity`` signs it anew where the key that did is not active now.

    Raises:
        MalformedError: the digest is of another statement than a registration.
        VerificationError: what the gateway shows has not this digest; nothing was signed.
    """
    found = yield from fetch(digest)
    if found.get("type") != "DatasetRegistration":
        raise MalformedError(f"{digest} is of a {found.get('type')}: only registrations of datasets are lifted")
    ids = found["ids"]
    if not isinstance(ids, dict):
        raise MalformedError("the service does not say which version the registration is of")
    dataset, number = str(ids["dataset"]), int(str(ids["version"]))
    try:
        return _as_named((yield from lift(dataset, number)), digest)
    except ConflictError as error:
        if error.code != "no-active-key" or identity is None:
            raise
    message = found["message"]
    statement = Statement.parse("DatasetRegistration", message if isinstance(message, dict) else {})
    if statement.digest(identity.domains) != digest:
        raise VerificationError(
            "the gateway shows another registration than the digest names: nothing was signed",
            expected=str(digest),
            found=str(statement.digest(identity.domains)),
        )
    signature = "0x" + identity.signer.sign(digest).hex()
    signed: dict[str, JsonValue] = {"signer": str(identity.signer.address), "signature": signature}
    return _as_named((yield from lift(dataset, number, signed)), digest)


def _as_named(view: LiftView, digest: Bytes32) -> LiftView:
    if view.registration != digest:
        raise ConflictError(
            f"another registration, {view.registration}, is in force for the same version: this one can not come",
            code="version-taken",
        )
    return view
