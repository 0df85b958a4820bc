"""How fresh the catalogue of other gateways is: for metrics and the doctor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ledger.store import Store
from ledger.store.rows import PeerRow
from ledger.surface.catalogue import format_age

__all__ = ["CatalogueStanding", "read_standing"]


@dataclass(frozen=True, slots=True)
class CatalogueStanding:
    """What is known of other gateways' data sets, as of ``now``."""

    peers: tuple[PeerRow, ...]
    offers: int
    now: datetime

    @property
    def failing(self) -> tuple[PeerRow, ...]:
        """The gateways that did not answer when they were asked last."""
        return tuple(each for each in self.peers if each.failures > 0)

    @property
    def oldest_age_s(self) -> float:
        """Age of the oldest answer of a gateway that ever answered; 0: there is none."""
        ages = [(self.now - each.answered_at).total_seconds() for each in self.peers if each.answered_at is not None]
        return max(0.0, *ages) if ages else 0.0

    def to_gauges(self) -> Mapping[str, tuple[str, float]]:
        """By name: what it says, and the number now."""
        return {
            "catalogue_peers": ("Providers whose gateways are asked what they offer", len(self.peers)),
            "catalogue_peers_failing": ("Those that did not answer when they were asked last", len(self.failing)),
            "catalogue_offers": ("Data sets of other gateways that are known", self.offers),
            "catalogue_left_out": (
                "Entries of their last answers that are not as the chain says",
                sum(each.left_out for each in self.peers),
            ),
            "catalogue_oldest_age_seconds": ("Age of the oldest last answer; 0: there is none", self.oldest_age_s),
        }

    def to_sentence(self) -> str:
        """What an operator is told."""
        if not self.peers:
            return "no other gateway is asked"
        told = f"{self.offers} data sets of {len(self.peers)} providers elsewhere"
        if any(each.answered_at is not None for each in self.peers):
            told += f", the oldest answer {format_age(int(self.oldest_age_s))}"
        left_out = sum(each.left_out for each in self.peers)
        if left_out:
            told += f"; {left_out} entries left out, which are not as the chain says"
        if self.failing:
            first = self.failing[0]
            told += f"; {len(self.failing)} did not answer, as {first.endpoint}: {first.error}"
        return told


def read_standing(store: Store, now: datetime) -> CatalogueStanding:
    """Read it. Raises: UnavailableError: the database does not answer."""
    with store.snapshot():
        return CatalogueStanding(store.catalogue.peers(), store.catalogue.count(), now)
