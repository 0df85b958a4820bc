"""Every error that Concord raises, as one tree.

    LedgerError
    |- MalformedError      the bytes are not what they claim to be
    |- VerificationError   well formed, and false: a finding
    |- UnavailableError    could not find out; never reported as "invalid"
    |- RefusedError        the ledger said no (facts as attributes)
    |- NotFoundError
    |- ConflictError
    `- FatalError          going on could sign a forked history: stop

Caller bugs raise ValueError or RuntimeError. Facts are attributes; ``str()`` is the sentence: what happened,
to which object, and what to do next. No secret, environment or payload stands in a message.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "ConflictError",
    "FatalError",
    "LedgerError",
    "MalformedError",
    "NotFoundError",
    "RefusedError",
    "UnavailableError",
    "VerificationError",
]


class LedgerError(Exception):
    """Root of the tree; never raised itself."""


class MalformedError(LedgerError):
    """The bytes are not what they claim to be."""


class VerificationError(LedgerError):
    """Well formed, and false: a finding.

    ``expected`` and ``found`` carry both values when the finding is a comparison.
    """

    def __init__(self, message: str, *, expected: object = None, found: object = None) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found


class UnavailableError(LedgerError):
    """Could not find out; says nothing about truth. ``retry_after_s`` is when to come back, in seconds."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(LedgerError):
    """The ledger's rules said no.

    ``code`` is a stable kebab-case word (``grant-revoked``), ``facts`` what the rule compared. A refusal by a
    contract has the kebab form of its Solidity error's name as its code (``AccessGrantsNotProvider`` gives
    ``access-grants-not-provider``) and the error's arguments as its facts.
    """

    def __init__(self, message: str, *, code: str, facts: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.facts: dict[str, object] = dict(facts or {})


class NotFoundError(LedgerError):
    """No such object, or the asker may not know of it."""


class ConflictError(LedgerError):
    """The request does not fit the present state; ``code`` is a stable kebab-case word (``not-final``)."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "conflict",
        facts: Mapping[str, object] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.facts: dict[str, object] = dict(facts or {})
        self.retry_after_s = retry_after_s


class FatalError(LedgerError):
    """Going on could sign a forked history: the process must stop and a person must look."""
