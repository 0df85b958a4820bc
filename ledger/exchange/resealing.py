"""Versions sealed anew by themselves, once somebody who has the key, or sealed data, may not have them any more.

What is due follows from what is stored and on chain alone: a current sealing of which something was given under a
grant that is over. Its successor was given to nobody yet, so that each grant brings one sealing, whatever is killed or
repeated. Until the successor is stated the old one stays, for those who are still permitted; where nobody is, it ends,
and the next transfer seals the version again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from ledger.errors import ConflictError, LedgerError, UnavailableError
from ledger.exchange.parts import Parts
from ledger.exchange.permission import Permission
from ledger.exchange.sealings import Sealings
from ledger.exchange.transfers import Transfers
from ledger.store.rows import VersionRow
from ledger.types import Bytes32

__all__ = ["Resealing"]

_LOOK_AGAIN_S: Final = 1.0
_TRY_AGAIN_S: Final = 60.0
"""How long a version rests that can not be sealed anew, for a reason that time alone may not heal."""
_REMIND_AGAIN_S: Final = 3600.0
_PASSING: Final = frozenset({"sealing-under-way", "transfer-under-way"})
_logger = logging.getLogger(__name__)


class Resealing:
    """The step of a worker of its own: a version of any size holds up nobody else."""

    def __init__(self, parts: Parts, permission: Permission, sealings: Sealings, transfers: Transfers) -> None:
        self._parts = parts
        self._permission = permission
        self._sealings = sealings
        self._transfers = transfers
        self._resting: dict[Bytes32, float] = {}

    async def step(self) -> bool | float:
        """Replace or end all that is due, each on its own; the seconds until the next look.

        Raises:
            UnavailableError: a store, the chain or the database failed; what could be done without it was.
        """
        await self._sealings.remove_ended()
        failure: UnavailableError | None = None
        for registration in await asyncio.to_thread(self._list_due):
            try:
                await self._renew(registration)
            except UnavailableError as error:
                failure = error
            except ConflictError as error:
                if error.code not in _PASSING:
                    self._let_rest(registration, error)
            except LedgerError as error:
                self._let_rest(registration, error)
        if failure is not None:
            raise failure
        return _LOOK_AGAIN_S

    def _list_due(self) -> list[Bytes32]:
        """Registrations of versions with a grant that is over, by the contract's word too."""
        due: dict[Bytes32, None] = {}
        for registration, grant in self._parts.store.transfers.list_ended(self._parts.now()):
            if registration in due or self._resting.get(registration, 0.0) > time.monotonic():
                continue
            version = self._parts.store.datasets.find_registration(registration)
            if version is not None and not self._permission.is_live(grant, version):
                due[registration] = None
        return list(due)

    async def _renew(self, registration: Bytes32) -> None:
        version = await asyncio.to_thread(self._parts.store.datasets.find_registration, registration)
        if version is None:
            return
        if not await asyncio.to_thread(self._permission.permits_anybody, version):
            await self._end(version, "nobody is permitted any more")
            return
        current = await asyncio.to_thread(self._sealings.current, registration)
        if current is not None and not await asyncio.to_thread(self._sealings.holds_key, current.id):
            self._leave_to_client(version)
            return
        try:
            await asyncio.to_thread(self._transfers.release_owed, registration)
            sealed = await self._sealings.replace(registration)
        except ConflictError as error:
            if error.code != "no-custodial-key":
                raise
            await self._end(version, "its successor waits for its provider's signature")
            return
        _tell(version, f"sealed anew as {sealed.id}")

    def _leave_to_client(self, version: VersionRow) -> None:
        """Its key is not here, and its plaintext need not be: its provider's next push seals it anew."""
        self._resting[version.registration] = time.monotonic() + _REMIND_AGAIN_S
        _tell(version, "and its sealing is its provider's own: `concord dataset push --if-changed` there seals it anew")

    async def _end(self, version: VersionRow, why: str) -> None:
        await self._sealings.end(version.registration)
        _tell(version, f"its sealing has ended: {why}")

    def _let_rest(self, registration: Bytes32, error: LedgerError) -> None:
        self._resting[registration] = time.monotonic() + _TRY_AGAIN_S
        _logger.warning("the version registered as %s is not sealed anew yet: %s", registration, error)


def _tell(version: VersionRow, what: str) -> None:
    _logger.info("version %d of %s: a grant of it is over, %s", version.version, version.dataset, what)
