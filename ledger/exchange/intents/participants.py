"""Who belongs, by which keys it speaks, and who governs: intents of the participant registry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from ledger.canonical import JsonValue
from ledger.errors import ConflictError, MalformedError
from ledger.exchange.directory import Ballot
from ledger.exchange.intents.draft import Draft, draw_salt
from ledger.exchange.intents.intent import Intent
from ledger.statements import Choice, Custody, Decision, Statement, compute_participant_id
from ledger.types import Address, Bytes32

__all__ = [
    "HANDLE_PATTERN",
    "ControlKeyClaimIntent",
    "ControlKeyRotationIntent",
    "GovernanceVoteIntent",
    "KeyAdditionIntent",
    "KeyRevocationIntent",
    "ParticipantApplicationIntent",
    "ParticipantRetirementIntent",
    "ProfileUpdateIntent",
    "build_application",
    "build_control_key_claim",
    "build_control_key_rotation",
    "build_key_addition",
    "build_key_revocation",
    "build_profile_update",
    "build_retirement",
    "build_vote",
    "check_profile",
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


HANDLE_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")


def check_profile(profile: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Check that a profile has a handle and a name. Raises: MalformedError."""
    document = dict(profile)
    handle, name = document.get("handle"), document.get("name")
    if not isinstance(handle, str) or not HANDLE_PATTERN.match(handle):
        raise MalformedError("a profile's handle has 1 to 63 of a-z, 0-9 and -, not a dash in front")
    if not isinstance(name, str) or not 1 <= len(name) <= 200:
        raise MalformedError("a profile's name has 1 to 200 characters")
    for member in ("endpoint", "did"):
        if not isinstance(document.get(member, ""), str):
            raise MalformedError(f"a profile's {member} is a text")
    return document


def _note_handle(draft: Draft, profile: Mapping[str, JsonValue]) -> None:
    if draft.directory.handle_holder(str(profile["handle"])) not in {None, draft.participant}:
        raise ConflictError(f"the handle {profile['handle']} is another participant's: choose one", code="handle-taken")
    draft.notes["handle"] = profile["handle"]


def build_application(draft: Draft, intent: ParticipantApplicationIntent) -> Statement:
    """The application; the participant's id follows from control key and salt."""
    profile = check_profile(intent.profile)
    salt = intent.salt or draw_salt()
    draft.participant = compute_participant_id(intent.control_key, salt)
    _note_handle(draft, profile)
    return draft.build(
        intent,
        salt=salt,
        controlKey=intent.control_key,
        signingKey=_signing_key(draft, intent.signing_key, intent.custody),
        custody=int(intent.custody),
        profileHash=draft.attach(profile),
    )


def _signing_key(draft: Draft, key: Address | None, custody: Custody) -> Address:
    if key is not None:
        return key
    if custody is Custody.CUSTODIAL:
        return draft.draw_key()
    raise MalformedError("name the signing key, or say that its custody is custodial: the gateway then draws one")


def build_key_addition(draft: Draft, intent: KeyAdditionIntent) -> Statement:
    """A further signing key."""
    return draft.build(intent, key=_signing_key(draft, intent.key, intent.custody), custody=int(intent.custody))


def build_key_revocation(draft: Draft, intent: KeyRevocationIntent) -> Statement:
    """The end of a signing key."""
    return draft.build(intent, key=intent.key)


def build_control_key_rotation(draft: Draft, intent: ControlKeyRotationIntent) -> Statement:
    """A new control key."""
    return draft.build(intent, newKey=intent.new_key)


def build_control_key_claim(draft: Draft, intent: ControlKeyClaimIntent) -> Statement:
    """A claim to a lost control key."""
    draft.participant = draft.directory.participant(intent.participant)
    return draft.build(intent, newKey=intent.new_key)


def build_profile_update(draft: Draft, intent: ProfileUpdateIntent) -> Statement:
    """The next profile."""
    profile = check_profile(intent.profile)
    _note_handle(draft, profile)
    version = draft.directory.profile_version(draft.participant) + 1
    return draft.build(intent, version=version, profileHash=draft.attach(profile))


def build_retirement(draft: Draft, intent: ParticipantRetirementIntent) -> Statement:
    """The participant leaves."""
    return draft.build(intent)


def build_vote(draft: Draft, intent: GovernanceVoteIntent) -> Statement:
    """A vote in the present epoch, at the subject's present counter."""
    ballot = _ballot(draft, intent)
    return draft.build(
        intent,
        decision=int(ballot.decision),
        subject=ballot.subject,
        argument=ballot.argument,
        choice=int(intent.choice),
        epoch=draft.directory.epoch(),
        counter=draft.directory.counter_of(ballot.subject),
    )


def _ballot(draft: Draft, intent: GovernanceVoteIntent) -> Ballot:
    if intent.proposal is not None:
        proposal = draft.directory.proposal(intent.proposal)
        if proposal.state != "open":
            raise ConflictError(
                f"the proposal is {proposal.state}: it takes no votes", code=f"proposal-{proposal.state}"
            )
        return Ballot(proposal.decision, proposal.subject, proposal.argument)
    if intent.decision is None:
        raise MalformedError("a vote names a proposal, or a decision with its subject and argument")
    argument = intent.argument or Bytes32(bytes(32))
    if intent.decision is Decision.SET_THRESHOLD:
        return Ballot(intent.decision, Bytes32(bytes(32)), argument)
    if intent.subject is None:
        raise MalformedError("name the participant that is decided on: subject")
    return Ballot(intent.decision, draft.directory.participant(intent.subject), argument)
