"""Opening object stores by their addresses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

from ledger.content import hash_bytes
from ledger.content.objects import Patience, open_objects
from ledger.content.store import ContentStore
from ledger.errors import MalformedError, NotFoundError, UnavailableError
from tests.support.content import collect, make_bytes, pieces_of
from tests.support.ranges import serving_ranges

GOOGLE_KEY = {"skip_signature": "true"}


@pytest.mark.parametrize(
    ("location", "options", "kind"),
    [
        ("s3://bucket/a/b", {"region": "eu-central-1"}, S3Store),
        ("gs://bucket/a/b", GOOGLE_KEY, GCSStore),
        ("az://container/a/b", {"account_name": "account"}, AzureStore),
        ("https://host.example/a/b", None, HTTPStore),
        ("http://host.example/a/b", None, HTTPStore),
    ],
)
def test_the_scheme_says_which_store_it_is(location: str, options: dict[str, str] | None, kind: type) -> None:
    assert isinstance(open_objects(location, options, Patience(retries=1)), kind)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("ftp://host/x", "not ftp://"),
        ("s3://key:secret@bucket/x", "has no user, password"),
        ("https://host/x?sig=secret", "has no user, password"),
        ("az://container/x#secret", "has no user, password"),
        ("s3://", "names no bucket or host"),
        ("s3://[secret", "is no URL"),
    ],
)
def test_other_addresses_are_refused_and_not_repeated(location: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason) as caught:
        open_objects(location)
    assert "secret" not in str(caught.value)


def test_an_option_that_is_not_known_is_refused_and_not_repeated() -> None:
    with pytest.raises(MalformedError) as caught:
        open_objects("s3://bucket", {"no such option": "secret"})
    assert "secret" not in str(caught.value)


def test_over_http_contents_are_read_and_never_written(tmp_path: Path) -> None:
    data = make_bytes("web", (5 << 20) + 3)
    entry, hashes = hash_bytes("a.bin", data)
    other, _ = hash_bytes("b.bin", b"other")
    asyncio.run(ContentStore.open(tmp_path).put_file(entry, pieces_of(data)))

    async def run(url: str) -> None:
        store = ContentStore.open(url)
        assert await collect(await store.open_file(entry, 7, (3 << 20) + 1)) == data[7 : (3 << 20) + 2]
        assert await store.load_chunk_hashes(entry) == hashes
        assert await store.put_file(entry, pieces_of(data)) is False
        assert await store.remove_leftovers() == 0
        with pytest.raises(NotFoundError):
            await store.open_file(other)
        with pytest.raises(UnavailableError, match="can not store an object: over HTTP it is only read"):
            await store.put_file(other, pieces_of(b"other"))
        with pytest.raises(UnavailableError, match="can not delete a file: over HTTP it is only read"):
            await store.delete_file(entry.sha256)

    with serving_ranges(tmp_path) as url:
        asyncio.run(run(url))
