"""What the doctor found: each check's end, and a fix by the kind of what went wrong."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from ledger.errors import FatalError, LedgerError, NotFoundError

__all__ = ["Check", "FindingError", "MissingError", "Standing", "judge", "need"]

_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_SQLITE_DENIED: Final = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
_SQLITE_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

T = TypeVar("T")


class Standing(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``fix`` says what to do where it failed."""

    name: str
    standing: Standing
    detail: str
    fix: str | None = None


class FindingError(LedgerError):
    """Something is not as it should be, and what to do."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.fix = fix


class MissingError(LedgerError):
    """A check before failed."""


_ALLOW: Final = (
    "let the user that the gateway runs as read and write its folder: `chown -R USER: HOME` as root, on a file system "
    "that is not mounted read-only"
)
_RESTORE: Final = (
    "stop the gateway and keep its folder; `concord restore BACKUP NEW-HOME --mirror HOME/log` makes a whole folder of "
    "a backup and says what it lacks"
)
_FIXES: Final[dict[str, str]] = {
    "settings": "correct it in the environment, or in the file that the unit reads (/etc/concord/environment)",
    "configuration": "put the file back from a backup (`concord restore` makes a whole folder of one)",
    "keys": "set CONCORD_PASSPHRASE to the keystore's, or put the file back from a backup",
    "remote signer": "see that it runs, holds the key and is reached from here; nothing is sent until it signs again",
    "key service": "check that it runs and is unsealed, that CONCORD_KMS_TOKEN_FILE (or CONCORD_KMS_TOKEN) is good, "
    "and what its policy allows: docs/operating/key-service.md. Deliveries wait until it answers",
    "database": "check CONCORD_DATABASE_URL and that the database runs",
    "chain": "check that the node runs and that its URL in gateway.json is right; of a running gateway: CONCORD_URL",
    "contracts": "ask another node; if it differs from this one, stop and compare with other members",
    "disk": "check that the disk is mounted",
    "content": "check CONCORD_CONTENT_URL, that the store runs, and what the environment says of its credentials",
    "log": "stop the gateway; `concord log recover --from URL|FOLDER` brings the files back from a mirror or a backup",
    "texts": "stop the gateway; `concord log recover --from URL|FOLDER` brings the log's files back",
}
_MISSING: Final = {
    "keys": "put the file back from a backup's folder `keys`; the passphrase is that of the backup's moment",
    "chain": _RESTORE,
}
_DAMAGED: Final = {"database": _RESTORE, "chain": _RESTORE}


def judge(name: str, look: Callable[[], str]) -> Check:
    """Look, and say how that ended; ``look`` raises what it finds."""
    try:
        return Check(name, Standing.OK, look())
    except MissingError:
        return Check(name, Standing.SKIPPED, "not looked at: what it needs failed")
    except FindingError as finding:
        return Check(name, Standing.FAILED, str(finding), finding.fix)
    except (LedgerError, OSError) as error:
        return Check(name, Standing.FAILED, _tell(error), _fix_of(name, error))


def need(value: T | None) -> T:
    """What a check before brought. Raises: MissingError: it failed."""
    if value is None:
        raise MissingError
    return value


def _tell(error: LedgerError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} can not be used: {error.strerror}"
    return str(error)


def _fix_of(name: str, error: Exception) -> str:
    """By the kind of the error, and else by what was looked at."""
    causes = list(_causes_of(error))
    codes = [str(getattr(each, "sqlite_errorname", "")) for each in causes]
    if any(isinstance(each, OSError) and each.errno in _DENIED for each in causes):
        return _ALLOW
    if any(code.startswith(_SQLITE_DENIED) for code in codes):
        return _ALLOW
    if name in _DAMAGED and (isinstance(error, FatalError) or any(code.startswith(_SQLITE_DAMAGED) for code in codes)):
        return _DAMAGED[name]
    if name in _MISSING and isinstance(error, NotFoundError):
        return _MISSING[name]
    return _FIXES.get(name, "the sentence says it")


def _causes_of(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
