"""What the service and its client know alike of problem documents (RFC 9457)."""

from __future__ import annotations

from typing import Final

__all__ = ["REFUSED_TITLE"]

REFUSED_TITLE: Final = "The ledger's rules refuse it"
"""The title of a 409 by which the ledger's rules said no; every other 409 does not fit the present state."""
