"""Encrypted key files on disk: version 3, the format that every Ethereum client reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from ledger.durable import rename_durably
from ledger.errors import ConflictError, MalformedError, NotFoundError, VerificationError
from ledger.statements import address_of, generate_private_key

__all__ = [
    "DEFAULT_KDF_COST",
    "WrongPassphraseError",
    "ensure_key_file",
    "kdf_cost_of",
    "read_key_file",
    "replace_private_file",
    "write_key_file",
    "write_private_file",
]

DEFAULT_KDF_COST: Final = 1 << 16
"""scrypt's N: 64 MiB and about a fifth of a second for each guess."""


class WrongPassphraseError(VerificationError):
    """The key file is sound and does not open with this passphrase."""

    code = "wrong-passphrase"


def write_key_file(path: Path, private_key: bytes, passphrase: str, *, kdf_cost: int = DEFAULT_KDF_COST) -> None:
    """Write an encrypted v3 key file, readable by its owner alone; the file appears whole or not at all.

    Raises:
        ConflictError: the file is there already.
    """
    from eth_keyfile.keyfile import create_keyfile_json  # noqa: PLC0415 - loads for half a second, and few commands need it

    if path.exists():
        raise _there_already(path)
    document = create_keyfile_json(private_key, passphrase.encode(), version=3, kdf="scrypt", iterations=kdf_cost)
    write_private_file(path, json.dumps(document, indent=1).encode() + b"\n")


def read_key_file(path: Path, passphrase: str) -> bytes:
    """Decrypt a v3 key file to its 32 bytes.

    Raises:
        NotFoundError: no such file.
        MalformedError: not a v3 key file.
        WrongPassphraseError: the passphrase is another.
        VerificationError: the key is not the one of the address that the file names.
    """
    from eth_keyfile.exceptions import EthKeyfileValueError  # noqa: PLC0415 - loads for half a second
    from eth_keyfile.keyfile import decode_keyfile_json  # noqa: PLC0415 - loads for half a second

    try:
        document = _check_form(json.loads(path.read_bytes()))
        private_key = decode_keyfile_json(document, passphrase.encode())
        address = address_of(private_key).hex()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no key file {path.name} in {path.parent.name}") from error
    except EthKeyfileValueError as error:
        raise WrongPassphraseError(f"the key file {path.name} does not open: check the passphrase") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedError(f"{path.name} is not a version 3 key file, as `concord key new` writes") from error
    # The format's own check covers the ciphertext and not how it is to be decrypted: the address tells another key.
    named = str(document.get("address", address)).lower().removeprefix("0x")
    if named != address:
        raise VerificationError(
            f"the key file {path.name} is damaged, it holds another key than it names: take its copy",
            expected=named,
            found=address,
        )
    return private_key


def _check_form(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict) or document["version"] != 3 or document["crypto"]["cipher"] != "aes-128-ctr":
        raise ValueError("not version 3")
    return document


def kdf_cost_of(path: Path) -> int:
    """How dear each guess of a key file's passphrase is (scrypt's N); the usual cost where it says none."""
    parameters = json.loads(path.read_bytes())["crypto"].get("kdfparams", {})
    return int(parameters.get("n", DEFAULT_KDF_COST))


def ensure_key_file(path: Path, passphrase: str, *, kdf_cost: int = DEFAULT_KDF_COST) -> bytes:
    """The key in a key file; one is drawn and written if there is none. Raises: as ``read_key_file``."""
    if path.exists():
        return read_key_file(path, passphrase)
    private_key = generate_private_key()
    write_key_file(path, private_key, passphrase, kdf_cost=kdf_cost)
    return private_key


def write_private_file(path: Path, data: bytes) -> None:
    """Write a file that only its owner reads and that is durable when this returns. Raises: ConflictError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        raise _there_already(path)
    replace_private_file(path, data)


def replace_private_file(path: Path, data: bytes) -> None:
    """As `write_private_file`, in the place of a file that may be there: it is the old one or the new one, whole."""
    staged = path.with_name(path.name + ".new")
    staged.unlink(missing_ok=True)
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    rename_durably(staged, path)


def _there_already(path: Path) -> ConflictError:
    return ConflictError(
        f"the file {path.name} is there already and is not overwritten: take another name", code="key-exists"
    )
