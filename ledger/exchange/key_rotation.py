"""The gateway's own keys replaced while it runs: the log's, the relay account's, and the keystore's passphrase.

The next key is written before anything leans on it, the chain decides (a `LogRotation` of the operator), and only then
does the next key take the place of the present one, whose file goes. Killed anywhere, the same call goes on where it
stopped; what the chain decided already, `resume` finishes at the next start.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ledger.chain import RemoteKey, RemoteSigner, Signer
from ledger.errors import ConflictError, NotFoundError, RefusedError, UnavailableError
from ledger.exchange.log_keys import choose_current, is_taken_elsewhere
from ledger.exchange.parts import Parts
from ledger.exchange.reporting import parse_refusal
from ledger.exchange.signatures import sign_statement
from ledger.exchange.submitter import Submitter
from ledger.statements import Statement
from ledger.store.rows import LogRow, StatementRow
from ledger.surface.outcomes import Outcome, SignedStatement
from ledger.types import Address, Bytes32

__all__ = ["GatewayKeys", "KeyRotation"]

_TYPE: Final = "LogRotation"
_TIME_TO_ROTATE_S: Final = 24 * 3600
_LONGEST_WAIT_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.02
_RETRY_AFTER_S: Final = 2.0
_TRIAL: Final = b"concord"
"""What a remote signer signs before anything leans on it: no transaction and no statement begins so."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RelayKey:
    """A relay account after the first, which publishes the log; ``next_relay`` while it is being rotated."""

    number: int
    relay: Address
    remote: bool
    next_relay: Address | None


@dataclass(frozen=True, slots=True)
class GatewayKeys:
    """The public halves of the gateway's own keys; ``next_...`` while one is being rotated.

    ``remote`` says that another machine holds the relay account's key.
    """

    relay: Address
    remote: bool
    next_relay: Address | None
    log_key: str
    next_log_key: str | None
    further_relays: tuple[RelayKey, ...] = ()


