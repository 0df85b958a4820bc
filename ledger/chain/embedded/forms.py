"""Blocks, transactions and receipts in the form of Ethereum's JSON-RPC (https://ethereum.github.io/execution-apis/).

Every header field is there, so that a client can rebuild the header's RLP, and of each receipt all that its trie holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth.abc import LogAPI, ReceiptAPI
from rlp.codec import encode as encode_block

from ledger.chain.transactions import predict_contract_address
from ledger.types import Address

__all__ = ["block_form", "bytes_form", "header_form", "quantity", "receipt_forms", "transaction_form"]

Form = dict[str, Any]

_encode: Any = encode_block  # rlp has no types


def quantity(value: int) -> str:
    """A QUANTITY: ``0x1f``."""
    return hex(value)


def bytes_form(value: bytes) -> str:
    """DATA: ``0x001f``."""
    return "0x" + value.hex()


def header_form(header: Any) -> Form:
    """A header of the Paris fork."""
    return {
        "number": quantity(header.block_number),
        "hash": bytes_form(header.hash),
        "parentHash": bytes_form(header.parent_hash),
        "sha3Uncles": bytes_form(header.uncles_hash),
        "miner": bytes_form(header.coinbase),
        "stateRoot": bytes_form(header.state_root),
        "transactionsRoot": bytes_form(header.transaction_root),
        "receiptsRoot": bytes_form(header.receipt_root),
        "logsBloom": bytes_form(header.bloom.to_bytes(256, "big")),
        "difficulty": quantity(header.difficulty),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": bytes_form(header.extra_data),
        "mixHash": bytes_form(header.mix_hash),
        "nonce": bytes_form(header.nonce),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
    }


def block_form(block: Any, *, full: bool) -> Form:
    """A block with its transactions, whole or by hash."""
    transactions: list[Any] = [
        transaction_form(block.header, transaction, index) if full else bytes_form(transaction.hash)
        for index, transaction in enumerate(block.transactions)
    ]
    return header_form(block.header) | {
        "totalDifficulty": "0x0",
        "size": quantity(len(_encode(block))),
        "transactions": transactions,
        "uncles": [],
    }


def _recipient(transaction: Any) -> str | None:
    return bytes_form(transaction.to) if transaction.to else None


def transaction_form(header: Any, transaction: Any, index: int) -> Form:
    """A mined transaction of type 0, 1 or 2."""
    kind = transaction.type_id or 0
    form: Form = {
        "blockHash": bytes_form(header.hash),
        "blockNumber": quantity(header.block_number),
        "chainId": quantity(transaction.chain_id),
        "from": bytes_form(transaction.sender),
        "gas": quantity(transaction.gas),
        "hash": bytes_form(transaction.hash),
        "input": bytes_form(transaction.data),
        "nonce": quantity(transaction.nonce),
        "r": quantity(transaction.r),
        "s": quantity(transaction.s),
        "to": _recipient(transaction),
        "transactionIndex": quantity(index),
        "type": quantity(kind),
        "value": quantity(transaction.value),
    }
    if kind == 0:
        return form | {"v": quantity(transaction.v), "gasPrice": quantity(transaction.gas_price)}
    form |= {
        "v": quantity(transaction.y_parity),
        "yParity": quantity(transaction.y_parity),
        "gasPrice": quantity(_effective_gas_price(transaction)),
        "accessList": [
            {"address": bytes_form(address), "storageKeys": [bytes_form(key.to_bytes(32, "big")) for key in keys]}
            for address, keys in transaction.access_list
        ],
    }
    if kind == 2:
        form["maxFeePerGas"] = quantity(transaction.max_fee_per_gas)
        form["maxPriorityFeePerGas"] = quantity(transaction.max_priority_fee_per_gas)
    return form


def _effective_gas_price(transaction: Any) -> int:
    """What is paid where the base fee is zero."""
    return min(int(transaction.max_fee_per_gas), int(transaction.max_priority_fee_per_gas))


def receipt_forms(block: Any, receipts: Sequence[ReceiptAPI]) -> list[Form]:
    """The receipts of a block, in order."""
    forms: list[Form] = []
    gas_before = log_index = 0
    for index, (transaction, receipt) in enumerate(zip(block.transactions, receipts, strict=True)):
        place = {
            "blockHash": bytes_form(block.hash),
            "blockNumber": quantity(block.number),
            "transactionHash": bytes_form(transaction.hash),
            "transactionIndex": quantity(index),
        }
        created = None if transaction.to else predict_contract_address(Address(transaction.sender), transaction.nonce)
        forms.append(
            place
            | {
                "from": bytes_form(transaction.sender),
                "to": _recipient(transaction),
                "contractAddress": str(created) if created else None,
                "cumulativeGasUsed": quantity(receipt.gas_used),
                "gasUsed": quantity(receipt.gas_used - gas_before),
                "effectiveGasPrice": quantity(_effective_gas_price(transaction)),
                "status": "0x1" if receipt.state_root == b"\x01" else "0x0",
                "type": quantity(transaction.type_id or 0),
                "logsBloom": bytes_form(receipt.bloom.to_bytes(256, "big")),
                "logs": [_log_form(place, log, log_index + offset) for offset, log in enumerate(receipt.logs)],
            }
        )
        gas_before, log_index = receipt.gas_used, log_index + len(receipt.logs)
    return forms


def _log_form(place: Form, log: LogAPI, log_index: int) -> Form:
    return place | {
        "address": bytes_form(log.address),
        "topics": [bytes_form(topic.to_bytes(32, "big")) for topic in log.topics],
        "data": bytes_form(log.data),
        "logIndex": quantity(log_index),
        "removed": False,
    }
