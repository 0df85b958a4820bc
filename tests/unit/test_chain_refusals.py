"""Every refusal text that the engines are known to give, and what it means."""

from __future__ import annotations

import pytest

from ledger.chain import RefusalKind, classify_refusal
from ledger.chain.refusals import _TEXTS

KNOWN = {
    RefusalKind.ALREADY_KNOWN: [
        "already known",  # go-ethereum, embedded
        "transaction already imported",  # anvil
        "Tx: [0x00] already Imported",  # anvil
        "Known transaction",  # Besu
    ],
    RefusalKind.NONCE_TOO_LOW: [
        "nonce too low: next nonce 5, tx nonce 3",  # go-ethereum, embedded
        "nonce too low",  # anvil
        "Nonce too low",  # Besu
        "transaction nonce below sender account nonce",  # Besu's block import
    ],
    RefusalKind.NONCE_GAP: [
        "nonce too high: next nonce 0, tx nonce 5",  # embedded, go-ethereum
        "Transaction nonce is too distant from current sender nonce",  # Besu
        "gapped-nonce tx from delegated accounts",  # go-ethereum
        "Nonce too high",  # Besu, anvil
        "An invalid transaction with a lower nonce exists",  # Besu: the one before it comes again, and then this one
    ],
    RefusalKind.REPLACEMENT_UNDERPRICED: [
        "replacement transaction underpriced",  # go-ethereum, anvil
        "Replacement transaction underpriced",  # Besu
        "future transaction tries to replace pending",  # go-ethereum
        "Tx: [0x00] insufficient gas price to replace existing transaction",  # anvil
    ],
    RefusalKind.FEE_TOO_LOW: [
        "transaction underpriced: gas tip cap 0, minimum needed 1",  # go-ethereum
        "transaction underpriced",  # anvil
        "max fee per gas less than block base fee: address 0x.., maxFeePerGas: 0, baseFee: 7",  # go-ethereum, anvil
        "Gas price below configured minimum gas price",  # Besu
        "gasPrice is less than the current BaseFee: Gas price below current base fee",  # Besu
        "Max priority fee per gas exceeds max fee per gas",  # Besu
        "tx fee (2.00 ether) exceeds the configured cap (1.00 ether)",  # go-ethereum
        "Transaction fee cap exceeded",  # Besu
        "transaction gas price below minimum: gas tip cap 0, minimum needed 1",  # go-ethereum
        "max priority fee per gas higher than max fee per gas",  # go-ethereum, anvil
    ],
    RefusalKind.INSUFFICIENT_FUNDS: [
        "insufficient funds for gas * price + value: balance 0, tx cost 42000, overshot 42000",  # go-ethereum
        "Insufficient funds for gas * price + value",  # anvil
        "Upfront cost exceeds account balance",  # Besu
        "insufficient funds for transfer",  # go-ethereum, anvil
        "insufficient funds for gas * price + value",  # embedded
    ],
    RefusalKind.WRONG_CHAIN: [
        "invalid chain id for signer: have 5 want 6",  # go-ethereum, embedded
        "Wrong chainId",  # Besu
        "only replay-protected (EIP-155) transactions allowed over RPC",  # go-ethereum, embedded
        "ChainId is required",  # Besu
        "ChainId not supported",  # Besu
        "Incompatible EIP-155 transaction, signed for another chain",  # anvil
    ],
    RefusalKind.SENDER_NOT_ALLOWED: [
        "Sender account not authorized to send transactions",  # Besu
        "sender account 0x00 is not on this chain's allow list: hand the signed statement to a gateway",  # embedded
    ],
    RefusalKind.INVALID: [
        "intrinsic gas too low: gas 20000, minimum needed 21000",  # go-ethereum, embedded
        "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit",  # anvil
        "Intrinsic gas exceeds gas limit",  # Besu
        "exceeds block gas limit",  # go-ethereum, embedded
        "Transaction gas limit exceeds block gas limit",  # Besu
        "oversized data: transaction size 200000, limit 131072",  # go-ethereum
        "max initcode size exceeded: code size 60000, limit 49152",  # go-ethereum
        "invalid sender",  # go-ethereum
        "Invalid signature",  # Besu
        "transaction type not supported",  # go-ethereum
        "Failed to decode transaction",  # anvil
        "failed to decode signed transaction: ValidationError",  # embedded
        "insufficient gas for floor data gas cost: gas 21000, minimum needed 30000",  # go-ethereum
        "sender not an eoa: address 0x00",  # go-ethereum
        "Invalid transaction type",  # Besu
        "Invalid transaction params (missing or incorrect)",  # Besu
        "nonce has max value",  # go-ethereum, anvil
        "gas uint64 overflow",  # go-ethereum, anvil
        "negative value",  # go-ethereum
        "transaction gas limit too high (cap: 16777216, tx: 30000000)",  # go-ethereum
        "Transaction gas limit is greater than the block gas limit, gas_limit: 2, cap: 1",  # anvil
        "Out of gas: gas required exceeds allowance: 1",  # anvil
        "reject transactions from senders with deployed code",  # anvil
        "invalid transaction: its calls nest too deep for the embedded chain",  # embedded
        "unknown transaction type",  # proxies and nodes of other makes: not the "known transaction" of Besu
        "Unknown transaction type 0x7e",
    ],
    RefusalKind.BUSY: [
        "txpool is full",  # go-ethereum
        "account limit exceeded: pooled 64 txs",  # go-ethereum
        "in-flight transaction limit reached for delegated accounts",  # go-ethereum
        "Number of requests exceeds max batch size",  # Besu
        "address already reserved",  # go-ethereum: it has a transaction of another kind in the pool
        "gas limit reached",  # go-ethereum
        "Initial sync is still in progress",  # Besu
        "Transaction pool not enabled. (Either txpool explicitly disabled, or node not yet in sync).",  # Besu
        "Timeout expired",  # Besu
        "Transaction pool is full",
        "429 Too Many Requests",
        "you are being rate-limited: rate limited, try again",  # a proxy: what follows the words does not matter
        "Transaction dropped because its sender has too many",
    ],
    RefusalKind.OTHER: [
        "",
        "internal error",
        "header not found",
        "Internal error",  # Besu
        "Plugin has marked the transaction as invalid",  # Besu: the rule is its operator's, and may change
        "Unauthorized",  # Besu: of the request, not of the account
        "unknown transaction",  # nobody has it: what is in "known transaction" does not count
        "not already known here",
        "transaction was not already imported",
        "transaction is not yet known: not already in the pool",
        "purlpose",  # no RLP in it
        # Of bytes that were garbled on their way, or of a request that a proxy made of ours: ours are well formed.
        "Invalid params",  # Besu, proxies
        "rlp: expected input list for types.LegacyTx",  # go-ethereum
        "invalid params: argument 0 is not 0x-prefixed hex",  # embedded
    ],
}


