"""A keystore's passphrase changed: every file encrypted anew beside the keystore, then the folders change places.

    keys        the keystore
    keys.new    the same keys under the new passphrase, being written
    keys.old    the old ones, from the moment when both are complete; removed at the end

A crash leaves the old keystore or the new one: where ``keys`` is missing, ``keys.new`` is complete (`finish_change`).
What opened the old files opens copies of them for ever; after a leak, rotate the keys too.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from ledger.chain import RemoteKey
from ledger.durable import sync
from ledger.errors import MalformedError, UnavailableError
from ledger.exchange.transit_key import NamedTransitKey
from ledger.keyfiles import WrongPassphraseError, kdf_cost_of, read_key_file, write_key_file, write_private_file

__all__ = ["change_passphrase", "finish_change"]


def change_passphrase(folder: Path, old: str, new: str) -> int:
    """Encrypt every key file below ``folder`` with ``new``; return how many there are.

    Nobody may write in the folder meanwhile.

    Raises:
        MalformedError: the new passphrase is empty, or a file is no key file; nothing was changed.
        VerificationError: a file does not open with ``old``; nothing was changed.
        UnavailableError: the disk does not take it; nothing was changed.
        OSError: the last rename failed: `finish_change` makes it.
    """
    if not new:
        raise MalformedError("the new passphrase is empty: a key without a passphrase is anybody's")
    folder = folder.resolve()  # where a link leads, the folders change places
    finish_change(folder)
    try:
        count = _write_anew(folder, old, new)
        folder.rename(_old(folder))
    except OSError as error:
        finish_change(folder)
        raise UnavailableError(f"the keystore can not be written: {error.strerror}; nothing was changed") from error
    except BaseException:
        finish_change(folder)
        raise
    sync(folder.parent)
    finish_change(folder)
    return count


def finish_change(folder: Path) -> None:
    """Bring a change that was cut short to its end: forward where the new keystore was complete, else back."""
    folder = folder.resolve()
    if not folder.exists() and _old(folder).exists():
        _new(folder).rename(folder)
        sync(folder.parent)
    if folder.exists():
        for leftover in (_new(folder), _old(folder)):
            shutil.rmtree(leftover, ignore_errors=True)


def _write_anew(folder: Path, old: str, new: str) -> int:
    target, count = _new(folder), 0
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    for path in sorted(each for each in folder.rglob("*") if each.is_file() and each.suffix in {".json", ".pem"}):
        _write_file_anew(path, target / path.relative_to(folder), old, new)
        count += 1
    for inner in (target, *(each for each in target.rglob("*") if each.is_dir())):
        sync(inner)
    return count


def _write_file_anew(source: Path, target: Path, old: str, new: str) -> None:
    if source.suffix == ".pem":
        try:
            key = load_pem_private_key(source.read_bytes(), old.encode())
        except (ValueError, TypeError) as error:
            raise WrongPassphraseError(f"the key file {source.name} does not open: check the passphrase") from error
        encrypted = BestAvailableEncryption(new.encode())
        write_private_file(target, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encrypted))
    elif _is_remote(source):
        write_private_file(target, source.read_bytes())
    else:
        write_key_file(target, read_key_file(source, old), new, kdf_cost=kdf_cost_of(source))
    times = source.stat()
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))  # keys that wait are forgotten by their age


def _is_remote(path: Path) -> bool:
    try:
        document = json.loads(path.read_bytes())
        return RemoteKey.is_named_by(document) or NamedTransitKey.is_named_by(document)
    except ValueError:
        return False  # reading it as a key file says what is wrong


def _new(folder: Path) -> Path:
    return folder.with_name(folder.name + ".new")


def _old(folder: Path) -> Path:
    return folder.with_name(folder.name + ".old")
