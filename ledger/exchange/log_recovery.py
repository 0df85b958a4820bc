"""`concord log recover`: a stopped gateway's log brought up to its checkpoint on chain, from a mirror."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ledger.chain import ChainEdge, Deployment, check_deployment, decode_events
from ledger.errors import MalformedError, UnavailableError
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.keystore import KeyStore
from ledger.exchange.log_keys import choose_current
from ledger.exchange.settings import GatewaySettings, Home
from ledger.exchange.upkeep import load_deployment
from ledger.log import Checkpoint, TileReader, VerifierKey
from ledger.log.mirror import Mirror
from ledger.log.restoring import LogRecovery
from ledger.statements import Entry
from ledger.store import Consortium, Store
from ledger.types import Bytes32

__all__ = ["MissingStatement", "RecoveredLog", "read_anchored_size", "recover_log"]

_BLOCKS_AT_ONCE: Final = 100
_ROWS_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class MissingStatement:
    """An entry whose statement's text is not in the database; its signer and its parties may have it."""

    index: int
    digest: Bytes32
    participant: Bytes32


@dataclass(frozen=True, slots=True)
class RecoveredLog:
    """Where the log stands after a recovery; entries from ``first_index`` on were brought back."""

    size: int
    first_index: int
    root: bytes
    anchored_size: int
    missing: tuple[MissingStatement, ...]


def recover_log(settings: GatewaySettings, mirror: Mirror, *, everything: bool = False) -> RecoveredLog:
    """Recover the log of a gateway that does not run.

    Raises:
        NotFoundError: no gateway was founded in the home, or no log is at the mirror.
        ConflictError: the gateway runs.
        VerificationError: the passphrase is another, or the mirror is of another log or does not lead to the chain's
            checkpoint.
        FatalError: the chain names another key of the log than the keystore has.
        UnavailableError, FatalError: as `LogRecovery.run`, chain and store.
    """
    home = Home(settings.home)
    config = GatewayFile.load(home.gateway_file)
    deployment = load_deployment(home)
    keystore = KeyStore.open(home.keys_folder, settings.passphrase)
    signer = keystore.load_log_signer(config.origin)
    chain = config.chain_settings(deployment.chain_id, home.chain_folder, settings.finality_depth)
    url = settings.database_url or f"sqlite:///{home.database_file}"
    consortium = Consortium(deployment.chain_id, deployment.contracts["ParticipantRegistry"])
    with ChainEdge.open(chain, clock=time.time) as edge, Store.open(url, consortium) as store:
        check_deployment(edge, deployment)
        anchored, keys = _read_chain(edge, deployment, store, config)
        if keys:
            signer = choose_current(signer, keystore.find_next_log_signer(config.origin), keys[-1].public_key)
        statements = _StoredStatements(store, config.log)
        recovery = LogRecovery(
            folder=home.log_folder,
            signer=signer,
            keys=(signer.verifier_key, *(key for key in keys if key != signer.verifier_key)),
            store=store.checkpoints,
            mirror=mirror,
            stated=statements.entry,
        )
        restored = recovery.run(anchored, everything=everything)
        size = restored.checkpoint.size
        return RecoveredLog(
            size=size,
            first_index=restored.first_index,
            root=restored.checkpoint.root,
            anchored_size=0 if anchored is None else anchored.size,
            missing=tuple(statements.find_missing(TileReader(home.log_folder, lambda: size), size)),
        )


def read_anchored_size(home: Home) -> int:
    """The size of the log's last checkpoint on the embedded chain of a home whose database is its own.

    Raises:
        NotFoundError: no gateway was founded in the home.
        VerificationError: the chain is not the consortium's.
        UnavailableError, FatalError: as chain and store.
    """
    config, deployment = GatewayFile.load(home.gateway_file), load_deployment(home)
    chain = config.chain_settings(deployment.chain_id, home.chain_folder, 0)
    url = f"sqlite:///{home.database_file}"
    with ChainEdge.open(chain, clock=time.time) as edge, Store.open(url) as store:
        check_deployment(edge, deployment)
        anchored, _ = _read_chain(edge, deployment, store, config)
    return 0 if anchored is None else anchored.size


def _read_chain(
    edge: ChainEdge, deployment: Deployment, store: Store, config: GatewayFile
) -> tuple[Checkpoint | None, list[VerifierKey]]:
    """The log's last checkpoint on chain and its keys: what is folded already, and every block after it."""
    row, log = store.chain.last_checkpoint(config.log), store.chain.find_log(config.log)
    last = None if row is None else Checkpoint(config.origin, row.size, row.root)
    keys = [] if log is None else list(log.verifier_keys)
    cursor = store.projections.cursor()
    head = edge.head().number
    for first in range(0 if cursor is None else cursor.block + 1, head + 1, _BLOCKS_AT_ONCE):
        end = min(head, first + _BLOCKS_AT_ONCE - 1)
        blocks = edge.blocks(first, end)
        if len(blocks) <= end - first:
            raise UnavailableError(f"the node does not answer block {first + len(blocks)}", retry_after_s=1.0)
        for block in blocks:
            for event in decode_events(block, deployment.contracts):
                if event.args.get("log") != config.log:
                    continue
                if event.name == "CheckpointPublished":
                    last = Checkpoint(config.origin, event.args["size"], event.args["root"])
                elif event.name in {"LogOpened", "LogRotated"}:
                    keys.append(event.args["verifierKey"])
    return last, [VerifierKey(config.origin, key) for key in keys]


@dataclass(frozen=True)
class _StoredStatements:
    """The statements of one log in the database."""

    store: Store
    log: Bytes32

    def entry(self, index: int) -> bytes | None:
        """The entry that the statement of an index makes."""
        row = self.store.statements.find_by_index(self.log, index)
        return None if row is None else Entry.of(row.digest, row.participant, row.signature).to_bytes()

    def find_missing(self, reader: TileReader, size: int) -> Iterator[MissingStatement]:
        """Entries that no stored statement makes."""
        statements = self.store.statements
        for first in range(0, size, _ROWS_AT_ONCE):
            end = min(first + _ROWS_AT_ONCE, size)
            rows = {row.log_index for row in statements.list_by_index(self.log, first, end)}
            gaps = [index for index in range(first, end) if index not in rows]
            entries = {index: _parse(reader.entry(index)) for index in gaps}
            found = statements.find_many([entry.digest for entry in entries.values() if entry is not None])
            for index, entry in entries.items():
                if entry is not None and entry.digest not in found:
                    yield MissingStatement(index, entry.digest, entry.participant)


def _parse(raw: bytes) -> Entry | None:
    try:
        return Entry.parse(raw)
    except MalformedError:
        return None  # of a later version
