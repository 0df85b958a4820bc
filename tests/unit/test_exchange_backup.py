"""Backups that name what lies elsewhere, and backups of a home whose log several processes shared."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.errors import ConflictError, MalformedError, UnavailableError, VerificationError
from ledger.exchange import Home
from ledger.exchange.backup import MANIFEST_NAME, BackupManifest, back_up
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.keystore import KeyStore
from ledger.exchange.log_folder import name_for
from ledger.exchange.loss import AcceptedLoss
from ledger.exchange.passphrase_change import change_passphrase
from ledger.exchange.restore import restore
from ledger.log import Sequencer
from ledger.store import Store
from tests.support.exchange import PASSPHRASE, found_in

COUNT = 300
OUTSIDE = b"of somebody else\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A founded home whose log has full tiles and partial ones."""
    folder = tmp_path_factory.mktemp("kept") / "home"
    found_in(folder)
    home = Home(folder)
    with Store.open(f"sqlite:///{home.database_file}") as store, opened(home, store) as log:
        log.append([number.to_bytes(97) for number in range(COUNT)])
    return folder


@pytest.fixture
def home(kept: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(kept, tmp_path / "home")))


@pytest.fixture
def backup(home: Home, tmp_path: Path) -> Path:
    back_up(home, tmp_path / "backup")
    return tmp_path / "backup"


def opened(home: Home, store: Store) -> Sequencer:
    origin = GatewayFile.load(home.gateway_file).origin
    signer = KeyStore(home.keys_folder, PASSPHRASE).load_log_signer(origin)
    return Sequencer.open(home.log_folder, signer, store.checkpoints, anchor_by=lambda: datetime.now(UTC))


def tiles_of(folder: Path) -> dict[str, bytes]:
    """Tiles and bundles by path; what the writer leaves beside them does not count."""
    found = folder.resolve()
    return {str(each.relative_to(found)): each.read_bytes() for each in found.rglob("tile/**/*") if each.is_file()}


def name_in(backup: Path, path: str, data: bytes = OUTSIDE) -> None:
    """Let the manifest name one more file."""
    document = json.loads((backup / MANIFEST_NAME).read_bytes())
    document["files"][path] = hashlib.sha256(data).hexdigest()
    (backup / MANIFEST_NAME).write_text(json.dumps(document))


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/etc/x",
        "//x",
        "../x",
        "log/../../x",
        "log/..",
        "./x",
        "log/./x",
        "log//x",
        "log/",
        "a\\b",
        "a\0b",
    ],
)
def test_a_backup_that_names_a_path_elsewhere_is_not_read(backup: Path, tmp_path: Path, path: str) -> None:
    name_in(backup, path)
    with pytest.raises(MalformedError, match="names the path"):
        BackupManifest.load(backup)
    with pytest.raises(MalformedError):
        restore(backup, Home(tmp_path / "restored"))
    assert not (tmp_path / "restored").exists()


