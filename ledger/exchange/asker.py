"""Who asks: the bearer of an API key, or nobody."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.surface.scopes import Scope
from ledger.types import Bytes32

__all__ = ["NOBODY", "Asker", "Scope"]


@dataclass(frozen=True, slots=True)
class Asker:
    """The bearer of an API key: ``Asker(utility_id, frozenset({Scope.READ}), "k3f9")``."""

    participant: Bytes32 | None = None
    scopes: frozenset[Scope] = field(default_factory=frozenset)
    api_key: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the key has ``scope``."""
        return scope in self.scopes


NOBODY = Asker()
"""Who brings no key."""
