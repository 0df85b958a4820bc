"""`concord doctor`: what a gateway stands on, looked at one by one, each finding with its fix. Changes nothing.

A gateway that runs holds its embedded chain and answers for it: then ``service_url`` is asked. What can not be looked
at because something before it failed is skipped, and says so.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Final, TypeVar
from urllib.parse import urlsplit

from ledger.chain import ChainEdge, ChainSettings, Deployment, check_deployment
from ledger.errors import ConflictError, LedgerError
from ledger.exchange.catalogue import read_standing
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.keystore import KeyStore
from ledger.exchange.settings import GatewaySettings, Home
from ledger.exchange.tenure import DUTY
from ledger.exchange.transit_key import TransitKey, read_kms_token
from ledger.exchange.upkeep import database_url_of, load_deployment
from ledger.store import Store
from ledger.store.versions import read_schema_version

__all__ = ["Check", "Diagnosis", "Standing", "diagnose"]

_LEAST_FREE_BYTES: Final = 1 << 30
_LEAST_FREE_SHARE: Final = 0.05
_MOST_AHEAD_S: Final = 15
_MOST_BLOCKS_BEHIND: Final = 100
_LONGEST_UNANCHORED_S: Final = 600
_PUBLIC: Final = 0o077

T = TypeVar("T")


class Standing(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``fix`` says what to do where it failed."""

    name: str
    standing: Standing
    detail: str
    fix: str | None = None