SPARE = {
    *("already in the pool", "nonce too far", "nonce gap", "exceeds account balance", "cannot afford", "overshot"),
    *("insufficient balance", "does not have enough balance", "account not authorized", "not permitted", "pool full"),
    *("fee cap less than", "lower than block's base fee", "rate limit", "unsupported transaction"),
}
"""Of other engines, of older versions, or of proxies before a node."""


@pytest.mark.parametrize(("kind", "message"), [(kind, text) for kind, texts in KNOWN.items() for text in texts])
def test_known_text_has_its_kind(kind: RefusalKind, message: str) -> None:
    refusal = classify_refusal(-32000, message)
    assert (refusal.kind, refusal.code, refusal.message) == (kind, -32000, message)


def test_no_text_of_the_table_is_without_an_engine_that_says_it() -> None:
    said = [text.lower() for texts in KNOWN.values() for text in texts]
    unsaid = {text for _, texts in _TEXTS for text in texts if not any(text in each for each in said)}
    assert unsaid <= SPARE


def test_only_bytes_that_no_node_ever_takes_are_given_up() -> None:
    assert [kind for kind in RefusalKind if kind.is_certain] == [RefusalKind.INVALID]
    assert RefusalKind.WRONG_CHAIN.needs_operator


def test_every_kind_is_in_the_table_and_has_one_answer() -> None:
    assert set(KNOWN) == set(RefusalKind)
    for kind in RefusalKind:
        assert [kind.is_sent, kind.is_certain, kind.needs_operator].count(True) <= 1
    assert RefusalKind.ALREADY_KNOWN.is_sent
    assert RefusalKind.INVALID.is_certain
    assert RefusalKind.INSUFFICIENT_FUNDS.needs_operator
