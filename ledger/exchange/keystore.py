"""The gateway's keystore: encrypted key files, opened with a passphrase that is passed in and never written.

    keys/relay.json                               sends transactions (v3 key file)
    keys/deployer.json                            deployed the contracts, and does nothing else (v3 key file)
    keys/log.pem                                  signs checkpoints (Ed25519, PKCS #8, encrypted)
    keys/participants/<participant>/<key>.json    signs in a participant's name (custodial, v3 key file)
    keys/pending/<drawer>/<key>.json              waits until what was prepared with it is submitted (v3 key file)

The v3 key file is the one that every Ethereum client reads.
"""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Self, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from ledger.chain import LocalSigner, Signer
from ledger.errors import MalformedError, NotFoundError, VerificationError
from ledger.keyfiles import DEFAULT_KDF_COST, ensure_key_file, read_key_file, write_key_file, write_private_file
from ledger.log import NoteSigner
from ledger.statements import generate_private_key
from ledger.types import Address, Bytes32

__all__ = ["KeyStore"]


class KeyStore:
    """The keys that a gateway signs with. Thread-safe; keys are decrypted when first used."""

    def __init__(self, folder: Path, passphrase: str, *, kdf_cost: int = DEFAULT_KDF_COST) -> None:
        self._folder = folder
        self._passphrase = passphrase
        self._kdf_cost = kdf_cost
        self._turn, self._drawing = threading.Lock(), threading.Lock()
        self._signers: dict[Path, LocalSigner] = {}

    @classmethod
    def open(cls, folder: Path, passphrase: str) -> Self:
        """Open a keystore that founding made.

        Raises:
            NotFoundError: there is none in the folder.
            VerificationError: the passphrase is another.
        """
        keystore = cls(folder, passphrase)
        keystore.load_relay()
        return keystore

    def ensure_relay(self) -> Signer:
        """The relay account's signer, drawn if there is none yet."""
        return self.ensure("relay")

    def ensure(self, name: str) -> Signer:
        """The signer of the account ``name`` (``relay``, ``deployer``), drawn if there is none yet."""
        path = self._folder / f"{name}.json"
        with self._turn:
            self._signers[path] = LocalSigner(ensure_key_file(path, self._passphrase, kdf_cost=self._kdf_cost))
            return cast("Signer", self._signers[path])

    def load_relay(self) -> Signer:
        """The relay account's signer. Raises: NotFoundError, MalformedError, VerificationError: as a key file."""
        return self._load(self._relay_file)

    def ensure_log_signer(self, origin: str) -> NoteSigner:
        """The log's signer, drawn if there is none yet."""
        if not self._log_file.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(self._passphrase.encode())
            )
            write_private_file(self._log_file, pem)
        return self.load_log_signer(origin)

    def load_log_signer(self, origin: str) -> NoteSigner:
        """The log's signer. Raises: NotFoundError, MalformedError, VerificationError: as a key file."""
        try:
            key = load_pem_private_key(self._log_file.read_bytes(), self._passphrase.encode())
        except FileNotFoundError as error:
            raise NotFoundError("the keystore has no key for the log (log.pem)") from error
        except (ValueError, TypeError) as error:
            raise VerificationError("the log's key file log.pem does not open: check the passphrase") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise MalformedError("the log's key file log.pem does not hold an Ed25519 key")
        return NoteSigner(origin, key.private_bytes_raw())

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
        return frozenset(Address.parse(f"0x{path.stem}") for path in folder.glob("*.json"))

    def find(self, participant: Bytes32, key: Address) -> Signer | None:
        """The signer of a participant's custodial key, None when it is not kept here."""
        path = self._participant_file(participant, key)
        return self._load(path) if path in self._signers or path.exists() else None

    @property
    def _relay_file(self) -> Path:
        return self._folder / "relay.json"

    @property
    def _log_file(self) -> Path:
        return self._folder / "log.pem"

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
                self._signers[path] = LocalSigner(read_key_file(path, self._passphrase))
            return cast("Signer", self._signers[path])
