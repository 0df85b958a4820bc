"""From a folder to its manifest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.content import CHUNK_SIZE_BYTES, Progress, hash_bytes, parse_chunks, parse_manifest, scan_folder
from ledger.errors import ConflictError, MalformedError, NotFoundError
from tests.support.content import make_bytes, sorted_by_bytes, write_files

FILES = {
    "b/large.bin": make_bytes("large", 3 * CHUNK_SIZE_BYTES + 1),
    "a.csv": b"hour,mwh\n",
    ".hidden": b"",
    "Z": b"z",
    "b-c": b"after the folder b by bytes",
}


@pytest.mark.parametrize("workers", [1, 2, 7, None])
def test_a_folder_gives_the_same_manifest_whoever_hashes_it(tmp_path: Path, workers: int | None) -> None:
    content = scan_folder(write_files(tmp_path, FILES), workers=workers)
    assert [entry.path for entry in content.manifest.files] == sorted_by_bytes(FILES)
    for entry in content.manifest.files:
        assert (entry, content.chunks[entry.path]) == hash_bytes(entry.path, FILES[entry.path])
    manifest = parse_manifest(content.manifest.to_bytes())
    assert manifest == content.manifest
    assert parse_chunks(content.chunks.to_bytes(), manifest) == content.chunks


def test_one_file_is_a_data_set(tmp_path: Path) -> None:
    write_files(tmp_path, {"deep/a.csv": b"x"})
    assert scan_folder(tmp_path / "deep/a.csv").manifest.files == (hash_bytes("a.csv", b"x")[0],)


def test_progress_counts_up_to_everything(tmp_path: Path) -> None:
    seen: list[Progress] = []
    scan_folder(write_files(tmp_path, FILES), workers=2, progress=seen.append)
    total = sum(map(len, FILES.values()))
    assert seen[-1] == Progress(files_done=5, files_total=5, bytes_done=total, bytes_total=total)
    assert [step.bytes_done for step in seen] == sorted(step.bytes_done for step in seen)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(MalformedError, match="data set is empty"):
        scan_folder(tmp_path)
    with pytest.raises(NotFoundError):
        scan_folder(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [("résumé", "re\u0301sume\u0301", "twice"), ("Data.csv", "data.csv", "only in case"), ("É", "é", "only in case")],
)
def test_names_that_would_overwrite_each_other_are_refused(tmp_path: Path, one: str, other: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        scan_folder(write_files(tmp_path, {one: b"1", other: b"2"}))


def test_a_file_that_changes_while_another_is_hashed_is_named(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"1", "b": b"2", "c": b"3"})

    def change(step: Progress) -> None:
        if step.files_done == 2:
            (tmp_path / "a").write_bytes(b"one")

    with pytest.raises(ConflictError, match=r"^a changed") as caught:
        scan_folder(tmp_path, workers=1, progress=change)
    assert caught.value.code == "file-changed"


@pytest.mark.parametrize("name", ["new", "sub/new"])
def test_a_file_that_appears_meanwhile_is_named(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {"a": b"1"})

    def add(step: Progress) -> None:
        write_files(tmp_path, {name: b"x"})

    with pytest.raises(ConflictError, match=f"{name} changed"):
        scan_folder(tmp_path, progress=add)


def test_a_failure_stops_the_others(tmp_path: Path) -> None:
    write_files(tmp_path, {f"{number:03}": b"x" for number in range(200)})
    steps: list[Progress] = []

    def remove_next(step: Progress) -> None:
        steps.append(step)
        (tmp_path / "005").unlink(missing_ok=True)

    with pytest.raises(ConflictError, match=r"^005 changed"):
        scan_folder(tmp_path, workers=1, progress=remove_next)
    assert len(steps) < 200


def test_a_large_file_is_given_up_when_another_fails(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.touch()
    with large.open("r+b") as file:
        file.truncate(1 << 40)  # sparse: reading all of it would take minutes
    write_files(tmp_path, {"small": b"x"})

    def fail_after_the_small_one(step: Progress) -> None:
        if step.files_done == 1:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        scan_folder(tmp_path, workers=2, progress=fail_after_the_small_one)


def test_what_the_callback_raises_ends_the_scan(tmp_path: Path) -> None:
    def fail(step: Progress) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        scan_folder(write_files(tmp_path, FILES), progress=fail)


def test_the_offline_part_needs_no_object_store() -> None:
    program = (
        "import sys, ledger.content; print(sorted({'obstore', 'asyncio', 'web3', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
