"""The pinned ranges of an auditor's policy, as a request names them, and which of them a block is shown under."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import ConflictError, MalformedError, UnavailableError

__all__ = ["MOST_PINS", "Pin", "check_pins", "choose_pin", "parse_pins"]

MOST_PINS: Final = 256
_RETRY_AFTER_S: Final = 1.0
_RANGE: Final = re.compile(r"([0-9]{1,18})-([0-9]{0,18})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pin:
    """The blocks ``first`` to ``last`` of a policy: ``Pin(0, 581)``; without ``last`` an open epoch of validators."""

    first: int
    last: int | None = None

    def __str__(self) -> str:
        return f"{self.first}-{'' if self.last is None else self.last}"

    def holds(self, number: int) -> bool:
        """Whether the block is among its blocks."""
        return self.first <= number and (self.last is None or number <= self.last)


def parse_pins(texts: Iterable[str]) -> tuple[Pin, ...]:
    """Read ranges as a query names them: ``0-581``, ``582-`` or several with commas between.

    Raises:
        MalformedError: no range, or more than 256.
    """
    parts = [part for text in texts for part in text.split(",", MOST_PINS)]
    if len(parts) > MOST_PINS:
        raise MalformedError(f"more than {MOST_PINS} pinned ranges: name those of one policy")
    return tuple(map(_parse_pin, parts))


def check_pins(pins: Iterable[Pin], final: int, is_there: Callable[[int], bool]) -> None:
    """Check that ranges hold blocks, and one of them final ones.

    Raises:
        MalformedError: one holds none, or all reach beyond the chain.
        UnavailableError: all reach beyond the final blocks, one to a block that ``is_there``: it is final soon.
    """
    chosen = tuple(pins)
    wrong = next((pin for pin in chosen if not 0 <= pin.first <= (pin.first if pin.last is None else pin.last)), None)
    if wrong is None and chosen and all((pin.last or 0) > final for pin in chosen):
        wrong = min(chosen, key=lambda pin: pin.last or 0)
        if is_there(wrong.last or 0):
            raise _not_final(wrong, final)
    if wrong is not None:
        raise MalformedError(f"a pinned range is of final blocks, 0 to {final} now: {wrong} is not")


def choose_pin(pins: Sequence[Pin], number: int, *, final: int, is_sealed: bool) -> Pin:
    """The range under which a block is shown: by its seals where an open one holds it, else the last that does.

    Raises:
        ConflictError: none of them holds it (``outside-range``).
        UnavailableError: those that do reach beyond the final blocks: their root is not known here yet.
    """
    holding = [pin for pin in pins if pin.holds(number)]
    if not holding:
        told = ", ".join(map(str, pins[:8])) + (", ..." if len(pins) > 8 else "")
        raise ConflictError(
            f"block {number} lies outside the pinned range {told}: extend the policy",
            code="outside-range",
            facts={"block": number, "ranges": [str(pin) for pin in pins]},
        )
    open_ones = [pin for pin in holding if pin.last is None]
    if is_sealed and open_ones:
        return open_ones[-1]
    known = [pin for pin in holding if (pin.last or 0) <= final]
    if not known:
        raise _not_final(holding[-1], final)
    return known[-1]


def _not_final(pin: Pin, final: int) -> UnavailableError:
    return UnavailableError(
        f"the pinned range {pin} reaches beyond the final block here, {final} now: ask again soon",
        retry_after_s=_RETRY_AFTER_S,
    )


def _parse_pin(text: str) -> Pin:
    match = _RANGE.match(text)
    if match is None:
        raise MalformedError(f"range: {text[:40]!r} is no range of blocks: write FIRST-LAST, or FIRST- while open")
    return Pin(int(match[1]), int(match[2]) if match[2] else None)
