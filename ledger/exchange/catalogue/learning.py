"""Learns from listed gateways who the other members are: profiles, each held against its hash on chain.

So one listed endpoint suffices to find all members' gateways. A handle is given so only to who has none here: whoever
came first, or was brought by the operator, keeps its name.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from ledger.canonical import JsonValue, encode_canonical
from ledger.client.catalogue import profiles
from ledger.errors import LedgerError, MalformedError
from ledger.exchange.catalogue.asking import Asking
from ledger.exchange.deliveries.peers import Peer, Peers
from ledger.exchange.deliveries.run import InterruptedTryError
from ledger.exchange.parts import Parts
from ledger.exchange.profiles import keep_profile
from ledger.surface.catalogue import MOST_METADATA_BYTES, OfferedProfileView
from ledger.surface.codec import parse_object

__all__ = ["Learning"]

_MOST_PROFILES: Final = 10_000
_logger = logging.getLogger(__name__)


class Learning:
    """Asks every listed gateway, as often as for what it offers."""

    def __init__(self, parts: Parts, peers: Peers, asking: Asking) -> None:
        self._parts = parts
        self._peers = peers
        self._asking = asking
        self._next: dict[str, datetime] = {}

    def step(self) -> None:
        """Ask whose turn it is. What one answers wrong, or that it does not answer, is told in the log alone.

        Raises:
            InterruptedTryError: it was stopped.
        """
        for peer in self._peers.listed():
            now = self._parts.now()
            if self._next.get(peer.endpoint, now) > now:
                continue
            self._next[peer.endpoint] = now + timedelta(seconds=self._parts.settings.catalogue_every_s)
            try:
                self._ask(peer)
            except LedgerError as error:
                _logger.info("%s did not tell whom it knows: %s", peer.endpoint, error)
            except InterruptedTryError:
                raise
            except Exception:  # whatever another's answer brings about ends no work of this gateway's
                _logger.exception("whom %s knows could not be read", peer.endpoint)

    def _ask(self, peer: Peer) -> None:
        count = 0

        def take(items: list[JsonValue]) -> bool:
            nonlocal count
            count += len(items)
            for item in items:
                self._learn(peer, item)
            return count < _MOST_PROFILES

        self._asking.ask(peer, profiles(take))

    def _learn(self, peer: Peer, item: JsonValue) -> None:
        try:
            told = parse_object(OfferedProfileView, item)
            known = self._parts.store.participants.find(told.participant)
            if known is None or known.status != "active" or known.profile is not None:
                return
            document = told.document
            if not isinstance(document, dict) or len(encode_canonical(document)) > MOST_METADATA_BYTES:
                raise MalformedError("a profile is an object of at most 64 KiB")
            keep_profile(self._parts, str(told.participant), told.salt, document, renames=False)
        except LedgerError as error:
            _logger.warning("a profile that %s told is left out: %s", peer.endpoint, error)
