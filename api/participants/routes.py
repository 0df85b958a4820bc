"""Participants, their profiles and keys, and the proposals that governors vote on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api.answers import PagingOf, answer_page, answer_stamped
from api.auth import GatewayOf, Reader, Steward
from api.bodies import intent_of, schema_of
from api.names import DigestPath, ParticipantPath
from api.writes import add_custodial_write
from ledger.exchange.intents import ProfileUpdateIntent
from ledger.exchange.profiles import BroughtProfile

router = APIRouter(prefix="/v1", tags=["participants"])


@router.get("/participants", summary="Participants and applicants")
def list_participants(
    gateway: GatewayOf,
    asker: Reader,
    paging: PagingOf,
    state: Annotated[str | None, Query(description="applied, active, suspended or retired")] = None,
    text: Annotated[str | None, Query(max_length=200, description="part of the handle or name")] = None,
) -> Response:
    """Whoever has a key may see who belongs."""
    return answer_page(gateway.participants.list(asker, paging, status=state, text=text))


@router.get("/participants/{participant}", summary="One participant")
def get_participant(gateway: GatewayOf, asker: Reader, participant: ParticipantPath) -> Response:
    """By id or handle."""
    return answer_stamped(gateway.participants.get(asker, participant))


@router.get("/participants/{participant}/profile", summary="Its profile document")
def get_profile(gateway: GatewayOf, asker: Reader, participant: ParticipantPath) -> Response:
    """With salt and hash, so that it can be re-hashed."""
    return answer_stamped(gateway.participants.profile(asker, participant))


@router.put(
    "/participants/{participant}/profile",
    summary="Keep a profile that came through another gateway",
    openapi_extra=schema_of(BroughtProfile),
)
def put_profile(
    gateway: GatewayOf,
    asker: Steward,
    participant: ParticipantPath,
    body: Annotated[BroughtProfile, Depends(intent_of(BroughtProfile))],
) -> Response:
    """The one whose hash is on chain; its handle becomes the participant's here, unless another has it."""
    return answer_stamped(gateway.participants.bring_profile(asker, participant, body))


@router.get("/participants/{participant}/keys", summary="Its keys, past and present")
def list_keys(gateway: GatewayOf, asker: Reader, participant: ParticipantPath) -> Response:
    """From when until when each is valid, and who holds it."""
    return answer_stamped(gateway.participants.keys(asker, participant))


@router.get("/proposals", summary="What governors vote on")
def list_proposals(
    gateway: GatewayOf,
    asker: Reader,
    paging: PagingOf,
    state: Annotated[str | None, Query(description="open, executed, rejected or lapsed")] = None,
) -> Response:
    """Applications, suspensions, recoveries and changes of the governors."""
    return answer_page(gateway.participants.proposals(asker, paging, state=state))


@router.get("/proposals/{digest}", summary="One proposal with its votes")
def get_proposal(gateway: GatewayOf, asker: Reader, digest: DigestPath) -> Response:
    """By its id."""
    return answer_stamped(gateway.participants.proposal(asker, digest))


add_custodial_write(router, "/profiles", ProfileUpdateIntent, "A new profile document")
