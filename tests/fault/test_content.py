"""Data sets when the disk is full, a process is killed, or a file is written to while it is hashed."""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.content import CHUNK_SIZE_BYTES, hash_bytes, scan_folder
from ledger.content.store import ContentStore
from ledger.errors import ConflictError, UnavailableError
from tests.support.content import collect, make_bytes, pieces_of, write_files

MIB = CHUNK_SIZE_BYTES
DATA = make_bytes("fault", 12 * MIB + 1)
ENTRY, HASHES = hash_bytes("large.bin", DATA)


@contextmanager
def file_size_limit(size_bytes: int) -> Iterator[None]:
    """Let the kernel refuse to write beyond a size, as a full disk does, for this process alone."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("limit", [0, 100, 3 * MIB, 12 * MIB])
def test_a_refused_write_is_unavailable_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    store = ContentStore.open(tmp_path)
    with file_size_limit(limit), pytest.raises(UnavailableError, match="the disk is full"):
        asyncio.run(store.put_file(ENTRY, pieces_of(DATA), HASHES))
    assert names(tmp_path) == []
    assert asyncio.run(store.put_file(ENTRY, pieces_of(DATA), HASHES)) is True


FULL_DISK = """
import asyncio, sys
from pathlib import Path
from ledger.content import hash_bytes
from ledger.content.store import ContentStore
from ledger.errors import UnavailableError
from tests.support.content import collect, make_bytes, pieces_of

folder = Path(sys.argv[1])
small, large = make_bytes("small", 1 << 20), make_bytes("large", 12 << 20)
store = ContentStore.open(folder)

async def run() -> None:
    entry, hashes = hash_bytes("small", small)
    await store.put_file(entry, pieces_of(small), hashes)
    refused, hashes_refused = hash_bytes("large", large)
    for attempt in range(3):
        try:
            await store.put_file(refused, pieces_of(large), hashes_refused)
        except UnavailableError as error:
            print(error)
    assert await collect(await store.open_file(entry)) == small
    print(sum(1 for path in folder.rglob("*") if path.is_file()))

asyncio.run(run())
"""


def test_a_really_full_disk_is_unavailable_and_what_was_stored_stays(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=6m concord "$1"'
    unshare = [shutil.which("unshare") or "unshare", "-Urm", "sh", "-c"]
    try:
        subprocess.run([*unshare, mount, "sh", str(tmp_path)], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("this system lets no user mount a small disk of its own")
    command = [*unshare, f'{mount} && exec "$2" -c "$3" "$1"', "sh", str(tmp_path), sys.executable, FULL_DISK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    message = "the content store can not store an object: the disk is full: free some space and try again"
    assert done.stdout.splitlines() == [message] * 3 + ["1"]


KILLED = """
import asyncio, sys
from ledger.content import hash_bytes
from ledger.content.store import ContentStore
from tests.support.content import make_bytes

data = make_bytes("fault", (12 << 20) + 1)
entry, hashes = hash_bytes("large.bin", data)

async def sending():
    for first in range(0, 10 << 20, 1 << 20):
        yield data[first : first + (1 << 20)]
    print("waiting", flush=True)
    await asyncio.sleep(60)

asyncio.run(ContentStore.open(sys.argv[1]).put_file(entry, sending(), hashes))
"""


def test_an_upload_that_was_killed_is_invisible_and_cleaned_up(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    assert len(names(tmp_path / "incoming")) == 1
    store = ContentStore.open(tmp_path)
    assert asyncio.run(store.remove_leftovers()) == 1
    assert names(tmp_path) == []
    assert asyncio.run(store.put_file(ENTRY, pieces_of(DATA), HASHES)) is True


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    store = ContentStore.open(tmp_path)

    async def go_away() -> None:
        async def stalling() -> AsyncIterator[bytes]:
            yield DATA[: 9 * MIB]
            await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(store.put_file(ENTRY, stalling(), HASHES), timeout=1)

    asyncio.run(go_away())
    assert names(tmp_path) == []


def test_a_reader_that_goes_away_disturbs_nobody(tmp_path: Path) -> None:
    store = ContentStore.open(tmp_path)

    async def read_some() -> bytes:
        await store.put_file(ENTRY, pieces_of(DATA), HASHES)
        abandoned = await store.open_file(ENTRY)
        await anext(abandoned)
        del abandoned
        return await collect(await store.open_file(ENTRY))

    assert asyncio.run(read_some()) == DATA


def test_a_file_written_to_while_it_is_hashed_is_named(tmp_path: Path) -> None:
    write_files(tmp_path, {"steady.csv": b"x", "growing.bin": DATA})
    stop = threading.Event()

    def grow() -> None:
        with (tmp_path / "growing.bin").open("ab", buffering=0) as file:
            while not stop.wait(0.001):
                file.write(b"x")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        for _ in range(5):
            with pytest.raises(ConflictError, match=r"growing\.bin changed") as caught:
                scan_folder(tmp_path)
            assert caught.value.code == "file-changed"
    finally:
        stop.set()
        writer.join()
    assert scan_folder(tmp_path).manifest.files[0].path == "growing.bin"
