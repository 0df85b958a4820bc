"""`concord restore`: a backup becomes a home folder again, whole or not at all.

A restored gateway catches up from the chain. Where the chain knows a checkpoint that the restored log lacks, the
gateway refuses to sign and names ``concord log recover``. The embedded chain is part of the backup, and restored with
it nothing tells the gateway what was stated later: so it takes the chain that survived, or a mirror of the log, or that
the loss is accepted, and then the gateway signs nothing more (`ledger.exchange.loss`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.durable import sync_tree
from ledger.errors import ConflictError, LedgerError, NotFoundError, UnavailableError, VerificationError
from ledger.exchange.backup import BackupManifest
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.log_recovery import read_anchored_size
from ledger.exchange.loss import AcceptedLoss
from ledger.exchange.settings import Home
from ledger.log import Checkpoint, SignedNote, VerifierKey, verify_note
from ledger.log.mirror import Mirror
from ledger.store import Store
from ledger.store.copying import load_into
from ledger.store.freezing import copy_sqlite

__all__ = ["Restored", "restore"]

_CHAIN_FILE = "chain.sqlite3"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. ``log_size``: the restored log's.

    ``mirror_size``, ``chain_size``: what a mirror, and the checkpoints on a chain, that were named have. ``signs``: not
    where a loss was accepted, now or before.
    """

    manifest: BackupManifest
    log_size: int
    mirror_size: int | None
    chain_size: int | None = None
    signs: bool = True

    @property
    def is_behind(self) -> bool:
        """Whether mirror or chain know entries that the restored log lacks: recover it before the gateway signs."""
        return max(self.mirror_size or 0, self.chain_size or 0) > self.log_size


