"""What becomes of a delivery that did not go on: tried again by itself and when, or left for its consumer."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ledger.errors import LedgerError, MalformedError, NotFoundError, UnavailableError, VerificationError

__all__ = ["Failure", "judge_failure"]

_LONGEST_PAUSE_S: Final = 300.0
_GIVEN_UP_AFTER: Final = timedelta(hours=24)
_FEW: Final = 4
_UNDER_WAY: Final = frozenset({"sealing-under-way", "transfer-under-way"})
"""What the provider's gateway is just doing, and what ends by itself."""
_PASSING: Final = frozenset({"key-not-active"})
"""What a few tries mend, where it is mended at all: a key that is being rotated."""
_CODES: Final[tuple[tuple[type[LedgerError], str], ...]] = (
    (UnavailableError, "unavailable"),
    (NotFoundError, "not-found"),
    (VerificationError, "verification-failed"),
    (MalformedError, "malformed"),
)
_START_AGAIN: Final = "Started again, it goes on with what was received"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why it did not go on; ``pause_s`` until it is tried again, None: not by itself."""

    code: str
    detail: str
    pause_s: float | None


def judge_failure(error: LedgerError | OSError, tries: int, idle: timedelta) -> Failure:
    """What becomes of it after ``tries`` that brought nothing, one after the other, ``idle`` since one did."""
    if isinstance(error, OSError):
        return _judge_disk(error)
    code = str(
        getattr(error, "code", None) or next((word for kind, word in _CODES if isinstance(error, kind)), "failed")
    )
    lasts = isinstance(error, UnavailableError) or code in _UNDER_WAY
    # A transfer whose sealing was replaced is not found any more: the next try begins another one.
    passes = isinstance(error, NotFoundError) or code in _PASSING
    if (lasts and idle < _GIVEN_UP_AFTER) or (passes and tries < _FEW):
        asked = getattr(error, "retry_after_s", None) or 0.0
        return Failure(code, str(error), min(max(asked, 2.0 ** min(tries - 1, 10)), _LONGEST_PAUSE_S))
    return Failure(code, f"{str(error).rstrip('.')}. {_START_AGAIN}", None)


def _judge_disk(error: OSError) -> Failure:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "is full" if is_full else f"failed ({error.strerror or type(error).__name__})"
    code = "disk-full" if is_full else "disk-failed"
    return Failure(code, f"the gateway's disk {what}: tell its operator. {_START_AGAIN}", None)
