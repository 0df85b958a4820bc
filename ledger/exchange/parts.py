"""What a gateway is put together from, opened and closed as one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self

from ledger.chain import ChainEdge, ContractReader, Deployment, Signer, check_deployment
from ledger.content.store import ContentStore
from ledger.errors import NotFoundError
from ledger.exchange.directory import Directory
from ledger.exchange.followed_log import FollowedLog
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.keystore import KeyStore
from ledger.exchange.log_folder import open_under
from ledger.exchange.loss import AcceptedLoss
from ledger.exchange.lost import LostStatements
from ledger.exchange.settings import GatewaySettings, Home
from ledger.exchange.tenure import Term
from ledger.exchange.transit_key import read_kms_token
from ledger.log import NoteSigner, Sequencer
from ledger.statements import Domains
from ledger.store import Consortium, Store
from ledger.types import Bytes32

__all__ = ["Parts"]

Clock = Callable[[], float]


@dataclass
class Parts:
    """Chain, store, log, content and keys of one gateway."""

    settings: GatewaySettings
    config: GatewayFile
    deployment: Deployment
    domains: Domains
    edge: ChainEdge
    reader: ContractReader
    store: Store
    sequencer: Sequencer | FollowedLog
    content: ContentStore
    keystore: KeyStore
    relay: Signer
    log_signer: NoteSigner
    directory: Directory
    clock: Clock
    _closing: ExitStack = field(repr=False)
    lost: LostStatements = field(default_factory=LostStatements, repr=False)
    accepted_loss: AcceptedLoss | None = None
    """where there is one, nothing is stated any more"""
    _keys: tuple[tuple[int, int], ...] = field(default=(), repr=False)

    @property
    def log(self) -> Bytes32:
        """Id of the gateway's log."""
        return self.config.log

    def check_log_goes_on(self) -> None:
        """Check that the log's key may sign another entry. Raises: ConflictError: a loss was accepted."""
        if self.accepted_loss is not None:
            raise self.accepted_loss.refuse()

    def now(self) -> datetime:
        """The present."""
        return datetime.fromtimestamp(self.clock(), UTC)

    @classmethod
    def open(cls, settings: GatewaySettings, clock: Clock = time.time) -> Self:
        """Open all of it from the home folder.

        Raises:
            NotFoundError: no gateway was founded there.
            ConflictError: another process holds the folder, or it belongs to another consortium.
            VerificationError: the passphrase is another, or the chain is not the consortium's.
            UnavailableError, FatalError: as chain, store and log.
        """
        with ExitStack() as stack:
            parts = cls._open(settings, clock, stack)
            stack.pop_all()
            return parts

    @classmethod
    def _open(cls, settings: GatewaySettings, clock: Clock, stack: ExitStack) -> Self:
        home = Home(settings.home)
        config = GatewayFile.load(home.gateway_file)
        deployment = _load_deployment(home)
        kms_token = partial(read_kms_token, settings.kms_token, settings.kms_token_file)
        keystore = KeyStore.open(home.keys_folder, settings.passphrase, kms_token=kms_token)
        log_signer = keystore.load_log_signer(config.origin)
        closing = stack.enter_context(ExitStack())
        edge = closing.enter_context(
            ChainEdge.open(
                config.chain_settings(deployment.chain_id, home.chain_folder, settings.finality_depth), clock=clock
            )
        )
        check_deployment(edge, deployment)
        registry = deployment.contracts["ParticipantRegistry"]
        url = settings.database_url or f"sqlite:///{home.database_file}"
        store = closing.enter_context(Store.open(url, Consortium(deployment.chain_id, registry)))
        parts = cls(
            settings=settings,
            config=config,
            deployment=deployment,
            domains=deployment.domains,
            edge=edge,
            reader=ContractReader(edge, deployment.contracts),
            store=store,
            sequencer=FollowedLog(home.log_folder, store.checkpoints, lambda: log_signer),
            content=ContentStore.open(settings.content_url or home.content_folder),
            keystore=keystore,
            relay=keystore.load_relay(),
            log_signer=log_signer,
            directory=Directory(store, lambda: datetime.fromtimestamp(clock(), UTC)),
            clock=clock,
            accepted_loss=AcceptedLoss.find(home),
            _closing=closing,
            _keys=keystore.stamp(),
        )
        if store.leases.is_shared:
            parts.sequencer = parts._follow_log()
        else:
            parts.write_log()
        closing.callback(parts.let_go_of_log)
        return parts

    def write_log(self, term: Term | None = None) -> None:
        """Write the log from now on; where it is shared, under the lease's term.

        Raises:
            ConflictError: another process has it open.
            UnavailableError, FatalError: as `Sequencer.open`.
        """
        folder = Home(self.settings.home).log_folder
        if term is None:
            self.sequencer = self._open_log(folder)
        else:
            self.sequencer = open_under(folder, term.token, self._open_log, is_hung=term.is_seized)

    def let_go_of_log(self) -> None:
        """Close the log; where it is shared, follow it from now on. A second call does nothing."""
        self.sequencer.close()
        if self.store.leases.is_shared:
            self.sequencer = self._follow_log()

    def reread_keys(self, *, always: bool = False) -> None:
        """Take the relay account's and the log's key as they are by now, if another process changed them.

        Raises:
            NotFoundError, MalformedError, VerificationError: as a key file; the passphrase may have been changed.
        """
        stamp = self.keystore.stamp()
        if stamp != self._keys or always:
            self.keystore.reread()
            self.relay, self.log_signer = self.keystore.load_relay(), self.keystore.load_log_signer(self.config.origin)
            self._keys = stamp

    def _follow_log(self) -> FollowedLog:
        return FollowedLog(Home(self.settings.home).log_folder, self.store.checkpoints, lambda: self.log_signer)

    def _open_log(self, folder: Path) -> Sequencer:
        def anchor_by() -> datetime:
            return self.now() + timedelta(seconds=self.settings.anchor_within_s)

        return Sequencer.open(folder, self.log_signer, self.store.checkpoints, anchor_by=anchor_by)

    def close(self) -> None:
        """Let go of everything."""
        self._closing.close()


def _load_deployment(home: Home) -> Deployment:
    try:
        return Deployment.parse(home.consortium_file.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"{home.folder.name} has no consortium.json: run `concord init`, or import one") from error
