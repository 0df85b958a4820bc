"""Deliveries to this gateway: whom it asks, what becomes of a failure, how a try ends, what lies on the disk."""

from __future__ import annotations

import errno
import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ledger.canonical import JsonValue, hash_document
from ledger.client.flow import Flow, Request
from ledger.client.problems import AtWorkError
from ledger.content import Manifest, hash_bytes
from ledger.errors import (
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VerificationError,
)
from ledger.exchange.deliveries.allotment import Allotment
from ledger.exchange.deliveries.failures import judge_failure
from ledger.exchange.deliveries.peers import Peer, Peers, UnknownPeerError, parse_endpoint, parse_peers
from ledger.exchange.deliveries.places import Place
from ledger.exchange.deliveries.run import InterruptedTryError, Try
from ledger.types import Bytes32

PROVIDER, SALT, ID = (Bytes32(bytes([number]) * 32) for number in (1, 2, 3))
PUBLIC, PRIVATE = "https://93.184.215.14/data", "http://10.1.2.3:8080"


@pytest.mark.parametrize(
    ("url", "spelt"),
    [
        ("HTTPS://Data.Example:443/", "https://data.example"),
        ("http://data.example:8080/gateway/a.b/", "http://data.example:8080/gateway/a.b"),
        ("http://[2001:DB8::1]:80", "http://[2001:db8::1]"),
    ],
)
def test_an_endpoint_has_one_spelling(url: str, spelt: str) -> None:
    assert parse_endpoint(url) == spelt
    assert parse_endpoint(spelt) == spelt


