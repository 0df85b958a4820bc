"""What a pull keeps on disk: good chunks alone, a state for its owner, and nothing where it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.client.sealed_files import PullState, SealedIntake, check_paths, load_state, open_files
from ledger.content import ChunkIndex, Manifest, hash_bytes
from ledger.content.sealing import SealingDescriptor, SealingKey
from ledger.content.sealing_files import FileSealer
from ledger.errors import MalformedError, VerificationError
from ledger.types import Bytes32
from tests.support.content import make_bytes

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
        return SealedIntake(state.folder / "sealed", self.descriptor, self.leaves)


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
    open_files(state, tmp_path, sealed.key, sealed.manifest, sealed.chunks, sealed.descriptor)
    state.drop()
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == FILES
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
        open_files(state, tmp_path, sealed.key, sealed.manifest, sealed.chunks, sealed.descriptor)
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
    (state.folder / "state.json").write_text("{}")
    assert PullState.of(tmp_path, REGISTRATION).salt != state.salt


def test_a_version_may_not_write_where_a_pull_keeps_its_own() -> None:
    entry, _ = hash_bytes(".concord-pull/x", b"x")
    with pytest.raises(MalformedError, match="keeps its own"):
        check_paths(Manifest((entry,)))
