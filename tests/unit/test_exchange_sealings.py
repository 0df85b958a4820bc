"""Versions sealed, stated, replaced and destroyed by a gateway; their keys wrapped, and wrapped anew."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ledger.content import parse_manifest
from ledger.content.placement import FolderPlacement
from ledger.content.sealing import SealingKey
from ledger.content.sealing_files import FileOpener, open_chunks
from ledger.content.sealing_proofs import verify_sealed_chunk, verify_sealed_file
from ledger.content.sealing_store import StoredSealingError
from ledger.content.store import StoredContentError
from ledger.errors import ConflictError, NotFoundError, UnavailableError, VerificationError
from ledger.exchange import Home
from ledger.exchange.backup import back_up
from ledger.exchange.keystore import KeyStore
from ledger.exchange.restore import restore
from ledger.exchange.sealed_version import SealedVersion
from ledger.merkle import leaf_hash
from ledger.store.rows import SealingRow, SealingState
from ledger.types import Bytes32
from tests.support.content import flip_bit, make_bytes
from tests.support.exchange import PASSPHRASE, Consortium, found_in, open_gateway, registration, upload

FILES = {
    "a.csv": b"hour,mwh\n0,12.5\n",
    "empty": b"",
    "large.bin": make_bytes("large", (1 << 20) + 5),
}
NUMBERS = count()


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("sealings") / "home"
    with open_gateway(home, found_in(home)) as opened:
        opened.gateway.parts.keystore._kdf_cost = 2  # key files that open fast
        yield opened


def register(consortium: Consortium, *, who: str = "utility", files: dict[str, bytes] | None = None) -> Bytes32:
    """A version whose files are all here."""
    slug, files = f"power-{next(NUMBERS)}", FILES if files is None else files
    outcome = consortium.gateway.statements.sign_and_submit(consortium.asker(who), registration(slug, files))
    for path, data in files.items():
        upload(consortium, who, f"{who}/{slug}", 1, path, data)
    return outcome.digest


def make(consortium: Consortium, digest: Bytes32) -> SealedVersion:
    return asyncio.run(consortium.gateway.sealings.make(digest))


def folder_of(consortium: Consortium, sealing: Bytes32) -> Path:
    """Where the objects of a sealing lie."""
    return consortium.gateway.parts.settings.home / "content" / "sealings" / sealing.hex()


async def _collect(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]


def collect(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return asyncio.run(_collect(pieces))


def open_all(consortium: Consortium, sealed: SealedVersion) -> dict[str, bytes]:
    """All files, opened with the key that the database has."""
    key, store = consortium.gateway.sealings.unwrap(sealed.id), consortium.gateway.parts.store
    opening = store.contents.find_opening(sealed.registration)
    assert opening is not None
    content = store.contents.find(opening.content_root)
    assert content is not None
    return {
        entry.path: b"".join(open_chunks(FileOpener(key, entry), collect(sealed.read_chunks(position))))
        for position, entry in enumerate(parse_manifest(content.manifest).files)
    }


@contextmanager
def failing(patch: pytest.MonkeyPatch, owner: object, name: str, error: BaseException) -> Iterator[None]:
    """Let a method fail within the block."""

    def fail(*_args: object, **_members: object) -> Any:
        raise error

    with patch.context() as patched:
        patched.setattr(owner, name, fail)
        yield


def test_a_version_is_sealed_stated_and_opens(consortium: Consortium) -> None:
    digest = register(consortium)
    sealings = consortium.gateway.sealings
    assert sealings.current(digest) is None
    sealed = make(consortium, digest)
    assert sealings.current(digest) == sealed == sealings.find(sealed.statement)
    assert sealings.is_current(sealed.id)
    message: dict[str, Any] = dict(consortium.gateway.parts.directory.statement(sealed.statement, "Sealing").message)
    assert (message["dataset"], message["version"], message["registration"]) == (sealed.dataset, 1, digest)
    sealed.descriptor.check_statement(message["keyCommitment"], message["ciphertextRoot"], message["ciphertextSize"])
    assert open_all(consortium, sealed) == FILES
    assert make(consortium, digest) == sealed
    assert sealings.intent(digest) is None


def test_what_is_stored_has_neither_names_nor_plaintext_nor_the_key(consortium: Consortium) -> None:
    sealed = make(consortium, register(consortium))
    key = consortium.gateway.sealings.unwrap(sealed.id).to_bytes()
    stored = [path.read_bytes() for path in folder_of(consortium, sealed.id).iterdir()]
    for secret in (b"a.csv", b"large.bin", FILES["a.csv"], FILES["large.bin"][:32], key, key.hex().encode()):
        assert not any(secret in data for data in stored)
    row = consortium.gateway.parts.store.sealings.find(sealed.id)
    assert row is not None
    assert row.wrapped_key is not None
    assert key not in row.wrapped_key


def test_any_part_is_read_and_proved(consortium: Consortium) -> None:
    sealed = make(consortium, register(consortium))
    descriptor = sealed.descriptor
    whole = collect(sealed.read())
    assert len(whole) == descriptor.chunk_count == 4
    assert b"".join(whole) == b"".join(collect(sealed.read_bytes()))
    assert b"".join(map(leaf_hash, whole)) == asyncio.run(sealed.leaves())
    assert collect(sealed.read_chunks(2, 1)) == whole[3:]
    assert collect(sealed.read(1, 2)) == whole[1:3]
    assert b"".join(collect(sealed.read_bytes(7, 99))) == b"".join(whole)[7:100]
    for number, chunk in enumerate(whole):
        position, index = descriptor.locate(number)
        proof = asyncio.run(sealed.prove(position, index))
        verify_sealed_file(proof.file, descriptor.ciphertext_root)
        verify_sealed_chunk(proof.file.file, proof.index, chunk, proof.hashes)
    for position, first, last in ((3, 0, 0), (-1, 0, 0), (2, 0, 2), (2, 1, 0), (0, -1, 0)):
        with pytest.raises(ValueError, match=r"there is no|not"):
            sealed.read_chunks(position, first, last)
    for first, last in ((0, 4), (-1, 0), (2, 1)):
        with pytest.raises(ValueError, match="the sealing has"):
            collect(sealed.read(first, last))
    with pytest.raises(ValueError, match="the sealing has"):
        collect(sealed.read_bytes(0, descriptor.size_bytes))


def test_a_new_sealing_takes_the_place_of_the_old_one(consortium: Consortium) -> None:
    digest, sealings = register(consortium), consortium.gateway.sealings
    old = make(consortium, digest)
    new = asyncio.run(sealings.replace(digest))
    assert new.id != old.id
    assert new.descriptor.ciphertext_root != old.descriptor.ciphertext_root
    assert sealings.current(digest) == new
    assert (sealings.is_current(old.id), sealings.is_current(new.id)) == (False, True)
    assert not folder_of(consortium, old.id).exists() or not any(folder_of(consortium, old.id).iterdir())
    with pytest.raises(NotFoundError):
        sealings.unwrap(old.id)
    found = sealings.find(old.statement)
    assert found is not None
    with pytest.raises(NotFoundError):
        collect(found.read())
    assert open_all(consortium, new) == FILES
    with pytest.raises(NotFoundError):
        sealings.adopt(old.statement)
    assert sealings.adopt(new.statement) == new


def test_a_destroyed_version_is_never_sealed_again(consortium: Consortium) -> None:
    digest, sealings = register(consortium), consortium.gateway.sealings
    first = make(consortium, digest)
    second = asyncio.run(sealings.replace(digest))
    for _ in range(2):
        asyncio.run(sealings.destroy(digest))
        assert sealings.current(digest) is None
    for sealed in (first, second):
        assert not sealings.is_current(sealed.id)
        with pytest.raises(NotFoundError):
            sealings.unwrap(sealed.id)
        with pytest.raises(NotFoundError):
            collect(sealed.read())
    with pytest.raises(ConflictError) as caught:
        make(consortium, digest)
    assert caught.value.code == "version-erased"


def test_lost_objects_bring_a_new_sealing(consortium: Consortium) -> None:
    digest = register(consortium)
    old = make(consortium, digest)
    shutil.rmtree(folder_of(consortium, old.id))
    with pytest.raises(NotFoundError):
        collect(old.read())
    new = make(consortium, digest)
    assert new.id != old.id
    assert open_all(consortium, new) == FILES


def test_changed_objects_are_found_without_the_key(consortium: Consortium) -> None:
    sealed = make(consortium, register(consortium))
    folder = folder_of(consortium, sealed.id)
    asyncio.run(sealed.audit())
    for name, place in (("data", 3), ("data", -1), ("leaves", 32 * 2 + 1), ("leaves", -1)):
        flip_bit(folder / name, place)
        with pytest.raises(StoredSealingError, match="seal the version again"):
            asyncio.run(sealed.audit())
        flip_bit(folder / name, place)
    whole = (folder / "data").read_bytes()
    for data in (whole[:-1], whole + b"x"):
        (folder / "data").write_bytes(data)
        with pytest.raises(StoredSealingError):
            collect(sealed.read())
    leaves = (folder / "leaves").read_bytes()
    (folder / "leaves").write_bytes(leaves[:-32])
    with pytest.raises((StoredSealingError, UnavailableError)):
        asyncio.run(sealed.leaf_hashes(2))


def test_only_a_complete_version_is_sealed(consortium: Consortium) -> None:
    sealings = consortium.gateway.sealings
    digest = consortium.state("utility", registration("half", FILES)).digest
    upload(consortium, "utility", "utility/half", 1, "a.csv", FILES["a.csv"])
    with pytest.raises(ConflictError) as caught:
        make(consortium, digest)
    assert caught.value.code == "not-uploaded"
    with pytest.raises(NotFoundError):
        make(consortium, Bytes32(bytes(32)))
    with pytest.raises(NotFoundError):
        sealings.unwrap(Bytes32(bytes(32)))
    assert sealings.find(digest) is None


def test_one_sealing_at_a_time(consortium: Consortium) -> None:
    digest = register(consortium)

    async def twice() -> tuple[SealedVersion | BaseException, SealedVersion | BaseException]:
        sealings = consortium.gateway.sealings
        return await asyncio.gather(sealings.make(digest), sealings.make(digest), return_exceptions=True)

    made, refused = asyncio.run(twice())
    assert isinstance(made, SealedVersion)
    assert isinstance(refused, ConflictError)
    assert refused.code == "sealing-under-way"
    assert make(consortium, digest) == made


def test_a_source_that_changed_leaves_nothing_sealed(consortium: Consortium) -> None:
    """What the store holds was changed after it was uploaded: the sealing ends, and its key with it."""
    files = {"only.bin": make_bytes("only", 3 << 20)}
    digest = register(consortium, files=files)
    stored = next(
        path
        for path in (consortium.gateway.parts.settings.home / "content" / "files").rglob("*")
        if path.is_file() and path.stat().st_size == 3 << 20
    )
    flip_bit(stored, (2 << 20) + 1)
    with pytest.raises(StoredContentError):
        make(consortium, digest)
    flip_bit(stored, (2 << 20) + 1)
    rows = consortium.gateway.parts.store.sealings
    assert rows.list_unfinished(digest) == ()
    assert rows.list_unremoved() == ()
    assert not any(path.is_file() for path in (consortium.gateway.parts.settings.home / "content/incoming").rglob("*"))
    assert open_all(consortium, make(consortium, digest)) == files


def test_a_store_that_fails_leaves_nothing_sealed(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = register(consortium)
    full = UnavailableError("the content store can not keep an object: the disk is full")
    with failing(monkeypatch, FolderPlacement, "place", full), pytest.raises(UnavailableError):
        make(consortium, digest)
    assert consortium.gateway.parts.store.sealings.list_unfinished() == ()
    assert open_all(consortium, make(consortium, digest)) == FILES


def test_a_sealing_that_is_written_is_stated_later(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, sealings = register(consortium), consortium.gateway.sealings
    down = UnavailableError("the chain does not answer")
    with failing(monkeypatch, sealings, "_state", down), pytest.raises(UnavailableError):
        make(consortium, digest)
    (waiting,) = consortium.gateway.parts.store.sealings.list_unfinished(digest)
    assert waiting.state is SealingState.SEALED
    sealings.resume()
    assert make(consortium, digest).id == waiting.id


def test_a_crash_after_the_statement_states_nothing_twice(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, sealings = register(consortium), consortium.gateway.sealings
    for finish in (sealings.resume, lambda: asyncio.run(sealings.replace(digest))):
        with failing(monkeypatch, sealings, "adopt", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
            asyncio.run(sealings.replace(digest))
        (waiting,) = consortium.gateway.parts.store.sealings.list_unfinished(digest)
        finish()
        sealed = make(consortium, digest)
        assert (sealed.id, sealed.statement) == (waiting.id, waiting.statement)


def test_a_provider_with_a_key_of_its_own_states_it(consortium: Consortium) -> None:
    """The gateway holds no key of the analyst: it seals, and the analyst signs."""
    analyst, sealings = consortium.key_of("analyst", "signing"), consortium.gateway.sealings
    signed = consortium.sign("analyst", registration("own", FILES), analyst)
    asker = consortium.asker("analyst")
    digest = consortium.finish(consortium.gateway.statements.submit(asker, signed)).digest
    for path, data in FILES.items():
        upload(consortium, "analyst", "analyst/own", 1, path, data)
    with pytest.raises(ConflictError) as caught:
        make(consortium, digest)
    assert caught.value.code == "no-custodial-key"
    intent = sealings.intent(digest)
    assert intent is not None
    stated = consortium.gateway.statements.submit(asker, consortium.sign("analyst", intent, analyst))
    sealed = sealings.adopt(stated.digest)
    assert sealings.current(digest) == sealed
    assert open_all(consortium, sealed) == FILES


def test_a_statement_of_another_ciphertext_makes_nothing_current(consortium: Consortium) -> None:
    analyst, sealings = consortium.key_of("analyst", "signing"), consortium.gateway.sealings
    asker = consortium.asker("analyst")
    signed = consortium.sign("analyst", registration("other", FILES), analyst)
    digest = consortium.finish(consortium.gateway.statements.submit(asker, signed)).digest
    for path, data in FILES.items():
        upload(consortium, "analyst", "analyst/other", 1, path, data)
    with pytest.raises(ConflictError):
        make(consortium, digest)
    intent = sealings.intent(digest)
    assert intent is not None
    for wrong, expected in (
        ({"ciphertextRoot": "0x" + "11" * 32}, VerificationError),
        ({"ciphertextSize": "1"}, VerificationError),
        ({"keyCommitment": "0x" + "11" * 32}, NotFoundError),
    ):
        other = replace(intent, members={**intent.members, **wrong})
        stated = consortium.gateway.statements.submit(asker, consortium.sign("analyst", other, analyst))
        with pytest.raises(expected):
            sealings.adopt(stated.digest)
        assert sealings.current(digest) is None
    with pytest.raises(NotFoundError):
        sealings.adopt(digest)


def test_a_start_gives_up_what_was_being_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    founded = found_in(home)
    with open_gateway(home, founded) as first:
        first.gateway.parts.keystore._kdf_cost = 2
        digest = register(first)
        sealed = make(first, digest)
        version = first.gateway.parts.store.datasets.find_registration(digest)
        assert version is not None
        key = SealingKey.draw()
        row = SealingRow(
            key.commitment, digest, version.dataset, 1, SealingState.MAKING, None, None, None, None,
            first.gateway.parts.now(),
        )  # fmt: skip
        first.gateway.sealings.keys.keep(row, key)
        folder_of(first, key.commitment).mkdir()
        (folder_of(first, key.commitment) / "data").write_bytes(b"half of it")
    with open_gateway(home, founded) as second:
        assert second.gateway.sealings.current(digest) is not None
        assert not (folder_of(second, key.commitment) / "data").exists()
        left = second.gateway.parts.store.sealings.find(key.commitment)
        assert left is not None
        assert (left.state, left.wrapped_key, left.kek) == (SealingState.GIVEN_UP, None, None)
        assert open_all(second, sealed) == FILES


# The key-encryption key


def kek_of(consortium: Consortium, sealing: Bytes32) -> str | None:
    row = consortium.gateway.parts.store.sealings.find(sealing)
    return None if row is None else row.kek


def test_rotation_wraps_every_key_anew(consortium: Consortium) -> None:
    keys = consortium.gateway.sealings.keys
    sealed = [make(consortium, register(consortium, files={"a": bytes([number])})) for number in range(3)]
    before = kek_of(consortium, sealed[0].id)
    objects = [folder_of(consortium, each.id).joinpath("data").stat().st_mtime_ns for each in sealed]
    rotated = keys.rotate()
    assert rotated.kek != before
    assert rotated.rewrapped >= 3
    assert {kek_of(consortium, each.id) for each in sealed} == {rotated.kek}
    assert [folder_of(consortium, each.id).joinpath("data").stat().st_mtime_ns for each in sealed] == objects
    assert [open_all(consortium, each)["a"] for each in sealed] == [bytes([number]) for number in range(3)]
    folder = Home(consortium.gateway.parts.settings.home).keys_folder
    assert sorted(path.name for path in folder.glob("kek*")) == ["kek.json"]
    assert keys.rotate().kek != rotated.kek


def test_a_rotation_that_is_cut_short_goes_on(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every step: before a key is wrapped anew, between two, before the next key takes the old one's place."""
    sealings, keystore = consortium.gateway.sealings, consortium.gateway.parts.keystore
    sealed = [make(consortium, register(consortium, files={"a": bytes([number])})) for number in range(3)]
    rewrap, done = consortium.gateway.parts.store.sealings.rewrap, count()

    def stop(*_args: Any) -> None:
        raise KeyboardInterrupt

    def stop_at_the_second(*args: Any) -> None:
        if next(done) == 1:
            raise KeyboardInterrupt
        rewrap(*args)

    monkeypatch.setattr("ledger.exchange.sealing_keys._AT_ONCE", 1)
    for owner, name, act in (
        (sealings.keys, "_rewrap_some", stop),
        (consortium.gateway.parts.store.sealings, "rewrap", stop_at_the_second),
        (keystore, "adopt_next_kek", stop),
    ):
        before = {kek_of(consortium, each.id) for each in sealed}
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, act)
            with pytest.raises(KeyboardInterrupt):
                sealings.keys.rotate()
        assert [open_all(consortium, each)["a"] for each in sealed] == [bytes([number]) for number in range(3)]
        new = make(consortium, register(consortium, files={"b": b"in between"}))
        assert open_all(consortium, new) == {"b": b"in between"}
        sealings.resume()
        assert keystore.find_next_kek() is None
        after = {kek_of(consortium, each.id) for each in (*sealed, new)}
        assert len(after) == 1
        assert not after & before
        assert [open_all(consortium, each)["a"] for each in sealed] == [bytes([number]) for number in range(3)]


