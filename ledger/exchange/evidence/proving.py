"""Contract events proved for a verifier: by the seals of their blocks, or under blocks that a policy pins."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.chain import Block, Head, Receipt
from ledger.errors import UnavailableError
from ledger.evidence import BlockProof, ChainProof, prove_event
from ledger.evidence.qbft import is_sealed_block
from ledger.exchange.evidence.block_tree import BlockTree
from ledger.exchange.evidence.pins import Pin, check_pins, choose_pin
from ledger.types import Bytes32

__all__ = ["Blocks", "EventPlace", "EventProver", "Pins"]

_RETRY_AFTER_S: Final = 1.0
_SPAN: Final = 200
_MOST_TREES: Final = 4
"""Trees over blocks that do not begin at block 0: one an epoch of validators, of the policies asked for last."""


class Blocks(Protocol):
    """Blocks as `ledger.chain.ChainEdge` reads them."""

    def final_head(self) -> Head: ...
    def block(self, number: int) -> Block | None: ...
    def headers(self, first: int, last: int) -> list[Head]: ...


class EventPlace(Protocol):
    """Where an event stands: its block, transaction, and position among the block's events."""

    @property
    def block(self) -> int: ...
    @property
    def transaction(self) -> Bytes32: ...
    @property
    def position(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Pins:
    """An auditor's pins and the final block when it asked: one answer's events are all shown under these."""

    ranges: tuple[Pin, ...]
    final: int

    def hold(self, number: int) -> bool:
        """Whether a block lies within one of them."""
        return any(pin.holds(number) for pin in self.ranges)


class EventProver:
    """Proves events; remembers the hashes of final blocks."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._turn = threading.Lock()
        self._whole = BlockTree(0)
        self._parts: OrderedDict[int, BlockTree] = OrderedDict()
        self._hashes: list[Bytes32] = []

    def open_pins(self, ranges: Sequence[Pin] = ()) -> Pins:
        """The pins of one request; none: what an auditor of the present head would pin.

        Raises:
            MalformedError: a range is none, or all reach beyond the chain.
            UnavailableError: the chain does not answer, or all reach to blocks that are not final yet.
        """
        final = self._blocks.final_head().number
        check_pins(ranges, final, lambda number: bool(self._blocks.headers(number, number)))
        return Pins(tuple(ranges) or (Pin(0),), final)

    def prove(self, place: EventPlace, pins: Pins) -> ChainProof:
        """Prove an event: the header with its seals where an open range holds a sealed block, else a block proof.

        Raises:
            ConflictError: its block lies outside the pins (``outside-range``).
            UnavailableError: the chain does not answer, or does not show the event any more.
        """
        block = self._blocks.block(place.block)
        receipt = None if block is None else _find_receipt(block, place.transaction)
        if block is None or receipt is None:
            raise _lost(place.block)
        position = next((log.index_in_receipt for log in receipt.logs if log.index_in_block == place.position), None)
        if position is None:
            raise _lost(place.block)
        pin = choose_pin(pins.ranges, block.number, final=pins.final, is_sealed=is_sealed_block(block.header))
        proof = self._prove_block(block, pin, pins.final)
        raws = [each.raw for each in block.receipts]
        return prove_event(block.header, raws, receipt.transaction_index, position, proof)

    def _prove_block(self, block: Block, pin: Pin, final: int) -> BlockProof | None:
        if pin.last is None and is_sealed_block(block.header):
            return None
        last = final if pin.last is None else pin.last
        with self._turn:
            self._read_up_to(last)
            if self._hashes[block.number] != block.hash:
                raise _lost(block.number)
            return self._tree(pin.first).prove(block.number, last)

    def _read_up_to(self, last: int) -> None:
        while len(self._hashes) <= last:
            first = len(self._hashes)
            heads = self._blocks.headers(first, min(first + _SPAN - 1, last))
            if not heads:
                raise UnavailableError(f"the node has no block {first}", retry_after_s=_RETRY_AFTER_S)
            self._hashes.extend(head.hash for head in heads)

    def _tree(self, first: int) -> BlockTree:
        tree = self._whole if first == 0 else self._parts.pop(first, BlockTree(first))
        if first:
            self._parts[first] = tree
            if len(self._parts) > _MOST_TREES:
                self._parts.popitem(last=False)
        tree.extend(self._hashes[first + len(tree) :])
        return tree


def _find_receipt(block: Block, transaction: Bytes32) -> Receipt | None:
    return next((each for each in block.receipts if each.transaction_hash == transaction), None)


def _lost(number: int) -> UnavailableError:
    return UnavailableError(f"the chain no longer shows block {number}: ask again", retry_after_s=_RETRY_AFTER_S)
