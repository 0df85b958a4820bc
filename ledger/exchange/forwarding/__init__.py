"""What only logs keep, brought from the gateway that took it to that of the participant it is addressed to."""

from ledger.exchange.forwarding.room import Forwarding

__all__ = ["Forwarding"]