def test_one_rotation_at_a_time(consortium: Consortium) -> None:
    keys = consortium.gateway.sealings.keys
    with keys._rotating, pytest.raises(ConflictError) as caught:
        keys.rotate()
    assert caught.value.code == "rotation-under-way"


def test_a_changed_or_swapped_wrapped_key_is_found(consortium: Consortium) -> None:
    one, other = (make(consortium, register(consortium, files={"a": bytes([number])})) for number in range(2))
    rows, keys = consortium.gateway.parts.store.sealings, consortium.gateway.sealings.keys
    row, second = rows.find(one.id), rows.find(other.id)
    assert row is not None
    assert row.wrapped_key is not None
    assert row.kek is not None
    assert second is not None
    assert second.wrapped_key is not None
    for wrapped in (bytes([row.wrapped_key[0] ^ 1]) + row.wrapped_key[1:], second.wrapped_key, b""):
        rows.rewrap(one.id, row.kek, row.kek, wrapped)
        with pytest.raises(VerificationError):
            keys.unwrap(one.id)
        with pytest.raises(VerificationError):
            keys.rotate()
    rows.rewrap(one.id, row.kek, "keystore:" + "0" * 32, row.wrapped_key)
    with pytest.raises(VerificationError, match="not in the keystore"):
        keys.unwrap(one.id)
    rows.rewrap(one.id, "keystore:" + "0" * 32, row.kek, row.wrapped_key)
    keys.rotate()
    assert open_all(consortium, one) == {"a": b"\0"}


