"""A founder's keys: the control key and its own signing key in encrypted files for their owner to take away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.chain import LocalSigner, Signer
from ledger.exchange.keystore import KeyStore
from ledger.keyfiles import ensure_key_file
from ledger.statements import compute_participant_id
from ledger.types import Bytes32

__all__ = ["FounderKeys", "ensure_founder_keys"]


@dataclass(frozen=True)
class FounderKeys:
    """Signers of one founder, and its owner's files by role."""

    control: Signer
    signing: Signer
    is_custodial: bool
    files: Mapping[str, Path]


def ensure_founder_keys(
    keystore: KeyStore, folder: Path, handle: str, salt: Bytes32, passphrase: str, kdf_cost: int, *, custodial: bool
) -> FounderKeys:
    """Draw a founder's keys, or find those that an interrupted founding drew.

    Raises:
        VerificationError: the passphrase is another than theirs.
    """
    control_file = folder / handle / "control.json"
    control = _ensure(control_file, passphrase, kdf_cost)
    if not custodial:
        signing_file = folder / handle / "signing.json"
        files = {"control": control_file, "signing": signing_file}
        return FounderKeys(control, _ensure(signing_file, passphrase, kdf_cost), is_custodial=False, files=files)
    participant = compute_participant_id(control.address, salt)
    held = keystore.keys_of(participant)
    key = min(held) if held else keystore.draw(participant)
    signing = keystore.find(participant, key)
    if signing is None:
        raise RuntimeError("a key that was drawn is not in the keystore")
    return FounderKeys(control, signing, is_custodial=True, files={"control": control_file})


def _ensure(path: Path, passphrase: str, kdf_cost: int) -> Signer:
    return LocalSigner(ensure_key_file(path, passphrase, kdf_cost=kdf_cost))
