"""The content store in a bucket of a real S3 server, and what becomes of it when that server fails."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Final

import pytest

from ledger.content import CHUNK_SIZE_BYTES, FileEntry, hash_bytes
from ledger.content.objects import Patience
from ledger.content.store import ContentStore, StoredContentError
from ledger.errors import LedgerError, NotFoundError, UnavailableError, VerificationError
from tests.support.content import collect, flip_bit, make_bytes, pieces_of
from tests.support.fault_proxy import Asked, Fault, FaultProxy
from tests.support.versitygw import SECRET_KEY, S3Server
from tests.support.waiting import eventually

MIB: Final = CHUNK_SIZE_BYTES
DATA: Final = make_bytes("objects", 20 * MIB + 7)
ENTRY, HASHES = hash_bytes("readings.bin", DATA)
SMALL, _ = hash_bytes("small.csv", b"hour,mwh\n")
URL: Final = "s3://contents/site/a"
HURRIED: Final = Patience(retries=2, retry_s=10)


def open_store(patience: Patience = HURRIED) -> ContentStore:
    return ContentStore.open(URL, patience=patience)


def put(entry: FileEntry = ENTRY, data: bytes = DATA, patience: Patience = HURRIED) -> bool:
    return asyncio.run(open_store(patience).put_file(entry, pieces_of(data)))


def read(entry: FileEntry = ENTRY, first: int = 0, last: int | None = None) -> bytes:
    async def run() -> bytes:
        return await collect(await open_store().open_file(entry, first, last))

    return asyncio.run(run())


def key_of(entry: FileEntry, kind: str = "files") -> str:
    name = entry.sha256.hex()
    return f"site/a/{kind}/{name[:2]}/{name}"


def test_files_are_kept_below_the_prefix_read_back_and_deleted(server: S3Server, proxy: FaultProxy) -> None:
    assert put() is True
    assert put() is False
    assert put(SMALL, b"hour,mwh\n") is True
    assert server.object_names() == sorted([key_of(ENTRY), key_of(ENTRY, "chunks"), key_of(SMALL)])
    assert read() == DATA
    assert read(ENTRY, MIB - 1, 9 * MIB) == DATA[MIB - 1 : 9 * MIB + 1]
    assert (server.bucket / key_of(ENTRY)).read_bytes() == DATA
    asyncio.run(open_store().verify_file(ENTRY))
    for _ in range(2):
        asyncio.run(open_store().delete_file(ENTRY.sha256))
    assert server.object_names() == [key_of(SMALL)]
    with pytest.raises(NotFoundError):
        read()
    assert server.parts() == []


def test_a_copy_that_somebody_changed_is_noticed_and_healed(server: S3Server, proxy: FaultProxy) -> None:
    put()
    flip_bit(server.bucket / key_of(ENTRY), 5 * MIB)
    with pytest.raises(StoredContentError) as caught:
        read()
    assert caught.value.chunk == 5
    assert put() is True
    assert read() == DATA


def test_a_wrong_upload_leaves_neither_an_object_nor_parts(server: S3Server, proxy: FaultProxy) -> None:
    with pytest.raises(VerificationError):
        put(data=DATA[:-1] + b"?")
    assert proxy.count("POST", "uploads") == proxy.count("DELETE", "uploadId") == 1
    assert (server.object_names(), server.parts()) == ([], [])


def test_a_sender_that_goes_away_leaves_neither_an_object_nor_parts(server: S3Server, proxy: FaultProxy) -> None:
    async def go_away() -> None:
        sent = asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            yield DATA[: 17 * MIB]
            sent.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(open_store().put_file(ENTRY, stalling(), HASHES))
        await sent.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go_away())
    assert proxy.count("POST", "uploads") == proxy.count("DELETE", "uploadId") == 1
    assert (server.object_names(), server.parts()) == ([], [])


class FirstOnes:
    """A rule: the first ``times`` requests that match have the fault."""

    def __init__(self, times: int, fault: Fault, method: str, part: str = "") -> None:
        self._left = times
        self._fault = fault
        self._method = method
        self._part = part

    def __call__(self, asked: Asked) -> Fault | None:
        if asked.method != self._method or self._part not in asked.target or not self._left:
            return None
        self._left -= 1
        return self._fault


ALWAYS: Final = 10**9


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=500), Fault(request_bytes=MIB)])
@pytest.mark.parametrize(("method", "part"), [("PUT", "partNumber=2"), ("POST", "uploads"), ("POST", "uploadId")])
def test_a_failure_that_passes_is_lived_through(
    server: S3Server, proxy: FaultProxy, fault: Fault, method: str, part: str
) -> None:
    proxy.rule = FirstOnes(2, fault, method, part)
    assert put(patience=Patience(retries=5)) is True
    assert (server.bucket / key_of(ENTRY)).read_bytes() == DATA
    assert server.parts() == []


@pytest.mark.parametrize(("method", "part"), [("PUT", "partNumber=2"), ("POST", "uploads"), ("POST", "uploadId")])
def test_a_store_that_goes_on_saying_503_is_unavailable_and_keeps_nothing(
    server: S3Server, proxy: FaultProxy, method: str, part: str
) -> None:
    proxy.rule = FirstOnes(ALWAYS, Fault(status=503), method, part)
    with pytest.raises(UnavailableError, match="can not store an object"):
        put()
    assert (server.object_names(), server.parts()) == ([], [])
    proxy.rule = None
    assert put() is True
    assert read() == DATA


def test_a_download_that_is_broken_off_goes_on(server: S3Server, proxy: FaultProxy) -> None:
    put()
    proxy.rule = FirstOnes(2, Fault(response_bytes=MIB), "GET", key_of(ENTRY))
    assert read() == DATA


def test_reading_from_a_store_that_says_503_is_unavailable(proxy: FaultProxy) -> None:
    put()
    proxy.rule = FirstOnes(ALWAYS, Fault(status=503), "GET")
    with pytest.raises(UnavailableError, match="can not read"):
        read()
    proxy.rule = FirstOnes(ALWAYS, Fault(status=503), "HEAD")
    with pytest.raises(UnavailableError, match="can not find"):
        read()


def test_a_slow_store_is_waited_for(server: S3Server, proxy: FaultProxy) -> None:
    proxy.rule = lambda asked: Fault(pause_s=0.002)
    assert put() is True
    assert read() == DATA


@pytest.mark.parametrize("part", ["partNumber=1", "uploads"])
def test_a_store_that_never_answers_is_unavailable(
    server: S3Server, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setenv("AWS_TIMEOUT", "2s")
    proxy.rule = FirstOnes(ALWAYS, Fault(stall=True), "POST" if part == "uploads" else "PUT", part)
    with pytest.raises(UnavailableError):
        put(patience=Patience(retries=1, retry_s=2))
    assert (server.object_names(), server.parts()) == ([], [])


def test_a_server_killed_in_the_middle_of_an_upload(server: S3Server, proxy: FaultProxy) -> None:
    async def upload() -> None:
        async def sending() -> AsyncIterator[bytes]:
            yield DATA[: 12 * MIB]
            await asyncio.to_thread(eventually, lambda: bool(server.parts()))
            server.kill()
            yield DATA[12 * MIB :]

        await open_store().put_file(ENTRY, sending(), HASHES)

    with pytest.raises(UnavailableError, match="can not store an object"):
        asyncio.run(upload())
    with pytest.raises(UnavailableError):
        read()
    server.start()
    with pytest.raises(NotFoundError):
        read()
    assert put() is True
    assert read() == DATA


UPLOADING: Final = """
import asyncio, sys
from ledger.content.store import ContentStore
from ledger.content import hash_bytes
from tests.support.content import make_bytes

data = make_bytes("objects", (20 << 20) + 7)

async def sending():
    yield data[: 17 << 20]
    await asyncio.Event().wait()

asyncio.run(ContentStore.open(sys.argv[1]).put_file(hash_bytes("readings.bin", data)[0], sending()))
"""


def test_a_gateway_killed_in_the_middle_of_an_upload_leaves_nothing_to_see_and_the_next_upload_succeeds(
    server: S3Server, proxy: FaultProxy
) -> None:
    with subprocess.Popen([sys.executable, "-c", UPLOADING, URL]) as process:
        eventually(lambda: len(server.parts()) >= 1, 60)
        process.send_signal(signal.SIGKILL)
    assert server.object_names() == []
    with pytest.raises(NotFoundError):
        read()
    assert put() is True
    assert read() == DATA


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_SECRET_ACCESS_KEY", f"not-{SECRET_KEY}"), ("AWS_ACCESS_KEY_ID", "kept-out-nobody")]
)
def test_wrong_credentials_are_unavailable_and_never_told(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(LedgerError) as caught:
        put()
    assert isinstance(caught.value, UnavailableError)
    assert "kept-out" not in str(caught.value)
    assert "credentials" in str(caught.value)
