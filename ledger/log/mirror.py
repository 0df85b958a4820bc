"""A log as anyone reads it: the paths of c2sp.org/tlog-tiles below a folder or a URL, by the standard library alone.

A mirror is never believed: what is read counts after it hashes to a checkpoint that somebody signed or a chain keeps.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.log.deadline import Deadline, open_in_time
from ledger.log.reader import CHECKPOINT_PATH, TileReader
from ledger.log.tiles import ENTRIES, TILE_WIDTH, Tile, encode_bundle
from ledger.merkle import HASH_SIZE_BYTES

__all__ = ["Mirror"]

_MAX_FILE_SIZE_BYTES: Final = TILE_WIDTH * (2 + 0xFFFF)  # the largest entry bundle
_USER_AGENT: Final = "concord-auditor"
_GONE: Final = frozenset({404, 410})


class Mirror:
    """A log's files: ``Mirror("/srv/mirror")`` or ``Mirror("https://gateway.example/v1/log")``."""

    def __init__(self, location: str, *, timeout_s: float = 10.0, total_s: float = 60.0) -> None:
        """Raise MalformedError when ``location`` is a URL that is not one of HTTP.

        A server may be silent for ``timeout_s`` and take ``total_s`` for one file, redirections included.
        """
        self._timeout_s = timeout_s
        self._total_s = total_s
        self._url: str | None = None
        self._folder = Path(location)
        if "://" in location:
            self._url = location.rstrip("/")
            self.name = _host_of(location)
        else:
            self.name = location

    def fetch(self, path: str) -> bytes | None:
        """Return what lies at ``path`` below the log's prefix, None where there is nothing.

        Raises:
            UnavailableError: disk, network or server failed.
        """
        return self._fetch_file(path) if self._url is None else self._fetch_url(f"{self._url}/{path}", path)

    def fetch_checkpoint(self) -> bytes:
        """Return the signed checkpoint, not verified. Raises: NotFoundError: there is no log; UnavailableError."""
        note = self.fetch(CHECKPOINT_PATH)
        if note is None:
            raise NotFoundError(f"no log at {self.name}: it has no checkpoint")
        return note

    def fetch_tile(self, tile: Tile) -> bytes | None:
        """Return a tile or bundle, cut out of the full one where the partial one is gone; None: there is neither.

        Raises:
            UnavailableError: as `fetch`.
        """
        found = self.fetch(tile.path)
        if found is None and tile.width < TILE_WIDTH:
            full = self.fetch(Tile(tile.level, tile.index).path)
            found = None if full is None else _cut(full, tile)
        return found

    def reader(self, size: int) -> TileReader:
        """Return a reader of the tree of ``size``; what is missing is an UnavailableError."""
        return _MirrorReader(self, lambda: size)

    def _fetch_file(self, path: str) -> bytes | None:
        try:
            return (self._folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UnavailableError(f"{path} in {self.name} can not be read: {error.strerror}") from error

    def _fetch_url(self, url: str, path: str) -> bytes | None:
        request = urllib.request.Request(url, headers={"User-Agent": _USER_AGENT})  # noqa: S310 - scheme was checked
        try:
            with open_in_time(request, Deadline(self._timeout_s, self._total_s)) as response:
                raw: bytes = response.read(_MAX_FILE_SIZE_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _GONE:
                return None
            raise UnavailableError(f"{self.name} answered HTTP status {error.code} for {path}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise UnavailableError(f"{self.name} does not answer: {error}") from error
        if len(raw) > _MAX_FILE_SIZE_BYTES:
            raise UnavailableError(f"{self.name} answered more for {path} than any tile has")
        return raw


class _MirrorReader(TileReader):
    def __init__(self, mirror: Mirror, size: Callable[[], int]) -> None:
        super().__init__(Path(mirror.name), size)
        self._mirror = mirror

    def _read(self, path: str) -> bytes:
        found = self._mirror.fetch(path) if path == CHECKPOINT_PATH else self._mirror.fetch_tile(Tile.parse(path))
        if found is None:
            raise UnavailableError(f"{self._mirror.name} has no {path}")
        return found


def _host_of(url: str) -> str:
    """Name a URL without what may be secret in it."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise MalformedError(f"not a log's URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise MalformedError("a log's URL begins with http:// or https:// and names a host")
    return parts.hostname + (f":{port}" if port else "") + parts.path.rstrip("/")


def _cut(full: bytes, tile: Tile) -> bytes | None:
    """Cut a partial tile out of the full one; None where the full one is no such file."""
    if tile.level != ENTRIES:
        return full[: tile.width * HASH_SIZE_BYTES]
    entries: list[bytes] = []
    at = 0
    while len(entries) < tile.width:
        end = at + 2 + int.from_bytes(full[at : at + 2], "big")
        if at + 2 > len(full) or end > len(full):
            return None
        entries.append(full[at + 2 : end])
        at = end
    return encode_bundle(entries)
