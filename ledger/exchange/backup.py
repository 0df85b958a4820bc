"""`concord backup`: a gateway's home folder as it is at one moment, while the gateway runs.

At the moment, the database's writers wait for some milliseconds: no checkpoint is signed and no transaction is given a
nonce. So the chain of that moment shows no checkpoint that the database does not know, and lacks no block that it
counts on. The incomplete tiles are read within the moment; complete ones never change and are copied after it, as are
contents, which lie under their hashes. Keys are copied encrypted as they are, the key-encryption key within the moment,
so that it opens what the database holds of that moment. The log is an ordinary folder in the
backup, wherever its link leads in the home, and so is every other folder of the home that is a link.

Wherever the database is kept, in the folder or in a server, the backup holds it as one SQLite file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Final, Self

from ledger.canonical import JsonValue, encode_canonical
from ledger.durable import sync_tree
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError, VerificationError
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.key_encryption import WRAPPING_KEY_FILES
from ledger.exchange.settings import Home
from ledger.keyfiles import write_private_file
from ledger.store.copying import FrozenServer, freeze_server, sqlite_file
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

    def __post_init__(self) -> None:
        """Raise MalformedError for a path that may lead out of the folder: whoever restores writes to each of them."""
        for path in self.files:
            if not _is_plain(path):
                raise MalformedError(
                    f"the backup names the path {path!r}, which may lead elsewhere: "
                    "do not restore it; where it is yours, rename that file and take another one"
                )

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
        """Hash every file again. Raises: VerificationError: one is missing, changed, or a link."""
        for path, expected in self.files.items():
            _refuse_links(folder, path)
            try:
                found = hash_file(folder / path)
            except OSError as error:
                raise VerificationError(f"the backup lacks {path}: take another one") from error
            if found != expected:
                raise VerificationError(
                    f"{path} of the backup was changed: take another one", expected=expected, found=found
                )


def back_up(
    home: Home,
    target: Path,
    on_step: Callable[[str], None] = lambda _: None,
    *,
    database_url: str | None = None,
) -> BackupManifest:
    """Write a backup of ``home`` to the new folder ``target``; it appears whole or not at all.

    ``database_url`` names the database where it is not in the folder.

    Raises:
        NotFoundError: no gateway was founded there, or its database is not in the folder and none is named.
        ConflictError: ``target`` is there already, lies in the home or holds it (``backup-in-home``), the founding is
            not finished, or the database is of another version.
        MalformedError: ``database_url`` is none.
        UnavailableError: disk or database failed.
    """
    config = GatewayFile.load(home.gateway_file)
    if home.unfinished is not None:
        raise ConflictError(home.unfinished, code="founding-unfinished")
    source = _Source.of(home, database_url, has_chain=config.rpc_url is None)
    _check_apart(home, target)
    if target.exists() and any(target.iterdir()):
        raise ConflictError(f"{target} is there already: name a new folder", code="backup-exists")
    try:
        with _staging(target) as staged:
            manifest = _write(source, staged, on_step)
            (staged / MANIFEST_NAME).write_bytes(manifest.to_bytes())
            sync_tree(staged)
    except OSError as error:
        raise UnavailableError(f"the backup can not be written to {target}: {error.strerror}") from error
    return manifest


def _check_apart(home: Home, target: Path) -> None:
    """Check, before anything is written, that no folder is copied into itself, by whatever links it is named."""
    place = target.resolve()
    linked = [each for each in home.folder.iterdir() if each.is_symlink() and each.is_dir()]
    for folder in (home.folder.resolve(), *(each.resolve() for each in linked)):
        if place.is_relative_to(folder):
            where = "lies in"
        elif folder.is_relative_to(place):
            where = "holds"
        else:
            continue
        raise ConflictError(
            f"{target} {where} what is to be backed up ({folder}): name a folder elsewhere, best on another disk",
            code="backup-in-home",
        )


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A folder beside the target, which takes its place at the end; of a failure nothing stays. Raises: OSError."""
    staged = target.with_name(target.name + ".partial")
    try:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=0o700, parents=True)
        yield staged
        if target.exists():
            target.rmdir()
        staged.rename(target)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


@dataclass(frozen=True)
class _Source:
    """What is to be seen at one moment: SQLite files, and a server's database where the store is kept in one."""

    home: Home
    files: dict[Path, Path]
    """from where they lie to where they lie in the backup; the first is the one that the others follow"""
    server: str | None
    has_chain: bool

    @classmethod
    def of(cls, home: Home, database_url: str | None, *, has_chain: bool) -> Self:
        """Raises: NotFoundError: there is no such database file; MalformedError: not a database's URL."""
        stored = Path(home.database_file.name)
        named = home.database_file if database_url is None else sqlite_file(database_url)
        if named is not None and not named.is_file():
            raise NotFoundError(f"there is no {named}: name the database where it is not in the folder")
        chain = home.chain_folder / "chain.sqlite3"
        files = {} if named is None else {named: stored}
        if has_chain:
            files[chain] = chain.relative_to(home.folder)
        return cls(home, files, database_url if named is None else None, has_chain)


class _Moment:
    """A source at one moment; a server, where there is one, is what the files follow."""

    def __init__(self, source: _Source, stack: ExitStack) -> None:
        self._source = source
        self._server: FrozenServer | None = None
        self._files: FrozenFiles | None = None
        if source.server is not None:
            self._server = stack.enter_context(freeze_server(source.server))
        if source.files:
            self._files = stack.enter_context(freeze(list(source.files)))

    def release(self) -> None:
        """Let all writers go on."""
        for each in (self._files, self._server):
            if each is not None:
                each.release()

    def copy(self, target: Path) -> None:
        """Write all of it into the backup. Raises: UnavailableError, FatalError."""
        if self._server is not None:
            self._server.copy(_place(target / self._source.home.database_file.name))
        if self._files is not None:
            for path, place in self._source.files.items():
                self._files.copy(path, _place(target / place))


