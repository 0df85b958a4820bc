"""A stopped gateway's database brought to this version's schema (upgrade), or its projections made anew (reindex)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ledger.chain import ChainEdge, Deployment, check_deployment
from ledger.errors import ConflictError, NotFoundError
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.indexer import Indexer
from ledger.exchange.settings import GatewaySettings, Home
from ledger.exchange.stopped import hold_home
from ledger.store import Consortium, Store
from ledger.store.versions import SchemaVersion, read_schema_version

__all__ = ["Reindexed", "database_url_of", "load_deployment", "reindex", "upgrade_database"]


@dataclass(frozen=True, slots=True)
class Reindexed:
    """How many facts the projections hold, up to which block."""

    block: int
    facts: int
    facts_before: int


@dataclass(frozen=True)
class _Parts:
    edge: ChainEdge
    store: Store
    deployment: Deployment


def database_url_of(settings: GatewaySettings) -> str:
    """The database's URL, the folder's own where settings name none."""
    return settings.database_url or f"sqlite:///{Home(settings.home).database_file}"


def load_deployment(home: Home) -> Deployment:
    """``consortium.json`` of a home. Raises: NotFoundError, MalformedError."""
    try:
        return Deployment.parse(home.consortium_file.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"{home.folder} has no consortium.json: import one from another member") from error


def upgrade_database(settings: GatewaySettings) -> tuple[SchemaVersion, SchemaVersion]:
    """Run the migrations that are missing; the schema before and after.

    Raises:
        ConflictError: the gateway runs, or the database is of a newer version (``database-newer``): there is no way
            back.
        NotFoundError, UnavailableError, FatalError: as home and store.
    """
    home = Home(settings.home)
    with hold_home(home):
        if settings.database_url is None and not home.database_file.is_file():
            raise NotFoundError(f"{home.folder} has no ledger.db: name the database")
        url, deployment = database_url_of(settings), load_deployment(home)
        before = read_schema_version(url)
        registry = deployment.contracts["ParticipantRegistry"]
        Store.open(url, Consortium(deployment.chain_id, registry)).close()
        return before, read_schema_version(url)


def reindex(settings: GatewaySettings, on_block: Callable[[int, int], None] = lambda *_: None) -> Reindexed:
    """Drop the projections and fold the chain again from its first block; ``on_block`` is told the block and the head.

    Statements, documents, contents and keys are not touched. Killed on its way, the next start folds the rest.

    Raises:
        ConflictError: the gateway runs, or the database is another consortium's.
        VerificationError: the chain is not the consortium's; nothing was dropped.
        UnavailableError, FatalError: as chain and store.
    """
    home = Home(settings.home)
    config, deployment = GatewayFile.load(home.gateway_file), load_deployment(home)
    chain = config.chain_settings(deployment.chain_id, home.chain_folder, settings.finality_depth)
    consortium = Consortium(deployment.chain_id, deployment.contracts["ParticipantRegistry"])
    with (
        hold_home(home),
        ChainEdge.open(chain, clock=time.time) as edge,
        Store.open(database_url_of(settings), consortium) as store,
    ):
        check_deployment(edge, deployment)
        before = store.projections.count_rows()
        cursor = store.projections.cursor()
        head = edge.head().number
        if cursor is not None and head < cursor.block:
            raise ConflictError(
                f"the node is at block {head}, the database at {cursor.block}: wait until the node has caught up",
                code="node-behind",
                retry_after_s=10.0,
            )
        store.projections.reset()
        indexer = Indexer(_Parts(edge, store, deployment))
        while indexer.step():
            on_block(store.chain.as_of_block(), head)
        return Reindexed(store.chain.as_of_block(), store.projections.count_rows(), before)