def test_another_passphrase_opens_the_same_keys(consortium: Consortium) -> None:
    sealed = make(consortium, register(consortium))
    keystore = consortium.gateway.parts.keystore
    try:
        keystore.change_passphrase(PASSPHRASE, "another")
        keystore.reread()
        assert open_all(consortium, sealed) == FILES
        kek = kek_of(consortium, sealed.id)
        assert kek is not None
        folder = Home(consortium.gateway.parts.settings.home).keys_folder
        assert KeyStore(folder, "another").find_kek(kek) is not None
    finally:
        keystore.change_passphrase("another", PASSPHRASE)


def test_a_backup_within_a_rotation_opens_what_it_holds(
    consortium: Consortium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rotation goes on, and ends, after the backup's moment and before its keys are copied."""
    sealed = make(consortium, register(consortium))
    keys, home = consortium.gateway.sealings.keys, Home(consortium.gateway.parts.settings.home)
    cut = failing(monkeypatch, consortium.gateway.parts.keystore, "adopt_next_kek", KeyboardInterrupt())
    with cut, pytest.raises(KeyboardInterrupt):
        keys.rotate()

    def rotate_on(step: str) -> None:
        if step == "copying log, contents and keys":
            keys.rotate()

    back_up(home, tmp_path / "backup", rotate_on)
    restore(tmp_path / "backup", Home(tmp_path / "home"))
    with open_gateway(tmp_path / "home", consortium.founded) as restored:
        assert restored.gateway.parts.keystore.find_next_kek() is None
        assert open_all(restored, sealed) == FILES
        for path in Home(tmp_path / "home").keys_folder.glob("kek*"):
            assert path.stat().st_mode & 0o077 == 0
