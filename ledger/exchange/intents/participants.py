"""Who belongs, by which keys it speaks, and who governs: intents of the participant registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ledger.canonical import JsonValue
from ledger.exchange.intents.intent import Intent
from ledger.statements import Choice, Custody, Decision
from ledger.types import Address, Bytes32

__all__ = [
    "ControlKeyClaimIntent",
    "ControlKeyRotationIntent",
    "GovernanceVoteIntent",
    "KeyAdditionIntent",
    "KeyRevocationIntent",
    "ParticipantApplicationIntent",
    "ParticipantRetirementIntent",
    "ProfileUpdateIntent",
]


@dataclass(frozen=True, kw_only=True)
class ParticipantApplicationIntent(Intent):
    """Ask to be admitted.

    ``signing_key`` may be left out with custody CUSTODIAL: the gateway then draws a key, keeps it and co-signs.
    ``profile`` has ``handle`` and ``name``, and may have ``endpoint``, ``did`` and more.
    """

    TYPE: ClassVar[str] = "ParticipantApplication"

    control_key: Address
    signing_key: Address | None = None
    custody: Custody = Custody.OWN
    profile: Mapping[str, JsonValue]
    salt: Bytes32 | None = None


@dataclass(frozen=True, kw_only=True)
class KeyAdditionIntent(Intent):
    """Add a signing key; left out with custody CUSTODIAL, the gateway draws one."""

    TYPE: ClassVar[str] = "KeyAddition"

    key: Address | None = None
    custody: Custody = Custody.OWN


@dataclass(frozen=True, kw_only=True)
class KeyRevocationIntent(Intent):
    """End a signing key."""

    TYPE: ClassVar[str] = "KeyRevocation"

    key: Address


@dataclass(frozen=True, kw_only=True)
class ControlKeyRotationIntent(Intent):
    """Replace the control key."""

    TYPE: ClassVar[str] = "ControlKeyRotation"

    new_key: Address


@dataclass(frozen=True, kw_only=True)
class ControlKeyClaimIntent(Intent):
    """Claim a lost control key; ``participant`` is named, for the asker may have no key of it."""

    TYPE: ClassVar[str] = "ControlKeyClaim"

    participant: str
    new_key: Address


@dataclass(frozen=True, kw_only=True)
class ProfileUpdateIntent(Intent):
    """Replace the profile."""

    TYPE: ClassVar[str] = "ProfileUpdate"

    profile: Mapping[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class ParticipantRetirementIntent(Intent):
    """Leave, for ever."""

    TYPE: ClassVar[str] = "ParticipantRetirement"


@dataclass(frozen=True, kw_only=True)
class GovernanceVoteIntent(Intent):
    """Vote: on an open proposal by its id, or on ``decision`` about ``subject`` with ``argument``."""

    TYPE: ClassVar[str] = "GovernanceVote"

    proposal: Bytes32 | None = None
    decision: Decision | None = None
    subject: str | None = None
    argument: Bytes32 | None = None
    choice: Choice = Choice.APPROVE
