"""Where a line's values stand, learnt from one line and used for those that are laid out alike.

Lines of one program differ in their values and in nothing else. A line that was decoded tells between which bytes its
values stand; another one of the same length with the same bytes between them is cut at the same places, without looking
for members again. What a layout takes, the decoder takes with the same values; what does not fit it leaves alone.
"""

from __future__ import annotations

import re
import struct
from binascii import hexlify, unhexlify
from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, Self

__all__ = ["Layout"]

_STRING: Final = re.compile(rb'"([^"]*)"(\s*:)?')

_Parts = tuple[Any, ...]
_Pick = Callable[[_Parts], _Parts]


class Layout:
    """The places of ``words`` (hex after 0x, in this order) and ``numbers`` (decimal) in lines of one form."""

    def __init__(
        self, unpack: Callable[[bytes], _Parts], constants: _Parts, picks: tuple[_Pick, _Pick, _Pick], template: bytes
    ) -> None:
        """Use `learn`."""
        self._unpack = unpack
        self._constants = constants
        self._pick_words, self._pick_numbers, self._pick_message = picks
        self._template = template

    @classmethod
    def learn(cls, line: bytes, words: Sequence[str], numbers: Sequence[str], message: Sequence[str]) -> Self | None:
        """The layout of a line that was decoded and has no escape; None where a member has no place of its own.

        ``message`` names the members of the statement in their sorted order, those that are empty lists among them.
        """
        spans = _find_values(line, frozenset(words))
        if any(name not in spans for name in (*words, *numbers)):
            return None
        names = sorted((*words, *numbers), key=lambda name: spans[name])
        cuts = [0, *(place for name in names for place in spans[name]), len(line)]
        unpack = struct.Struct("".join(f"{end - first}s" for first, end in pairwise(cuts))).unpack
        places = {name: 2 * at + 1 for at, name in enumerate(names)}
        groups = words, numbers, [name for name in message if name in places]
        by_words, by_numbers, by_message = (_pick([places[name] for name in group]) for group in groups)
        template = _template(words, numbers, message)
        return cls(unpack, unpack(line)[0::2], (by_words, by_numbers, by_message), template)

    def read(self, line: bytes) -> tuple[bytes, Sequence[bytes], str] | None:
        """The bytes of all words, the digits of the numbers and the message's canonical JSON.

        The line is as long as the one that was learnt from; None where it has another form.
        """
        parts = self._unpack(line)
        if parts[0::2] != self._constants:
            return None
        digits = b"".join(self._pick_words(parts))
        message: bytes = self._template % self._pick_message(parts)
        try:
            raw, text = unhexlify(digits), message.decode("ascii")
        except ValueError:
            return None
        return (raw, self._pick_numbers(parts), text) if hexlify(raw) == digits else None  # else there are capitals


def _pick(places: Sequence[int]) -> _Pick:
    if len(places) > 1:
        return itemgetter(*places)
    (place,) = places
    return lambda parts: (parts[place],)


def _find_values(line: bytes, words: frozenset[str]) -> dict[str, tuple[int, int]]:
    """Between which bytes the strings stand that are values of members, 0x left out."""
    spans: dict[str, tuple[int, int]] = {}
    name = ""
    for found in _STRING.finditer(line):
        if found[2] is not None:
            name = found[1].decode(errors="replace")
        else:
            spans[name] = found.start(1) + 2 * (name in words), found.end(1)
    return spans


def _template(words: Sequence[str], numbers: Sequence[str], message: Sequence[str]) -> bytes:
    """The message's canonical JSON with a mark for each value."""
    told = {**dict.fromkeys(words, '"0x%b"'), **dict.fromkeys(numbers, '"%b"')}
    return ("{" + ",".join(f'"{name}":{told.get(name, "[]")}' for name in message) + "}").encode()
