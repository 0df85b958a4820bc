"""Whether the files on a disk are those of a manifest, and if not, which one and which MiB of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ledger.content.chunks import ChunkIndex, derive_chunk_hashes
from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry, Manifest
from ledger.content.paths import printable
from ledger.content.reading import FileHasher, read_chunks
from ledger.content.scan import ProgressCallback, Reporter, default_workers, leaf_pool
from ledger.content.walking import FoundFile, Kind, walk_folder
from ledger.errors import ConflictError, UnavailableError

__all__ = ["FileFinding", "FileState", "FolderReport", "verify_folder"]


class FileState(StrEnum):
    """What became of a file that the manifest names."""

    MATCHED = "matched"
    CHANGED = "changed"
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class FileFinding:
    """The state of one file; ``detail`` says why in words.

    For a changed file of which the chunk hashes are known, ``chunk`` is the first wrong one, counted from 0, and
    ``first_byte`` to ``last_byte`` (included) its place, as far as the manifest's or the disk's file reaches.
    """

    path: str
    state: FileState
    detail: str = ""
    chunk: int | None = None
    first_byte: int | None = None
    last_byte: int | None = None


@dataclass(frozen=True, slots=True)
class FolderReport:
    """One finding for each file of the manifest, in its order, and the names that it does not know (printable)."""

    findings: tuple[FileFinding, ...]
    surplus: tuple[str, ...]

    def in_state(self, state: FileState) -> tuple[FileFinding, ...]:
        """Return the findings of one state."""
        return tuple(finding for finding in self.findings if finding.state is state)

    @property
    def is_matched(self) -> bool:
        """Whether every file of the manifest is there with its bytes; surplus files do not count."""
        return all(finding.state is FileState.MATCHED for finding in self.findings)


def verify_folder(
    folder: Path,
    manifest: Manifest,
    chunks: ChunkIndex | None = None,
    *,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> FolderReport:
    """Compare the files below ``folder`` with ``manifest``; ``chunks`` let it name a changed file's first wrong chunk.

    ``folder`` may be one file; it is then looked up by its name, or, for a manifest of one file, whatever its name.
    Symbolic links are not followed: what stands behind one counts as unreadable. A file that changes meanwhile, too.

    Raises:
        NotFoundError: no such folder or file.
        UnavailableError: a folder can not be listed.
        ConflictError: a name vanished while the folder was listed (code ``file-changed``).
        VerificationError: ``chunks`` do not belong to ``manifest``.
    """
    if chunks is not None:
        chunks.check(manifest)
    located, surplus = _match_names(folder, manifest)
    workers = workers or default_workers()
    reporter = Reporter([found.stamp.size_bytes for found in located.values()], progress)
    with ThreadPoolExecutor(workers) as pool, leaf_pool(workers) as leaves:

        def examine(entry: FileEntry) -> FileFinding:
            hashes = chunks[entry.path] if chunks is not None else derive_chunk_hashes(entry)
            return _Examination(entry, located.get(entry.path), hashes, reporter).run(leaves)

        try:
            findings = tuple(pool.map(examine, manifest.files))
        finally:
            reporter.stop()
            pool.shutdown(wait=False, cancel_futures=True)
    return FolderReport(findings, surplus)


def _match_names(folder: Path, manifest: Manifest) -> tuple[dict[str, FoundFile], tuple[str, ...]]:
    """Find each file of the manifest on the disk; names there may be in another Unicode form."""
    wanted = {entry.path for entry in manifest.files}
    located: dict[str, FoundFile] = {}
    surplus: list[str] = []
    single = manifest.files[0].path if len(manifest.files) == 1 and not folder.is_dir() else None
    for found in walk_folder(folder):
        path = single if single is not None else unicodedata.normalize("NFC", found.path)
        if path not in wanted or (path in located and found.path != path):
            surplus.append(found.path)
            continue
        if path in located:
            surplus.append(located[path].path)
        located[path] = found
    return located, tuple(sorted(map(printable, surplus)))


class _Examination:
    """One file of the manifest against the disk."""

    def __init__(
        self, entry: FileEntry, found: FoundFile | None, hashes: Sequence[bytes] | None, reporter: Reporter
    ) -> None:
        self._entry = entry
        self._found = found
        self._hashes = hashes
        self._reporter = reporter

    def run(self, leaves: Executor | None) -> FileFinding:
        """Read the file if it is one and say what was found."""
        if self._found is None:
            return self._finding(FileState.MISSING, "is not there")
        if self._found.kind is not Kind.FILE:
            return self._finding(FileState.UNREADABLE, f"is {self._found.kind}, not a file")
        try:
            finding = self._compare(self._found, FileHasher(leaves))
        except (ConflictError, UnavailableError) as error:
            return self._finding(FileState.UNREADABLE, str(error))
        self._reporter.count(files=1)
        return finding

    def _compare(self, found: FoundFile, hasher: FileHasher) -> FileFinding:
        size = found.stamp.size_bytes
        if self._hashes is None and size != self._entry.size_bytes:
            return self._size_finding(size)
        for index, chunk in enumerate(read_chunks(found)):
            leaf = hasher.update(chunk)
            self._reporter.count(size_bytes=len(chunk))
            if self._hashes is not None and (index >= len(self._hashes) or leaf != self._hashes[index]):
                return self._chunk_finding(index, size)
        if self._hashes is not None and len(hasher.leaf_hashes) < len(self._hashes):
            return self._chunk_finding(len(hasher.leaf_hashes), size)
        return self._compare_whole(hasher)

    def _compare_whole(self, hasher: FileHasher) -> FileFinding:
        actual = hasher.to_entry(self._entry.path)
        if actual == self._entry:
            return self._finding(FileState.MATCHED, "")
        if actual.root != self._entry.root:
            return self._finding(FileState.CHANGED, f"has root {actual.root} instead of {self._entry.root}")
        return self._finding(FileState.CHANGED, f"has SHA-256 {actual.sha256} instead of {self._entry.sha256}")

    def _chunk_finding(self, index: int, size_bytes: int) -> FileFinding:
        first = index * CHUNK_SIZE_BYTES
        last = min(first + CHUNK_SIZE_BYTES, max(self._entry.size_bytes, size_bytes)) - 1
        detail = f"differs in chunk {index} (bytes {first} to {last})"
        if size_bytes != self._entry.size_bytes:
            detail += f" and has {size_bytes} bytes instead of {self._entry.size_bytes}"
        return FileFinding(self._entry.path, FileState.CHANGED, detail, index, first, last)

    def _size_finding(self, size_bytes: int) -> FileFinding:
        return self._finding(FileState.CHANGED, f"has {size_bytes} bytes instead of {self._entry.size_bytes}")

    def _finding(self, state: FileState, detail: str) -> FileFinding:
        return FileFinding(self._entry.path, state, detail)
