"""One relay account after another: the next one sends once nothing of the former is on its way."""

from __future__ import annotations

import logging
import threading

from ledger.exchange.parts import Parts
from ledger.exchange.relays import Relays

__all__ = ["Succession"]

_logger = logging.getLogger(__name__)


class Succession:
    """The accounts that are to be followed by the keystore's next; who gives nonces holds ``turn`` meanwhile."""

    def __init__(self, parts: Parts, relays: Relays, turn: threading.Lock) -> None:
        self._parts = parts
        self._relays = relays
        self._turn = turn
        self._asked: dict[int, threading.Event] = {}

    @property
    def is_asked(self) -> bool:
        """Whether an account is to be followed: until it is, nobody is given a nonce."""
        return bool(self._asked)

    def ask(self, number: int) -> threading.Event:
        """Have the account of this number followed by the next; what is set when it was."""
        with self._turn:
            return self._asked.setdefault(number, threading.Event())

    def change_over(self) -> bool:
        """Of the accounts that are to be followed, those that have nothing on its way. Raises: as `Relays.all`."""
        moved = False
        for number, handed_over in list(self._asked.items()):
            former = self._relays.all()[number - 1].address
            with self._turn:
                if self._parts.store.outbox.in_flight(former):
                    continue
                present = self._relays.adopt_next(number).address
                del self._asked[number]
            handed_over.set()
            moved = True
            _logger.info("transactions are sent from the account %s from now on, no more from %s", present, former)
        return moved