class KeyRotation:
    """`gateway.keys`. One rotation at a time."""

    def __init__(self, parts: Parts, submitter: Submitter, take: Callable[[SignedStatement], Outcome]) -> None:
        self._parts = parts
        self._submitter = submitter
        self._take = take
        self._turn = threading.Lock()

    def show(self) -> GatewayKeys:
        """The keys as they are. Raises: MalformedError, VerificationError: a file is damaged."""
        parts = self._parts
        relay = parts.keystore.find_next_relay()
        log = parts.keystore.find_next_log_signer(parts.config.origin)
        return GatewayKeys(
            relay=parts.relay.address,
            remote=isinstance(parts.relay, RemoteSigner),
            next_relay=None if relay is None else relay.address,
            log_key=str(parts.log_signer.verifier_key),
            next_log_key=None if log is None else str(log.verifier_key),
            further_relays=tuple(map(self._show_relay, range(2, parts.keystore.count_relays() + 1))),
        )

    def _show_relay(self, number: int) -> RelayKey:
        keystore = self._parts.keystore
        present, following = keystore.load_relay(number), keystore.find_next_relay(number)
        return RelayKey(
            number,
            present.address,
            isinstance(present, RemoteSigner),
            None if following is None else following.address,
        )

    def rotate_log(self) -> GatewayKeys:
        """Let a new Ed25519 key sign the log's checkpoints; policies that are extended name both.

        Raises:
            ConflictError: another rotation is under way (``rotation-under-way``), or the gateway holds no key that
                signs in the operator's name (``no-custodial-key``).
            RefusedError: the contract refuses; where another log has taken the new key meanwhile
                (``checkpoint-log-key-taken``), it is dropped, and the next call draws another.
            UnavailableError: it is not final yet; the same call goes on.
        """
        with self._one_at_a_time():
            parts = self._parts
            if parts.keystore.find_next_log_signer(parts.config.origin) is None:
                self._operators_signer()  # before a key is drawn that nobody could state
            signer = parts.keystore.ensure_next_log_signer(parts.config.origin)
            key = Bytes32(signer.verifier_key.public_key)
            try:
                self._rotate(self._log_row().publisher, key)
            except RefusedError as error:
                self._drop_taken(error, key)
                raise
            self._adopt_log_key()
            return self.show()

    def rotate_relay(
        self, remote: RemoteKey | None = None, *, only_prepare: bool = False, number: int = 1, anew: bool = False
    ) -> GatewayKeys:
        """Let a new account send what a relay account does, once all that this one sent has its outcome.

        With ``only_prepare`` the account is drawn and shown, so that a network can admit or fund it first. The first
        account publishes the log: the chain decides on its successor. On those after it the gateway does alone.
        ``anew`` drops the successor that waits, if one does: its key is gone, and what it holds with it.

        Raises:
            NotFoundError: there are fewer relay accounts.
            UnavailableError: the remote signer does not sign; nothing was written.
            RefusedError: the network asks for fees and the new account holds nothing (``relay-account-unfunded``).
            Others as `rotate_log`.
        """
        with self._one_at_a_time():
            self._check_number(number)
            self._check_remote(remote, number)
            successor = self._prepare_relay(remote, number, anew=anew)
            if only_prepare:
                return self.show()
            self._check_funds(successor.address)
            if number == 1:
                self._rotate(successor.address, self._log_row().verifier_keys[-1])
            if not self._submitter.hand_over(_LONGEST_WAIT_S, number=number):
                raise _under_way()
            return self.show()

    def _prepare_relay(self, remote: RemoteKey | None, number: int, *, anew: bool) -> Signer:
        """The successor, which signed once where it is a remote one; nothing is written before it could."""
        keystore = self._parts.keystore
        waiting = keystore.find_next_relay(number)
        if anew and waiting is not None:
            self._check_not_leant_on(waiting.address, number)
            keystore.drop_next_relay(number)
            waiting = None
        if number == 1 and waiting is None:
            self._operators_signer()  # before a key is drawn that nobody could state
        if remote is not None:
            RemoteSigner(remote).sign(_TRIAL)
        elif isinstance(waiting, RemoteSigner):
            _try_waiting(waiting)
        return keystore.ensure_next_relay(remote, number)

    def change_passphrase(self, old: str, new: str) -> int:
        """Encrypt the keystore anew; how many files. Raises: as `KeyStore.change_passphrase`."""
        with self._one_at_a_time():
            count = self._parts.keystore.change_passphrase(old, new)
            _logger.info("the keystore's %d files are encrypted anew", count)
            return count

    def check(self) -> None:
        """Check, before the first append, that the keystore has the key that the chain names for the log.

        Raises:
            FatalError: it has an older one, as after a restore of a backup from before a rotation.
        """
        parts = self._parts
        row = parts.store.chain.find_log(parts.log)
        if row is not None and not row.closed:
            following = parts.keystore.find_next_log_signer(parts.config.origin)
            choose_current(parts.log_signer, following, row.verifier_keys[-1])

    def resume(self) -> None:
        """Finish what the chain decided before the gateway stopped; before the first append."""
        parts = self._parts
        row = parts.store.chain.find_log(parts.log)
        if row is None:
            return
        log, relay = parts.keystore.find_next_log_signer(parts.config.origin), parts.keystore.find_next_relay()
        if log is not None and log.verifier_key.public_key == row.verifier_keys[-1]:
            self._adopt_log_key()
        if relay is not None and relay.address == row.publisher:
            self._submitter.hand_over(0.0)

    def _adopt_log_key(self) -> None:
        parts = self._parts
        parts.keystore.adopt_next_log_signer()
        parts.log_signer = parts.keystore.load_log_signer(parts.config.origin)
        parts.sequencer.use_signer(parts.log_signer)
        _logger.info("the log is signed with the key %s from now on", parts.log_signer.verifier_key)

    def _drop_taken(self, error: RefusedError, key: Bytes32) -> None:
        """Drop the next key if the chain will never take it. Raises: RefusedError: so it was, and what to do."""
        if not is_taken_elsewhere(error, self._parts.log):
            return
        self._parts.keystore.drop_next_log_signer()
        raise RefusedError(
            f"another log took the new key ({key}) before the chain had the rotation: it was dropped, and has signed "
            "nothing; the log keeps its present key. Run `concord key rotate log` again, it draws another",
            code=error.code,
            facts=error.facts,
        ) from error

    def _check_number(self, number: int) -> None:
        there_are = self._parts.keystore.count_relays()
        if not 1 <= number <= there_are:
            raise NotFoundError(
                f"there is no relay account {number}: they are numbered 1 to {there_are} (CONCORD_RELAY_SIGNERS)"
            )

    def _check_remote(self, remote: RemoteKey | None, number: int) -> None:
        """Check that it replaces neither a key of ours nor one that the chain may lean on already."""
        keystore = self._parts.keystore
        waiting = keystore.find_next_relay(number)
        if remote is None or (waiting is not None and waiting.address == remote.address):
            return
        for each in range(1, keystore.count_relays() + 1):
            present, following = keystore.load_relay(each), keystore.find_next_relay(each)
            if remote.address in {present.address, None if following is None else following.address}:
                raise ConflictError(
                    f"{remote.address} is the relay account {each} already, or follows it", code="same-key"
                )
        if waiting is not None:
            self._check_not_leant_on(waiting.address, number)

    def _check_not_leant_on(self, waiting: Address, number: int) -> None:
        """Check that the chain can not name a successor that is to go. Raises: ConflictError."""
        if number > 1:
            return
        row = self._log_row()
        if waiting == row.publisher or self._find_stated(waiting, row.verifier_keys[-1]):
            raise ConflictError(
                f"a rotation to {waiting} is under way: finish it first (`concord key rotate relay`)",
                code="rotation-under-way",
            )

    def _check_funds(self, account: Address) -> None:
        edge = self._parts.edge
        if edge.settings.gas_price_wei and not edge.balance_wei(account):
            raise RefusedError(
                f"the network asks for fees and the new relay account {account} holds nothing: fund it, then repeat",
                code="relay-account-unfunded",
                facts={"account": str(account)},
            )

    # The statement

    def _rotate(self, publisher: Address, verifier_key: Bytes32) -> None:
        """State the rotation, unless it was stated before, and wait until the chain has it for good."""
        row = self._log_row()
        digest = self._find_stated(publisher, verifier_key)
        if digest is None and (row.publisher, row.verifier_keys[-1]) == (publisher, verifier_key):
            return  # decided on chain, by whichever gateway
        if digest is None:
            digest = self._state(row, publisher, verifier_key)
        end = time.monotonic() + _LONGEST_WAIT_S
        while not self._is_in_force(digest):
            if time.monotonic() > end:
                raise _under_way()
            time.sleep(_LOOK_AGAIN_S)

    def _state(self, row: LogRow, publisher: Address, verifier_key: Bytes32) -> Bytes32:
        operator = self._parts.config.operator
        statement = Statement.build(
            _TYPE,
            participant=operator,
            log=row.id,
            counter=row.rotations + 1,
            publisher=publisher,
            verifierKey=verifier_key,
            deadline=int(self._parts.clock()) + _TIME_TO_ROTATE_S,
            salt=Bytes32(secrets.token_bytes(32)),
        )
        signer = self._operators_signer()
        signature = sign_statement(signer, statement, self._parts.domains)
        return self._take(SignedStatement(statement, signature, signer.address)).digest

    def _operators_signer(self) -> Signer:
        operator, keystore = self._parts.config.operator, self._parts.keystore
        for key in self._parts.directory.signing_keys_of(operator):
            signer = keystore.find(operator, key)
            if signer is not None:
                return signer
        raise ConflictError(
            "the operator signs a rotation, and the gateway holds no active key of it: let it draw one, "
            "`concord participant add-key --custodial --wait accepted --control-key FILE` with the operator's API key "
            "and control key",
            code="no-custodial-key",
        )

    def _find_stated(self, publisher: Address, verifier_key: Bytes32) -> Bytes32 | None:
        """The newest rotation to these keys that was stated here and not refused."""
        wanted = {"publisher": str(publisher), "verifierKey": str(verifier_key), "log": str(self._parts.log)}
        cursor: str | None = None
        while True:
            page = self._parts.store.statements.list(type_name=_TYPE, limit=50, cursor=cursor)
            for row in page.items:
                message = Statement.parse(row.type, dict(row.message)).message
                if row.refusal is None and all(str(message[name]) == value for name, value in wanted.items()):
                    return None if self._is_overtaken(row) else row.digest
            if page.next is None:
                return None
            cursor = page.next

    def _is_overtaken(self, row: StatementRow) -> bool:
        """Whether the keys were rotated on since, so that it says nothing of the present."""
        return row.effect is not None and int(str(row.message["counter"])) < self._log_row().rotations

    def _is_in_force(self, digest: Bytes32) -> bool:
        """Whether it is, for good. Raises: RefusedError: it never will be."""
        row, cursor = self._parts.store.statements.find(digest), self._parts.store.projections.cursor()
        if row is not None and row.refusal is not None and row.effect is None:
            raise RefusedError(
                f"the rotation {digest} was said and is not in force: {row.refusal.get('detail')}",
                code=str(row.refusal.get("code")),
                facts=parse_refusal(row.refusal).facts,
            )
        effect = None if row is None else row.effect
        return effect is not None and cursor is not None and effect.block <= cursor.final

    def _log_row(self) -> LogRow:
        row = self._parts.store.chain.find_log(self._parts.log)
        if row is None or row.closed:
            raise NotFoundError("the gateway's log is not open on chain: there is nothing to rotate")
        return row

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if not self._turn.acquire(blocking=False):
            raise ConflictError(
                "another rotation is under way: wait for it", code="rotation-under-way", retry_after_s=_RETRY_AFTER_S
            )
        try:
            yield
        finally:
            self._turn.release()


def _try_waiting(signer: RemoteSigner) -> None:
    try:
        signer.sign(_TRIAL)
    except UnavailableError as error:
        raise UnavailableError(
            f"the account that waits to follow can not be used now: {error}. Repeat the command when the signer "
            "answers; `--anew` draws another key instead, --remote-url and --public-key name another signer",
            retry_after_s=error.retry_after_s,
        ) from error


def _under_way() -> UnavailableError:
    return UnavailableError(
        "the rotation is under way and not final yet: repeat the command, it goes on", retry_after_s=_RETRY_AFTER_S
    )