@pytest.mark.parametrize(
    "url",
    [
        "", "data.example", "ftp://data.example", "file:///etc/passwd", "http://", "http://a.example:x",
        "http://me@a.example", "http://me:pw@a.example", "http://a.example/?q=1", "http://a.example/#x",
        "http://a.example/../b", "http://a.example//b", "http://a.example/%2e%2e", "http://a.example/a b",
        "http://á.example", "http://a.example/" + "a" * 2048,
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(MalformedError):
        parse_endpoint(url)


def test_the_list_of_peers() -> None:
    assert parse_peers(" https://a.example/ ,http://b.example:81,, ") == {"https://a.example", "http://b.example:81"}
    assert parse_peers("") == frozenset()
    with pytest.raises(MalformedError, match="CONCORD_PEERS"):
        parse_peers("https://a.example https://b.example")


def peers(profile: JsonValue, listed: str = "", *, salt: Bytes32 = SALT) -> Peers:
    """Peers of a gateway to which the provider's profile came, or (None) did not."""
    stated = Bytes32(hash_document(SALT, profile))
    kept = {} if profile is None else {stated: SimpleNamespace(salt=salt, document=profile)}
    store = SimpleNamespace(
        participants=SimpleNamespace(find=lambda _: SimpleNamespace(profile_hash=stated)),
        documents=SimpleNamespace(find_stated=lambda *_, kind: kept if kind == "profile" else {}),
    )
    return Peers(cast(Any, SimpleNamespace(store=store)), parse_peers(listed))


def test_what_the_operator_listed_is_asked_wherever_it_is() -> None:
    chosen = peers(None, f"{PRIVATE},{PUBLIC}").choose(PROVIDER, PRIVATE + "/")
    assert chosen == Peer(PRIVATE, None)


def test_what_the_profile_names_is_asked_at_public_addresses_alone() -> None:
    chosen = peers({"endpoint": PUBLIC}).choose(PROVIDER, None)
    assert chosen.endpoint == PUBLIC
    assert chosen.check_address is not None
    chosen.check_address("93.184.215.14")
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1%eth0", "::ffff:10.0.0.1"):
        with pytest.raises(UnknownPeerError, match="CONCORD_PEERS"):
            chosen.check_address(address)
    with pytest.raises(UnknownPeerError, match="private network"):
        peers({"endpoint": PRIVATE}).choose(PROVIDER, None)
    assert peers({"endpoint": PRIVATE}, PRIVATE).choose(PROVIDER, None) == Peer(PRIVATE, None)


@pytest.mark.parametrize("profile", [None, {"handle": "a"}, {"endpoint": 5}, {"endpoint": "nonsense"}, ["endpoint"]])
def test_where_no_profile_tells_it_is_to_be_named(profile: JsonValue) -> None:
    with pytest.raises(UnknownPeerError, match="Name the URL"):
        peers(profile).choose(PROVIDER, None)


def test_a_profile_of_another_hash_tells_nothing() -> None:
    assert peers({"endpoint": PUBLIC}).find_named(PROVIDER) == PUBLIC
    assert peers({"endpoint": PUBLIC}, salt=ID).find_named(PROVIDER) is None


def test_a_url_of_nobody_is_refused_and_a_name_that_nobody_knows_is_asked_again() -> None:
    with pytest.raises(UnknownPeerError, match="did not list it"):
        peers({"endpoint": PUBLIC}, "https://a.example").choose(PROVIDER, "https://b.example")
    with pytest.raises(UnavailableError, match="looked up"):
        peers({"endpoint": "https://nobody.invalid"}).choose(PROVIDER, None)


@pytest.mark.parametrize(
    ("error", "tries", "code", "pause_s"),
    [
        (UnavailableError("gone"), 1, "unavailable", 1),
        (UnavailableError("gone"), 4, "unavailable", 8),
        (UnavailableError("gone"), 99, "unavailable", 300),
        (UnavailableError("gone", retry_after_s=30.0), 1, "unavailable", 30),
        (ConflictError("soon", code="sealing-under-way"), 9, "sealing-under-way", 256),
        (AtWorkError("it seals", retry_after_s=1.0), 2, "sealing-under-way", 2),
        (ConflictError("soon", code="transfer-under-way", retry_after_s=1.0), 1, "transfer-under-way", 1),
        (RefusedError("rotated", code="key-not-active"), 3, "key-not-active", 4),
        (RefusedError("rotated", code="key-not-active"), 4, "key-not-active", None),
        (NotFoundError("sealed anew"), 1, "not-found", 1),
        (NotFoundError("no such version"), 4, "not-found", None),
        (RefusedError("revoked", code="grant-revoked"), 1, "grant-revoked", None),
        (VerificationError("changed"), 1, "verification-failed", None),
        (MalformedError("nonsense"), 1, "malformed", None),
        (UnknownPeerError("who"), 1, "unknown-peer", None),
        (OSError(errno.ENOSPC, "full"), 1, "disk-full", None),
        (OSError(errno.EIO, "broken"), 1, "disk-failed", None),
    ],
)
def test_a_failure_is_tried_again_where_that_may_help(
    error: LedgerError | OSError, tries: int, code: str, pause_s: float | None
) -> None:
    failure = judge_failure(error, tries, timedelta())
    assert (failure.code, failure.pause_s) == (code, pause_s)
    assert ("Started again" in failure.detail) == (pause_s is None)


def test_after_a_day_without_a_byte_it_is_given_up() -> None:
    assert judge_failure(UnavailableError("gone"), 99, timedelta(hours=23)).pause_s is not None
    assert judge_failure(UnavailableError("gone"), 99, timedelta(hours=24)).pause_s is None


def asking() -> Flow[None]:
    yield Request("GET", "/v1/transfers")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A listener that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_a_try_that_nobody_answers_ends_when_it_is_interrupted(silent: socket.socket) -> None:
    turn, ended = Try(), list[type[BaseException]]()

    def drive() -> None:
        try:
            turn.drive(Peer(f"http://127.0.0.1:{silent.getsockname()[1]}", None), asking())
        except BaseException as error:  # noqa: BLE001 - what ended it is what is asked
            ended.append(type(error))

    thread = threading.Thread(target=drive)
    thread.start()
    connection, _ = silent.accept()
    turn.interrupt()
    thread.join(60)
    connection.close()
    assert ended == [InterruptedTryError]
    with pytest.raises(InterruptedTryError):
        turn.check()


def test_a_try_that_was_interrupted_before_it_began_asks_nobody(silent: socket.socket) -> None:
    turn = Try()
    turn.check()
    turn.interrupt()
    with pytest.raises(InterruptedTryError):
        turn.drive(Peer(f"http://127.0.0.1:{silent.getsockname()[1]}", None), asking())
    silent.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        silent.accept()


def test_a_try_in_which_nothing_arrives_ends_by_itself(silent: socket.socket) -> None:
    with pytest.raises(UnavailableError, match="so slow"):
        Try(slowest_s=0.2).drive(Peer(f"http://127.0.0.1:{silent.getsockname()[1]}", None), asking())


def test_an_address_that_is_not_to_answer_ends_it_before_its_answer_is_read(silent: socket.socket) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"

    def serve() -> None:
        connection, _ = silent.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(answer)
            connection.recv(1)  # until it is closed

    thread = threading.Thread(target=serve)
    thread.start()
    endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
    check = peers({"endpoint": PUBLIC}).choose(PROVIDER, None).check_address
    with pytest.raises(UnknownPeerError):
        Try().drive(Peer(endpoint, check), asking())
    thread.join(60)
    assert not thread.is_alive()


def test_files_appear_at_once_and_what_they_came_with_goes(tmp_path: Path) -> None:
    place = Place.of(tmp_path / "deliveries", ID)
    state = place.load_state()
    assert (place.received_bytes, place.is_opened) == (0, False)
    assert place.load_state().salt == state.salt
    state.sealed_file.write_bytes(b"sealed")
    assert place.received_bytes == 6
    assert b"private_key" in place.load_private_state()
    manifest = Manifest((hash_bytes("deep/a.csv", b"0123456789")[0],))
    (state.plain_folder / "deep").mkdir(parents=True)
    (state.plain_folder / "deep/a.csv").write_bytes(b"0123456789")
    place.publish(state.plain_folder, manifest, b"{}")
    assert (place.received_bytes, place.is_opened) == (0, True)
    assert (place.load_manifest(), place.load_statements()) == (manifest, b"{}")
    assert b"".join(place.read("deep/a.csv", 2, 5)) == b"2345"
    place.check_file("deep/a.csv")
    assert not (place.folder / "receiving").exists(), "with it the private key of the transfer goes"
    for missing in (lambda: place.check_file("other"), place.load_private_state):
        with pytest.raises(NotFoundError):
            missing()
    assert place.folder.stat().st_mode & 0o777 == 0o700
    place.remove()
    place.remove()
    assert not place.folder.exists()


def test_the_state_of_a_transfer_that_was_receipted_stays_when_another_begins(tmp_path: Path) -> None:
    place = Place.of(tmp_path / "deliveries", ID)
    first = place.load_state()
    assert place.find_transfer() is None
    first.transfer, first.provider, first.receipt = SALT, PROVIDER, {"custodial": {}}
    first.save()
    assert place.find_transfer() == SALT
    first.renew()
    second = place.load_state()
    assert (second.transfer, second.receipt) == (None, None)
    assert b'"custodial"' in place.load_private_state()
    second.receipt = {"message": {}}
    second.save()
    assert b'"message"' in place.load_private_state()
    place.tidy()
    assert b'"custodial"' in place.load_private_state()
    assert [each.name for each in place.folder.iterdir()] == [SALT.hex()]


def test_a_damaged_state_is_handed_over_as_it_is(tmp_path: Path) -> None:
    place = Place.of(tmp_path / "deliveries", ID)
    place.load_state()
    (place.folder / "receiving" / "state.json").write_bytes(b"damaged")
    assert place.load_private_state() == b"damaged"
    assert place.find_transfer() is None


def test_what_the_disk_has_no_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserved: list[int | None] = []
    rows = SimpleNamespace(
        reserve=lambda _, size, most: None if size <= most else most,
        change=lambda _, reserved_bytes: reserved.append(reserved_bytes),
    )
    settings = SimpleNamespace(deliveries_most_bytes=1000)
    parts = cast(Any, SimpleNamespace(settings=settings, store=SimpleNamespace(deliveries=rows)))
    place = Place.of(tmp_path / "deliveries", ID)
    place.load_state().sealed_file.write_bytes(bytes(100))
    free = (64 << 20) + 850
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    allotment = Allotment(parts)
    allotment.reserve(ID, place, 950)
    with pytest.raises(RefusedError, match="the gateway's disk has 850") as caught:
        allotment.reserve(ID, place, 951)
    assert (caught.value.code, reserved) == ("no-room", [0])
    with pytest.raises(RefusedError, match="1000 are left of the 1000"):
        allotment.reserve(ID, place, 1001)
