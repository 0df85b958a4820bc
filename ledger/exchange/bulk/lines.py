"""A stream of bytes, cut into blocks of whole lines."""

from __future__ import annotations

from typing import Final

from ledger.checking import MAX_LINE_BYTES

__all__ = ["LineCutter"]

_NEWLINE: Final = b"\n"
_TOO_LONG: Final = b"x" * (MAX_LINE_BYTES + 1) + _NEWLINE


class LineCutter:
    """Takes bytes as they come and gives blocks that end with a newline, at least ``block_bytes`` of them if it can.

    Of a line that is too long no more is kept than shows that.
    """

    def __init__(self, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._tail = b""
        self._is_skipping = False

    @property
    def has_lines(self) -> bool:
        """Whether whole lines are kept that no block has had yet."""
        return bool(self._pieces)

    def feed(self, data: bytes) -> bytes:
        """Take more bytes; a block when enough has come, else nothing."""
        if self._is_skipping:
            _, newline, data = data.partition(_NEWLINE)
            if not newline:
                return b""
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
        return self.flush() if self._size >= self._block_bytes else b""

    def flush(self) -> bytes:
        """The whole lines so far."""
        block = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return block

    def finish(self) -> bytes:
        """The rest, with a last line that has no newline."""
        if self._tail:
            self._keep(self._tail + _NEWLINE)
            self._tail = b""
        return self.flush()

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
