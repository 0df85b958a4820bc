"""Answering receipts: a provider that keeps the keys of its sealings wraps and releases them itself."""

from __future__ import annotations

from typing import Any, Final

from ledger.canonical import JsonValue
from ledger.client import participants, statements
from ledger.client.flow import Flow, Request
from ledger.client.identity import Identity
from ledger.client.sealing_keys import SealingKeyKeeper
from ledger.content.release import ReleaseTerms, wrap_key
from ledger.errors import MalformedError, VerificationError
from ledger.statements import Statement, compute_transfer_id, recover_signer
from ledger.surface.codec import parse_object
from ledger.surface.transfers import TransferView
from ledger.types import Bytes32, parse_hex

__all__ = ["release", "waiting"]

_REPEATING: Final = "Repeat it: a transfer has one release"


def waiting() -> Flow[tuple[TransferView, ...]]:
    """The transfers of versions of one's own whose receipt waits for a key that the gateway does not have."""
    answer = yield Request("GET", "/v1/transfers")
    items = answer.json.get("items") if isinstance(answer.json, dict) else None
    if not isinstance(items, list):
        raise MalformedError("the service answered something else than a list: is CONCORD_URL right?")
    return tuple(parse_object(TransferView, item) for item in items)


def release(view: TransferView, keys: SealingKeyKeeper, identity: Identity | None = None) -> Flow[TransferView]:
    """Wrap the sealing's key to the public key in the transfer's receipt, and state that.

    The receipt must be of this transfer, its grant and its sealing, and signed by a key of its consumer, as far as the
    gateway tells that one's keys; with an ``identity`` digest and signatures are computed here.

    Raises:
        NotFoundError: the key is not in ``keys``, or the transfer is not receipted.
        VerificationError: the receipt is of something else, or another's; nothing was released.
        ConflictError, RefusedError: the grant does not permit it any more.
    """
    sealing: Any = Statement.parse("Sealing", dict(view.sealing.message)).message
    receipt = yield from _fetch_receipt(view, identity)
    key = keys.load(sealing["keyCommitment"])
    terms = ReleaseTerms(view.id, view.grant, view.sealing.digest, view.consumer)
    wrapped = "0x" + wrap_key(key.to_bytes(), receipt["recipientKey"], terms).hex()
    given: dict[str, JsonValue] = {"wrapped_key": wrapped}
    if identity is not None:
        intent: dict[str, JsonValue] = {
            "consumer": str(view.consumer),
            "transfer": str(view.id),
            "grant": str(view.grant),
            "receipt": str(view.receipt),
            "wrappedKey": wrapped,
        }
        given = {"statement": str((yield from statements.state("KeyRelease", intent, identity)).digest)}
    answer = yield Request("POST", f"/v1/transfers/{view.id}/release", json=given, repeating=_REPEATING)
    return parse_object(TransferView, answer.json)


def _fetch_receipt(view: TransferView, identity: Identity | None) -> Flow[Any]:
    """The receipt's members, checked to be those that the key may be released for."""
    digest = view.receipt or Bytes32(bytes(32))
    raw = yield from statements.fetch(digest)
    statement = Statement.parse("TransferReceipt", raw.get("message"))
    message: Any = statement.message
    sealing: Any = Statement.parse("Sealing", dict(view.sealing.message)).message
    expected = (view.id, view.provider, view.grant, view.sealing.digest, sealing["ciphertextRoot"], view.consumer)
    found = (
        compute_transfer_id(statement.participant, message["transferSalt"]), message["provider"], message["grant"],
        message["sealing"], message["ciphertextRoot"], statement.participant,
    )  # fmt: skip
    names = ("transfer", "provider", "grant", "sealing", "ciphertext root", "consumer")
    for name, wanted, given in zip(names, expected, found, strict=True):
        if wanted != given:
            raise VerificationError(
                f"the receipt names another {name}: no key was released", expected=str(wanted), found=str(given)
            )
    if identity is not None:
        yield from _check_signer(view, statement, digest, parse_hex(str(raw.get("signature"))), identity)
    return message


def _check_signer(
    view: TransferView, receipt: Statement, digest: Bytes32, signature: bytes, identity: Identity
) -> Flow[None]:
    if receipt.digest(identity.domains) != digest:
        raise VerificationError("the receipt has another digest than the gateway says: no key was released")
    if view.sealing.digest != Statement.parse("Sealing", dict(view.sealing.message)).digest(identity.domains):
        raise VerificationError("the sealing has another digest than the gateway says: no key was released")
    signer = recover_signer(digest, signature)
    keys = yield from participants.keys(str(view.consumer))
    known = {each.key for each in keys if each.role == "signing"}
    if signer not in known:
        raise VerificationError(
            "the receipt is signed by none of the consumer's keys: no key was released", found=str(signer)
        )
