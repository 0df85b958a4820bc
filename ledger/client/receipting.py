"""The receipt that a consumer gives for the sealed data of a transfer, and the key that it gets for it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, Final

from ledger.canonical import JsonValue
from ledger.client.described import expect_same
from ledger.client.identity import Signatory
from ledger.client.offers import Consumer, check_stated
from ledger.client.sealed_files import PullState
from ledger.content.release import ReleaseTerms, open_key
from ledger.content.sealing import SealingKey
from ledger.errors import NotFoundError, UnavailableError, VerificationError
from ledger.statements import Statement
from ledger.surface.transfers import StatedView, TransferState, TransferView
from ledger.types import Bytes32

__all__ = ["add_release", "build_receipt", "open_released_key"]

_DEADLINE_S: Final = 3600


def build_receipt(
    state: PullState, view: TransferView, root: Bytes32, participant: Bytes32, identity: Signatory | None, now_s: int
) -> JsonValue:
    """What is sent as the receipt of the sealing with this ciphertext root; without ``identity`` the gateway signs."""
    recipient = "0x" + state.recipient.public.hex()
    if identity is None:
        custodial: dict[str, JsonValue] = {
            "transfer_salt": str(state.salt),
            "recipient_key": recipient,
            "ciphertext_root": str(root),
        }
        return {"custodial": custodial}
    statement = Statement.build(
        "TransferReceipt",
        participant=participant,
        provider=view.provider,
        transferSalt=state.salt,
        grant=view.grant,
        sealing=view.sealing.digest,
        ciphertextRoot=root,
        recipientKey=state.recipient.public,
        deadline=now_s + _DEADLINE_S,
        salt=Bytes32(secrets.token_bytes(32)),
    )
    signature = identity.signer.sign_payload(statement.payload(identity.domains))
    return {
        "message": statement.to_json(),
        "signature": "0x" + signature.hex(),
        "signer": str(identity.signer.address),
    }


def add_release(state: PullState, offer: TransferView, told: TransferView, consumer: Consumer) -> TransferView:
    """The offer that was receipted, and of what the provider says of it now the release alone, checked.

    Else a provider that delivered something wrong could have evidence of that made from what nobody registered.

    Raises:
        NotFoundError: no key was released.
        VerificationError: what was released is of another transfer, or is not signed as is told.
        UnavailableError: it is signed by a key that is not known to be the provider's.
    """
    if told.release is None:
        raise NotFoundError(f"no key of transfer {offer.id} was released")
    receipt = _digest_own(state, consumer.identity) or told.receipt
    release = check_stated(told.release, "KeyRelease", consumer.identity)
    _check_signer(state, told.release, consumer)
    message: Any = release.message
    expected = (offer.provider, offer.consumer, offer.id, offer.grant, receipt)
    found = (release.participant, *(message[name] for name in ("consumer", "transfer", "grant", "receipt")))
    names = ("provider", "consumer", "transfer", "grant", "receipt")
    for name, wanted, given in zip(names, expected, found, strict=True):
        expect_same(f"the key that the provider sent was released for another {name}", wanted, given)
    return replace(offer, state=TransferState.RELEASED, receipt=receipt, release=told.release, block=told.block)


def _check_signer(state: PullState, release: StatedView, consumer: Consumer) -> None:
    """Check that a key of the provider's signed it: what anybody else signed is no release that could be shown.

    The provider may have changed its key since its keys were read, so that another one is no finding yet.
    """
    keys = consumer.provider_keys
    if keys is not None and release.signer not in keys:
        raise UnavailableError(
            f"the release of the key is signed by {release.signer}, which was none of the provider's keys when this "
            "began: nothing was opened. Run this again, the keys are read anew then; if it stays, the provider has "
            f"released no key, and {state.folder / 'state.json'} is what evidence of that is made from"
        )


def _digest_own(state: PullState, identity: Signatory | None) -> Bytes32 | None:
    """Digest of the receipt that was sent; None: the gateway made it."""
    sent: Any = state.receipt
    if identity is None or "message" not in sent:
        return None
    return Statement.parse("TransferReceipt", sent["message"]).digest(identity.domains)


def open_released_key(state: PullState, view: TransferView, consumer: Consumer) -> SealingKey:
    """The sealing's key, of what `add_release` returned.

    Raises:
        NotFoundError: none was released.
        VerificationError: what was released is none.
    """
    if view.release is None:
        raise NotFoundError(f"no key of transfer {view.id} was released")
    wrapped: Any = check_stated(view.release, "KeyRelease", consumer.identity).message["wrappedKey"]
    sealing: Any = Statement.parse("Sealing", dict(view.sealing.message)).message
    terms = ReleaseTerms(view.id, view.grant, view.sealing.digest, view.consumer)
    try:
        return SealingKey.opened(open_key(wrapped, state.recipient, terms), sealing["keyCommitment"])
    except VerificationError as error:
        raise VerificationError(
            f"the provider released a wrong key: {error}. {state.folder / 'state.json'} is what evidence of that is "
            "made from: concord transfer breach",
            expected=error.expected,
            found=error.found,
        ) from error
