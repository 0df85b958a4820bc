"""The receipt that a consumer gives for the sealed data of a transfer."""

from __future__ import annotations

import secrets
from typing import Final

from ledger.canonical import JsonValue
from ledger.client.identity import Identity
from ledger.client.sealed_files import PullState
from ledger.statements import Statement
from ledger.surface.transfers import TransferView
from ledger.types import Bytes32

__all__ = ["build_receipt"]

_DEADLINE_S: Final = 3600


def build_receipt(
    state: PullState, view: TransferView, root: Bytes32, participant: Bytes32, identity: Identity | None, now_s: int
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
    signature = identity.signer.sign(statement.digest(identity.domains))
    return {
        "message": statement.to_json(),
        "signature": "0x" + signature.hex(),
        "signer": str(identity.signer.address),
    }
