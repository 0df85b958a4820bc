"""Keys of sealings that a provider's own client makes: encrypted files, one for each sealing, named by its id.

They are in the form of key files (version 3), which tells a damaged one and a wrong passphrase apart. Whoever loses
them seals the versions again: no receipt under the old sealing can be answered then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ledger.content.sealing import SealingKey
from ledger.keyfiles import DEFAULT_KDF_COST, read_key_file, write_key_file
from ledger.types import Bytes32

__all__ = ["SealingKeyFiles", "SealingKeyKeeper"]


class SealingKeyKeeper(Protocol):
    """Where a provider's client keeps the keys of its sealings."""

    def keep(self, key: SealingKey) -> None:
        """Keep a key that was drawn, durably: it is kept before anything is sealed under it."""

    def has(self, sealing: Bytes32) -> bool:
        """Whether the key of this sealing is here."""

    def load(self, sealing: Bytes32) -> SealingKey:
        """The key of this sealing, checked against its commitment. Raises: NotFoundError."""

    def forget(self, sealing: Bytes32) -> None:
        """Destroy the key of a sealing under which nothing is delivered."""


@dataclass(frozen=True)
class SealingKeyFiles:
    """Keys in a folder for their owner alone."""

    folder: Path
    passphrase: str = field(repr=False)
    kdf_cost: int = DEFAULT_KDF_COST

    def keep(self, key: SealingKey) -> None:
        """Write a key's file. Raises: ConflictError: it is there already; OSError."""
        write_key_file(self._place(key.commitment), key.to_bytes(), self.passphrase, kdf_cost=self.kdf_cost)

    def has(self, sealing: Bytes32) -> bool:
        """Whether there is a file of this sealing's key."""
        return self._place(sealing).is_file()

    def load(self, sealing: Bytes32) -> SealingKey:
        """Read a key's file.

        Raises:
            NotFoundError: there is none.
            WrongPassphraseError, MalformedError, VerificationError: as `read_key_file`; it is another sealing's key.
        """
        return SealingKey.opened(read_key_file(self._place(sealing), self.passphrase), sealing)

    def forget(self, sealing: Bytes32) -> None:
        """Remove a key's file. Raises: OSError."""
        self._place(sealing).unlink(missing_ok=True)

    def _place(self, sealing: Bytes32) -> Path:
        return self.folder / f"{sealing.hex()}.json"
