"""Who sees what: auditors everything, a participant what it is a party of."""

from __future__ import annotations

from ledger.errors import NotFoundError
from ledger.exchange.asker import Asker, Scope
from ledger.types import Bytes32

__all__ = ["may_see", "party_of", "require_party"]

_NOBODY = Bytes32(bytes(32))


def party_of(asker: Asker, role: str | None = None) -> Bytes32 | None:
    """To whose things a list is restricted, None for auditors to none; in a ``role``, always to the asker's own."""
    return None if asker.may(Scope.AUDIT) and role is None else asker.participant or _NOBODY


def may_see(asker: Asker, parties: frozenset[Bytes32]) -> bool:
    """Whether the asker is among the parties, or audits."""
    return asker.may(Scope.AUDIT) or asker.participant in parties


def require_party(asker: Asker, parties: frozenset[Bytes32], what: str) -> None:
    """Check that the asker is among the parties, or audits. Raises: NotFoundError: it may not know of it."""
    if not may_see(asker, parties):
        raise NotFoundError(f"there is no {what} that you may know of")
