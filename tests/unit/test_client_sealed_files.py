"""What a pull keeps on disk: good chunks alone, a state for its owner, and nothing where it fails."""

from __future__ import annotations

import errno
import json
import os
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from ledger.client import sealed_files
from ledger.client.choosing import Choice, choose, runs_of
from ledger.client.opening import open_files
from ledger.client.sealed_files import PullState, SealedIntake, check_paths, load_state
from ledger.content import ChunkIndex, ChunkMismatchError, Manifest, hash_bytes, write_behind
from ledger.content.sealing import SealingDescriptor, SealingKey
from ledger.content.sealing_files import FileSealer
from ledger.content.write_behind import WriteBehind
from ledger.errors import ConflictError, MalformedError, UnavailableError, VerificationError
from ledger.types import Bytes32
from tests.support.content import make_bytes
from tests.unit.test_content_write_behind import failing_once

FILES = {"a": b"a", "b/empty": b"", "c": make_bytes("c", (1 << 20) + 3)}
REGISTRATION = Bytes32(bytes([7]) * 32)


class Sealed:
    """A version, sealed."""

    def __init__(self, files: dict[str, bytes] = FILES) -> None:
        self.key = SealingKey.draw()
        hashed = [hash_bytes(path, data) for path, data in files.items()]
        self.manifest = Manifest(tuple(entry for entry, _ in hashed))
        self.chunks = ChunkIndex({entry.path: hashes for entry, hashes in hashed})
        self.pieces: list[bytes] = []
        sealers = []
        for (entry, hashes), data in zip(hashed, files.values(), strict=True):
            sealer = FileSealer(self.key, entry, hashes)
            self.pieces += [sealer.seal(data[at : at + (1 << 20)]) for at in range(0, max(1, len(data)), 1 << 20)]
            sealers.append(sealer)
        self.descriptor = SealingDescriptor(self.key.commitment, tuple(each.finish() for each in sealers))
        self.leaves = tuple(leaf for each in sealers for leaf in each.leaf_hashes)

    def intake(self, state: PullState) -> SealedIntake:
        parts = choose(self.manifest, state.choice)
        runs = runs_of(parts, self.descriptor)
        return SealedIntake(state.folder / "sealed", self.descriptor, self.leaves, runs=runs)

    def open(self, state: PullState, target: Path) -> None:
        open_files(state, target, self.key, choose(self.manifest, state.choice), self.chunks, self.descriptor)

    def fetch(self, intake: SealedIntake) -> list[tuple[int, int]]:
        """Let the intake have what it asks for; which bytes those were."""
        stream, asked = b"".join(self.pieces), []
        while not intake.is_complete:
            first, last = intake.restart()
            asked.append((first, last))
            intake.accept(stream[first : last + 1])
        intake.finish()
        intake.close()
        return asked


def found_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def sealed() -> Sealed:
    return Sealed()


def test_the_stream_is_taken_in_pieces_of_any_size(sealed: Sealed, tmp_path: Path) -> None:
    state, stream = PullState.of(tmp_path, REGISTRATION), b"".join(sealed.pieces)
    intake = sealed.intake(state)
    for at in range(0, len(stream), 99_991):
        intake.accept(stream[at : at + 99_991])
    assert intake.is_complete
    intake.finish()
    intake.close()
    sealed.open(state, tmp_path)
    state.drop()
    assert found_in(tmp_path) == FILES
    assert not (tmp_path / ".concord-pull").exists()


def test_what_is_not_a_good_chunk_is_cut_off_at_the_next_start(sealed: Sealed, tmp_path: Path) -> None:
    state = PullState.of(tmp_path, REGISTRATION)
    intake = sealed.intake(state)
    intake.accept(sealed.pieces[0] + sealed.pieces[1] + sealed.pieces[2][:1000])
    intake.close()
    good = len(sealed.pieces[0]) + len(sealed.pieces[1])
    place = state.folder / "sealed"
    assert place.stat().st_size == good
    place.write_bytes(place.read_bytes() + b"torn")
    again = sealed.intake(state)
    assert (again.size_bytes, place.stat().st_size) == (good, good)
    again.close()
    place.write_bytes(b"\x00" + place.read_bytes()[1:])
    spoilt = sealed.intake(state)
    assert spoilt.size_bytes == 0
    spoilt.close()


