"""How another gateway is asked: by a request that the operator's key signs, for half a minute in all."""

from __future__ import annotations

import threading
from typing import Final

from ledger.client.flow import Flow
from ledger.client.signed import signed
from ledger.exchange.deliveries.fetching import find_custodial_key
from ledger.exchange.deliveries.peers import Peer
from ledger.exchange.deliveries.run import InterruptedTryError, Try
from ledger.exchange.parts import Parts

__all__ = ["Asking"]

_SLOWEST_S: Final = 30.0


class Asking:
    """One thread asks; another may `stop` it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._under_way: Try | None = None
        self.is_stopped = False

    def ask(self, peer: Peer, flow: Flow[None]) -> None:
        """Drive a flow at another gateway.

        Raises:
            InterruptedTryError: it was stopped.
            ConflictError: this gateway holds no key of its operator's (``no-custodial-key``).
            LedgerError: what the other one answered, or that it does not.
        """
        operator = self._parts.config.operator
        key = find_custodial_key(self._parts, operator)
        turn = Try(_SLOWEST_S)
        with self._lock:
            if self.is_stopped:
                raise InterruptedTryError
            self._under_way = turn
        try:
            turn.drive(peer, signed(flow, peer.endpoint, operator, key, self._parts.clock))
        finally:
            with self._lock:
                self._under_way = None

    def stop(self) -> None:
        """Interrupt what is under way, for good."""
        with self._lock:
            self.is_stopped = True
            if self._under_way is not None:
                self._under_way.interrupt()
