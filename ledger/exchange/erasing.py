"""Versions erased as their providers state it: keys, salt and manifest at once, then the objects.

What is due follows from the logged statements: one that was cut short, or whose database is of before it, is carried
out when the gateway runs again. Until an object is gone the database says that it is to go.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Final

from ledger.exchange.errors import ErasedError
from ledger.exchange.parts import Parts
from ledger.exchange.sealings import Sealings
from ledger.store.rows import ErasureRow, VersionRow
from ledger.types import Bytes32

__all__ = ["Erasing", "check_kept"]

_LOOK_AGAIN_S: Final = 1.0
_logger = logging.getLogger(__name__)


def check_kept(version: VersionRow) -> None:
    """Check that a version was not erased. Raises: ErasedError."""
    if version.erased is not None:
        raise ErasedError(
            f"version {version.version} was erased by its provider: its data are not kept here any more",
            facts={"tombstone": str(version.erased), "registration": str(version.registration)},
        )


class Erasing:
    """The step of a worker of its own, and what uploads tell it."""

    def __init__(self, parts: Parts, sealings: Sealings) -> None:
        self._parts = parts
        self._sealings = sealings
        self._rows = parts.store.erasures
        self._lock = threading.Lock()
        self._arriving: Counter[Bytes32] = Counter()

    @contextmanager
    def arriving(self, sha256: Bytes32) -> Iterator[None]:
        """While a file arrives its object is not removed for good: look after this whether it may come at all."""
        with self._lock:
            self._arriving[sha256] += 1
        try:
            yield
        finally:
            with self._lock:
                self._arriving[sha256] -= 1
                if not self._arriving[sha256]:
                    del self._arriving[sha256]

    def is_any_going(self, sha256s: Set[Bytes32]) -> bool:
        """Whether the object of one of these files is about to be removed."""
        return self._rows.is_any_to_be_removed(sha256s)

    async def step(self) -> bool | float:
        """Carry out what is due; the seconds until the next look.

        Raises:
            UnavailableError: the store or the database failed; what of it is done is known.
        """
        for erasure in await asyncio.to_thread(self._rows.list_due):
            if await asyncio.to_thread(self._carry_out, erasure):
                await self._sealings.destroy(erasure.registration)
        await self._remove()
        return _LOOK_AGAIN_S

    def _carry_out(self, erasure: ErasureRow) -> bool:
        """Whether it was; a registration that the database lost is waited for, and only its provider's word counts."""
        now, version = self._parts.now(), self._parts.store.datasets.find_registration(erasure.registration)
        if version is None or version.erased is None:
            return False
        with self._parts.store.transaction():
            self._parts.store.sealings.erase(erasure.registration, now)
            self._rows.carry_out(erasure, now)
        _logger.info("version %d of %s is erased: %s", erasure.version, erasure.dataset, erasure.statement)
        return True

    async def _remove(self) -> None:
        last: Bytes32 | None = None
        while found := await asyncio.to_thread(self._rows.list_removals, after=last):
            for sha256 in found:
                with self._lock:
                    is_arriving = sha256 in self._arriving  # what comes from now on is refused
                await self._parts.content.delete_file(sha256)
                if not is_arriving:
                    await asyncio.to_thread(self._rows.mark_removed, sha256)
            last = found[-1]
