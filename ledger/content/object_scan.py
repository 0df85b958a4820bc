"""From a prefix of an object store to its manifest and chunk hashes: as of a folder, window by window."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import HTTPStore, ObjectStore

from ledger.content.cache import HashCache, Mark
from ledger.content.intake import ChunkJoiner
from ledger.content.manifest import CHUNK_SIZE_BYTES, MAX_FILES
from ledger.content.objects import DEFAULT_PATIENCE, Patience, open_objects
from ledger.content.paths import normalize_path, printable
from ledger.content.placement import translate_errors
from ledger.content.reading import FileHasher
from ledger.content.scan import Hashed, ProgressCallback, Reporter, ScannedContent, collect_content, run_crew
from ledger.content.walking import file_changed
from ledger.errors import MalformedError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

__all__ = ["DEFAULT_READERS", "scan_objects", "scan_store"]

DEFAULT_READERS: Final = 8
_WINDOW_SIZE_BYTES: Final = 4 * CHUNK_SIZE_BYTES
_AHEAD: Final = 2
_STORE: Final = "the object store"


@dataclass(frozen=True, slots=True)
class _FoundObject:
    """An object below the prefix: its manifest path, its key, and what tells its content from another."""

    path: str
    key: str
    size_bytes: int
    e_tag: str | None
    modified_us: int

    @property
    def mark(self) -> Mark:
        return self.size_bytes, self.modified_us, self.e_tag or ""


def scan_objects(
    location: str,
    options: Mapping[str, str] | None = None,
    *,
    readers: int = DEFAULT_READERS,
    progress: ProgressCallback | None = None,
    cache: HashCache | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> ScannedContent:
    """Hash every object below ``location`` (``s3://bucket/prefix``), or the one that it names; over HTTP that alone.

    Paths are the keys below the prefix. ``readers`` threads read, each ``2 * 4 MiB`` ahead of what it hashes. An object
    that is replaced meanwhile is noticed by its ETag, or where there is none by size and time.

    Raises:
        NotFoundError: nothing is there.
        MalformedError: an address that is none (`open_objects`), too many objects, a key that no manifest can hold, two
            that differ only in case.
        ConflictError: an object appeared, vanished or changed meanwhile (code ``file-changed``).
        UnavailableError: the store can not be reached, or does not let us.
    """
    objects, name = _open_parent(location, options, patience)
    return scan_store(objects, name, readers=readers, progress=progress, cache=cache)


def scan_store(
    objects: ObjectStore,
    name: str,
    *,
    readers: int = DEFAULT_READERS,
    progress: ProgressCallback | None = None,
    cache: HashCache | None = None,
) -> ScannedContent:
    """Hash every object of an open store below ``name``, or the one of that name.

    Raises:
        LedgerError: as `scan_objects`.
    """
    found = _list_objects(objects, name)
    reporter = Reporter([each.size_bytes for each in found], progress)
    with ThreadPoolExecutor(readers * _AHEAD) as fetching:
        crew = _Readers(objects, found, reporter, cache, fetching)
        run_crew(crew.work, readers, reporter)
    _check_unchanged(found, _list_objects(objects, name))
    return collect_content([crew.results[each.path] for each in found])


class _Readers:
    def __init__(
        self,
        objects: ObjectStore,
        found: Sequence[_FoundObject],
        reporter: Reporter,
        cache: HashCache | None,
        fetching: ThreadPoolExecutor,
    ) -> None:
        self.results: dict[str, Hashed] = {}
        self._objects = objects
        self._left = deque(sorted(found, key=lambda each: -each.size_bytes))
        self._lock = threading.Lock()
        self._reporter = reporter
        self._cache = cache
        self._fetching = fetching

    def work(self) -> None:
        """Take object after object. Raises: what `scan_objects` does, StopScanError."""
        while True:
            with self._lock:
                if not self._left:
                    return
                found = self._left.popleft()
            self.results[found.path] = self._hash(found)
            self._reporter.count(files=1)

    def _hash(self, found: _FoundObject) -> Hashed:
        known = None if self._cache is None else self._cache.find(found.path, found.mark)
        if known is not None:
            self._reporter.count(size_bytes=found.size_bytes)
            return known
        started_ns = time.time_ns()
        hasher, joiner, left = FileHasher(), ChunkJoiner(), found.size_bytes
        for window in self._read(found):
            left -= len(window)
            for chunk in joiner.cut(window, is_last=not left):
                hasher.update(chunk)
                self._reporter.count(size_bytes=len(chunk))
        hashed = hasher.to_entry(found.path), tuple(hasher.leaf_hashes)
        if self._cache is not None and found.e_tag is not None:
            self._cache.add([(hashed, found.mark, started_ns)])
        return hashed

    def _read(self, found: _FoundObject) -> Iterator[bytes]:
        """Yield windows in order, the next ones on their way."""
        coming: deque[Future[bytes]] = deque()
        for start in range(0, found.size_bytes, _WINDOW_SIZE_BYTES):
            coming.append(self._fetching.submit(_fetch, self._objects, found, start))
            if len(coming) == _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _fetch(objects: ObjectStore, found: _FoundObject, start: int) -> bytes:
    end = min(start + _WINDOW_SIZE_BYTES, found.size_bytes)
    options: GetOptions = {"range": (start, end)}
    if found.e_tag is not None and not found.e_tag.startswith("W/"):
        options["if_match"] = found.e_tag
    try:
        with translate_errors(f"read {printable(found.path)}", _STORE):
            answer = obstore.get(objects, found.key, options=options)
            window = bytes(answer.bytes())
    except NotFoundError as error:
        raise file_changed(found.path) from error
    except UnavailableError as error:
        if isinstance(error.__cause__, exceptions.PreconditionError):
            raise file_changed(found.path) from error
        raise
    if len(window) != end - start or _describe(answer.meta, found.path).mark != found.mark:
        raise file_changed(found.path)
    return window


def _open_parent(location: str, options: Mapping[str, str] | None, patience: Patience) -> tuple[ObjectStore, str]:
    """Open what is above the last segment of the address, since that may name one object or what is below it."""
    parts = urlsplit(location.rstrip("/"))
    above, _, name = parts.path.rpartition("/")
    return open_objects(parts._replace(path=above).geturl(), options, patience), unquote(name)


def _list_objects(objects: ObjectStore, name: str) -> list[_FoundObject]:
    """List what is below ``name``, or else ``name`` itself, in the order of a manifest."""
    if isinstance(objects, HTTPStore):  # the web lists nothing
        return [_find_object(objects, name)]
    found: list[_FoundObject] = []
    with translate_errors("list its objects", _STORE):
        for batch in obstore.list(objects, name or None):
            found += (_describe(meta, meta["path"].removeprefix(f"{name}/" if name else "")) for meta in batch)
            if len(found) > MAX_FILES:
                raise MalformedError(f"there are more than {MAX_FILES} objects: pack or split them")
    if not found and name:
        found.append(_find_object(objects, name))
    return sorted(found, key=lambda each: each.path.encode("utf-8"))


def _find_object(objects: ObjectStore, name: str) -> _FoundObject:
    with translate_errors(f"find {printable(name)}", _STORE):
        return _describe(obstore.head(objects, name), name)


def _describe(meta: ObjectMeta, path: str) -> _FoundObject:
    modified_us = int(meta["last_modified"].timestamp() * 1_000_000)
    return _FoundObject(normalize_path(path), meta["path"], meta["size"], meta["e_tag"], modified_us)


def _check_unchanged(before: Sequence[_FoundObject], after: Sequence[_FoundObject]) -> None:
    if changed := set(before) ^ set(after):
        raise file_changed(min(each.path for each in changed))
