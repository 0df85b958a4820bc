"""The catalogue across gateways: what this one tells others, what it learns from them, and how old that is."""

from ledger.exchange.catalogue.room import Catalogue
from ledger.exchange.catalogue.standing import CatalogueStanding, read_standing

__all__ = ["Catalogue", "CatalogueStanding", "read_standing"]
