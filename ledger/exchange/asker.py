"""Who asks: the bearer of an API key, or nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ledger.types import Bytes32

__all__ = ["NOBODY", "Asker", "Scope"]


class Scope(StrEnum):
    """What an API key may do."""

    READ = "read"  # its participant's own things
    WRITE = "write"  # state in its participant's name
    AUDIT = "audit"  # read every statement, document and evidence
    OPERATE = "operate"  # create keys for anyone, see operations
    APPLY = "apply"  # file an application, and nothing else


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
