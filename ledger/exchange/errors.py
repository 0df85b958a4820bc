"""Errors that the exchange adds to the tree."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.errors import MalformedError, NotFoundError, RefusedError

__all__ = ["ErasedError", "ForbiddenError", "NoSuchRangeError"]


class ForbiddenError(RefusedError):
    """The asker may not do this (403): its key lacks the scope, is another participant's, or access is not permitted.

    ``code`` is ``missing-scope``, ``not-yours`` or one of the access codes (``no-grant``, ``grant-revoked``, ...).
    """


class ErasedError(NotFoundError):
    """The version was erased (410). ``facts`` name its tombstone, the digest of the ``Erasure`` in the log."""

    code = "version-erased"

    def __init__(self, message: str, *, facts: Mapping[str, object]) -> None:
        super().__init__(message)
        self.facts: dict[str, object] = dict(facts)


class NoSuchRangeError(MalformedError):
    """The file has no byte of the range that was asked for (416). ``size_bytes`` is the file's."""

    def __init__(self, message: str, *, size_bytes: int) -> None:
        super().__init__(message)
        self.size_bytes = size_bytes
