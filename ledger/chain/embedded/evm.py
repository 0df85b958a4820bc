"""py-evm as Concord runs it: Paris rules, a base fee of zero, the drawn chain id.

py-evm's chains are ``Any`` here: its own types of bytes and int take none of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from eth.abc import BlockAPI, BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI
from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth.exceptions import Revert, UnrecognizedTransactionType, VMError
from eth.vm.forks.paris import ParisVM
from eth.vm.spoof import SpoofTransaction
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException

from ledger.chain.embedded.keyvalue import KeyValueFile
from ledger.types import Address

__all__ = [
    "BLOCK_GAS_LIMIT",
    "BlockBuilder",
    "CallFailedError",
    "TransactionRefusedError",
    "build_chain_class",
    "decode_transaction",
    "execute_call",
    "found_chain",
]

BLOCK_GAS_LIMIT: Final = 60_000_000
_GENESIS_BALANCE_WEI: Final = 10**24
_DECODING_ERRORS: Final = (
    RLPException,
    BadSignature,
    ValidationError,
    UnrecognizedTransactionType,
    ValueError,
    TypeError,
    IndexError,
)


class TransactionRefusedError(Exception):
    """A transaction that no block takes; the text is what geth would say. Never leaves ledger.chain."""


class CallFailedError(Exception):
    """A call that the EVM ended: ``data`` is the revert data, or None where it stopped for another reason."""

    def __init__(self, message: str, data: bytes | None) -> None:
        super().__init__(message)
        self.data = data


def build_chain_class(chain_id: int) -> Any:
    """The chain class for one chain id, which the CHAINID opcode answers."""
    return type("ConcordChain", (MiningChain,), {"chain_id": chain_id, "vm_configuration": ((0, ParisVM),)})


def found_chain(chain_class: Any, file: KeyValueFile, accounts: Sequence[Address]) -> None:
    """Write the genesis block, a function of the chain id and the accounts alone."""
    state: Mapping[bytes, Mapping[str, Any]] = {
        bytes(account): {"balance": _GENESIS_BALANCE_WEI, "nonce": 0, "code": b"", "storage": {}}
        for account in accounts
    }
    parameters = {
        "difficulty": 0,
        "extra_data": b"concord" + chain_class.chain_id.to_bytes(8, "big"),
        "gas_limit": BLOCK_GAS_LIMIT,
        "timestamp": 0,
        "base_fee_per_gas": 0,
    }
    with file.transaction():
        chain_class.from_genesis(AtomicDB(file), parameters, state)


def decode_transaction(raw: bytes, chain_id: int) -> SignedTransactionAPI:
    """Decode a signed transaction of this chain.

    Raises:
        TransactionRefusedError: malformed, not signed, more gas than a block has, unprotected, or of another chain.
    """
    try:
        transaction = ParisVM.get_transaction_builder().decode(raw)
        intrinsic_gas = transaction.intrinsic_gas
        if transaction.gas >= intrinsic_gas:
            transaction.validate()
            transaction.check_signature_validity()
    except _DECODING_ERRORS as error:
        raise TransactionRefusedError(f"failed to decode signed transaction: {type(error).__name__}") from error
    if transaction.gas < intrinsic_gas:
        raise TransactionRefusedError(f"intrinsic gas too low: gas {transaction.gas}, minimum needed {intrinsic_gas}")
    if transaction.gas > BLOCK_GAS_LIMIT:
        raise TransactionRefusedError("exceeds block gas limit")
    if transaction.chain_id is None:
        raise TransactionRefusedError("only replay-protected (EIP-155) transactions allowed")
    if transaction.chain_id != chain_id:
        raise TransactionRefusedError(f"invalid chain id for signer: have {transaction.chain_id} want {chain_id}")
    return transaction


class BlockBuilder:
    """Fills one block upon ``parent``; nothing is written before ``seal``."""

    def __init__(self, chain: Any, parent: BlockHeaderAPI, timestamp: int) -> None:
        header = chain.create_header_from_parent(parent, timestamp=timestamp, gas_limit=BLOCK_GAS_LIMIT)
        self._empty_header = header.copy(base_fee_per_gas=0)
        self._chain = chain
        self._start()

    def _start(self) -> None:
        self._header = self._empty_header
        self._vm = self._chain.get_vm(self._header)
        self._transactions: list[SignedTransactionAPI] = []
        self._receipts: list[ReceiptAPI] = []

    @property
    def is_empty(self) -> bool:
        """Whether no transaction has been taken."""
        return not self._transactions

    def has_room(self, transaction: SignedTransactionAPI) -> bool:
        """Whether its gas limit still fits."""
        return bool(self._header.gas_used + transaction.gas <= BLOCK_GAS_LIMIT)

    def add(self, transaction: SignedTransactionAPI) -> None:
        """Execute a transaction as the block's next.

        Raises:
            TransactionRefusedError: no block may take it now; the block is as before.
        """
        self._check(transaction)
        try:
            receipt, _ = self._vm.apply_transaction(self._header, transaction)
        except ValidationError as error:
            raise TransactionRefusedError(f"invalid transaction: {error}") from error
        except RecursionError as error:
            self._start_again()
            raise TransactionRefusedError(
                "invalid transaction: its calls nest too deep for the embedded chain"
            ) from error
        self._header = self._vm.add_receipt_to_header(self._header, receipt)
        self._transactions.append(transaction)
        self._receipts.append(receipt)

    def _start_again(self) -> None:
        """Execute what was taken once more upon a fresh state, the old one having been left half changed."""
        taken = self._transactions
        self._start()
        for transaction in taken:
            self.add(transaction)

    def _check(self, transaction: SignedTransactionAPI) -> None:
        state = self._vm.state
        expected = state.get_nonce(transaction.sender)
        if transaction.nonce < expected:
            raise TransactionRefusedError(f"nonce too low: next nonce {expected}, tx nonce {transaction.nonce}")
        if transaction.nonce > expected:
            raise TransactionRefusedError(f"nonce too high: next nonce {expected}, tx nonce {transaction.nonce}")
        if state.get_balance(transaction.sender) < transaction.gas * transaction.max_fee_per_gas + transaction.value:
            raise TransactionRefusedError("insufficient funds for gas * price + value")

    def seal(self) -> None:
        """Write the block and make it the head; call it inside the file's transaction."""
        filled = self._vm.set_block_transactions_and_withdrawals(
            self._vm.get_block(), self._header, tuple(self._transactions), tuple(self._receipts)
        )
        # finalize_block and not mine_block, persisting without validation: the header is this class's own work, and the
        # one rule that it does not keep is that time grows by a second a block (see chain.py).
        block: BlockAPI = self._vm.finalize_block(filled).block
        self._chain.persist_block(block, perform_validation=False)


def execute_call(
    chain: Any, header: Any, *, sender: Address, to: Address | None, data: bytes, gas: int, value: int
) -> bytes:
    """Execute a call upon the state that ``header`` names, in its context, and keep nothing.

    Raises:
        CallFailedError: the EVM ended it, or it could not start.
    """
    state = chain.get_vm(header).state
    unsigned = (
        chain.get_vm_class(header)
        .get_transaction_builder()
        .create_unsigned_transaction(
            nonce=state.get_nonce(bytes(sender)), gas_price=0, gas=gas, to=bytes(to or b""), value=value, data=data
        )
    )
    try:
        computation = state.apply_transaction(SpoofTransaction(unsigned, from_=bytes(sender)))
    except (ValidationError, RecursionError) as error:
        raise CallFailedError(str(error), None) from error
    if not computation.is_error:
        return bytes(computation.output)
    if isinstance(computation.error, Revert):
        raise CallFailedError("execution reverted", bytes(computation.output))
    failure: VMError = computation.error
    raise CallFailedError(f"{type(failure).__name__}: {failure}", None)
