"""The log as C2SP lays it out, and proofs. Public."""

from __future__ import annotations

from ledger.errors import NotFoundError
from ledger.exchange.parts import Parts

__all__ = ["PublicLog"]


class PublicLog:
    """`gateway.log`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def checkpoint(self) -> bytes:
        """The latest signed checkpoint."""
        return self._parts.sequencer.note

    def tile(self, path: str) -> bytes:
        """A tile or entry bundle by its C2SP path (``tile/0/000.p/3``). Raises: NotFoundError."""
        return self._parts.sequencer.reader.resource(path)

    def entry(self, index: int) -> bytes:
        """One entry, 97 bytes. Raises: NotFoundError."""
        return self._parts.sequencer.reader.entry(index)

    def prove_inclusion(self, index: int, size: int | None = None) -> tuple[int, tuple[bytes, ...]]:
        """The size proved for (None: the latest checkpoint's), and the hashes. Raises: NotFoundError."""
        size = self._parts.sequencer.size if size is None else size
        return size, tuple(self._parts.sequencer.reader.prove_inclusion(index, size))

    def prove_consistency(self, first: int, second: int | None = None) -> tuple[int, tuple[bytes, ...]]:
        """The second size (None: the latest checkpoint's), and the hashes. Raises: NotFoundError."""
        second = self._parts.sequencer.size if second is None else second
        if first > second:
            raise NotFoundError(f"no consistency proof from size {first} to size {second}")
        return second, tuple(self._parts.sequencer.reader.prove_consistency(first, second))
