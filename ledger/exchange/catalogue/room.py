"""The catalogue across gateways: both of its directions."""

from __future__ import annotations

from typing import Final

from ledger.exchange.catalogue.gathering import Gathering
from ledger.exchange.catalogue.offering import Offering
from ledger.exchange.deliveries.peers import Peers, parse_peers
from ledger.exchange.parts import Parts

__all__ = ["Catalogue"]


class Catalogue:
    """`gateway.catalogue`: ``offering`` answers other gateways, ``gathering`` asks them."""

    def __init__(self, parts: Parts) -> None:
        """Raises: MalformedError: the peers in settings are no URLs."""
        self.offering: Final = Offering(parts)
        self.gathering: Final = Gathering(parts, Peers(parts, parse_peers(parts.settings.peers)))
