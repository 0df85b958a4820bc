"""The exit codes that errors end with, and commands whose exit code 1 is a finding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ledger.errors import LedgerError, MalformedError, NotFoundError, UnavailableError

__all__ = ["exit_code_of", "finding_out"]

_REFUSED: Final = 1
_EXIT_CODES: Final[tuple[tuple[type[LedgerError], int], ...]] = (
    (NotFoundError, 4),
    (UnavailableError, 2),
    (MalformedError, 3),
)
_NOT_YET: Final = frozenset({"not-final", "outside-range", "folder-in-use", "log-in-use"})
"""Not yet, or not under the policy that was given; and what another process holds for now."""
_WRONG_USAGE: Final = frozenset({"wrong-chain"})
_NOT_PERMITTED: Final = frozenset(
    {
        "unauthorized", "missing-scope", "not-yours", "no-grant", "grant-revoked", "grant-expired",
        "grant-not-yet-valid", "participant-suspended", "dataset-retired", "right-not-granted",
        "wrong-passphrase", "unknown-kms",
    }
)  # fmt: skip


def exit_code_of(error: LedgerError) -> int:
    """The documented exit code of an error."""
    code = getattr(error, "code", None)
    if code in _NOT_PERMITTED:
        return 4
    if code in _NOT_YET:
        return 2
    if code in _WRONG_USAGE:
        return 3
    return next((number for kind, number in _EXIT_CODES if isinstance(error, kind)), _REFUSED)


@contextmanager
def finding_out(what: str) -> Iterator[None]:
    """Let nothing that goes wrong here end with 1, which says of ``what`` that it was found out.

    Raises:
        UnavailableError: it was not; says why.
    """
    try:
        yield
    except LedgerError as error:
        if exit_code_of(error) != _REFUSED:
            raise
        raise UnavailableError(f"{what} could not be found out: {error}") from error