def test_nothing_is_written_outside_the_home(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(OUTSIDE)
    victim = tmp_path / "user" / "secret"
    victim.parent.mkdir()
    victim.write_bytes(b"mine\n")
    name_in(backup, "../secret")
    with pytest.raises(MalformedError):
        restore(backup, Home(tmp_path / "user" / "home"))
    assert victim.read_bytes() == b"mine\n"
    assert [each.name for each in victim.parent.iterdir()] == ["secret"]


def test_a_backup_with_links_is_refused(backup: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(OUTSIDE)
    for link, leads_to, path in (
        (backup / "file", outside / "secret", "file"),
        (backup / "folder", outside, "folder/secret"),
        (backup / "loop", backup / "loop", "loop"),
    ):
        before = (backup / MANIFEST_NAME).read_bytes()
        link.symlink_to(leads_to)
        name_in(backup, path)
        with pytest.raises(VerificationError, match="a link"):
            restore(backup, Home(tmp_path / "restored"))
        (backup / MANIFEST_NAME).write_bytes(before)
    os.mkfifo(backup / "pipe")
    name_in(backup, "pipe")
    with pytest.raises(VerificationError, match="lacks pipe"):
        restore(backup, Home(tmp_path / "restored"))
    assert not (tmp_path / "restored").exists()


def test_the_backup_folder_itself_may_be_a_link(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(backup)
    assert restore(tmp_path / "linked", Home(tmp_path / "restored"), accept_loss=True).log_size > COUNT


def test_what_could_not_be_restored_is_not_backed_up(home: Home, tmp_path: Path) -> None:
    (home.folder / "no\\tes").write_text("")
    with pytest.raises(MalformedError, match="names the path"):
        back_up(home, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_what_was_restored_is_on_the_disk_before_it_is_in_place(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[tuple[int, int]] = set()
    place = tmp_path / "restored"

    def fsync(descriptor: int) -> None:
        assert not place.exists()
        found = os.fstat(descriptor)
        synced.add((found.st_dev, found.st_ino))

    monkeypatch.setattr(os, "fsync", fsync)
    restore(backup, Home(place), accept_loss=True)
    written = [each.stat() for each in (place, *place.rglob("*"))]
    assert {(each.st_dev, each.st_ino) for each in written} <= synced


@pytest.mark.parametrize("is_elsewhere", [False, True], ids=["numbered", "elsewhere"])
def test_a_log_behind_a_link_comes_back_whole(home: Home, tmp_path: Path, is_elsewhere: bool) -> None:
    expected = tiles_of(home.log_folder)
    if is_elsewhere:
        home.log_folder.rename(tmp_path / "disk")
        home.log_folder.symlink_to(tmp_path / "disk")
    else:
        name_for(home.log_folder, 7)
        assert home.log_folder.resolve() == home.folder.resolve() / "log.7"
        shutil.copytree(home.log_folder.resolve(), home.folder / "log.3")
    manifest = back_up(home, tmp_path / "backup")
    assert {path.partition("/")[0] for path in manifest.files if path.startswith("log")} == {"log"}
    new = Home(tmp_path / "restored")
    size = restore(tmp_path / "backup", new, accept_loss=True).log_size
    assert size == COUNT + 4
    assert tiles_of(new.log_folder) == expected
    assert {"tile/0/000", "tile/entries/000", "tile/0/001.p/48"} < set(expected)
    name_for(new.log_folder, 8)
    with Store.open(f"sqlite:///{new.database_file}") as store, opened(new, store) as log:
        assert log.reader.entries(4, COUNT) == [number.to_bytes(97) for number in range(COUNT)]
        assert log.reader.prove_inclusion(3, size)
        assert log.append([b"x" * 97]).checkpoint.size == size + 1


def test_a_log_that_is_taken_over_meanwhile_is_not_half_backed_up(home: Home, tmp_path: Path) -> None:
    name_for(home.log_folder, 7)

    def take_over(step: str) -> None:
        if step == "copying database and chain":
            home.log_folder.resolve().rename(home.folder / "log.8")
            home.log_folder.unlink()
            home.log_folder.symlink_to("log.8")

    with pytest.raises(UnavailableError, match="taken over"):
        back_up(home, tmp_path / "backup", take_over)
    assert not (tmp_path / "backup").exists()
    back_up(home, tmp_path / "backup")


def test_a_passphrase_that_is_changed_meanwhile_is_noticed(home: Home, tmp_path: Path) -> None:
    def change(step: str) -> None:
        if step.startswith("copying log"):
            change_passphrase(home.keys_folder, PASSPHRASE, "another one")

    with pytest.raises(UnavailableError, match="passphrase was changed meanwhile"):
        back_up(home, tmp_path / "backup", change)
    assert not (tmp_path / "backup").exists()


def test_a_log_whose_link_is_lost_is_not_left_out(home: Home, tmp_path: Path) -> None:
    name_for(home.log_folder, 7)
    home.log_folder.unlink()
    for leads_to in (None, "log.6"):
        if leads_to is not None:
            home.log_folder.symlink_to(leads_to)
        with pytest.raises(UnavailableError, match="does not lead to"):
            back_up(home, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def move_behind_link(folder: Path, elsewhere: Path) -> Path:
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    return elsewhere


def test_folders_that_are_links_come_back_as_folders(home: Home, tmp_path: Path) -> None:
    upload = home.content_folder / "ab" / "abcd"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"content")
    for folder in (home.content_folder, home.keys_folder, home.chain_folder):
        move_behind_link(folder, tmp_path / f"disk-{folder.name}")
    (home.folder / ".log.4711").symlink_to("log")  # as a takeover stages it
    manifest = back_up(home, tmp_path / "backup")
    assert {"content/ab/abcd", "keys/relay.json", "keys/log.pem", "chain/chain.sqlite3"} < set(manifest.files)
    assert len({path for path in manifest.files if path.startswith("log/")}) > 3
    assert not any(path.startswith(".log") for path in manifest.files)
    new = Home(tmp_path / "restored")
    restore(tmp_path / "backup", new, accept_loss=True)
    for folder in (new.content_folder, new.keys_folder, new.chain_folder):
        assert folder.is_dir()
        assert not folder.is_symlink()
    assert (new.content_folder / "ab" / "abcd").read_bytes() == b"content"
    assert KeyStore.open(new.keys_folder, PASSPHRASE).load_relay().address


def test_what_would_be_missing_is_not_left_out_in_silence(home: Home, tmp_path: Path) -> None:
    inner = home.content_folder / "ab"
    inner.mkdir(parents=True)
    elsewhere = move_behind_link(inner, tmp_path / "disk")
    for _ in ("a folder", "nowhere"):
        with pytest.raises(ConflictError, match="would be missing") as refused:
            back_up(home, tmp_path / "backup")
        assert str(inner) in str(refused.value)
        if elsewhere.exists():
            elsewhere.rename(tmp_path / "taken-away")
    inner.unlink()
    move_behind_link(home.content_folder, tmp_path / "unmounted").rename(tmp_path / "elsewhere")
    with pytest.raises(UnavailableError, match="is the disk mounted"):
        back_up(home, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize(
    "place", ["home/backup", "linked/backup", "home/content/deeper/backup", "disk/backup", "new/../home/backup"]
)
def test_a_backup_does_not_go_into_what_is_backed_up(home: Home, tmp_path: Path, place: str) -> None:
    """By whatever name: it would copy what it just wrote, until the disk is full."""
    move_behind_link(home.content_folder, tmp_path / "disk")
    (tmp_path / "linked").symlink_to(home.folder)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConflictError, match="lies in what is to be backed up") as refused:
        back_up(home, tmp_path / place)
    assert refused.value.code == "backup-in-home"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_home_is_not_backed_up_into_a_folder_that_holds_it(home: Home, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    home.folder.rename(tmp_path / "inner" / "home")
    with pytest.raises(ConflictError, match="holds what is to be backed up"):
        back_up(Home(tmp_path / "inner" / "home"), tmp_path / "inner")


def test_a_backup_that_fails_leaves_nothing(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0

    def fill(source: Path, target: Path) -> None:
        nonlocal written
        written += 1
        if written > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        shutil.copyfile(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("ledger.exchange.backup.shutil.copy2", fill)
        with pytest.raises(UnavailableError, match="No space left on device"):
            back_up(home, tmp_path / "backup")
    assert written > 3

    def interrupt(step: str) -> None:
        if step.startswith("hashing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(home, tmp_path / "backup", interrupt)
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


def test_a_home_that_is_a_link_is_restored_to_where_it_leads(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "srv").symlink_to(tmp_path / "disk")
    restore(backup, Home(tmp_path / "srv"), accept_loss=True)
    assert (tmp_path / "srv").is_symlink()
    assert (tmp_path / "disk" / "gateway.json").is_file()


def test_what_nothing_newer_is_named_for_is_not_restored(backup: Path, home: Home, tmp_path: Path) -> None:
    """Going on from an embedded chain's backup could sign a second history of the log."""
    place = Home(tmp_path / "restored")
    for chain in (None, backup / "chain"):
        with pytest.raises(ConflictError) as refused:
            restore(backup, place, chain=chain)
        assert refused.value.code == "nothing-newer"
    with pytest.raises(ConflictError, match="Leave --accept-loss out"):
        restore(backup, place, chain=home.chain_folder, accept_loss=True)
    assert not place.folder.exists()
    assert restore(backup, place, chain=home.chain_folder).signs


def test_an_accepted_loss_stays_accepted_until_newer_entries_turn_up(backup: Path, home: Home, tmp_path: Path) -> None:
    first, second = Home(tmp_path / "first"), Home(tmp_path / "second")
    assert not restore(backup, first, accept_loss=True).signs
    loss = AcceptedLoss.find(first)
    assert loss is not None
    assert loss.log_size == COUNT + 4
    assert loss.restored_to == BackupManifest.load(backup).created_at
    back_up(first, tmp_path / "of-first")
    assert not restore(tmp_path / "of-first", second, chain=first.chain_folder).signs
    assert AcceptedLoss.find(second) == loss
    for text, words in (("{", "is damaged"), ('{"format":"concord-accepted-loss/2"}', "newer concord")):
        second.accepted_loss_file.write_text(text)
        with pytest.raises(MalformedError, match=words):
            AcceptedLoss.find(second)
    assert AcceptedLoss.find(home) is None