def _write(source: _Source, target: Path, on_step: Callable[[str], None]) -> BackupManifest:
    home = source.home
    on_step("taking the moment")
    with ExitStack() as stack:
        frozen = _Moment(source, stack)
        moment = datetime.now(UTC).replace(microsecond=0)
        log = _find_log(home)
        partial_tiles = {path.relative_to(log): path.read_bytes() for path in log.rglob("*.p/*")}
        keys, wrapping_keys = home.keys_folder.stat().st_ino, _read_wrapping_keys(home)
        frozen.release()
        on_step("copying database and chain")
        frozen.copy(target)
    for path, data in partial_tiles.items():
        _place(target / home.log_folder.name / path).write_bytes(data)
    for path, data in wrapping_keys.items():
        write_private_file(target / path, data)
    on_step("copying log, contents and keys")
    skipped = {home.database_file, *source.files, *(home.keys_folder / name for name in WRAPPING_KEY_FILES)}
    for path, place in _places(home, log):
        if path not in skipped and path.parent.suffix != ".p":
            _copy(path, _place(target / place))
    if _find_log(home) != log:
        raise UnavailableError(f"the log's folder {log} was taken over by another process meanwhile: call again")
    if home.keys_folder.stat().st_ino != keys:  # else some files would open with the old one, some with the new one
        raise UnavailableError("the keystore's passphrase was changed meanwhile: call again")
    on_step("hashing what was written")
    files = {str(path.relative_to(target)): hash_file(path) for path in sorted(_walk(target))}
    return BackupManifest(moment, version("concord-ledger"), source.has_chain, files)


def _read_wrapping_keys(home: Home) -> dict[Path, bytes]:
    """The key-encryption keys; the next one first, because it takes the place of the other when that is not needed."""
    found: dict[Path, bytes] = {}
    for name in reversed(WRAPPING_KEY_FILES):
        with suppress(FileNotFoundError):
            found[home.keys_folder.relative_to(home.folder) / name] = (home.keys_folder / name).read_bytes()
    return found


def _find_log(home: Home) -> Path:
    """The folder that the log is in, by its link where it has one: see `ledger.exchange.log_folder`.

    Raises:
        UnavailableError: the link is missing or leads nowhere, as in the middle of a takeover.
    """
    folder = home.log_folder
    if not folder.is_dir() and (
        folder.is_symlink() or any(each.is_dir() for each in home.folder.glob(f"{folder.name}.*"))
    ):
        raise UnavailableError(f"{folder} does not lead to the log's folder: start the gateway, then call again")
    return folder.resolve()


def _places(home: Home, log: Path) -> Iterator[tuple[Path, Path]]:
    """Every file of the home and where it lies in the backup; of ``log`` and ``log.<token>``, the present one.

    A folder of the home may be a link, as `content` is that lies on another disk: in the backup it is a folder. What
    was delivered is left out: it is its consumers' copy of what others keep, and may be larger than all the rest.

    Raises:
        UnavailableError: a link leads nowhere.
        ConflictError: as `_walk`.
    """
    name = home.log_folder.name
    for entry in home.folder.iterdir():
        if entry == home.deliveries_folder:
            continue
        if entry.is_dir():
            if entry.name.removeprefix(".").partition(".")[0] != name and entry.resolve() != log:
                for path in _walk(entry):
                    yield path, entry.name / path.relative_to(entry)
        elif entry.is_file() and _belongs(entry):
            yield entry, Path(entry.name)
        elif entry.is_symlink() and entry.name.partition(".")[0] != "":
            raise UnavailableError(f"{entry} leads nowhere: is the disk mounted? Nothing was backed up")
    for path in _walk(log):
        yield path, name / path.relative_to(log)


def _is_plain(path: str) -> bool:
    """Whether a path leads to a file below a folder and is written in the one way there is."""
    pure = PurePosixPath(path)
    is_below = bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts
    return is_below and str(pure) == path and "\\" not in path and "\0" not in path


def _refuse_links(folder: Path, path: str) -> None:
    """A plain path without links stays in its folder. Raises: VerificationError: there is a link, or no file."""
    place = folder / path
    for each in (place, *place.parents[: len(PurePosixPath(path).parts) - 1]):
        if each.is_symlink():
            raise VerificationError(f"{each.relative_to(folder)} of the backup is a link: take another one")
    if not place.is_file():
        raise VerificationError(f"the backup lacks {path}: take another one")


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder that belong into a backup.

    Raises:
        ConflictError: a folder in it is a link, so that what it leads to would be missing.
    """
    for path in folder.rglob("*"):
        if not _LEFT_OUT.isdisjoint(path.relative_to(folder).parts):
            continue
        if path.is_symlink() and not path.is_file():
            raise ConflictError(
                f"{path} is a link to a folder, or leads nowhere, and what it leads to would be missing: let {folder} "
                "as a whole be a link, and what it leads to a folder without links",
                code="linked-folder",
            )
        if path.is_file() and _belongs(path):
            yield path


def _belongs(path: Path) -> bool:
    """Neither SQLite's side files nor what is being staged do."""
    return path.name not in _LEFT_OUT and not path.name.endswith(("-wal", "-shm", "-journal", ".new"))


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