@dataclass
class Diagnosis:
    """Looks, in order; each check may use what those before it opened."""

    settings: GatewaySettings
    service_url: str
    clock: Callable[[], float] = time.time
    _config: GatewayFile | None = field(default=None, init=False)
    _deployment: Deployment | None = field(default=None, init=False)
    _keystore: KeyStore | None = field(default=None, init=False)
    _edge: ChainEdge | None = field(default=None, init=False)
    _store: Store | None = field(default=None, init=False)

    def run(self) -> Iterator[Check]:
        """Every check, as it ends."""
        checks: tuple[tuple[str, Callable[[], str]], ...] = (
            ("configuration", self._check_configuration),
            ("keys", self._check_keys),
            ("key service", self._check_key_service),
            ("database", self._check_database),
            ("writer", self._check_writer),
            ("chain", self._check_chain),
            ("contracts", self._check_contracts),
            ("account and log key", self._check_roles),
            ("nonces", self._check_nonces),
            ("clock", self._check_clock),
            ("disk", self._check_disk),
            ("log", self._check_log),
            ("lag", self._check_lag),
            ("catalogue", self._check_catalogue),
        )
        try:
            for name, look in checks:
                yield _judge(name, look)
        finally:
            self._close()

    def _close(self) -> None:
        for each in (self._edge, self._store):
            if each is not None:
                each.close()

    def _check_configuration(self) -> str:
        home = Home(self.settings.home)
        if not home.gateway_file.is_file():
            raise self._find_no_gateway(home)
        self._config = GatewayFile.load(home.gateway_file)
        self._deployment = load_deployment(home)
        if home.unfinished is not None:
            raise _FindingError(*home.unfinished.split(": "))
        if home.folder.stat().st_mode & _PUBLIC:
            raise _FindingError(f"others may read {home.folder}", f"chmod 700 {home.folder}")
        return f"{home.folder}: chain {self._deployment.chain_id}, log {self._config.origin}"

    def _find_no_gateway(self, home: Home) -> _FindingError:
        """What is most likely comes first: a folder whose gateway was lost is rare."""
        if home.unfinished is not None:
            return _FindingError(*home.unfinished.split(": "))
        what = "is not there" if not home.folder.is_dir() else "holds no gateway: it has no gateway.json"
        return _FindingError(
            f"{home.folder} {what}",
            "name the gateway's folder (--home, or CONCORD_HOME); where there is none yet, `concord init` founds one; "
            "where it was lost, `concord restore` makes it of a backup",
        )

    def _check_keys(self) -> str:
        config = _need(self._config)
        kms_token = partial(read_kms_token, self.settings.kms_token, self.settings.kms_token_file)
        keystore = KeyStore(Home(self.settings.home).keys_folder, self.settings.passphrase, kms_token=kms_token)
        count = keystore.check(config.origin)
        keystore.load_log_signer(config.origin)
        keystore.load_relay()
        self._keystore = keystore
        return f"{count} key files open"

    def _check_key_service(self) -> str:
        keystore = _need(self._keystore)
        kek = keystore.ensure_kek() if keystore.has_kek else None
        if not isinstance(kek, TransitKey):
            return "none: the key-encryption key is the keystore's"
        kek.check()
        place = kek.named.place
        return f"{place.host} wraps and unwraps with version {kek.named.version} of {place.mount}/{place.key}"

    def _check_database(self) -> str:
        _need(self._config)
        url = database_url_of(self.settings)
        if self.settings.database_url is None and not Home(self.settings.home).database_file.is_file():
            raise _FindingError("ledger.db is missing", "restore a backup (`concord restore`)")
        version = read_schema_version(url)
        if not version.is_known:
            raise _FindingError(f"schema {version.present} is a newer version's", "install that version again")
        if not version.is_newest:
            raise _FindingError(
                f"schema {version.present}, this version's is {version.newest}",
                "back up, stop the gateway, `concord upgrade`",
            )
        self._store = Store.open(url)
        return f"schema {version.present}"

    def _check_writer(self) -> str:
        leases = _need(self._store).leases
        if not leases.is_shared:
            return "one process at a time has the folder"
        row = leases.find(DUTY)
        if row is None or row.holder is None or not row.is_connected:
            return "no process writes: none runs, or one takes over now"
        if row.is_hung:
            raise _FindingError(
                f"{row.holder} has the writer's lease and did not renew it since {row.expires_at:%H:%M:%S} UTC",
                "kill that process if it hangs; another one takes over by itself where one runs",
            )
        return f"{row.holder} writes since {row.taken_at:%Y-%m-%d %H:%M:%S} UTC, under the token {row.token}"

    def _check_chain(self) -> str:
        config, deployment = _need(self._config), _need(self._deployment)
        settings = config.chain_settings(
            deployment.chain_id, Home(self.settings.home).chain_folder, self.settings.finality_depth
        )
        how = ""
        try:
            edge = ChainEdge.open(settings)
        except ConflictError as error:
            if error.code != "folder-in-use":
                raise
            how = f"the gateway that runs, at {self.service_url}"
            node = ChainSettings(
                profile="node", chain_id=deployment.chain_id, rpc_url=f"{self.service_url.rstrip('/')}/rpc"
            )
            edge = ChainEdge.open(replace(node, finality_blocks=self.settings.finality_depth))
        with ExitStack() as opened:
            opened.callback(edge.close)
            edge.check_chain_id()
            number = edge.head().number
            opened.pop_all()
        self._edge = edge
        how = how or ("the embedded chain" if config.rpc_url is None else _place_of(config.rpc_url))
        return f"chain {deployment.chain_id} at block {number}, by {how}"

    def _check_contracts(self) -> str:
        deployment = _need(self._deployment)
        check_deployment(_need(self._edge), deployment)
        return f"{len(deployment.contracts)} contracts with the code that consortium.json names"

    def _check_roles(self) -> str:
        keystore, store, config = _need(self._keystore), _need(self._store), _need(self._config)
        log = store.chain.find_log(config.log)
        if log is None:
            raise _FindingError("the log is not open on chain", "call `concord init` again, or wait for the indexer")
        relay, following = keystore.load_relay().address, keystore.find_next_relay()
        if log.publisher not in {relay, None if following is None else following.address}:
            raise _FindingError(
                f"the chain lets {log.publisher} publish, the keystore's relay account is {relay}",
                "put relay.json of that account back from a backup, or rotate it from where that key is",
            )
        keys = [keystore.load_log_signer(config.origin), keystore.find_next_log_signer(config.origin)]
        if log.verifier_keys[-1] not in {key.verifier_key.public_key for key in keys if key is not None}:
            raise _FindingError(
                "the chain names another key for the log than log.pem holds",
                "put log.pem back from a backup made after the last rotation",
            )
        return f"account {relay} publishes, the log's key is the chain's"

    def _check_nonces(self) -> str:
        edge, store = _need(self._edge), _need(self._store)
        rows = store.outbox.in_flight()
        counts = {relay: edge.nonce(relay) for relay in {row.relay for row in rows}}
        for row in rows:
            if row.nonce < counts[row.relay] and not edge.is_transaction_known(row.hash):
                raise _FindingError(
                    f"nonce {row.nonce} of the relay account {row.relay} was spent by a transaction that is not ours",
                    "stop whoever else uses this key, or rotate it (`concord key rotate relay`, of several with "
                    "`--which`), and restart",
                )
        return f"{len(rows)} transactions on their way, none displaced"

    def _check_clock(self) -> str:
        edge = _need(self._edge)
        head = edge.block(edge.head().number)
        ahead_s = 0 if head is None else head.timestamp - int(self.clock())
        if ahead_s > _MOST_AHEAD_S:
            raise _FindingError(
                f"this machine's clock is {ahead_s} s behind the chain's last block",
                "set the clock by NTP (timedatectl set-ntp true)",
            )
        return "not behind the chain's last block"

    def _check_disk(self) -> str:
        _need(self._config)
        usage = shutil.disk_usage(self.settings.home)
        free = f"{usage.free / (1 << 30):.1f} GiB free"
        if usage.free < _LEAST_FREE_BYTES or usage.free < usage.total * _LEAST_FREE_SHARE:
            share = f"{usage.free / usage.total:.0%} of the disk"
            raise _FindingError(f"{free}, {share}", "free space, or move the home folder")
        return free

    def _check_log(self) -> str:
        store, config = _need(self._store), _need(self._config)
        row, last = store.checkpoints.load(config.origin), store.chain.last_checkpoint(config.log)
        size, anchored = (0 if row is None else row.size), (0 if last is None else last.size)
        if anchored > size:
            raise _FindingError(
                f"the log has {size} entries, its checkpoint on chain {anchored}: it signs nothing",
                "`concord log recover --from URL|FOLDER` with a mirror that has them",
            )
        return f"{size} entries, {anchored} on chain"

    def _check_lag(self) -> str:
        edge, store, config = _need(self._edge), _need(self._store), _need(self._config)
        behind = edge.head().number - store.chain.as_of_block()
        if behind > _MOST_BLOCKS_BEHIND:
            raise _FindingError(f"{behind} blocks are not indexed", "start the gateway, or wait until it caught up")
        oldest = store.statements.oldest_unanchored(config.log)
        waiting_s = 0 if oldest is None else self.clock() - oldest.timestamp()
        if waiting_s > _LONGEST_UNANCHORED_S:
            raise _FindingError(
                f"a statement waits for its checkpoint on chain for {waiting_s:.0f} s",
                "start the gateway; /v1/ready names what keeps it",
            )
        return f"{max(0, behind)} blocks behind, {store.outbox.depth()} transactions without an outcome"

    def _check_catalogue(self) -> str:
        store = _need(self._store)
        return read_standing(store, datetime.fromtimestamp(self.clock(), UTC)).to_sentence()