def test_a_changed_a_swapped_and_a_surplus_chunk_are_refused(sealed: Sealed, tmp_path: Path) -> None:
    state = PullState.of(tmp_path, REGISTRATION)
    intake = sealed.intake(state)
    for wrong in (bytes(len(sealed.pieces[0])), sealed.pieces[1] + bytes(99)):
        with pytest.raises(VerificationError, match="sealed chunk 0"):
            intake.accept(wrong)
        intake.restart()
    with pytest.raises(VerificationError, match="more than"):
        intake.accept(b"".join(sealed.pieces) + b"x")
    intake.close()


def test_no_plaintext_is_left_where_one_file_does_not_open(sealed: Sealed, tmp_path: Path) -> None:
    state = PullState.of(tmp_path, REGISTRATION)
    state.save()
    (state.folder / "sealed").write_bytes(b"".join(sealed.pieces[:-1]) + bytes(len(sealed.pieces[-1])))
    with pytest.raises(VerificationError):
        sealed.open(state, tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"sealed", "state.json"}


def test_a_state_is_gone_on_from(tmp_path: Path) -> None:
    state = PullState.of(tmp_path, REGISTRATION)
    state.save()
    with pytest.raises(MalformedError, match="had not begun"):
        load_state(state.folder / "state.json")
    state.transfer, state.provider, state.receipt = Bytes32(bytes(32)), Bytes32(bytes(32)), {"x": 1}
    state.save()
    again = PullState.of(tmp_path, REGISTRATION)
    assert again == state
    assert load_state(state.folder / "state.json").recipient == state.recipient
    assert (state.folder / "state.json").stat().st_mode & 0o777 == 0o600
    again.renew()
    assert (again.transfer, again.receipt) == (None, None)
    assert again.salt != state.salt


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"\xff", b'{"transfer_salt":'])
def test_a_damaged_state_is_told_and_stays(tmp_path: Path, damage: bytes) -> None:
    """It held the private key of a transfer that may be receipted: nothing takes its place by itself."""
    state = PullState.of(tmp_path, REGISTRATION)
    state.save()
    place = state.folder / "state.json"
    place.write_bytes(damage)
    with pytest.raises(MalformedError, match=r"put a copy of it back\. Without one remove"):
        PullState.of(tmp_path, REGISTRATION)
    assert place.read_bytes() == damage


def test_a_choice_is_gone_on_with_and_another_is_told(tmp_path: Path) -> None:
    state = PullState.of(tmp_path, REGISTRATION, Choice.of(["a", "b/*"]))
    state.save()
    assert PullState.of(tmp_path, REGISTRATION, Choice.of(["b/*", "a"])) == state
    for other in (None, Choice.of(["a"]), Choice.of(["a", "b/*"], ["c:0-1"])):
        with pytest.raises(ConflictError, match="chose --file 'a' --file 'b/\\*'") as caught:
            PullState.of(tmp_path, REGISTRATION, other)
        assert caught.value.code == "other-choice"


def test_a_state_that_knows_no_choice_is_of_the_whole_version(tmp_path: Path) -> None:
    state = PullState.of(tmp_path, REGISTRATION)
    state.save()
    place = state.folder / "state.json"
    kept = json.loads(place.read_text())
    del kept["choice"]
    place.write_text(json.dumps(kept))
    assert PullState.of(tmp_path, REGISTRATION) == state


CHOICES: Final = [
    (Choice.of(["a"]), {"a": FILES["a"]}, 1),
    (Choice.of(["c", "a"]), {"a": FILES["a"], "c": FILES["c"]}, 2),
    (Choice.of(["b"]), {"b/empty": b""}, 1),
    (Choice.of((), ["c:1048575-1048577"]), {"c.1048575-1048577": FILES["c"][1048575:1048578]}, 1),
    (Choice.of(["a"], ["c:1048577-1048578", "a:0-0"]),
     {"a": b"a", "a.0-0": b"a", "c.1048577-1048578": FILES["c"][1048577:]}, 2),
]  # fmt: skip


