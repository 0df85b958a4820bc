"""The gateway's keystore: encrypted key files, opened with a passphrase that is passed in and never written.

    keys/relay.json                               sends transactions (v3 key file)
    keys/relay.next.json                          follows it, while the relay account is being rotated
    keys/relay-2.json, keys/relay-2.next.json     the same of a further account, where settings ask for several
    keys/deployer.json                            deployed the contracts, and does nothing else (v3 key file)
    keys/log.pem                                  signs checkpoints (Ed25519, PKCS #8, encrypted)
    keys/log.next.pem                             follows it, while the log's key is being rotated
    keys/kek.json                                 wraps the keys of sealings (32 bytes, in a v3 key file)
    keys/kek.next.json                            follows it, while all of them are wrapped anew
    keys/participants/<participant>/<key>.json    signs in a participant's name (custodial, v3 key file)
    keys/pending/<drawer>/<key>.json              waits until what was prepared with it is submitted (v3 key file)

The v3 key file is the one that every Ethereum client reads. In the place of any of them a file may stand that names a
key of a remote signer (`ledger.chain.RemoteKey`), in that of ``kek.json`` one that names a key of a key-management
service (`ledger.exchange.transit_key`).
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Self, cast

from ledger.chain import LocalSigner, RemoteKey, RemoteSigner, Signer
from ledger.durable import remove_durably, rename_durably
from ledger.errors import NotFoundError, UnavailableError
from ledger.exchange.key_encryption import WRAPPING_KEY_FILES, KeyEncryptionKey, LocalKey
from ledger.exchange.log_keys import ensure_log_key, load_log_key
from ledger.exchange.passphrase_change import change_passphrase, finish_change
from ledger.exchange.transit_key import NamedTransitKey, TransitKey, no_kms_token
from ledger.keyfiles import (
    DEFAULT_KDF_COST,
    WrongPassphraseError,
    ensure_key_file,
    read_key_file,
    replace_private_file,
    write_key_file,
    write_private_file,
)
from ledger.log import NoteSigner
from ledger.statements import generate_private_key
from ledger.types import Address, Bytes32

__all__ = ["KeyStore"]


class KeyStore:
    """The keys that a gateway signs with. Thread-safe; keys are decrypted when first used."""

    def __init__(
        self,
        folder: Path,
        passphrase: str,
        *,
        kdf_cost: int = DEFAULT_KDF_COST,
        kms_token: Callable[[], str] = no_kms_token,
    ) -> None:
        self._folder = folder
        self._log_file, self._next_log_file = folder / "log.pem", folder / "log.next.pem"
        self._kek_file, self._next_kek_file = (folder / name for name in WRAPPING_KEY_FILES)
        self._kms_token = kms_token
        self._passphrase = passphrase
        self._kdf_cost = kdf_cost
        self._turn, self._drawing = threading.Lock(), threading.Lock()
        self._signers: dict[Path, Signer] = {}
        self._wrapping_keys: dict[Path, KeyEncryptionKey] = {}

    @classmethod
    def open(cls, folder: Path, passphrase: str, *, kms_token: Callable[[], str] = no_kms_token) -> Self:
        """Open a keystore that founding made.

        Raises:
            NotFoundError: there is none in the folder.
            VerificationError: the passphrase is another.
        """
        finish_change(folder)
        keystore = cls(folder, passphrase, kms_token=kms_token)
        keystore.load_relay()
        return keystore

    def ensure_relay(self) -> Signer:
        """The relay account's signer, drawn if there is none yet."""
        return self.ensure("relay")

    def ensure(self, name: str) -> Signer:
        """The signer of the account ``name`` (``relay``, ``deployer``), drawn if there is none yet."""
        path = self._folder / f"{name}.json"
        if not path.exists():
            write_key_file(path, generate_private_key(), self._passphrase, kdf_cost=self._kdf_cost)
        return self._load(path)

    def load_relay(self, number: int = 1) -> Signer:
        """The signer of a relay account; the first one publishes the log, too.

        Raises:
            NotFoundError, MalformedError, VerificationError: as a key file.
        """
        return self._load(self._relay_path(number))

    def count_relays(self) -> int:
        """How many relay accounts there are; their numbers begin with 1."""
        return next(number for number in count(1) if not self._relay_path(number + 1).exists())

    def ensure_next_relay(self, remote: RemoteKey | None = None, number: int = 1) -> Signer:
        """The signer that is to follow a relay account: ``remote``, the one that was drawn before, or a new one."""
        path = self._next_relay_path(number)
        if remote is not None:
            with self._turn:
                replace_private_file(path, json.dumps(remote.to_json(), indent=1).encode() + b"\n")
                self._signers.pop(path, None)
        return self.ensure(path.stem)

    def find_next_relay(self, number: int = 1) -> Signer | None:
        """The signer that is to follow a relay account; None: it is not being rotated."""
        try:
            return self._load(self._next_relay_path(number))
        except NotFoundError:
            return None

    def drop_next_relay(self, number: int = 1) -> None:
        """Forget the account that was to follow, durably: only where the chain does not lean on it."""
        path = self._next_relay_path(number)
        with self._turn:
            remove_durably(path)
            self._signers.pop(path, None)

    def adopt_next_relay(self, number: int = 1) -> Signer:
        """Let the next relay account take the present one's place, whose key is destroyed. Returns its signer."""
        path, following = self._relay_path(number), self._next_relay_path(number)
        with self._turn:
            signer = self._read(following)
            rename_durably(following, path)
            self._signers.pop(following, None)
            self._signers[path] = signer
            return signer

    def ensure_log_signer(self, origin: str) -> NoteSigner:
        """The log's signer, drawn if there is none yet."""
        return ensure_log_key(self._log_file, self._passphrase, origin)

    def load_log_signer(self, origin: str) -> NoteSigner:
        """The log's signer. Raises: NotFoundError, MalformedError, VerificationError: as a key file."""
        return load_log_key(self._log_file, self._passphrase, origin)

    def drop_log_signer(self) -> None:
        """Forget the log's key, durably: only where the log is not open and can not be opened with it."""
        with self._turn:
            remove_durably(self._log_file)

    def ensure_next_log_signer(self, origin: str) -> NoteSigner:
        """The signer that is to follow the log's, the one that was drawn before or a new one."""
        return ensure_log_key(self._next_log_file, self._passphrase, origin)

    def find_next_log_signer(self, origin: str) -> NoteSigner | None:
        """The signer that is to follow the log's; None: it is not being rotated."""
        try:
            return load_log_key(self._next_log_file, self._passphrase, origin)
        except NotFoundError:
            return None

    def drop_next_log_signer(self) -> None:
        """Forget the key that was to follow the log's, durably: only where the chain will never take it."""
        with self._turn:
            remove_durably(self._next_log_file)

    def adopt_next_log_signer(self) -> None:
        """Let the next signer be the log's; the old one's key is destroyed."""
        with self._turn:
            rename_durably(self._next_log_file, self._log_file)

    @property
    def has_kek(self) -> bool:
        """Whether a key-encryption key was drawn."""
        with self._turn:
            return self._kek_file.exists() or self._next_kek_file.exists()

    def ensure_kek(self) -> KeyEncryptionKey:
        """What new sealings' keys are wrapped with, drawn if there is none: the next one while one follows."""
        with self._drawing, self._turn:
            path = self._next_kek_file if self._next_kek_file.exists() else self._kek_file
            return self._ensure_kek(path)

    def ensure_next_kek(self, named: NamedTransitKey | None = None) -> KeyEncryptionKey:
        """What is to follow the key-encryption key: the one that follows already, ``named``, or one drawn now."""
        with self._drawing, self._turn:
            if named is not None and not self._next_kek_file.exists():
                replace_private_file(self._next_kek_file, named.to_bytes())
            return self._ensure_kek(self._next_kek_file)

    def open_transit_key(self, named: NamedTransitKey) -> TransitKey:
        """A key of a key-management service, with the service's token of this gateway."""
        return TransitKey(named, self._kms_token)

    def find_next_kek(self) -> KeyEncryptionKey | None:
        """What is to follow the key-encryption key; None: it is not being rotated."""
        with self._turn:
            return self._ensure_kek(self._next_kek_file) if self._next_kek_file.exists() else None

    def find_kek(self, name: str) -> KeyEncryptionKey | None:
        """The key-encryption key with this id, which another process may have put there; None: it is not kept here."""
        with self._turn:
            for is_fresh in (False, True):
                if is_fresh:
                    self._wrapping_keys.clear()
                for path in (self._kek_file, self._next_kek_file):
                    if path in self._wrapping_keys or path.exists():
                        key = self._ensure_kek(path)
                        if key.id == name:
                            return key
            return None

    def adopt_next_kek(self) -> None:
        """Let the next key be the key-encryption key; the old one is destroyed. Nothing may be wrapped by it."""
        with self._drawing, self._turn:
            rename_durably(self._next_kek_file, self._kek_file)
            self._wrapping_keys.clear()

    def change_passphrase(self, old: str, new: str) -> int:
        """Encrypt every key with ``new``, all at once, durably; return how many files.

        Raises:
            WrongPassphraseError: ``old`` is not the keystore's; nothing was changed.
            MalformedError, VerificationError: a file is damaged; nothing was changed.
            UnavailableError: the disk does not take it; nothing was changed.
        """
        with self._drawing, self._turn:
            if not hmac.compare_digest(old.encode(), self._passphrase.encode()):
                raise WrongPassphraseError("the present passphrase is another: nothing was changed")
            count = change_passphrase(self._folder, old, new)
            self._passphrase = new
            return count

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Changes when a relay account's or the log's key does, by whichever process that shares the folder.

        Raises:
            UnavailableError: the files can not be looked at; while the passphrase is changed, for a moment.
        """
        try:
            relays = [self._relay_path(number) for number in range(1, self.count_relays() + 1)]
            stats = [path.stat() for path in (*relays, self._log_file)]
        except OSError as error:
            raise UnavailableError(f"the keystore can not be looked at: {error.strerror}") from error
        return tuple((each.st_ino, each.st_mtime_ns) for each in stats)

    def reread(self) -> None:
        """Read every key from its file when it is used next: another process may have replaced it."""
        with self._turn:
            self._signers.clear()
            self._wrapping_keys.clear()

    def check(self, origin: str) -> int:
        """Open every key file and count them. Raises: as a key file, naming it."""
        paths = sorted(self._folder.rglob("*.json"))
        for path in paths:
            if NamedTransitKey.find(path) is None:
                self._read(path)
        logs = [path for path in (self._log_file, self._next_log_file) if path.exists()]
        for path in logs:
            load_log_key(path, self._passphrase, origin)
        return len(paths) + len(logs)

    def remote_signers(self) -> list[RemoteSigner]:
        """Of every key file that names a remote signer's key, its signer. Raises: MalformedError: as a key file."""
        named = [_find_remote(path) for path in sorted(self._folder.rglob("*.json"))]
        return [RemoteSigner(each) for each in named if each is not None]

    def draw(self, participant: Bytes32) -> Address:
        """Draw a custodial key for a participant and keep it."""
        return self.add(participant, generate_private_key())

    def draw_pending(self, drawer: str) -> Address:
        """The key that waits for ``drawer`` (an API key's id), drawn if none does: one each, however often it asks.

        It is nobody's until `adopt` makes it a participant's, and `drop_pending` forgets it.
        """
        with self._drawing:
            for path in sorted((self._pending_folder / drawer).glob("*.json")):
                if any((self._folder / "participants").glob(f"*/{path.name}")):
                    path.unlink(missing_ok=True)  # a crash came between adopting it and forgetting that it waits
                    continue
                path.touch()
                return Address.parse(f"0x{path.stem}")
            private_key = generate_private_key()
            address = LocalSigner(private_key).address
            path = self._pending_folder / drawer / f"{address.hex()}.json"
            write_key_file(path, private_key, self._passphrase, kdf_cost=self._kdf_cost)
            return address

    def find_pending(self, key: Address) -> Signer | None:
        """The signer of a key that waits, None when there is none. Ask only for what was prepared here."""
        path = self._find_pending_file(key)
        return None if path is None else self._load(path)

    def adopt(self, participant: Bytes32, key: Address) -> None:
        """Make a key that waits the participant's, durably; nothing changes when it does not wait."""
        with self._drawing:
            pending, kept = self._find_pending_file(key), self._participant_file(participant, key)
            if pending is None:
                return
            if not kept.exists():
                write_private_file(kept, pending.read_bytes())
            pending.unlink()
            self._signers.pop(pending, None)

    def drop_pending(self, before: datetime) -> int:
        """Forget keys that nobody asked for since ``before``; return how many."""
        with self._drawing:
            old = [path for path in self._pending_folder.glob("*/*.json") if path.stat().st_mtime < before.timestamp()]
            for path in old:
                path.unlink()
                self._signers.pop(path, None)
            for folder in {path.parent for path in old}:
                if not any(folder.iterdir()):
                    folder.rmdir()
            return len(old)

    def add(self, participant: Bytes32, private_key: bytes) -> Address:
        """Keep a custodial key. Raises: ConflictError: it is there already."""
        signer = LocalSigner(private_key)
        path = self._participant_file(participant, signer.address)
        write_key_file(path, private_key, self._passphrase, kdf_cost=self._kdf_cost)
        with self._turn:
            self._signers[path] = signer
        return signer.address

    def keys_of(self, participant: Bytes32) -> frozenset[Address]:
        """Addresses of the participant's custodial keys, revoked ones too."""
        folder = self._folder / "participants" / participant.hex()
        with self._turn:  # while the passphrase is changed, the folder is away for a moment
            return frozenset(Address.parse(f"0x{path.stem}") for path in folder.glob("*.json"))

    def add_remote(self, participant: Bytes32, remote: RemoteKey) -> Address:
        """Keep where a custodial key is that a remote signer holds. Raises: ConflictError: it is there already."""
        path = self._participant_file(participant, remote.address)
        write_private_file(path, json.dumps(remote.to_json(), indent=1).encode() + b"\n")
        return remote.address

    def find(self, participant: Bytes32, key: Address) -> Signer | None:
        """The signer of a participant's custodial key, None when it is not kept here."""
        path = self._participant_file(participant, key)
        return self._load(path) if path in self._signers or path.exists() else None

    def _relay_path(self, number: int) -> Path:
        return self._folder / ("relay.json" if number == 1 else f"relay-{number}.json")

    def _next_relay_path(self, number: int) -> Path:
        return self._relay_path(number).with_suffix(".next.json")

    @property
    def _pending_folder(self) -> Path:
        return self._folder / "pending"

    def _find_pending_file(self, key: Address) -> Path | None:
        return next(self._pending_folder.glob(f"*/{key.hex()}.json"), None)

    def _participant_file(self, participant: Bytes32, key: Address) -> Path:
        return self._folder / "participants" / participant.hex() / f"{key.hex()}.json"

    def _load(self, path: Path) -> Signer:
        with self._turn:
            if path not in self._signers:
                self._signers[path] = self._read(path)
            return self._signers[path]

    def _read(self, path: Path) -> Signer:
        remote = _find_remote(path)
        if remote is not None:
            return cast("Signer", RemoteSigner(remote))
        return cast("Signer", LocalSigner(read_key_file(path, self._passphrase)))

    def _ensure_kek(self, path: Path) -> KeyEncryptionKey:
        if path not in self._wrapping_keys:
            named = NamedTransitKey.find(path)
            if named is not None:
                self._wrapping_keys[path] = self.open_transit_key(named)
            else:
                self._wrapping_keys[path] = LocalKey(ensure_key_file(path, self._passphrase, kdf_cost=self._kdf_cost))
        return self._wrapping_keys[path]


def _find_remote(path: Path) -> RemoteKey | None:
    """The remote key that a file names; None: it is another file, or none."""
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None  # reading it as a key file says what is wrong
    return RemoteKey.parse(document) if RemoteKey.is_named_by(document) else None
