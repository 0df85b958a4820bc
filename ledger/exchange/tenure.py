"""Which of the processes that share a database writes: this one takes the lease when it is free, and keeps it.

One lease for all that writes: the log, the relay accounts' transactions, the index. The process that has it runs the
workers and takes statements; the others answer reads and wait. Who loses it writes no more and starts anew.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError
from ledger.store.fencing import NotTheWriterError
from ledger.store.leases import Leases

__all__ = ["DUTY", "Tenure", "Term", "name_process"]

DUTY: Final = "writer"
_TERM_S: Final = 6.0
_RENEW_EVERY_S: Final = 1.5
_LOOK_EVERY_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 8.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Term:
    """The lease as it was taken; ``is_seized``: from a process that lives and did not renew it."""

    token: int
    is_seized: bool


def name_process() -> str:
    """What this process is called where several are: machine and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Tenure:
    """``take_up`` begins the writer's work, ``on_look`` is called while another has it, ``on_lost`` when it is lost."""

    def __init__(
        self,
        leases: Leases,
        take_up: Callable[[Term], None],
        on_look: Callable[[], None],
        on_lost: Callable[[], None],
        *,
        name: str | None = None,
    ) -> None:
        self._leases = leases
        self._take_up = take_up
        self._on_look = on_look
        self._on_lost = on_lost
        self.name = name or name_process()
        self._term: Term | None = None
        self._writes = False
        self._holder: str | None = None
        self._stopping, self._given_up = threading.Event(), threading.Event()
        self._waiting: threading.Thread | None = None
        self._keeping: threading.Thread | None = None
        self.failure: str | None = None
        """what keeps it from taking the lease, or from keeping it"""
        self.is_lost = False

    @property
    def writes(self) -> bool:
        """Whether this process writes, as far as it knows."""
        return self._writes and self._leases.may_write

    @property
    def writer(self) -> str | None:
        """Who writes, as of a moment ago; None: nobody."""
        return self.name if self.writes else self._holder

    def check_writes(self) -> None:
        """Raise NotTheWriterError where another process writes."""
        if not self.writes:
            raise NotTheWriterError(self._holder)

    def start(self) -> None:
        """Take up the writer's work if nobody does it, or wait for it in a thread.

        Raises:
            LedgerError: it was free and could not be taken up.
        """
        self._leases.stand_by(DUTY)
        if not self._try():
            _logger.warning("%s writes; this process (%s) answers reads and waits", self._holder, self.name)
            self._waiting = _begin("succession", self._wait)

    def stop(self) -> None:
        """Take nothing up any more; what is held stays held, and is renewed, until `release`."""
        self._stopping.set()
        _join(self._waiting)

    def release(self) -> None:
        """Give the lease up, when nothing of the writer's is open any more. The database may be gone."""
        self._given_up.set()
        _join(self._keeping)
        term, self._term, self._writes = self._term, None, False
        if term is not None and not self.is_lost:
            try:
                self._leases.release(DUTY, term.token)
            except LedgerError as error:
                _logger.warning("the writer's lease ends by itself: %s", error)

    def _try(self) -> bool:
        """Take the lease if it is free, and take up the work; whether it was free."""
        row = self._leases.find(DUTY)
        self._holder = row.holder if row is not None and row.is_held else None
        if self._holder is not None:
            return False
        token = self._leases.take(DUTY, self.name, _TERM_S)
        if token is None:
            return False
        self._term = term = Term(token, is_seized=row is not None and row.is_hung)
        self._given_up = threading.Event()
        self._keeping = _begin("lease", lambda: self._keep(term))
        try:
            self._take_up(term)
        except BaseException:
            self.release()
            raise
        self._writes, self.failure = True, None
        _logger.info("this process (%s) writes, under the token %d", self.name, token)
        return True

    def _wait(self) -> None:
        """Look again and again whether the lease is free."""
        pause_s = _LOOK_EVERY_S
        while not self._stopping.wait(pause_s):
            try:
                self._on_look()
                if self._try():
                    return
                pause_s, self.failure = _LOOK_EVERY_S, None
            except LedgerError as error:
                if self.failure != str(error):
                    _logger.warning("the writer's work can not be taken up: %s", error)
                self.failure, pause_s = str(error), min(2 * pause_s, _LONGEST_PAUSE_S)

    def _keep(self, term: Term) -> None:
        """Renew the lease until it is given up or lost. While the database is gone nobody else takes it either."""
        while not self._given_up.wait(_RENEW_EVERY_S):
            try:
                if not self._leases.renew(DUTY, term.token, _TERM_S):
                    self._lose()
                    return
                self.failure = None
            except LedgerError as error:
                if self._leases.is_closed:
                    return
                self.failure = f"the writer's lease is not renewed: {error}"

    def _lose(self) -> None:
        self.is_lost, self._writes = True, False
        self.failure = "another process took the writer's lease, because this one did not renew it in time"
        _logger.error("%s", self.failure)
        self._on_lost()


def _begin(name: str, target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, name=f"concord-{name}", daemon=True)
    thread.start()
    return thread


def _join(thread: threading.Thread | None) -> None:
    if thread is not None and thread is not threading.current_thread():
        thread.join()