@pytest.mark.parametrize(("choice", "files", "requests"), CHOICES)
def test_what_is_chosen_is_fetched_and_opened_alone(
    sealed: Sealed, tmp_path: Path, choice: Choice, files: dict[str, bytes], requests: int
) -> None:
    state = PullState.of(tmp_path, REGISTRATION, choice)
    intake = sealed.intake(state)
    asked = sealed.fetch(intake)
    assert len(asked) == requests
    assert intake.size_bytes == sum(last - first + 1 for first, last in asked)
    again = sealed.intake(state)
    assert again.is_complete
    again.close()
    sealed.open(state, tmp_path)
    state.drop()
    assert found_in(tmp_path) == files


def test_a_chosen_part_is_gone_on_from_its_last_good_chunk(sealed: Sealed, tmp_path: Path) -> None:
    state = PullState.of(tmp_path, REGISTRATION, Choice.of(["a", "c"]))
    intake = sealed.intake(state)
    assert intake.restart() == (0, 16)
    intake.accept(sealed.pieces[0])
    assert intake.restart()[0] == 17 + 16
    intake.accept(sealed.pieces[2] + sealed.pieces[3][:5])
    intake.close()
    again = sealed.intake(state)
    assert sealed.fetch(again) == [(17 + 16 + len(sealed.pieces[2]), 17 + 16 + len(sealed.pieces[2]) + 18)]
    sealed.open(state, tmp_path)
    assert (tmp_path / "c").read_bytes() == FILES["c"]


def test_more_than_was_asked_for_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    intake = sealed.intake(PullState.of(tmp_path, REGISTRATION, Choice.of(["a"])))
    with pytest.raises(VerificationError, match="more than it was asked for"):
        intake.accept(sealed.pieces[0] + sealed.pieces[1])
    intake.close()


def test_a_range_of_other_bytes_than_were_registered_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    """The provider sealed other bytes than its manifest names: they open, and are not those."""
    state = PullState.of(tmp_path, REGISTRATION, Choice.of((), ["c:1048576-1048577"]))
    sealed.fetch(sealed.intake(state))
    others = ChunkIndex({path: tuple(bytes(32) for _ in sealed.chunks[path]) for path in FILES})
    with pytest.raises(ChunkMismatchError, match="chunk 1 of c"):
        open_files(state, tmp_path, sealed.key, choose(sealed.manifest, state.choice), others, sealed.descriptor)
    assert set(found_in(tmp_path)) == {f".concord-pull/{REGISTRATION.hex()}/sealed"}


@pytest.mark.parametrize("is_told", [False, True], ids=["cut off before", "told"])
def test_what_a_failed_sync_left_is_fetched_anew(
    sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """What the disk did not take may still be read from memory, and a later sync says nothing of it."""
    state = PullState.of(tmp_path, REGISTRATION)
    monkeypatch.setattr(sealed_files, "WriteBehind", partial(WriteBehind, every_bytes=1))
    with monkeypatch.context() as patched:
        patched.setattr(write_behind, "_sync_data", failing_once())
        intake = sealed.intake(state)
        intake.accept(sealed.pieces[0])
        if is_told:
            with pytest.raises(OSError, match="Input/output"):
                intake.finish()
        assert state.sealed_file.stat().st_size
        with pytest.raises(OSError, match="Input/output") as caught:
            cut_off(intake)
    assert isinstance(caught.value.__context__, UnavailableError)
    assert not state.sealed_file.exists()
    again = sealed.intake(state)
    assert again.size_bytes == 0
    assert sealed.fetch(again) == [(0, len(b"".join(sealed.pieces)) - 1)]
    sealed.open(state, tmp_path)
    state.drop()
    assert found_in(tmp_path) == FILES


def cut_off(intake: SealedIntake) -> None:
    try:
        raise UnavailableError("the connection broke")
    finally:
        intake.close()


def test_a_disk_that_takes_nothing_any_more_does_not_hide_what_came_first(
    sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, **_more: bool) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(sealed_files, "WriteBehind", partial(WriteBehind, every_bytes=1))
    monkeypatch.setattr(write_behind, "_sync_data", failing_once())
    monkeypatch.setattr(Path, "unlink", refuse)
    intake = sealed.intake(PullState.of(tmp_path, REGISTRATION))
    intake.accept(sealed.pieces[0])
    with pytest.raises(OSError, match="Input/output") as caught:
        intake.close()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EROFS


def test_a_version_may_not_write_where_a_pull_keeps_its_own() -> None:
    entry, _ = hash_bytes(".concord-pull/x", b"x")
    with pytest.raises(MalformedError, match="keeps its own"):
        check_paths(Manifest((entry,)))
