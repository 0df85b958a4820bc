"""Participants, their keys, and the proposals that governors vote on."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.canonical import JsonValue
from ledger.client.flow import Flow, Request, quote_name
from ledger.client.identity import Identity
from ledger.client.reads import filters, read_all, read_items, read_one
from ledger.client.statements import state
from ledger.surface.codec import parse_object
from ledger.surface.outcomes import Outcome
from ledger.surface.views import KeyView, ParticipantView, ProfileView, ProposalView
from ledger.types import Address, Bytes32

__all__ = [
    "add_key",
    "apply",
    "bring_profile",
    "keys",
    "list_all",
    "profile",
    "proposal",
    "proposals",
    "propose",
    "revoke_key",
    "rotate_control_key",
    "show",
    "vote",
]


def list_all(*, status: str | None = None, text: str | None = None) -> Flow[tuple[ParticipantView, ...]]:
    """Members and applicants."""
    return (yield from read_all(ParticipantView, "/v1/participants", filters(state=status, text=text)))


def show(name: str) -> Flow[ParticipantView]:
    """One, by id or handle."""
    return (yield from read_one(ParticipantView, f"/v1/participants/{quote_name(name)}"))


def profile(name: str) -> Flow[ProfileView]:
    """Its profile document."""
    return (yield from read_one(ProfileView, f"/v1/participants/{quote_name(name)}/profile"))


def bring_profile(view: ProfileView) -> Flow[ParticipantView]:
    """Let the gateway know a participant by the profile that another gateway gave; for scope operate.

    Raises:
        VerificationError: it is not the one that the participant stated last.
    """
    body: dict[str, JsonValue] = {"salt": str(view.document.salt), "document": view.document.document}
    answer = yield Request("PUT", f"/v1/participants/{view.participant}/profile", json=body)
    return parse_object(ParticipantView, answer.json)


def keys(name: str) -> Flow[tuple[KeyView, ...]]:
    """Its keys, past and present."""
    return (yield from read_items(KeyView, f"/v1/participants/{quote_name(name)}/keys", "items"))


def proposals(*, status: str | None = None) -> Flow[tuple[ProposalView, ...]]:
    """What governors vote on."""
    return (yield from read_all(ProposalView, "/v1/proposals", filters(state=status)))


def proposal(proposal_id: Bytes32) -> Flow[ProposalView]:
    """One proposal with its votes."""
    return (yield from read_one(ProposalView, f"/v1/proposals/{proposal_id}"))


def apply(profile_document: Mapping[str, JsonValue], identity: Identity, *, wait_s: int = 0) -> Flow[Outcome]:
    """Ask to be admitted: ``identity`` signs with the control key and cosigns with the first signing key.

    Without a cosigner the gateway draws a custodial signing key.
    """
    intent: dict[str, JsonValue] = {"control_key": str(identity.signer.address), "profile": dict(profile_document)}
    if identity.cosigner is None:
        intent["custody"] = "custodial"
    else:
        intent["signing_key"] = str(identity.cosigner.address)
    return (yield from state("ParticipantApplication", intent, identity, wait_s=wait_s))


def vote(proposal_id: Bytes32, identity: Identity, *, approve: bool = True, wait_s: int = 0) -> Flow[Outcome]:
    """Vote on an open proposal with a governor's control key."""
    intent: dict[str, JsonValue] = {"proposal": str(proposal_id), "choice": "approve" if approve else "reject"}
    return (yield from state("GovernanceVote", intent, identity, wait_s=wait_s))


def propose(
    decision: str,
    subject: str,
    identity: Identity,
    *,
    argument: Bytes32 | None = None,
    wait_s: int = 0,
) -> Flow[Outcome]:
    """Cast the first vote for a decision: ``suspend``, ``reinstate``, ``retire``, ``appoint-governor``, ..."""
    intent: dict[str, JsonValue] = {"decision": decision, "subject": subject}
    if argument is not None:
        intent["argument"] = str(argument)
    return (yield from state("GovernanceVote", intent, identity, wait_s=wait_s))


def add_key(identity: Identity, *, custody: str = "own", wait_s: int = 0) -> Flow[Outcome]:
    """Add the cosigner's key as signing key; the control key signs."""
    key = None if identity.cosigner is None else str(identity.cosigner.address)
    return (yield from state("KeyAddition", {"key": key, "custody": custody}, identity, wait_s=wait_s))


def revoke_key(key: Address, identity: Identity, *, wait_s: int = 0) -> Flow[Outcome]:
    """End a signing key, for ever; the control key signs."""
    return (yield from state("KeyRevocation", {"key": str(key)}, identity, wait_s=wait_s))


def rotate_control_key(identity: Identity, *, wait_s: int = 0) -> Flow[Outcome]:
    """Replace the control key by the cosigner's; the present control key signs."""
    if identity.cosigner is None:
        raise ValueError("the new control key cosigns")
    intent: dict[str, JsonValue] = {"new_key": str(identity.cosigner.address)}
    return (yield from state("ControlKeyRotation", intent, identity, wait_s=wait_s))
