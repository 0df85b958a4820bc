"""Versions sealed, stated, replaced and destroyed by a gateway; their keys wrapped, and wrapped anew."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import JsonValue
from ledger.content import parse_manifest
from ledger.content.folder_placement import FolderPlacement
from ledger.content.sealing import SealedFile, SealingDescriptor, SealingKey
from ledger.content.sealing_files import FileOpener, open_chunks
from ledger.content.sealing_proofs import verify_sealed_chunk, verify_sealed_file
from ledger.content.sealing_store import StoredSealingError
from ledger.content.store import StoredContentError
from ledger.errors import ConflictError, LedgerError, NotFoundError, UnavailableError, VerificationError
from ledger.exchange import Home
from ledger.exchange.backup import back_up
from ledger.exchange.restore import restore
from ledger.exchange.sealed_version import SealedVersion
from ledger.exchange.sealing_check import check_sealings, sealed_size_of
from ledger.log.fsck import Finding
from ledger.merkle import leaf_hash
from ledger.store.rows import SealingRow, SealingState
from ledger.types import Bytes32
from scripts.fsck import main as fsck
from tests.support.content import flip_bit, make_bytes
from tests.support.exchange import Consortium, found_in, open_gateway, registration, upload

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


@pytest.fixture(scope="module")
def power(consortium: Consortium) -> Bytes32:
    """A version that tests leave sealed, under whichever key."""
    return register(consortium)


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


def test_what_is_stored_has_neither_names_nor_plaintext_nor_the_key(consortium: Consortium, power: Bytes32) -> None:
    sealed = make(consortium, power)
    key = consortium.gateway.sealings.unwrap(sealed.id).to_bytes()
    stored = [path.read_bytes() for path in folder_of(consortium, sealed.id).iterdir()]
    for secret in (b"a.csv", b"large.bin", FILES["a.csv"], FILES["large.bin"][:32], key, key.hex().encode()):
        assert not any(secret in data for data in stored)
    row = consortium.gateway.parts.store.sealings.find(sealed.id)
    assert row is not None
    assert row.wrapped_key is not None
    assert key not in row.wrapped_key


def test_any_part_is_read_and_proved(consortium: Consortium, power: Bytes32) -> None:
    sealed = make(consortium, power)
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


def test_a_new_sealing_takes_the_place_of_the_old_one(consortium: Consortium, power: Bytes32) -> None:
    digest, sealings = power, consortium.gateway.sealings
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


def test_lost_objects_bring_a_new_sealing(consortium: Consortium, power: Bytes32) -> None:
    digest = power
    old = make(consortium, digest)
    shutil.rmtree(folder_of(consortium, old.id))
    with pytest.raises(NotFoundError):
        collect(old.read())
    new = make(consortium, digest)
    assert new.id != old.id
    assert open_all(consortium, new) == FILES


async def check_all(consortium: Consortium) -> list[Finding]:
    parts = consortium.gateway.parts
    return await check_sealings(parts.content, parts.store, parts.store.sealings.list_current())


def found_by_fsck(consortium: Consortium, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The kinds of what the program finds in the gateway's home."""
    fsck(["--home", str(consortium.gateway.parts.settings.home), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["sealings"] == len(consortium.gateway.parts.store.sealings.list_current())
    return [finding["kind"] for finding in answer["findings"]]


def test_what_is_stored_is_not_what_was_stated(consortium: Consortium, power: Bytes32) -> None:
    """A changed row: another descriptor, a damaged one, none; of a sealing that has ended it is no finding."""
    make(consortium, power)
    parts = consortium.gateway.parts
    rows = parts.store.sealings.list_current()
    (row,) = [each for each in rows if each.registration == power]
    other = SealingDescriptor(row.id, (SealedFile(16, row.id),)).to_bytes()
    for descriptor in (other, b"{", None):
        changed = replace(row, descriptor=descriptor)
        (finding,) = asyncio.run(check_sealings(parts.content, parts.store, [changed]))
        assert finding.kind == "sealing"
        assert sealed_size_of(changed) == (16 if descriptor == other else 0)
    ended = replace(row, id=Bytes32(bytes(32)), descriptor=b"{")
    assert asyncio.run(check_sealings(parts.content, parts.store, [ended])) == []


def test_changed_objects_are_found_without_the_key(
    consortium: Consortium, power: Bytes32, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = make(consortium, power)
    folder = folder_of(consortium, sealed.id)
    asyncio.run(sealed.audit())
    assert found_by_fsck(consortium, capsys) == []
    for name, place in (("data", 3), ("data", -1), ("leaves", 32 * 2 + 1), ("leaves", -1)):
        flip_bit(folder / name, place)
        with pytest.raises(StoredSealingError, match="seal the version again"):
            asyncio.run(sealed.audit())
        (finding,) = asyncio.run(check_all(consortium))
        assert (finding.kind, str(sealed.dataset) in finding.message) == ("sealing", True)
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
    shutil.rmtree(folder)
    assert found_by_fsck(consortium, capsys) == ["sealing"]
    assert open_all(consortium, asyncio.run(consortium.gateway.sealings.replace(power))) == FILES


def test_only_a_complete_version_is_sealed(consortium: Consortium) -> None:
    sealings = consortium.gateway.sealings
    asker = consortium.asker("utility")
    digest = consortium.gateway.statements.sign_and_submit(asker, registration("half", FILES)).digest
    upload(consortium, "utility", "utility/half", 1, "a.csv", FILES["a.csv"])
    with pytest.raises(ConflictError) as caught:
        make(consortium, digest)
    assert caught.value.code == "not-uploaded"
    with pytest.raises(NotFoundError):
        make(consortium, Bytes32(bytes(32)))
    with pytest.raises(NotFoundError):
        sealings.unwrap(Bytes32(bytes(32)))
    assert sealings.find(digest) is None


def test_one_sealing_at_a_time(consortium: Consortium, power: Bytes32) -> None:
    digest = power

    async def twice() -> tuple[SealedVersion | BaseException, SealedVersion | BaseException]:
        sealings = consortium.gateway.sealings
        return await asyncio.gather(sealings.replace(digest), sealings.replace(digest), return_exceptions=True)

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


def test_a_store_that_fails_leaves_nothing_sealed(
    consortium: Consortium, power: Bytes32, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(consortium, power)
    full = UnavailableError("the content store can not keep an object: the disk is full")
    with failing(monkeypatch, FolderPlacement, "place", full), pytest.raises(UnavailableError):
        asyncio.run(consortium.gateway.sealings.replace(power))
    assert consortium.gateway.parts.store.sealings.list_unfinished() == ()
    assert make(consortium, power) == before
    assert open_all(consortium, before) == FILES


def test_a_sealing_that_is_written_is_stated_later(
    consortium: Consortium, power: Bytes32, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, sealings = power, consortium.gateway.sealings
    down = UnavailableError("the chain does not answer")
    with failing(monkeypatch, sealings, "_state", down), pytest.raises(UnavailableError):
        asyncio.run(sealings.replace(digest))
    (waiting,) = consortium.gateway.parts.store.sealings.list_unfinished(digest)
    assert waiting.state is SealingState.SEALED
    sealings.resume()
    assert asyncio.run(sealings.replace(digest)).id == waiting.id


def test_a_crash_after_the_statement_states_nothing_twice(
    consortium: Consortium, power: Bytes32, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, sealings = power, consortium.gateway.sealings
    for finish in (sealings.resume, lambda: asyncio.run(sealings.replace(digest))):
        with failing(monkeypatch, sealings, "adopt", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
            asyncio.run(sealings.replace(digest))
        (waiting,) = consortium.gateway.parts.store.sealings.list_unfinished(digest)
        finish()
        sealed = make(consortium, digest)
        assert (sealed.id, sealed.statement) == (waiting.id, waiting.statement)


def test_a_provider_with_a_key_of_its_own_states_it(consortium: Consortium) -> None:
    """The gateway holds no key of the analyst: it seals, and the analyst signs; another ciphertext is not adopted."""
    analyst, sealings = consortium.key_of("analyst", "signing"), consortium.gateway.sealings
    asker, submit = consortium.asker("analyst"), consortium.gateway.statements.submit
    digest = submit(asker, consortium.sign("analyst", registration("own", FILES), analyst)).digest
    for path, data in FILES.items():
        upload(consortium, "analyst", "analyst/own", 1, path, data)
    with pytest.raises(ConflictError) as caught:
        make(consortium, digest)
    assert caught.value.code == "no-custodial-key"
    intent = sealings.intent(digest)
    assert intent is not None
    changes: tuple[tuple[dict[str, JsonValue], type[LedgerError]], ...] = (
        ({"ciphertextRoot": "0x" + "11" * 32}, VerificationError),
        ({"ciphertextSize": "1"}, VerificationError),
        ({"keyCommitment": "0x" + "11" * 32}, NotFoundError),
    )
    for wrong, expected in changes:
        other = replace(intent, members={**intent.members, **wrong})
        stated = submit(asker, consortium.sign("analyst", other, analyst))
        with pytest.raises(expected):
            sealings.adopt(stated.digest)
    with pytest.raises(NotFoundError):
        sealings.adopt(digest)
    assert sealings.current(digest) is None
    sealed = sealings.adopt(submit(asker, consortium.sign("analyst", intent, analyst)).digest)
    assert sealings.current(digest) == sealed
    assert open_all(consortium, sealed) == FILES


def test_a_transfer_goes_on_while_keys_are_wrapped_anew(consortium: Consortium, power: Bytes32) -> None:
    sealed, sealings = make(consortium, power), consortium.gateway.sealings

    async def transfer() -> list[bytes]:
        pieces = sealed.read()
        first = await anext(pieces)
        rotated = await asyncio.to_thread(sealings.keys.rotate)
        row = consortium.gateway.parts.store.sealings.find(sealed.id)
        assert row is not None
        assert row.kek == rotated.kek
        assert sealings.is_current(sealed.id)
        return [first, *[piece async for piece in pieces]]

    received = asyncio.run(transfer())
    assert b"".join(map(leaf_hash, received)) == asyncio.run(sealed.leaves())
    assert make(consortium, power) == sealed
    assert open_all(consortium, sealed) == FILES


def begin(consortium: Consortium, digest: Bytes32) -> Bytes32:
    """What a crash leaves: a sealing that is being written."""
    version = consortium.gateway.parts.store.datasets.find_registration(digest)
    assert version is not None
    key, now = SealingKey.draw(), consortium.gateway.parts.now()
    row = SealingRow(key.commitment, digest, version.dataset, 1, SealingState.MAKING, None, None, None, None, now)
    consortium.gateway.sealings.keys.keep(row, key)
    folder_of(consortium, key.commitment).mkdir()
    (folder_of(consortium, key.commitment) / "data").write_bytes(b"half of it")
    return key.commitment


def test_a_backup_within_a_rotation_opens_what_it_holds(
    consortium: Consortium, power: Bytes32, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rotation goes on, and ends, after the backup's moment and before its keys are copied."""
    sealed, begun = make(consortium, power), begin(consortium, power)
    keys, home = consortium.gateway.sealings.keys, Home(consortium.gateway.parts.settings.home)
    cut = failing(monkeypatch, consortium.gateway.parts.keystore, "adopt_next_kek", KeyboardInterrupt())
    with cut, pytest.raises(KeyboardInterrupt):
        keys.rotate()

    def rotate_on(step: str) -> None:
        if step == "copying log, contents and keys":
            keys.rotate()

    back_up(home, tmp_path / "backup", rotate_on)
    restore(tmp_path / "backup", Home(tmp_path / "home"), accept_loss=True)
    for path in Home(tmp_path / "home").keys_folder.glob("kek*"):
        assert path.stat().st_mode & 0o077 == 0
    with open_gateway(tmp_path / "home", consortium.founded) as restored:
        assert restored.gateway.parts.keystore.find_next_kek() is None
        assert open_all(restored, sealed) == FILES
        assert not (folder_of(restored, begun) / "data").exists()
        left = restored.gateway.parts.store.sealings.find(begun)
        assert left is not None
        assert (left.state, left.wrapped_key, left.kek) == (SealingState.GIVEN_UP, None, None)
    consortium.gateway.sealings.resume()
    assert consortium.gateway.parts.store.sealings.list_unfinished() == ()
