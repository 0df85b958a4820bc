"""The remote signer, against a stand-in for Web3Signer over real HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from ledger.chain import LocalSigner, RemoteKey, RemoteSigner, parse_public_key
from ledger.chain.transactions import sign_transaction
from ledger.errors import MalformedError, UnavailableError
from ledger.keccak import keccak256
from ledger.statements import generate_private_key, recover_signer
from ledger.types import Address, Bytes32
from tests.support.web3signer_stand_in import Web3SignerStandIn, stand_in_for_web3signer

PUBLIC = "0x" + "9b" * 64
ENDLESS_BYTES = 64 << 20
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def standing_in() -> Iterator[Web3SignerStandIn]:
    with stand_in_for_web3signer() as signer:
        yield signer


def test_it_signs_what_a_local_key_signs(standing_in: Web3SignerStandIn) -> None:
    private_key = generate_private_key()
    local, remote = LocalSigner(private_key), RemoteSigner(standing_in.hold(private_key))
    assert remote.address == local.address
    payload = b"\x19\x01" + bytes(range(64))
    assert remote.sign(payload) == local.sign(payload)
    assert recover_signer(Bytes32(keccak256(payload)), remote.sign(payload)) == local.address
    assert standing_in.asked == [payload, payload]  # the payload travels, not its hash: the signer hashes


def test_it_signs_transactions(standing_in: Web3SignerStandIn) -> None:
    private_key = generate_private_key()
    signed = [
        sign_transaction(
            signer, chain_id=1 << 52, nonce=3, gas_limit=21_000, gas_price_wei=0, to=Address(bytes(20)), data=b"x"
        )
        for signer in (LocalSigner(private_key), RemoteSigner(standing_in.hold(private_key)))
    ]
    assert signed[0] == signed[1]


def _high_s(signature: bytes) -> tuple[int, str]:
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return 200, "0x" + (signature[:32] + s.to_bytes(32, "big") + bytes([1 - (signature[64] - 27)])).hex()


def test_it_brings_what_vaults_answer_into_the_canonical_form(standing_in: Web3SignerStandIn) -> None:
    private_key = generate_private_key()
    remote = RemoteSigner(standing_in.hold(private_key))
    standing_in.twist = _high_s
    assert remote.sign(b"payload") == LocalSigner(private_key).sign(b"payload")


@pytest.mark.parametrize(
    ("twist", "words"),
    [
        (lambda _: (200, "0x" + LocalSigner(bytes([7]) * 32).sign(b"payload").hex()), "signed with the key of 0x"),
        (lambda _: (200, "0x" + "00" * 65), "no signature"),
        (lambda _: (200, "0x" + "11" * 64), "something other than a signature"),
        (lambda signature: (200, "0x" + (signature[:64] + b"\x05").hex()), "something other than a signature"),
        (lambda _: (200, "<html>"), "something other than a signature"),
        (lambda _: (500, ""), "answered 500"),
        (lambda _: (404, ""), "does not hold this key"),
        (lambda _: (307, ""), "answered 307"),
    ],
)
def test_a_broken_signer_is_unavailable(
    standing_in: Web3SignerStandIn, twist: Callable[[bytes], tuple[int, str]], words: str
) -> None:
    private_key = generate_private_key()
    remote = RemoteSigner(standing_in.hold(private_key))
    standing_in.twist = twist
    with pytest.raises(UnavailableError, match=words) as refused:
        remote.sign(b"payload")
    assert refused.value.retry_after_s
    assert b"payload".hex() not in str(refused.value)
    assert private_key.hex() not in str(refused.value) + repr(remote)


def test_no_more_of_an_answer_is_taken_in_than_a_signature_needs() -> None:
    sent = 0

    def answer_on_and_on(listening: socket.socket) -> None:
        nonlocal sent
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            while sent < ENDLESS_BYTES:
                connection.sendall(bytes(1 << 16))
                sent += 1 << 16

    with socket.create_server(("127.0.0.1", 0)) as listening:
        hostile = threading.Thread(target=answer_on_and_on, args=(listening,))
        hostile.start()
        signer = RemoteSigner(RemoteKey(f"http://127.0.0.1:{listening.getsockname()[1]}", bytes([1]) * 64))
        with pytest.raises(UnavailableError, match="something other than a signature"):
            signer.sign(b"payload")
        hostile.join(30)
        assert not hostile.is_alive()
    assert sent < ENDLESS_BYTES


def test_a_signer_that_trickles_is_not_waited_for() -> None:
    over = threading.Event()

    def trickle(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 132\r\n\r\n")
            for _ in range(130):
                connection.sendall(b"0")
                if over.wait(0.05):
                    break

    with socket.create_server(("127.0.0.1", 0)) as listening:
        hostile = threading.Thread(target=trickle, args=(listening,))
        hostile.start()
        key = RemoteKey(f"http://127.0.0.1:{listening.getsockname()[1]}", bytes([1]) * 64)
        with pytest.raises(UnavailableError, match="does not answer"):
            RemoteSigner(key, timeout_s=0.2).sign(b"payload")
        over.set()
        hostile.join(30)
        assert not hostile.is_alive()


def test_a_signer_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    key = RemoteKey(f"http://127.0.0.1:{port}", bytes([1]) * 64)
    with pytest.raises(UnavailableError, match="does not answer"):
        RemoteSigner(key).sign(b"payload")
    nowhere = RemoteKey("https://127.0.0.1:1", bytes([1]) * 64, certificate_file="/none", certificate_key_file="/none")
    with pytest.raises(UnavailableError, match="does not answer"):
        RemoteSigner(nowhere).sign(b"payload")


def test_a_remote_keys_file_is_read_strictly() -> None:
    key = RemoteKey("https://signer.example:9000", bytes([3]) * 64, ca_file="ca.pem")
    assert RemoteKey.parse(key.to_json()) == key
    assert key.address == Address(keccak256(bytes([3]) * 64)[12:])
    good = {"format": "concord-remote-key/1", "url": "http://signer:9000", "public_key": PUBLIC}
    assert RemoteKey.parse(good).to_json() == good
    assert not RemoteKey.is_named_by([])
    assert not RemoteKey.is_named_by({"version": 3})
    wrong: list[dict[str, object]] = [
        {**good, "more": "x"},
        {**good, "format": "other"},
        {**good, "url": 7},
        {"format": good["format"], "url": good["url"]},
        {**good, "url": "ftp://signer"},
        {**good, "url": "http://"},
        {**good, "url": "http://signer/?key=1"},
        {**good, "url": "http://me:secret@signer"},
        {**good, "public_key": "0x12"},
        {**good, "public_key": "zz"},
        {**good, "certificate_key_file": "key.pem"},
    ]
    for document in wrong:
        with pytest.raises(MalformedError) as refused:
            RemoteKey.parse(document)
        assert "secret" not in str(refused.value)
    with pytest.raises(MalformedError):
        RemoteKey("http://signer", b"short")


def test_a_public_key_is_read_as_lists_print_it() -> None:
    assert parse_public_key(PUBLIC) == parse_public_key("0x04" + PUBLIC[2:]) == bytes.fromhex(PUBLIC[2:])
