"""`concord doctor`: what a gateway stands on, looked at one by one, each finding with its fix. Changes nothing.

A gateway that runs is asked at ``service_url`` what keeps it from its work, and for its embedded chain, which it holds.
What can not be looked at because something before it failed is skipped, and says so.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from ledger.chain import ChainEdge, ChainSettings, ContractReader, Deployment, check_deployment
from ledger.errors import ConflictError, LedgerError
from ledger.exchange.catalogue import read_standing
from ledger.exchange.deliveries.peers import parse_peers
from ledger.exchange.findings import Check, FindingError, Standing, judge, need
from ledger.exchange.followed_log import FollowedLog
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.keystore import KeyStore
from ledger.exchange.lost import LostStatements
from ledger.exchange.probes import (
    ask_gateway,
    ask_signers,
    check_content,
    find_anchored,
    is_running,
    read_node_clock,
)
from ledger.exchange.settings import GatewaySettings, Home
from ledger.exchange.tenure import DUTY
from ledger.exchange.transit_key import TransitKey, parse_kms_urls, read_kms_token
from ledger.exchange.upkeep import database_url_of, load_deployment
from ledger.log.recovery import load_edge
from ledger.store import Store
from ledger.store.versions import read_schema_version

__all__ = ["Check", "Diagnosis", "Standing", "diagnose"]

_LEAST_FREE_BYTES: Final = 1 << 30
_LEAST_FREE_SHARE: Final = 0.05
_MOST_OFF_S: Final = 15
_MOST_QUIET_S: Final = 300
_MOST_BLOCKS_BEHIND: Final = 100
_LONGEST_UNANCHORED_S: Final = 600
_PUBLIC: Final = 0o077
_SET_CLOCK: Final = "set the clock by NTP (timedatectl set-ntp true)"


@dataclass
class Diagnosis:
    """Looks, in order; each check may use what those before it opened."""

    settings: GatewaySettings
    service_url: str
    clock: Callable[[], float] = time.time
    refused: LedgerError | None = None
    """why the service does not take the settings of the environment; None: it does"""
    _config: GatewayFile | None = field(default=None, init=False)
    _deployment: Deployment | None = field(default=None, init=False)
    _keystore: KeyStore | None = field(default=None, init=False)
    _edge: ChainEdge | None = field(default=None, init=False)
    _store: Store | None = field(default=None, init=False)

    def run(self) -> Iterator[Check]:
        """Every check, as it ends."""
        checks: tuple[tuple[str, Callable[[], str]], ...] = (
            ("settings", self._check_settings),
            ("configuration", self._check_configuration),
            ("keys", self._check_keys),
            ("remote signer", self._check_remote_signers),
            ("key service", self._check_key_service),
            ("database", self._check_database),
            ("writer", self._check_writer),
            ("content", self._check_content),
            ("chain", self._check_chain),
            ("contracts", self._check_contracts),
            ("account and log key", self._check_roles),
            ("nonces", self._check_nonces),
            ("clock", self._check_clock),
            ("disk", self._check_disk),
            ("log", self._check_log),
            ("texts", self._check_texts),
            ("lag", self._check_lag),
            ("catalogue", self._check_catalogue),
            ("service", self._check_service),
        )
        try:
            for name, look in checks:
                yield judge(name, look)
        finally:
            self._close()

    def _close(self) -> None:
        for each in (self._edge, self._store):
            if each is not None:
                each.close()

    def _check_settings(self) -> str:
        if self.refused is not None:
            raise self.refused
        parse_kms_urls(self.settings.kms_urls)
        count = len(parse_peers(self.settings.peers))
        return f"the service takes them; {count} other gateways listed"

    def _check_configuration(self) -> str:
        home = Home(self.settings.home)
        if not home.gateway_file.is_file():
            raise self._find_no_gateway(home)
        self._config = GatewayFile.load(home.gateway_file)
        self._deployment = load_deployment(home)
        if home.unfinished is not None:
            raise FindingError(*home.unfinished.split(": "))
        if home.folder.stat().st_mode & _PUBLIC:
            raise FindingError(f"others may read {home.folder}", f"chmod 700 {home.folder}")
        return f"{home.folder}: chain {self._deployment.chain_id}, log {self._config.origin}"

    def _find_no_gateway(self, home: Home) -> FindingError:
        """What is most likely comes first: a folder whose gateway was lost is rare."""
        if home.unfinished is not None:
            return FindingError(*home.unfinished.split(": "))
        what = "is not there" if not home.folder.is_dir() else "holds no gateway: it has no gateway.json"
        return FindingError(
            f"{home.folder} {what}",
            "name the gateway's folder (--home, or CONCORD_HOME); where there is none yet, `concord init` founds one; "
            "where it was lost, `concord restore` makes it of a backup",
        )

    def _check_keys(self) -> str:
        config = need(self._config)
        kms_token = partial(read_kms_token, self.settings.kms_token, self.settings.kms_token_file)
        keystore = KeyStore(Home(self.settings.home).keys_folder, self.settings.passphrase, kms_token=kms_token)
        count = keystore.check(config.origin)
        keystore.load_log_signer(config.origin)
        keystore.load_relay()
        self._keystore = keystore
        return f"{count} key files open"

    def _check_remote_signers(self) -> str:
        return ask_signers(need(self._keystore).remote_signers())

    def _check_key_service(self) -> str:
        keystore = need(self._keystore)
        kek = keystore.ensure_kek() if keystore.has_kek else None
        if not isinstance(kek, TransitKey):
            return "none: the key-encryption key is the keystore's"
        kek.check()
        place = kek.named.place
        return f"{place.host} wraps and unwraps with version {kek.named.version} of {place.mount}/{place.key}"

    def _check_database(self) -> str:
        need(self._config)
        url = database_url_of(self.settings)
        if self.settings.database_url is None and not Home(self.settings.home).database_file.is_file():
            raise FindingError(
                "ledger.db is missing",
                "`concord restore BACKUP NEW-HOME --mirror HOME/log` makes a whole folder of a backup, and says what "
                "it lacks; a database elsewhere: CONCORD_DATABASE_URL",
            )
        version = read_schema_version(url)
        if not version.is_known:
            raise FindingError(f"schema {version.present} is a newer version's", "install that version again")
        if not version.is_newest:
            raise FindingError(
                f"schema {version.present}, this version's is {version.newest}",
                "back up, stop the gateway, `concord upgrade`",
            )
        self._store = Store.open(url)
        return f"schema {version.present}"

    def _check_writer(self) -> str:
        leases = need(self._store).leases
        if not leases.is_shared:
            return "one process at a time has the folder"
        row = leases.find(DUTY)
        if row is None or row.holder is None or not row.is_connected:
            return "no process writes: none runs, or one takes over now"
        if row.is_hung:
            raise FindingError(
                f"{row.holder} has the writer's lease and did not renew it since {row.expires_at:%H:%M:%S} UTC",
                "kill that process if it hangs; another one takes over by itself where one runs",
            )
        return f"{row.holder} writes since {row.taken_at:%Y-%m-%d %H:%M:%S} UTC, under the token {row.token}"

    def _check_content(self) -> str:
        return check_content(self.settings, need(self._store))

    def _check_chain(self) -> str:
        config, deployment = need(self._config), need(self._deployment)
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
        deployment = need(self._deployment)
        check_deployment(need(self._edge), deployment)
        return f"{len(deployment.contracts)} contracts with the code that consortium.json names"

    def _check_roles(self) -> str:
        keystore, config, deployment = need(self._keystore), need(self._config), need(self._deployment)
        log = ContractReader(need(self._edge), deployment.contracts).log_of(config.log)
        if not any(log.publisher):
            raise FindingError("the log is not open on chain", "call `concord init` again, with the same settings")
        relay, following = keystore.load_relay().address, keystore.find_next_relay()
        if log.publisher not in {relay, None if following is None else following.address}:
            raise FindingError(
                f"the chain lets {log.publisher} publish, the keystore's relay account is {relay}",
                "put relay.json of that account back from a backup, or rotate it from where that key is",
            )
        keys = [keystore.load_log_signer(config.origin), keystore.find_next_log_signer(config.origin)]
        if log.verifier_key not in {key.verifier_key.public_key for key in keys if key is not None}:
            raise FindingError(
                "the chain names another key for the log than log.pem holds",
                "put log.pem back from a backup made after the last rotation",
            )
        return f"account {relay} publishes, the log's key is the chain's"

    def _check_nonces(self) -> str:
        edge, store = need(self._edge), need(self._store)
        rows = store.outbox.in_flight()
        counts = {relay: edge.nonce(relay) for relay in {row.relay for row in rows}}
        for row in rows:
            if row.nonce < counts[row.relay] and not edge.is_transaction_known(row.hash):
                raise FindingError(
                    f"nonce {row.nonce} of the relay account {row.relay} was spent by a transaction that is not ours",
                    "stop whoever else uses this key, or rotate it (`concord key rotate relay`, of several with "
                    "`--which`), and restart",
                )
        return f"{len(rows)} transactions on their way, none displaced"

    def _check_clock(self) -> str:
        edge, now_s = need(self._edge), int(self.clock())
        node_s, is_present = read_node_clock(edge, now_s)
        if node_s - now_s > _MOST_OFF_S:
            raise FindingError(f"this machine's clock is {node_s - now_s} s behind the chain's last block", _SET_CLOCK)
        if need(self._config).rpc_url is None:
            return "not behind the chain's last block, which has its time from here"
        if is_present and now_s - node_s > _MOST_QUIET_S:
            raise FindingError(
                f"this machine's clock is {now_s - node_s} s ahead of the node's, or the chain stands still",
                f"compare `date -u` with another machine's: {_SET_CLOCK}; if it is right, see why no block comes",
            )
        return "as the node's" if is_present else f"not behind the node's; its last block is {now_s - node_s} s old"

    def _check_disk(self) -> str:
        need(self._config)
        usage = shutil.disk_usage(self.settings.home)
        free = f"{usage.free / (1 << 30):.1f} GiB free"
        if usage.free < _LEAST_FREE_BYTES or usage.free < usage.total * _LEAST_FREE_SHARE:
            share = f"{usage.free / usage.total:.0%} of the disk"
            raise FindingError(f"{free}, {share}", "free space, or move the home folder")
        return free

    def _check_log(self) -> str:
        store, config = need(self._store), need(self._config)
        anchored = find_anchored(need(self._edge), need(self._deployment), store, config.log)
        row = store.checkpoints.load(config.origin)
        size = 0 if row is None else row.size
        if anchored > size:
            raise FindingError(
                f"the log has {size} entries, its checkpoint on chain {anchored}: it signs nothing",
                "`concord log recover --from URL|FOLDER` with a mirror that has them",
            )
        while row is not None and row.size:
            try:
                load_edge(Home(self.settings.home).log_folder, row)
                break
            except LedgerError:
                former, row = row, store.checkpoints.load(config.origin)
                if former == row:
                    raise  # nobody appended meanwhile
        return f"{size} entries, {anchored} on chain"

    def _check_texts(self) -> str:
        keystore, store, config = need(self._keystore), need(self._store), need(self._config)
        signer, lost = keystore.load_log_signer(config.origin), LostStatements()
        followed = FollowedLog(Home(self.settings.home).log_folder, store.checkpoints, lambda: signer)
        lost.find(store, followed, config.log)
        if len(lost):
            first = ", ".join(map(str, lost.first_indexes(5)))
            raise FindingError(
                f"{len(lost)} entries of the log have no statement in the database (the first: {first})",
                "restore a database that has them, or have their signers send the same statements again",
            )
        return "every entry's statement is in the database"

    def _check_lag(self) -> str:
        edge, store, config = need(self._edge), need(self._store), need(self._config)
        behind = edge.head().number - store.chain.as_of_block()
        if behind > _MOST_BLOCKS_BEHIND:
            raise FindingError(f"{behind} blocks are not indexed", "start the gateway, or wait until it caught up")
        oldest = store.statements.oldest_unanchored(config.log)
        waiting_s = 0 if oldest is None else self.clock() - oldest.timestamp()
        if waiting_s > _LONGEST_UNANCHORED_S:
            raise FindingError(
                f"a statement waits for its checkpoint on chain for {waiting_s:.0f} s",
                "start the gateway; /v1/ready names what keeps it",
            )
        first = min((row.created_at.timestamp() for row in store.outbox.in_flight()), default=self.clock())
        if self.clock() - first > _LONGEST_UNANCHORED_S:
            raise FindingError(
                f"a transaction is without an outcome for {self.clock() - first:.0f} s",
                "start the gateway; /v1/ready names what keeps it",
            )
        return f"{max(0, behind)} blocks behind, {store.outbox.depth()} transactions without an outcome"

    def _check_catalogue(self) -> str:
        store = need(self._store)
        return read_standing(store, datetime.fromtimestamp(self.clock(), UTC)).to_sentence()

    def _check_service(self) -> str:
        config = need(self._config)
        return ask_gateway(self.service_url, config.origin, runs=is_running(Home(self.settings.home)))


def diagnose(settings: GatewaySettings, service_url: str, *, refused: LedgerError | None = None) -> tuple[Check, ...]:
    """Every check; ``refused`` is why the service does not take the environment's settings.

    Raises: nothing of the ledger's: what fails is a finding.
    """
    return tuple(Diagnosis(settings, service_url, refused=refused).run())


def _place_of(url: str) -> str:
    """Scheme, host and port alone: the rest may be a password or an API key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
