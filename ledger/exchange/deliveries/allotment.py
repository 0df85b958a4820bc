"""How much of the disk deliveries may take: decided before any data is fetched."""

from __future__ import annotations

import shutil
from typing import Final

from ledger.errors import RefusedError
from ledger.exchange.deliveries.places import Place
from ledger.exchange.parts import Parts
from ledger.types import Bytes32

__all__ = ["Allotment"]

_SPARE_BYTES: Final = 64 << 20
"""Of the disk, which others need: database, log and chain."""


class Allotment:
    """Reserves disk for deliveries."""

    def __init__(self, parts: Parts) -> None:
        self._most_bytes = parts.settings.deliveries_most_bytes
        self._rows = parts.store.deliveries

    def reserve(self, delivery: Bytes32, place: Place, needed: int) -> None:
        """Reserve as much as a delivery needs while it is opened: the sealed data and the files.

        Raises:
            RefusedError: ``no-room``: of what deliveries may take too little is left, or of the disk.
        """
        left = self._rows.reserve(delivery, needed, self._most_bytes)
        if left is not None:
            raise _refuse(
                f"{needed} bytes are needed, and {left} are left of the {self._most_bytes} that deliveries may take: "
                "cancel some that you have read, or ask the operator to raise CONCORD_DELIVERIES_MOST_BYTES",
                needed,
                left,
            )
        free = max(shutil.disk_usage(place.folder).free - _SPARE_BYTES, 0)
        lacking = needed - place.received_bytes
        if lacking > free:
            self._rows.change(delivery, reserved_bytes=0)
            raise _refuse(
                f"{lacking} bytes are needed, and the gateway's disk has {free}: cancel deliveries that you have read, "
                "or ask the operator for room",
                lacking,
                free,
            )


def _refuse(sentence: str, needed: int, left: int) -> RefusedError:
    return RefusedError(sentence, code="no-room", facts={"needed": needed, "left": left})
