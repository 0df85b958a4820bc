"""A way to a PostgreSQL server by which a commit may come late: its sender is cut off first, and hears of no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["LateCommits", "late_commits"]

_SOCKET: Final = ".s.PGSQL.5432"
_COMMIT: Final = b"COMMIT"
_PIECE: Final = 1 << 16


class LateCommits:
    """Hands on what goes either way; the next commit, when it is told so, waits and its connection ends."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._hold = threading.Event()
        self._held: tuple[socket.socket, bytes] | None = None

    def hold_next(self) -> None:
        """Keep the next commit back, and end its sender's connection."""
        self._hold.set()

    def let_land(self) -> None:
        """Hand the commit on that was kept back; the server carries it out when it gets there."""
        upstream, commit = self._take()
        upstream.sendall(commit)
        with suppress(OSError):  # the answer came already, and nobody takes it
            upstream.shutdown(socket.SHUT_RDWR)  # what was sent is read all the same

    def let_fail(self) -> None:
        """End the connection of the commit that was kept back, as if it never had been sent."""
        self._take()[0].shutdown(socket.SHUT_RDWR)

    def _take(self) -> tuple[socket.socket, bytes]:
        assert self._held is not None, "no commit is kept back"
        held, self._held = self._held, None
        return held

    def serve(self, listening: socket.socket) -> None:
        """Take connections until ``listening`` is closed."""
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                upstream = socket.socket(socket.AF_UNIX)
                upstream.connect(str(self._server / _SOCKET))
                for act in (self._hand_up, self._hand_down):
                    threading.Thread(target=act, args=(client, upstream), daemon=True).start()

    def _hand_up(self, client: socket.socket, upstream: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(_PIECE):
                if self._hold.is_set() and _COMMIT in data:
                    self._hold.clear()
                    self._held = upstream, data
                    client.shutdown(socket.SHUT_RDWR)
                    return
                upstream.sendall(data)
        with suppress(OSError):
            upstream.shutdown(socket.SHUT_RDWR)

    def _hand_down(self, client: socket.socket, upstream: socket.socket) -> None:
        with client, upstream, suppress(OSError):
            while data := upstream.recv(_PIECE):
                client.sendall(data)


@contextmanager
def late_commits(folder: Path, url: str) -> Iterator[tuple[LateCommits, str]]:
    """The way, and the URL of the same database by it; ``folder`` is a short path (a socket's has 107 bytes)."""
    base, _, server = url.partition("?host=")
    late = LateCommits(Path(server))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / _SOCKET))
        listening.listen()
        thread = threading.Thread(target=late.serve, args=(listening,), daemon=True)
        thread.start()
        try:
            yield late, f"{base}?host={folder}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(90)
        assert not thread.is_alive()
