"""Manifests over object stores, without a server; `make test-objects` has a real one."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from ledger.content import CHUNK_SIZE_BYTES, Progress, hash_bytes, object_scan, scan_folder
from ledger.content.cache import HashCache
from ledger.content.object_scan import scan_objects, scan_store
from ledger.errors import ConflictError, MalformedError, NotFoundError
from tests.support.content import make_bytes, write_files
from tests.support.ranges import serving_ranges

FILES = {"a/large.bin": make_bytes("large", 9 * CHUNK_SIZE_BYTES + 1), "a/b.csv": b"hour\n", "Zürich": b"z", "no": b""}


@pytest.fixture
def store() -> MemoryStore:
    memory = MemoryStore()
    for path, data in FILES.items():
        memory.put(f"top/{path}", data)
    memory.put("topmost", b"beside it")
    return memory


def test_a_prefix_has_the_manifest_of_a_folder(store: MemoryStore, tmp_path: Path) -> None:
    seen: list[Progress] = []
    assert scan_store(store, "top", readers=2, progress=seen.append) == scan_folder(write_files(tmp_path, FILES))
    assert seen[-1] == Progress(4, 4, sum(map(len, FILES.values())), sum(map(len, FILES.values())))
    assert len(scan_store(store, "").manifest.files) == 5


def test_one_object_is_a_data_set_and_none_is_not_found(store: MemoryStore) -> None:
    assert scan_store(store, "topmost").manifest.files == (hash_bytes("topmost", b"beside it")[0],)
    with pytest.raises(NotFoundError, match="object store can not find to"):
        scan_store(store, "to")
    with pytest.raises(MalformedError, match="data set is empty"):
        scan_store(MemoryStore(), "")


def test_too_many_objects_are_refused(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_scan, "MAX_FILES", 3)
    with pytest.raises(MalformedError, match="more than 3 objects"):
        scan_store(store, "top")


@pytest.mark.parametrize("path", ["a/large.bin", "no", "new"])
def test_what_changes_meanwhile_is_named(store: MemoryStore, path: str) -> None:
    done = False

    def replace(step: Progress) -> None:
        nonlocal done
        if not done:
            done = True
            store.put(f"top/{path}", b"other")

    with pytest.raises(ConflictError, match=f"{path} changed while it was read"):
        scan_store(store, "top", readers=1, progress=replace)


def test_what_vanishes_meanwhile_is_named(store: MemoryStore) -> None:
    def delete(step: Progress) -> None:
        obstore.delete(store, "top/a/b.csv")

    with pytest.raises(ConflictError, match=r"a/b\.csv changed"):
        scan_store(store, "top", readers=1, progress=delete)


def test_hashes_are_kept_by_etag(store: MemoryStore, tmp_path: Path) -> None:
    def scan() -> object:
        cache = HashCache.open(tmp_path / "cache")
        try:
            return scan_store(store, "top", cache=cache)
        finally:
            cache.close(tidy=True)

    assert scan() == scan()
    store.put("top/a/b.csv", b"HOUR\n")
    assert scan() == scan_store(store, "top")


def test_over_http_one_file_is_read(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    with serving_ranges(tmp_path) as url:
        for path, data in FILES.items():
            name = path.rpartition("/")[2]
            content = scan_objects(f"{url}/{path}")
            assert (content.manifest.files[0], content.chunks[name]) == hash_bytes(name, data)
        with pytest.raises(NotFoundError):
            scan_objects(f"{url}/nothing")
