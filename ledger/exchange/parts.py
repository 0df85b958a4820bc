"""What a gateway is put together from, opened and closed as one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from ledger.chain import ChainEdge, ContractReader, Deployment, Signer, check_deployment
from ledger.content.store import ContentStore
from ledger.errors import NotFoundError
from ledger.exchange.directory import Directory
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.keystore import KeyStore
from ledger.exchange.lost import LostStatements
from ledger.exchange.settings import GatewaySettings, Home
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
    sequencer: Sequencer
    content: ContentStore
    keystore: KeyStore
    relay: Signer
    log_signer: NoteSigner
    directory: Directory
    clock: Clock
    _closing: ExitStack = field(repr=False)
    lost: LostStatements = field(default_factory=LostStatements, repr=False)

    @property
    def log(self) -> Bytes32:
        """Id of the gateway's log."""
        return self.config.log

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
        keystore = KeyStore.open(home.keys_folder, settings.passphrase)
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
        sequencer = closing.enter_context(_open_log(home, settings, log_signer, store, clock))
        return cls(
            settings=settings,
            config=config,
            deployment=deployment,
            domains=deployment.domains,
            edge=edge,
            reader=ContractReader(edge, deployment.contracts),
            store=store,
            sequencer=sequencer,
            content=ContentStore.open(settings.content_url or home.content_folder),
            keystore=keystore,
            relay=keystore.load_relay(),
            log_signer=log_signer,
            directory=Directory(store, lambda: datetime.fromtimestamp(clock(), UTC)),
            clock=clock,
            _closing=closing,
        )

    def close(self) -> None:
        """Let go of everything."""
        self._closing.close()


def _open_log(home: Home, settings: GatewaySettings, signer: NoteSigner, store: Store, clock: Clock) -> Sequencer:
    def anchor_by() -> datetime:
        return datetime.fromtimestamp(clock(), UTC) + timedelta(seconds=settings.anchor_within_s)

    return Sequencer.open(home.log_folder, signer, store.checkpoints, anchor_by=anchor_by)


def _load_deployment(home: Home) -> Deployment:
    try:
        return Deployment.parse(home.consortium_file.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"{home.folder.name} has no consortium.json: run `concord init`, or import one") from error
