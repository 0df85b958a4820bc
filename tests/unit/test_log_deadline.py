"""A mirror that drips: what is read from it ends in time, whatever it answers and however slowly."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ledger.errors import UnavailableError
from ledger.log import deadline
from ledger.log.deadline import Deadline
from ledger.log.mirror import Mirror

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
Answer = Callable[[socket.socket, threading.Event], None]


@contextmanager
def serve(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answer every connection with ``answer``, one after another, until the end."""
    ended = threading.Event()

    def run() -> None:
        while True:
            connection, _ = server.accept()
            with connection:
                if ended.is_set():
                    return
                wrapped = context.wrap_socket(connection, server_side=True) if context else connection
                with wrapped:
                    wrapped.recv(4096)
                    with contextlib.suppress(OSError):  # the client went away
                        answer(wrapped, ended)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
        finally:
            ended.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()


def drip(begin: bytes) -> Answer:
    def answer(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(begin)
        while not ended.wait(0.02):
            connection.sendall(b"x")

    return answer


@pytest.mark.parametrize("begin", [HEAD.replace(b"3", b"1000000"), b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1."])
def test_a_dripping_answer_ends(begin: bytes) -> None:
    with serve(drip(begin)) as url, pytest.raises(UnavailableError, match="does not answer"):
        Mirror(url, timeout_s=5, total_s=0.3).fetch_checkpoint()  # else it would drip on for ever


def test_redirections_have_no_time_of_their_own() -> None:
    def turn(connection: socket.socket, ended: threading.Event) -> None:
        ended.wait(0.12)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again%d\r\n\r\n" % time.monotonic_ns())

    with serve(turn) as url, pytest.raises(UnavailableError, match="does not answer"):
        Mirror(url, timeout_s=5, total_s=0.3).fetch("x")


def test_silence_ends_before_the_whole_time() -> None:
    with serve(lambda _, ended: (ended.wait(10), None)[1]) as url, pytest.raises(UnavailableError, match="timed out"):
        Mirror(url, timeout_s=0.1, total_s=60).fetch("x")


def test_an_answer_in_time_is_read() -> None:
    with serve(lambda connection, _: connection.sendall(HEAD + b"abc")) as url:
        assert Mirror(url).fetch("x") == b"abc"


def test_an_answer_by_tls_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, client = make_contexts(tmp_path)
    monkeypatch.setattr(deadline, "_trust_anchors", lambda: client)
    with serve(lambda connection, _: connection.sendall(HEAD + b"abc"), server) as url:
        assert Mirror(url).fetch("x") == b"abc"
    with (
        serve(drip(HEAD.replace(b"3", b"1000000")), server) as url,
        pytest.raises(UnavailableError, match="does not answer"),
    ):
        Mirror(url, timeout_s=5, total_s=0.3).fetch("x")


def test_a_deadline_that_passed() -> None:
    assert Deadline(1, 5).next_timeout() == 1
    with pytest.raises(TimeoutError, match="longer than 0 s"):
        Deadline(1, 0).next_timeout()


def test_the_systems_trust_anchors_count() -> None:
    context = deadline._trust_anchors()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def make_contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's, who trusts its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form) + certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    client = ssl.create_default_context(cadata=certificate.decode())
    client.check_hostname = False
    return server, client
