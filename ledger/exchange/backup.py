"""`concord backup`: a gateway's home folder as it is at one moment, while the gateway runs.

At the moment, the database's writers wait for some milliseconds: no checkpoint is signed and no transaction is given a
nonce. So the chain of that moment shows no checkpoint that the database does not know, and lacks no block that it
counts on. The incomplete tiles are read within the moment; complete ones never change and are copied after it, as are
contents, which lie under their hashes. Keys are copied encrypted as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

from ledger.canonical import JsonValue, encode_canonical
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError, VerificationError
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.settings import Home
from ledger.store.freezing import FrozenFiles, freeze

__all__ = ["MANIFEST_NAME", "BackupManifest", "back_up", "hash_file"]

MANIFEST_NAME: Final = "backup.json"
_FORMAT: Final = "concord-backup/1"
_LEFT_OUT: Final = frozenset({".staging", ".lock", "chain.lock", "checkpoint"})
"""What belongs to the running process, and what is written again from the database."""
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """``backup.json``: what is in a backup; ``files`` by path, with SHA-256 in hex."""

    created_at: datetime
    concord: str
    has_chain: bool
    files: dict[str, str]

    def to_bytes(self) -> bytes:
        """The file."""
        files: dict[str, JsonValue] = dict(self.files)
        return encode_canonical(
            {
                "format": _FORMAT,
                "created_at": self.created_at.isoformat(),
                "concord": self.concord,
                "has_chain": self.has_chain,
                "files": files,
            }
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it. Raises: NotFoundError: no backup is there; MalformedError: not such a file, or of a later form."""
        try:
            document = json.loads((folder / MANIFEST_NAME).read_bytes())
            if document["format"] != _FORMAT:
                raise MalformedError(f"the backup is of another form ({document['format']}): take a newer concord")
            files = {str(path): str(digest) for path, digest in document["files"].items()}
            moment = datetime.fromisoformat(document["created_at"])
            return cls(moment, str(document["concord"]), bool(document["has_chain"]), files)
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no backup in {folder}: it has no {MANIFEST_NAME}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedError(f"{folder / MANIFEST_NAME} is damaged: take another backup") from error

    def check(self, folder: Path) -> None:
        """Hash every file again. Raises: VerificationError: one is missing or changed."""
        for path, expected in self.files.items():
            try:
                found = hash_file(folder / path)
            except OSError as error:
                raise VerificationError(f"the backup lacks {path}: take another one") from error
            if found != expected:
                raise VerificationError(
                    f"{path} of the backup was changed: take another one", expected=expected, found=found
                )


def back_up(home: Home, target: Path, on_step: Callable[[str], None] = lambda _: None) -> BackupManifest:
    """Write a backup of ``home`` to the new folder ``target``; it appears whole or not at all.

    Raises:
        NotFoundError: no gateway was founded there, or its database is not in the folder (see PostgreSQL's pg_dump).
        ConflictError: ``target`` is there already, or the founding is not finished.
        UnavailableError: disk or database failed.
    """
    config = GatewayFile.load(home.gateway_file)
    if home.founding_file.exists():
        raise ConflictError("the founding is not finished: call `concord init` again first", code="founding-unfinished")
    if not home.database_file.is_file():
        raise NotFoundError(
            f"{home.folder} has no ledger.db: back up a database server with its own tool (pg_dump), then the folder"
        )
    if target.exists() and any(target.iterdir()):
        raise ConflictError(f"{target} is there already: name a new folder", code="backup-exists")
    staged = target.with_name(target.name + ".partial")
    try:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=0o700, parents=True)
        manifest = _write(home, staged, has_chain=config.rpc_url is None, on_step=on_step)
        (staged / MANIFEST_NAME).write_bytes(manifest.to_bytes())
        _sync(staged)
        if target.exists():
            target.rmdir()
        staged.rename(target)
    except OSError as error:
        raise UnavailableError(f"the backup can not be written to {target}: {error.strerror}") from error
    return manifest


def _write(home: Home, target: Path, *, has_chain: bool, on_step: Callable[[str], None]) -> BackupManifest:
    chain = home.chain_folder / "chain.sqlite3"
    frozen_paths = [home.database_file, *([chain] if has_chain else [])]
    on_step("taking the moment")
    with freeze(frozen_paths) as frozen:
        moment = datetime.now(UTC).replace(microsecond=0)
        partial_tiles = {path: path.read_bytes() for path in home.log_folder.rglob("*.p/*")}
        frozen.release()
        on_step("copying database and chain")
        _copy_frozen(home, frozen, frozen_paths, target)
    for path, data in partial_tiles.items():
        _place(target / path.relative_to(home.folder)).write_bytes(data)
    on_step("copying log, contents and keys")
    skipped = {*frozen_paths, *partial_tiles}
    for path in _walk(home.folder):
        if path not in skipped and path.parent.suffix != ".p":
            _copy(path, _place(target / path.relative_to(home.folder)))
    on_step("hashing what was written")
    files = {str(path.relative_to(target)): hash_file(path) for path in sorted(_walk(target))}
    return BackupManifest(moment, version("concord-ledger"), has_chain, files)


def _copy_frozen(home: Home, frozen: FrozenFiles, paths: list[Path], target: Path) -> None:
    for path in paths:
        frozen.copy(path, _place(target / path.relative_to(home.folder)))


def _walk(folder: Path) -> Iterator[Path]:
    """Files that belong into a backup; SQLite's side files and what is being staged do not."""
    for path in folder.rglob("*"):
        is_left_out = not _LEFT_OUT.isdisjoint(path.relative_to(folder).parts)
        if path.is_file() and not is_left_out and not path.name.endswith(("-wal", "-shm", "-journal", ".new")):
            yield path


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)  # a key that waited was dropped, an upload was given up


def _place(path: Path) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def hash_file(path: Path) -> str:
    """SHA-256 in hex. Raises: OSError."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()


def _sync(folder: Path) -> None:
    """Bring all that was written to the disk."""
    for path in (folder, *folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
