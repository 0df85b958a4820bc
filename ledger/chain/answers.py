"""What a node's single answers mean to the chain edge; whatever is strange about one is ``UnavailableError``."""

from __future__ import annotations

import re
from typing import Any, Final

from ledger.chain.blocks import Reading, parse_quantity
from ledger.chain.node import RpcError
from ledger.chain.refusals import Refusal, RefusalKind, classify_refusal, decode_call_error
from ledger.chain.transactions import SignedTransaction
from ledger.errors import RefusedError

__all__ = ["is_too_much", "require", "to_bytes", "to_int", "to_outcome", "to_result"]

_LIMIT_EXCEEDED: Final = -32005  # EIP-1474; Besu for a range of more than 5,000 blocks
# Other nodes have no code of their own for it: a range that is too wide, or too many events in it.
_TOO_MUCH: Final = re.compile(r"range|limit|exceed|too (?:many|large|big|wide)|more than", re.IGNORECASE)


def to_result(answer: Any) -> bytes | RefusedError:
    """What a call returned, or the contract's refusal. Raises: UnavailableError."""
    refusal = decode_call_error(answer) if isinstance(answer, RpcError) else None
    return to_bytes(require(answer)) if refusal is None else refusal


def to_int(answer: Any) -> int:
    """A number that the database can keep. Raises: UnavailableError."""
    with Reading("number"):
        return parse_quantity(answer)


def to_bytes(answer: Any) -> bytes:
    """The bytes of hex. Raises: UnavailableError."""
    with Reading("byte string"):
        return bytes.fromhex(answer.removeprefix("0x"))


def require(answer: Any) -> Any:
    """An answer that is no error. Raises: RpcError."""
    if isinstance(answer, RpcError):
        raise answer
    return answer


def is_too_much(error: RpcError) -> bool:
    """Whether fewer blocks, or fewer events, would be answered."""
    return error.code == _LIMIT_EXCEEDED or _TOO_MUCH.search(error.text) is not None


def to_outcome(transaction: SignedTransaction, answer: Any) -> Refusal | None:
    """Why a node did not take a transaction; None: it did."""
    if isinstance(answer, RpcError):
        return classify_refusal(answer.code, answer.text)
    if answer != str(transaction.hash):
        return Refusal(RefusalKind.OTHER, 0, f"the node answered another hash than {transaction.hash}")
    return None
