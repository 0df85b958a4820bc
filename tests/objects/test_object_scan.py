"""Manifests over a prefix of a real S3 server."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import obstore
import pytest
from obstore.store import S3Store

from ledger.content import CHUNK_SIZE_BYTES, Progress, scan_folder
from ledger.content.cache import HashCache
from ledger.content.object_scan import scan_objects
from ledger.content.objects import Patience
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from tests.support.content import make_bytes, write_files
from tests.support.fault_proxy import Asked, Fault, FaultProxy
from tests.support.versitygw import S3Server

MIB: Final = CHUNK_SIZE_BYTES
FILES: Final = {
    "readings/large.bin": make_bytes("large object", 9 * MIB + 1),
    "readings/whole.bin": make_bytes("whole object", 4 * MIB),
    "readings/2024.csv": b"hour,mwh\n",
    "readings/Jürgen 1.csv": b"0,12.5\n",
    "README.md": b"Hourly output\n",
    "empty.csv": b"",
}
URL: Final = "s3://contents/site/power"


@pytest.fixture
def bucket(proxy: FaultProxy) -> S3Store:
    store = S3Store("contents")
    for path, data in FILES.items():
        obstore.put(store, f"site/power/{path}", data)
    obstore.put(store, "site/powerful.csv", b"of another prefix")
    proxy.asked.clear()
    return store


def test_a_prefix_has_the_manifest_of_the_same_files_in_a_folder(bucket: S3Store, tmp_path: Path) -> None:
    seen: list[Progress] = []
    of_folder = scan_folder(write_files(tmp_path / "power", FILES))
    for url in (URL, URL + "/"):
        assert scan_objects(url, readers=3, progress=seen.append) == of_folder
    total = sum(map(len, FILES.values()))
    assert seen[-1] == Progress(files_done=6, files_total=6, bytes_done=total, bytes_total=total)


def test_a_bucket_without_a_prefix_is_hashed_whole(bucket: S3Store) -> None:
    paths = [entry.path for entry in scan_objects("s3://contents").manifest.files]
    assert paths[0] == "site/power/README.md"
    assert paths[-1] == "site/powerful.csv"


def test_one_object_is_a_data_set(bucket: S3Store) -> None:
    (entry,) = scan_objects(f"{URL}/readings/2024.csv").manifest.files
    assert (entry.path, entry.size_bytes) == ("2024.csv", 9)


def test_where_nothing_is_nothing_is_found(bucket: S3Store) -> None:
    with pytest.raises(NotFoundError, match="the object store can not find pow: there is no such object"):
        scan_objects("s3://contents/site/pow")


def test_what_was_hashed_is_not_read_again(bucket: S3Store, proxy: FaultProxy, tmp_path: Path) -> None:
    results = []
    for _ in range(2):
        cache = HashCache.open(tmp_path / "cache")
        results.append(scan_objects(URL, cache=cache))
        cache.close(tidy=True)
    assert proxy.count("GET", "/large.bin") == 3
    obstore.put(bucket, "site/power/readings/large.bin", b"new")
    cache = HashCache.open(tmp_path / "cache")
    changed = scan_objects(URL, cache=cache)
    cache.close()
    assert results[0] == results[1] != changed
    assert proxy.count("GET", "/whole.bin") == 1


@pytest.mark.parametrize("path", ["readings/large.bin", "readings/2024.csv", "new.csv"])
def test_an_object_that_is_replaced_or_appears_meanwhile_is_named(bucket: S3Store, path: str) -> None:
    done = False

    def replace(step: Progress) -> None:
        nonlocal done
        if not done:
            done = True
            obstore.put(bucket, f"site/power/{path}", make_bytes("other", len(FILES.get(path, b""))))

    with pytest.raises(ConflictError, match=rf"{path} changed while it was read") as caught:
        scan_objects(URL, readers=1, progress=replace)
    assert caught.value.code == "file-changed"


def test_an_object_that_vanishes_is_named(bucket: S3Store, proxy: FaultProxy) -> None:
    def delete(asked: Asked) -> Fault | None:
        if asked.method == "GET" and asked.target.endswith("/2024.csv"):
            proxy.rule = None
            obstore.delete(bucket, "site/power/readings/2024.csv")
        return None

    proxy.rule = delete
    with pytest.raises(ConflictError, match=r"2024\.csv changed"):
        scan_objects(URL)


def test_keys_that_no_manifest_can_hold_are_refused(bucket: S3Store, server: S3Server) -> None:
    obstore.put(bucket, "site/power/README.MD", b"x")
    with pytest.raises(MalformedError, match="differ only in case"):
        scan_objects(URL)


def test_marks_of_empty_folders_do_not_count(bucket: S3Store, server: S3Server) -> None:
    (server.bucket / "site" / "power" / "nothing here").mkdir()
    assert len(scan_objects(URL).manifest.files) == 6


def test_failures_that_pass_are_lived_through_and_others_are_unavailable(bucket: S3Store, proxy: FaultProxy) -> None:
    times = 0

    def break_off(asked: Asked) -> Fault | None:
        nonlocal times
        times += 1
        broken = Fault(response_bytes=1000) if asked.target.endswith(".bin") else Fault(status=503)
        return broken if times % 3 == 0 else None

    proxy.rule = break_off
    assert len(scan_objects(URL).manifest.files) == 6
    proxy.rule = lambda asked: Fault(status=503) if asked.target.endswith("large.bin") else None
    with pytest.raises(UnavailableError, match=r"the object store can not read readings/large\.bin"):
        scan_objects(URL, patience=Patience(retries=1))
    proxy.rule = lambda asked: Fault(status=503)
    with pytest.raises(UnavailableError, match="the object store can not list its objects"):
        scan_objects(URL, patience=Patience(retries=1))
