"""Events of our contracts, decoded from a block's receipts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.chain.blocks import Block, Log, Receipt
from ledger.chain.contracts import CONTRACT_NAMES, ContractName, load_artifact
from ledger.types import Address, Bytes32

__all__ = ["ChainEvent", "decode_events", "decode_receipt_events"]


@dataclass(frozen=True)
class ChainEvent:
    """One event of one of our contracts, and where it stands.

    ``args`` has Address, Bytes32, int, str, bool, bytes, a tuple for an array and a dict for a struct. Of a statement
    that took effect ``args["digest"]`` is its EIP-712 digest.
    """

    contract: ContractName
    name: str
    args: Mapping[str, Any]
    block_number: int
    block_hash: Bytes32
    timestamp: int
    tx_hash: Bytes32
    tx_index: int
    log_index_in_block: int
    log_index_in_receipt: int


def decode_events(block: Block, contracts: Mapping[str, Address]) -> tuple[ChainEvent, ...]:
    """Every event that our contracts emitted in a block, in order; other contracts' are passed over.

    Raises:
        MalformedError: one of our contracts emitted what this version does not know.
    """
    names = _by_address(contracts)
    return tuple(event for receipt in block.receipts for event in _decode(receipt, names, block.timestamp))


def decode_receipt_events(receipt: Receipt, timestamp: int, contracts: Mapping[str, Address]) -> tuple[ChainEvent, ...]:
    """Like ``decode_events``, of one receipt; ``timestamp`` is its block's. Raises: MalformedError."""
    return tuple(_decode(receipt, _by_address(contracts), timestamp))


def _by_address(contracts: Mapping[str, Address]) -> Mapping[Address, ContractName]:
    return {contracts[name]: name for name in CONTRACT_NAMES if name in contracts}


def _decode(receipt: Receipt, names: Mapping[Address, ContractName], timestamp: int) -> Iterator[ChainEvent]:
    for log in receipt.logs:
        contract = names.get(log.address)
        if contract is not None:
            yield _decode_log(contract, log, receipt, timestamp)


def _decode_log(contract: ContractName, log: Log, receipt: Receipt, timestamp: int) -> ChainEvent:
    name, args = load_artifact(contract).decode_event(log.topics, log.data)
    return ChainEvent(
        contract=contract,
        name=name,
        args=args,
        block_number=receipt.block_number,
        block_hash=receipt.block_hash,
        timestamp=timestamp,
        tx_hash=receipt.transaction_hash,
        tx_index=receipt.transaction_index,
        log_index_in_block=log.index_in_block,
        log_index_in_receipt=log.index_in_receipt,
    )
