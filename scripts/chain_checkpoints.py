"""The checkpoints that a chain keeps of a log, as a node of the auditor's choice tells them, with the chain's proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.evidence import BlockProof, ChainProof, Node, Policy, parse_checkpoint_published, prove_block, prove_event
from ledger.evidence.events import EVENTS
from ledger.evidence.fork import SignedCheckpoint
from ledger.evidence.node import verify_node
from ledger.evidence.policy import PinnedLog
from ledger.evidence.receipt import EventLog
from ledger.evidence.rpc_values import read_bytes, read_int, read_list, read_object
from ledger.log import Checkpoint
from ledger.types import Address, Bytes32

__all__ = ["ChainCheckpoints", "Recorded"]

_LOG_SPAN = 5000
_TOPIC = EVENTS["CheckpointPublished"].topic
_RpcObject = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A checkpoint that the contract recorded, and where its event is: block, and place in the block's events."""

    checkpoint: Checkpoint
    block: int
    log_index: int

    @property
    def unsigned(self) -> SignedCheckpoint:
        """The checkpoint as one that is compared; the chain vouches for it instead of a signature."""
        return SignedCheckpoint(self.checkpoint, b"")


class ChainCheckpoints:
    """Reads one log's checkpoints from a node, which must be of the policy's chain."""

    def __init__(self, url: str, policy: Policy, log: PinnedLog) -> None:
        """Raise MalformedError when the URL is not one of HTTP, UnavailableError when the node is another chain's."""
        self._node = _ProvingNode(url)
        self._policy = policy
        self._log = log
        verify_node(self._node, policy)

    def find(self, size: int | None = None) -> Recorded:
        """The checkpoint of a size, by default the newest. Raises: NotFoundError: none; UnavailableError."""
        found = [each for each in self._iterate() if size is None or each.checkpoint.size == size]
        if not found:
            what = "no checkpoint" if size is None else f"no checkpoint of size {size}"
            raise NotFoundError(f"the node {self._node.name} knows {what} of the log {self._log.origin} on chain")
        return found[-1]

    def prove(self, recorded: Recorded) -> ChainProof:
        """The chain's proof of the event, under a pin of the policy that holds its block, if one does.

        Raises:
            UnavailableError: the node does not say, or contradicts itself.
        """
        number = recorded.block
        block, receipts = self._node.fetch_block(number), self._node.fetch_receipts(number)
        before = recorded.log_index
        for index, receipt in enumerate(receipts):
            count = len(read_list(receipt, "logs"))
            if before < count:
                return prove_event(block, receipts, index, before, self._prove_block(number))
            before -= count
        raise UnavailableError(f"the node {self._node.name} has no event {recorded.log_index} in block {number}")

    def _iterate(self) -> Iterator[Recorded]:
        contract = self._policy.address_of("CheckpointLog")
        for number, place, event in self._node.fetch_placed_events(contract, _TOPIC, self._log.id):
            found = parse_checkpoint_published(event, contract)
            yield Recorded(Checkpoint(self._log.origin, found.size, found.root), number, place)

    def _prove_block(self, number: int) -> BlockProof | None:
        pinned = [each for each in self._policy.epochs if each.holds(number)]
        if any(each.last is None for each in pinned):
            return None  # the header's seals count
        for each in pinned:
            if each.last is not None:
                hashes = self._node.fetch_block_hashes(each.first, each.last)
                return prove_block(hashes, number, first=each.first)
        return prove_block([self._node.fetch_block_hash(number)], number, first=number)  # under a pin yet to be made


class _ProvingNode(Node):
    """Reads what proofs are made of besides."""

    def fetch_placed_events(
        self, address: Address, topic: Bytes32, log: Bytes32
    ) -> Iterator[tuple[int, int, EventLog]]:
        """The events of a contract about a log, each with block and place, in order. Raises: UnavailableError."""
        head = self.fetch_head()
        for first in range(0, head + 1, _LOG_SPAN):
            wanted = {
                "address": str(address),
                "topics": [str(topic), str(log)],
                "fromBlock": hex(first),
                "toBlock": hex(min(first + _LOG_SPAN - 1, head)),
            }
            answer = self._call("eth_getLogs", [wanted])
            try:
                yield from map(_read_placed, read_list({"logs": answer}, "logs"))
            except MalformedError as error:
                raise self._unclear(error) from error

    def fetch_receipts(self, number: int) -> list[_RpcObject]:
        """All receipts of a block, in order. Raises: UnavailableError: also where the node has no such method."""
        answer = self._call("eth_getBlockReceipts", [hex(number)])
        try:
            return [read_object(each, "receipt") for each in read_list({"receipts": answer}, "receipts")]
        except MalformedError as error:
            raise self._unclear(error) from error


def _read_placed(value: object) -> tuple[int, int, EventLog]:
    event = read_object(value, "log")
    topics = tuple(Bytes32(read_bytes({"topic": topic}, "topic", 32)) for topic in read_list(event, "topics"))
    log = EventLog(Address(read_bytes(event, "address", 20)), topics, read_bytes(event, "data"))
    return read_int(event, "blockNumber"), read_int(event, "logIndex"), log
