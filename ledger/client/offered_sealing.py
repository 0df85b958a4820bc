"""What a provider sealed, shown before it is receipted: signed by a key of the provider, and in a log.

Without it nobody could be shown later that the key to it was withheld.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from ledger.canonical import encode_canonical
from ledger.errors import MalformedError, VerificationError
from ledger.evidence import parse_evidence
from ledger.evidence.proven_event import ProvenEvent
from ledger.log import Checkpoint
from ledger.log.note import SignedNote
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.statements import Entry
from ledger.surface.transfers import StatedView
from ledger.surface.views import KeyView
from ledger.types import Address, Bytes32, parse_hex

__all__ = ["KEPT_SEALING", "SigningKeys", "check_sealing_evidence", "check_sealing_key", "is_kept", "signing_keys"]

KEPT_SEALING: Final = "sealing.json"
"""Beside ``state.json``: evidence of the sealing that is receipted."""
_SIGNING: Final = "signing"

SigningKeys = Mapping[Address, int | None]
"""A participant's signing keys, each with the second (UTC) in which it ended; None: it is active."""


def signing_keys(keys: Iterable[KeyView]) -> SigningKeys:
    """The signing keys among a participant's keys, past and present."""
    ends = ((each.key, each.active_until) for each in keys if each.role == _SIGNING)
    return {key: None if until is None else int(until.timestamp()) for key, until in ends}


def check_sealing_key(sealing: StatedView, keys: SigningKeys) -> None:
    """Check that the sealing names a signing key of the provider as its signer. Raises: VerificationError."""
    if sealing.signer not in keys:
        raise VerificationError(
            "the sealing is signed by a key that is none of the provider's: nothing is receipted",
            expected=", ".join(sorted(map(str, keys))) or "a signing key",
            found=str(sealing.signer),
        )


def check_sealing_evidence(raw: bytes, sealing: StatedView, provider: Bytes32, keys: SigningKeys) -> None:
    """Check that evidence is of this sealing, in the log that it names, while its key was active.

    Whose log it is, and whether the chain has it, is judged under a policy, when that is needed.

    Raises:
        VerificationError: it is of something else, not in that log, or came there when its key had ended.
        MalformedError: no evidence.
    """
    shown = parse_evidence(raw)
    found = shown.type_name, encode_canonical(shown.message), shown.signature
    if found != ("Sealing", encode_canonical(dict(sealing.message)), parse_hex(sealing.signature)):
        raise VerificationError("the evidence of the sealing is of another statement: nothing is receipted")
    checkpoint = Checkpoint.parse(SignedNote.parse(shown.log.checkpoint).text)
    entry = Entry.of(sealing.digest, provider, shown.signature).to_bytes()
    verify_inclusion(leaf_hash(entry), shown.log.index, checkpoint.size, shown.log.proof, checkpoint.root)
    ended, anchored = keys[sealing.signer], ProvenEvent("anchor", shown.anchor).header.timestamp
    if ended is not None and ended <= anchored:
        raise VerificationError(
            "the key that signed the sealing had ended before that was on chain: nothing is receipted",
            expected=f"before second {ended}",
            found=anchored,
        )


def is_kept(path: Path, sealing: StatedView, provider: Bytes32, keys: SigningKeys) -> bool:
    """Whether an interrupted pull left evidence of this sealing there. Raises: OSError."""
    try:
        check_sealing_evidence(path.read_bytes(), sealing, provider, keys)
    except (FileNotFoundError, MalformedError, VerificationError):
        return False
    return True
