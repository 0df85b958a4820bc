"""What this gateway tells other members' gateways (docs/spec/catalogue.md)."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.answers import PagingOf, answer_page
from api.auth import GatewayOf
from api.names import ParticipantPath
from api.transfers.callers import CallerOf

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/offers/{participant}", summary="What a provider offers here, for other gateways")
def list_offers(gateway: GatewayOf, caller: CallerOf, participant: ParticipantPath, paging: PagingOf) -> Response:
    """By a request that an active participant signed, or with an API key.

    Each data set in force, neither retired nor erased: the digest of its latest registration, its metadata, and the
    salt with which they have the hash that the registration names.
    """
    return answer_page(gateway.catalogue.offering.offers(caller, participant, paging))


@router.get("/profiles", summary="The members that this gateway knows, for other gateways")
def list_profiles(gateway: GatewayOf, caller: CallerOf, paging: PagingOf) -> Response:
    """By a request that an active participant signed, or with an API key.

    Each active participant's present profile that is known here, with the salt that opens its hash on chain.
    """
    return answer_page(gateway.catalogue.offering.profiles(caller, paging))
