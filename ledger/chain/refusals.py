"""What nodes say when they do not take a transaction, and what it means for the sender: one table.

Texts of go-ethereum (core/txpool/errors.go, core/error.go), anvil, Hyperledger Besu (TransactionInvalidReason) and the
embedded chain, compared without case. The first text that is found decides, where a word begins with it: "unknown
transaction type" holds "known transaction" and says something else, and so does what is denied ("not already known").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ledger.chain.contracts import decode_refusal
from ledger.chain.node import RpcError
from ledger.errors import RefusedError
from ledger.types import Address

__all__ = ["Refusal", "RefusalKind", "classify_refusal", "decode_call_error"]

_REVERT_CODE: Final = 3
_STOPPED: Final = re.compile(r"out of gas|invalid (?:opcode|jump|instruction)|stack (?:under|over)flow", re.IGNORECASE)


class RefusalKind(Enum):
    """Why a node did not take a transaction, by what its sender does about it."""

    ALREADY_KNOWN = "already-known"
    """The node has these very bytes, pooled or mined: sent."""
    NONCE_TOO_LOW = "nonce-too-low"
    """The nonce is spent: look for our own hash first; else a foreign transaction took it."""
    NONCE_GAP = "nonce-gap"
    """Nonces before it are missing: send those first, then these bytes again."""
    REPLACEMENT_UNDERPRICED = "replacement-underpriced"
    """Another transaction with this nonce is pooled: look for our own hashes first."""
    FEE_TOO_LOW = "fee-too-low"
    """The gas price is below what the network asks: a setting of ours is wrong."""
    INSUFFICIENT_FUNDS = "insufficient-funds"
    """The relay account can not pay: an operator must fund it."""
    WRONG_CHAIN = "wrong-chain"
    """The node runs another chain: a setting of ours is wrong, or the node's. The bytes are for the right one."""
    SENDER_NOT_ALLOWED = "sender-not-allowed"
    """The relay account is not on the network's allow list."""
    INVALID = "invalid"
    """No node will ever take these bytes: another transaction must take the nonce."""
    BUSY = "busy"
    """Pool full, queue full or rate limited: the same bytes again, later."""
    OTHER = "other"
    """Unknown text: the same bytes again, later, and an operator is told."""

    @property
    def is_sent(self) -> bool:
        """Whether the node has the transaction."""
        return self is RefusalKind.ALREADY_KNOWN

    @property
    def is_certain(self) -> bool:
        """Whether sending the same bytes again can never help."""
        return self is RefusalKind.INVALID

    @property
    def needs_operator(self) -> bool:
        """Whether only a changed setting, balance or allow list helps."""
        return self in _FOR_AN_OPERATOR

    def advise(self, account: Address) -> str:
        """What is to be done about a transaction of ``account`` that was refused so."""
        advice = _FOR_AN_OPERATOR.get(self)
        return "it is sent again" if advice is None else f"an operator must act: {advice.format(account=account)}"


_FOR_AN_OPERATOR: Final = {
    RefusalKind.FEE_TOO_LOW: "set gas_price_wei in gateway.json to what the network asks, and start the gateway anew",
    RefusalKind.INSUFFICIENT_FUNDS: "send what it needs to the relay account {account}",
    RefusalKind.WRONG_CHAIN: "the node is another chain's: correct rpc_url in gateway.json, and start the gateway anew",
    RefusalKind.SENDER_NOT_ALLOWED: "the node's allow list lacks the relay account {account}: `concord network allow "
    "DIR {account}` where the nodes' folders are, and restart each node",
}


@dataclass(frozen=True)
class Refusal:
    """A node's refusal of one transaction."""

    kind: RefusalKind
    code: int
    message: str


# fmt: off
_TEXTS: Final[tuple[tuple[RefusalKind, tuple[str, ...]], ...]] = (
    (RefusalKind.ALREADY_KNOWN, ("already known", "known transaction", "already imported", "already in the pool")),
    (RefusalKind.REPLACEMENT_UNDERPRICED, (
        "replacement transaction underpriced", "future transaction tries to replace", "to replace existing transaction",
    )),
    (RefusalKind.NONCE_TOO_LOW, ("nonce too low", "nonce below")),
    (RefusalKind.NONCE_GAP, (
        "nonce too high", "nonce is too distant", "nonce too far", "gapped-nonce", "nonce gap",
        "with a lower nonce exists",
    )),
    (RefusalKind.WRONG_CHAIN, ("chain id", "chainid", "replay-protected", "signed for another chain")),
    (RefusalKind.INSUFFICIENT_FUNDS, (
        "insufficient funds", "upfront cost exceeds", "exceeds account balance", "cannot afford",
        "insufficient balance", "overshot", "does not have enough balance",
    )),
    (RefusalKind.SENDER_NOT_ALLOWED, (
        "not authorized to send", "allow list", "account not authorized", "not permitted",
    )),
    (RefusalKind.FEE_TOO_LOW, (
        "gas price below", "transaction underpriced", "less than block base fee", "fee cap less than",
        "lower than block's base fee", "below current base fee", "below configured minimum", "gas tip cap",
        "fee cap exceeded", "exceeds the configured cap", "max priority fee per gas",
    )),
    (RefusalKind.BUSY, (
        "txpool is full", "pool is full", "pool full", "account limit exceeded", "in-flight",
        "number of requests exceeds", "rate limit", "too many requests", "gas limit reached", "dropped",
        "already reserved", "not yet in sync", "initial sync", "timeout expired",
    )),
    (RefusalKind.INVALID, (
        "intrinsic gas", "exceeds block gas limit", "gas required exceeds", "floor data gas", "oversized data",
        "initcode size", "negative value", "invalid sender", "invalid signature", "not an eoa", "failed to decode",
        "type not supported", "unknown transaction type", "invalid transaction",
        "nonce has max value", "gas uint64 overflow", "unsupported transaction", "gas limit too high",
        "greater than the block gas limit", "deployed code",
    )),
)
# fmt: on
_PATTERNS: Final = tuple(
    (kind, re.compile(rf"(?<!\w)(?<!not )(?<!never )(?:{'|'.join(map(re.escape, texts))})", re.IGNORECASE))
    for kind, texts in _TEXTS
)


def classify_refusal(code: int, message: str) -> Refusal:
    """What a JSON-RPC error of ``eth_sendRawTransaction`` means."""
    for kind, pattern in _PATTERNS:
        if pattern.search(message):
            return Refusal(kind, code, message)
    return Refusal(RefusalKind.OTHER, code, message)


def decode_call_error(error: RpcError) -> RefusedError | None:
    """What a failed eth_call says: the contract's refusal, or None when it says nothing about the call."""
    data = error.data if isinstance(error.data, str) else ""
    hex_data = re.search(r"0x((?:[0-9a-fA-F]{2})*)", data)
    if error.code == _REVERT_CODE or "revert" in error.text.lower():
        return decode_refusal(bytes.fromhex(hex_data[1]) if hex_data else b"")
    if _STOPPED.search(error.text):
        return RefusedError(f"the contract stopped: {error.text[:100]}", code="evm-stopped")
    return None
