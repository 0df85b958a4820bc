"""Errors that the exchange adds to the tree."""

from __future__ import annotations

from ledger.errors import RefusedError

__all__ = ["ForbiddenError"]


class ForbiddenError(RefusedError):
    """The asker may not do this (403): its key lacks the scope, is another participant's, or access is not permitted.

    ``code`` is ``missing-scope``, ``not-yours`` or one of the access codes (``no-grant``, ``grant-revoked``, ...).
    """