def diagnose(settings: GatewaySettings, service_url: str) -> tuple[Check, ...]:
    """Every check. Raises: nothing of the ledger's: what fails is a finding."""
    return tuple(Diagnosis(settings, service_url).run())


class _FindingError(LedgerError):
    """Something is not as it should be, and what to do."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.fix = fix


class _MissingError(LedgerError):
    """A check before failed."""


_FIXES: Final[dict[str, str]] = {
    "configuration": "put the file back from a backup (`concord restore` makes a whole folder of one)",
    "keys": "set CONCORD_PASSPHRASE to the keystore's, or put the file back from a backup",
    "key service": "check that it runs and is unsealed, that CONCORD_KMS_TOKEN_FILE (or CONCORD_KMS_TOKEN) is good, "
    "and what its policy allows: docs/operating/key-service.md. Deliveries wait until it answers",
    "database": "check CONCORD_DATABASE_URL and that the database runs",
    "chain": "check that the node runs and that its URL in gateway.json is right; of a running gateway: CONCORD_URL",
    "contracts": "ask another node; if it differs from this one, stop and compare with other members",
    "disk": "check that the disk is mounted",
}


def _judge(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, Standing.OK, look())
    except _MissingError:
        return Check(name, Standing.SKIPPED, "not looked at: what it needs failed")
    except _FindingError as finding:
        return Check(name, Standing.FAILED, str(finding), finding.fix)
    except (LedgerError, OSError) as error:
        return Check(name, Standing.FAILED, str(error), _FIXES.get(name, "the sentence says it"))


def _need(value: T | None) -> T:
    if value is None:
        raise _MissingError
    return value


def _place_of(url: str) -> str:
    """Scheme, host and port alone: the rest may be a password or an API key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
