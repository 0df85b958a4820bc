"""Statements that go from one gateway to another: both directions."""

from __future__ import annotations

from typing import Final

from ledger.exchange.deliveries.peers import Peers, parse_peers
from ledger.exchange.forwarding.sending import Sending
from ledger.exchange.forwarding.taking import Taking
from ledger.exchange.intake import Intake
from ledger.exchange.parts import Parts

__all__ = ["Forwarding"]


class Forwarding:
    """`gateway.forwarding`: ``taking`` is asked by other gateways, ``sending`` asks them."""

    def __init__(self, parts: Parts, intake: Intake) -> None:
        """Raises: MalformedError: the peers in settings are no URLs."""
        self.taking: Final = Taking(parts, intake)
        self.sending: Final = Sending(parts, Peers(parts, parse_peers(parts.settings.peers)))
