"""The service as a process: one listening socket, one gateway, a clean end."""

from __future__ import annotations

import ctypes
import errno
import gc
import logging
import platform
import socket
from collections.abc import Callable
from typing import Final

import uvicorn

from api.app import create_app
from ledger.errors import UnavailableError
from ledger.exchange import Gateway, GatewaySettings

__all__ = ["listen", "serve"]

_GRACE_S: Final = 10
# mallopt(3)
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_ARENAS: Final = 2
_LARGEST_KEPT_BYTES: Final = 8 << 20
_MOST_KEPT_BYTES: Final = 16 << 20
_DRAIN_S: Final = 10.0
_logger = logging.getLogger("concord.server")
_COLLECT_AFTER: Final = 20_000
"""New containers until the youngest generation is collected: a bulk batch makes more than Python's 700."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 lets the system choose.

    Raises:
        UnavailableError: the port is in use, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise UnavailableError(f"{host} is no address: give --host one of this machine's, such as 127.0.0.1") from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(256)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise UnavailableError(
                f"port {port} on {host} is in use: stop what listens there, or give another --port"
            ) from error
        raise UnavailableError(f"can not listen on {host} port {port}: {error.strerror}") from error
    return listening


def serve(settings: GatewaySettings, listening: socket.socket, on_open: Callable[[Gateway], None]) -> None:
    """Run until SIGINT or SIGTERM; then requests get 10 seconds to end, and what was accepted 10 to reach the chain.

    Where processes share a database and another one took the writer's lease from this one, it starts anew and waits.

    Raises:
        LedgerError: it can not open or not start; ``on_open`` was not called then.
    """
    _keep_buffers()
    with listening:
        while _serve_once(settings, listening, on_open):
            _logger.warning("starting anew: another process writes")
            on_open = _ignore


def _serve_once(settings: GatewaySettings, listening: socket.socket, on_open: Callable[[Gateway], None]) -> bool:
    """Run one gateway to its end; whether it ended because another process took its lease."""
    gateway = Gateway.open(settings)
    # What is loaded by now stays: the collector need not look at all of it again and again under load.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    try:
        gateway.start()
    except BaseException:
        gateway.close()
        raise
    on_open(gateway)
    config = uvicorn.Config(
        create_app(gateway, drain_s=_DRAIN_S),
        timeout_graceful_shutdown=_GRACE_S,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    _Server(config, gateway).run(sockets=[listening.dup()])  # which closes what it is given
    return gateway.is_lost


def _keep_buffers() -> None:
    """Let threads share two arenas, and these keep what a chunk took for the next chunk, up to 16 MiB.

    glibc gives each thread an arena of its own, which keeps what large chunks took of it; and it gives their pages back
    to the system one by one, which then costs more to take again than what is received into them.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_ARENA_MAX, _ARENAS)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _MOST_KEPT_BYTES)


def _ignore(_gateway: Gateway) -> None:
    """It was told already."""


class _Server(uvicorn.Server):
    """Lets streams end before it waits for them."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway
        gateway.on_lost = self._end
        self.should_exit = gateway.is_lost

    def _end(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gateway.bulk.drain()
        await super().shutdown(sockets)
