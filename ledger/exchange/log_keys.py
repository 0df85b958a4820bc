"""The file of the Ed25519 key that signs a log's checkpoints: PKCS #8, encrypted with the keystore's passphrase."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from ledger.errors import FatalError, MalformedError, NotFoundError, RefusedError
from ledger.keyfiles import WrongPassphraseError, write_private_file
from ledger.log import NoteSigner
from ledger.types import Bytes32

__all__ = ["KEY_TAKEN", "choose_current", "ensure_log_key", "is_taken_elsewhere", "load_log_key"]

KEY_TAKEN: Final = "checkpoint-log-key-taken"
"""The code of the contract's refusal of a key that a log has, or had."""


def is_taken_elsewhere(refusal: RefusedError, log: Bytes32) -> bool:
    """Whether the contract refuses a key of ``log`` because another log has it: then it will never be this one's.

    Whoever sees a key in an opening or a rotation that is on its way may open a log with it first.
    """
    owner = refusal.facts.get("owner")
    return refusal.code == KEY_TAKEN and owner is not None and str(owner) != str(log)


def ensure_log_key(path: Path, passphrase: str, origin: str) -> NoteSigner:
    """The signer of the file's key; one is drawn and written if there is none. Raises: as `load_log_key`."""
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode())
        )
        write_private_file(path, pem)
    return load_log_key(path, passphrase, origin)


def choose_current(present: NoteSigner, following: NoteSigner | None, current: bytes) -> NoteSigner:
    """Of the log's key and the one that is to follow it, that which the chain names (``current``, 32 bytes).

    Raises:
        FatalError: the log was rotated to a key that is not here: what it signed would be under a key that ended.
    """
    for each in (present, following):
        if each is not None and each.verifier_key.public_key == current:
            return each
    raise FatalError(
        f"the chain names 0x{current.hex()} as the log's key, and keys/log.pem holds "
        f"0x{present.verifier_key.public_key.hex()}: the log was rotated after these keys were copied, and nothing is "
        "signed with a key that ended. Put the whole keys/ folder of the time after the rotation in place of this one "
        "(of a newer backup, or of the folder that the gateway ran in), with the passphrase of then"
    )


def load_log_key(path: Path, passphrase: str, origin: str) -> NoteSigner:
    """The signer of the file's key.

    Raises:
        NotFoundError: there is no such file.
        WrongPassphraseError: it does not open.
        MalformedError: it holds another kind of key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase.encode())
    except FileNotFoundError as error:
        raise NotFoundError(f"the keystore has no key for the log ({path.name})") from error
    except (ValueError, TypeError) as error:
        raise WrongPassphraseError(f"the log's key file {path.name} does not open: check the passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedError(f"the log's key file {path.name} does not hold an Ed25519 key")
    return NoteSigner(origin, key.private_bytes_raw())
