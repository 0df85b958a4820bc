"""A stream of bytes, cut into blocks of whole lines."""

from __future__ import annotations

from typing import Final

from ledger.checking import MAX_LINE_BYTES

__all__ = ["LineCutter"]

_NEWLINE: Final = b"\n"
_TOO_LONG: Final = b"x" * (MAX_LINE_BYTES + 1) + _NEWLINE


class LineCutter:
    """Takes bytes as they come and gives blocks that end with a newline.

    A block is given when ``block_bytes`` of whole lines have come, or ``block_lines`` lines; it never has more of them.
    Of a line that is too long no more is kept than shows that.
    """

    def __init__(self, block_bytes: int, block_lines: int) -> None:
        self._block_bytes = block_bytes
        self._block_lines = block_lines
        self._pieces: list[bytes] = []
        self._size = 0
        self._lines = 0
        self._tail = b""
        self._is_skipping = False

    @property
    def has_lines(self) -> bool:
        """Whether whole lines are kept that no block has had yet."""
        return bool(self._pieces)

    def feed(self, data: bytes) -> list[bytes]:
        """Take more bytes; blocks when enough has come, else none."""
        if self._is_skipping:
            _, newline, data = data.partition(_NEWLINE)
            if not newline:
                return []
            self._is_skipping = False
        head, newline, tail = data.rpartition(_NEWLINE)
        if newline:
            self._keep(self._tail + head + newline)
            self._tail = tail
        else:
            self._tail += data
        if len(self._tail) > MAX_LINE_BYTES:
            self._keep(_TOO_LONG)
            self._tail, self._is_skipping = b"", True
        return self.flush() if self._size >= self._block_bytes or self._lines >= self._block_lines else []

    def flush(self) -> list[bytes]:
        """The whole lines so far: one block, or several where they are many."""
        block, lines = b"".join(self._pieces), self._lines
        self._pieces, self._size, self._lines = [], 0, 0
        if lines > self._block_lines:
            return _split(block, self._block_lines)
        return [block] if block else []

    def finish(self) -> list[bytes]:
        """The rest, with a last line that has no newline."""
        if self._tail:
            self._keep(self._tail + _NEWLINE)
            self._tail = b""
        return self.flush()

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        self._lines += piece.count(_NEWLINE)


def _split(block: bytes, most: int) -> list[bytes]:
    lines = block.split(_NEWLINE)[:-1]
    groups = (lines[first : first + most] for first in range(0, len(lines), most))
    return [_NEWLINE.join([*group, b""]) for group in groups]
