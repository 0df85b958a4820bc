"""Holding a home folder whose gateway does not run, so that none starts meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.exchange.settings import Home
from ledger.log.storage import FolderLock

__all__ = ["hold_home"]


@contextmanager
def hold_home(home: Home) -> Iterator[None]:
    """Hold the log's lock, which every running gateway holds.

    Raises:
        NotFoundError: no gateway was founded there.
        ConflictError: the gateway runs (``gateway-runs``).
        UnavailableError: the folder can not be written.
    """
    if not home.gateway_file.is_file():
        raise NotFoundError(f"no gateway was founded in {home.folder}: name its folder with --home")
    try:
        home.log_folder.mkdir(exist_ok=True)
        lock = FolderLock(home.log_folder)
    except ConflictError as error:
        raise ConflictError(
            f"the gateway of {home.folder} runs: stop it first ({error})", code="gateway-runs"
        ) from error
    except OSError as error:
        raise UnavailableError(f"the folder {home.log_folder} can not be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