def restore(
    backup: Path,
    home: Home,
    *,
    chain: Path | None = None,
    mirror: Mirror | None = None,
    accept_loss: bool = False,
    database_url: str | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Check the backup and make ``home`` of it, which is a new folder.

    ``database_url``: an empty database that takes the backup's, in place of a file in the folder. ``chain``: the folder
    of an embedded chain that survived, newer than the backup's, whose place it takes. ``mirror`` is compared with the
    restored log, and so are ``chain``'s checkpoints. ``accept_loss`` gives up what an embedded chain had after the
    backup's moment, where neither is there: the gateway then answers reads and signs nothing.

    Raises:
        NotFoundError: no backup there, or no chain in ``chain``.
        ConflictError: ``home`` is there already, or the database is not empty; or the chain is the backup's own and
            nothing tells what came after it (``nothing-newer``).
        VerificationError: a file of the backup was changed, is missing or is a link.
        MalformedError, UnavailableError: as `BackupManifest.load`, disk, chain, mirror and database.
    """
    manifest = BackupManifest.load(backup)
    home = Home(home.folder.resolve())  # where a link leads, the folder comes into place
    _check_places(home, chain)
    on_step("checking the backup")
    manifest.check(backup)
    _check_sources(backup, manifest, chain, mirror, accept_loss=accept_loss)
    staged = Home(home.folder.with_name(home.folder.name + ".restoring"))
    on_step("writing the home folder")
    try:
        _write(staged, backup, manifest, chain)
        restored = _compare(staged, manifest, mirror, None if chain is None else read_anchored_size(staged))
        restored = _settle_loss(staged, restored, is_accepted=accept_loss)
        _come_into_place(staged, home, database_url, on_step)
    except OSError as error:
        raise UnavailableError(f"{home.folder} can not be written: {error.strerror}") from error
    except LedgerError:
        shutil.rmtree(staged.folder, ignore_errors=True)
        raise
    return restored


def _check_places(home: Home, chain: Path | None) -> None:
    """Check, before anything is written, that there is room for the home and that the chain is one."""
    if home.folder.exists() and any(home.folder.iterdir()):
        raise ConflictError(f"{home.folder} is there already: move it away, or name a new folder", code="home-exists")
    if chain is not None and not (chain / _CHAIN_FILE).is_file():
        raise NotFoundError(f"there is no embedded chain in {chain}: name the folder that holds {_CHAIN_FILE}")


def _check_sources(
    backup: Path, manifest: BackupManifest, chain: Path | None, mirror: Mirror | None, *, accept_loss: bool
) -> None:
    """Check that something tells what came after the backup. Raises: ConflictError (``nothing-newer``)."""
    is_own = chain is not None and chain.resolve().is_relative_to(backup.resolve())
    if manifest.has_chain and is_own:
        raise ConflictError(
            f"{chain} is the backup's own chain: name the folder of the one that went on", code="nothing-newer"
        )
    has_newer = chain is not None or mirror is not None
    if accept_loss and (has_newer or not manifest.has_chain):
        raise ConflictError(
            "nothing is to be given up: chain or mirror tell what came after the backup. Leave --accept-loss out",
            code="no-loss",
        )
    if manifest.has_chain and not has_newer and not accept_loss:
        raise ConflictError(
            f"the backup has the embedded chain of {manifest.created_at:%Y-%m-%d %H:%M:%SZ}, and nothing tells what "
            "was stated later: going on from there could fork the log. Name the folder of the chain that survived "
            "(--chain, chain/ of the home that was backed up), or the newest mirror or copy of the log (--mirror). "
            "Where neither is left: --accept-loss, for a gateway that answers reads and signs nothing",
            code="nothing-newer",
        )


def _settle_loss(staged: Home, restored: Restored, *, is_accepted: bool) -> Restored:
    """Keep that the loss was accepted; forget it where newer entries turned up, which come first. Raises: OSError."""
    if is_accepted:
        AcceptedLoss(restored.manifest.created_at, restored.log_size).keep(staged)
    elif restored.is_behind:
        staged.accepted_loss_file.unlink(missing_ok=True)
    return replace(restored, signs=not staged.accepted_loss_file.exists())


def _write(staged: Home, backup: Path, manifest: BackupManifest, chain: Path | None) -> None:
    """Every file of the backup, and in place of its chain the one that survived. Raises: OSError; as `copy_sqlite`."""
    shutil.rmtree(staged.folder, ignore_errors=True)
    staged.folder.mkdir(mode=0o700, parents=True)
    for path in manifest.files:
        target = staged.folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(backup / path, target)
    if chain is not None:
        (staged.chain_folder / _CHAIN_FILE).unlink(missing_ok=True)
        staged.chain_folder.mkdir(mode=0o700, exist_ok=True)
        copy_sqlite(chain / _CHAIN_FILE, staged.chain_folder / _CHAIN_FILE)


def _come_into_place(staged: Home, home: Home, database_url: str | None, on_step: Callable[[str], None]) -> None:
    if database_url is None:
        _place(staged, home)
    else:
        on_step("filling the database")
        _place_with_database(staged, home, database_url)


def _place(staged: Home, home: Home) -> None:
    sync_tree(staged.folder)
    if home.folder.exists():
        home.folder.rmdir()
    staged.folder.rename(home.folder)


def _place_with_database(staged: Home, home: Home, database_url: str) -> None:
    """Folder and database come into place together or not at all. Raises: as `load_into`; OSError."""
    file = staged.database_file
    try:
        with load_into(database_url, file):
            for path in (file, *(file.with_name(file.name + suffix) for suffix in ("-wal", "-shm"))):
                path.unlink(missing_ok=True)
            _place(staged, home)
    except LedgerError:
        if not staged.folder.exists():
            home.folder.rename(staged.folder)
        raise


def _compare(home: Home, manifest: BackupManifest, mirror: Mirror | None, chain_size: int | None) -> Restored:
    """The restored log beside the mirror's, whose checkpoint is kept where it is ahead: no writer signs behind it.

    Raises:
        VerificationError: the mirror is of another log, or its checkpoint is signed by none of the log's keys.
    """
    origin = GatewayFile.load(home.gateway_file).origin
    log = GatewayFile.load(home.gateway_file).log
    with Store.open(f"sqlite:///{home.database_file}") as store:
        row, opened = store.checkpoints.load(origin), store.chain.find_log(log)
    size = 0 if row is None else row.size
    if mirror is None:
        return Restored(manifest, size, None, chain_size)
    note = mirror.fetch_checkpoint()
    keys = [] if opened is None else [VerifierKey(origin, key) for key in opened.verifier_keys]
    found = _verify_any(SignedNote.parse(note), keys)
    if found.size > size:
        (home.log_folder / "checkpoint").write_bytes(note)
    return Restored(manifest, size, found.size, chain_size)


def _verify_any(note: SignedNote, keys: list[VerifierKey]) -> Checkpoint:
    for key in keys:
        try:
            verify_note(note, key)
        except VerificationError:
            continue
        return Checkpoint.parse(note.text)
    raise VerificationError("the mirror's checkpoint is signed by none of the log's keys: name a mirror of this log")
