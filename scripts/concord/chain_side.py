"""What an auditor does with a node of its choice and no gateway: sends attestations, finds events and proves them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.chain import Call, ChainEdge, ChainSettings, Commitment, LocalSigner, Receipt
from ledger.errors import ConflictError, NotFoundError, RefusedError, UnavailableError
from ledger.evidence import ChainProof, EventLog, HistoryRecord, parse_history_extended
from ledger.evidence.events import EVENTS
from ledger.evidence.policy import PinnedLog, Policy
from ledger.exchange.evidence import EventProver, Pin
from ledger.exchange.evidence.attesting import AttestedPlace
from ledger.keyfiles import read_key_file
from ledger.merkle import EMPTY_ROOT
from ledger.types import Address, Bytes32
from scripts.concord.context import read_passphrase

__all__ = ["ChainSide", "Recorded", "load_sender", "open_chain", "place_of"]

_WAIT_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.2
_WORD: Final = 32


@dataclass(frozen=True)
class Recorded:
    """What `CheckpointLog` says of a log in one event: its size and root; ``previous_size`` of a new checkpoint."""

    place: AttestedPlace
    size: int
    root: Bytes32
    time: int
    previous_size: int | None


@contextmanager
def open_chain(rpc_url: str, chain_id: int) -> Iterator[ChainSide]:
    """The chain as that node tells it. Raises: ConflictError: another chain; UnavailableError."""
    with ChainEdge.open(ChainSettings(profile="node", chain_id=chain_id, rpc_url=rpc_url)) as edge:
        edge.check_chain_id()
        yield ChainSide(edge)


def load_sender(path: Path) -> LocalSigner:
    """The account that sends, from its key file. Raises: NotFoundError, MalformedError, WrongPassphraseError."""
    if not path.is_file():
        raise NotFoundError(f"there is no key file {path}: `concord key new` draws one; ask for it to be allow-listed")
    return LocalSigner(read_key_file(path, read_passphrase(path.name)))


def place_of(receipt: Receipt) -> AttestedPlace:
    """Where the one event of an attestation stands."""
    return AttestedPlace(receipt.block_number, receipt.transaction_hash, receipt.logs[0].index_in_block)


class ChainSide:
    """Reads, proves and sends through one node."""

    def __init__(self, edge: ChainEdge) -> None:
        self.edge = edge
        self._prover = EventProver(edge)

    def send(self, sender: LocalSigner, call: Call) -> Receipt:
        """Send a call and wait until it is in a block.

        Raises:
            RefusedError: the contract or the node refuses it.
            UnavailableError: it is in no block after a minute.
        """
        self.edge.simulate(call, sender.address)
        transaction = self.edge.sign_transaction(sender, call, self.edge.nonce(sender.address, pending=True))
        (refusal,) = self.edge.send([transaction])
        if refusal is not None and not refusal.kind.is_sent:
            raise RefusedError(
                f"the node does not take a transaction of {sender.address}: {refusal.message}", code="not-sent"
            )
        end = time.monotonic() + _WAIT_S
        while (receipt := self.edge.receipt(transaction.hash)) is None:
            if time.monotonic() > end:
                raise UnavailableError(f"the transaction {transaction.hash} is in no block yet: ask again later")
            time.sleep(_LOOK_AGAIN_S)
        if not receipt.is_successful:
            raise RefusedError("a new checkpoint came in between: ask again", code="transaction-reverted")
        return receipt

    def prove(self, place: AttestedPlace, policy: Policy) -> ChainProof:
        """Prove an event under the policy's pins, or, where they do not hold its block, under the node's head."""
        try:
            pins = self._prover.open_pins([Pin(each.first, each.last) for each in policy.epochs])
            return self._prover.prove(place, pins)
        except ConflictError as error:
            if error.code != "outside-range":
                raise
            return self._prover.prove(place, self._prover.open_pins())

    def history(self, registry: Address, head: Bytes32) -> tuple[HistoryRecord, ...]:
        """The registry's history up to the record with this head. Raises: UnavailableError: it has none."""
        times: dict[int, int] = {}
        records = []
        for each in self.edge.find_events(registry, [[EVENTS["HistoryExtended"].topic]], 0, self.edge.head().number):
            event = EventLog(registry, each.topics, each.data)
            _, kind, participant, detail, after = parse_history_extended(event)
            if each.block not in times:
                times[each.block] = self.time_of(each.block)
            records.append(HistoryRecord(kind, participant, detail, each.block, times[each.block]))
            if after == head:
                return tuple(records)
        raise UnavailableError("the node's events of the registry do not lead to the head that was attested: ask again")

    def time_of(self, block: int) -> int:
        """A block's time, in UTC seconds. Raises: UnavailableError."""
        header = self.edge.header(block)
        if header is None:
            raise UnavailableError(f"the node has no block {block}", retry_after_s=1.0)
        return header.timestamp

    def recorded(self, contract: Address, log: Bytes32) -> list[Recorded]:
        """Every checkpoint and attestation of a log, in order. Raises: UnavailableError."""
        published, attested = EVENTS["CheckpointPublished"].topic, EVENTS["LogAttested"].topic
        last = self.edge.final_head().number
        return [
            Recorded(
                AttestedPlace(each.block, each.transaction, each.position),
                size=_number(each.data, 0),
                root=Bytes32(each.data[_WORD : 2 * _WORD]),
                time=_number(each.data, 2),
                previous_size=_number(each.data, 3) if each.topics[0] == published else None,
            )
            for each in self.edge.find_events(contract, [[published, attested], [log]], 0, last)
        ]

    def present(self, contract: Address, log: PinnedLog) -> Commitment:
        """The log's present checkpoint, or its opening. Raises: NotFoundError: it is not open on this chain."""
        checkpoints = [each for each in self.recorded(contract, log.id) if each.previous_size is not None]
        if checkpoints:
            newest = checkpoints[-1]
            return Commitment(newest.size, newest.root, newest.time)
        opened = self.edge.find_events(
            contract, [[EVENTS["LogOpened"].topic], [], [log.id]], 0, self.edge.final_head().number
        )
        if not opened:
            raise NotFoundError(f"the log {log.origin} is not open on this chain")
        return Commitment(0, Bytes32(EMPTY_ROOT), self.time_of(opened[0].block))


def _number(data: bytes, word: int) -> int:
    return int.from_bytes(data[word * _WORD : (word + 1) * _WORD], "big")
