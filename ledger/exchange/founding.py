"""Founding a consortium on the embedded chain: resumable, and done once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ledger.canonical import JsonValue
from ledger.types import Address, Bytes32

__all__ = ["Founded", "Founder", "FoundingPlan", "found"]


@dataclass(frozen=True, slots=True)
class Founder:
    """A founding governor: profile with ``handle`` and ``name``, and who holds its first signing key."""

    profile: Mapping[str, JsonValue]
    custodial: bool = False


@dataclass(frozen=True, slots=True)
class FoundingPlan:
    """What `found` makes. The first founder operates the gateway; its signing key is custodial."""

    founders: tuple[Founder, ...]
    threshold: int = 1
    origin: str = "concord.invalid/log"
    passphrase: str = field(default="", repr=False)
    """encrypts the gateway's keystore"""
    owners_folder: Path | None = None
    """where founders' own keys are written (None: ``founders/`` beside the home folder's other files)"""
    owners_passphrase: str | None = field(default=None, repr=False)
    """encrypts those (None: the gateway's passphrase)"""
    relay_accounts: tuple[Address, ...] = ()
    """outsiders who may send transactions themselves"""


@dataclass(frozen=True, slots=True)
class Founded:
    """What was made. ``api_keys``: by handle, the token of each founder's first key, shown once."""

    chain_id: int
    contracts: Mapping[str, Address]
    participants: Mapping[str, Bytes32]
    log: Bytes32
    api_keys: Mapping[str, str] = field(repr=False)
    key_files: Mapping[str, Path]
    """by ``handle/control`` and ``handle/signing``, the owners' encrypted key files"""


def found(home: Path, plan: FoundingPlan, *, on_step: Callable[[str], None] | None = None) -> Founded:
    """Found a consortium in ``home``; after a kill, the same call goes on where it stopped.

    Raises:
        ConflictError: the folder holds a consortium already, or an interrupted founding with another plan.
        MalformedError: the plan can not work (no founder, threshold, handle, origin).
    """
    raise NotImplementedError
