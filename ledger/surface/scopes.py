"""What an API key may do."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Scope"]


class Scope(StrEnum):
    """What an API key may do."""

    READ = "read"  # its participant's own things
    WRITE = "write"  # state in its participant's name
    AUDIT = "audit"  # read every statement, document and evidence
    OPERATE = "operate"  # create keys for anyone, see operations
    APPLY = "apply"  # file an application, and nothing else
