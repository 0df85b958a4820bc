"""A transaction for each statement on anvil, a node of native code: signed ahead, sent by the hundred.

What a service would have to do besides, checking, storing, following, is left out: it is a ceiling for that way.
"""

from __future__ import annotations

import time
from typing import Final

from bench.gas_operations import registration_of
from ledger.chain import ChainEdge, encode_statement
from ledger.types import Bytes32
from tests.support.chain import ANVIL, found, running_anvil

__all__ = ["measure_on_anvil"]

_AT_ONCE: Final = 100
_WITHIN_S: Final = 60.0
_PAUSE_S: Final = 0.02


def measure_on_anvil(count: int) -> float | str:
    """Registrations executed in a second, from the first sent to the last executed; why not, where it is not there."""
    if not ANVIL.exists():
        return "anvil is not installed: make test-contracts does it"
    with running_anvil() as settings, ChainEdge.open(settings) as edge:
        consortium = found(edge)
        provider, relay, contracts = consortium.founders[0], consortium.relay, consortium.deployment.contracts
        calls = [encode_statement(contracts, registration_of(consortium, provider)) for _ in range(count)]
        signed = [edge.sign_transaction(relay, call, nonce) for nonce, call in enumerate(calls)]
        started = time.perf_counter()
        for first in range(0, count, _AT_ONCE):  # more than fit its next blocks would wait for another to arrive
            sent = signed[first : first + _AT_ONCE]
            if any(edge.send(sent)) or not _is_executed(edge, sent[-1].hash):
                return f"it did not execute transactions {first} to {first + len(sent)}"
        elapsed_s = time.perf_counter() - started
        receipts = edge.receipts([each.hash for each in signed])
        if not all(receipt is not None and receipt.is_successful for receipt in receipts):
            return "it refused some of the registrations"
        return count / elapsed_s


def _is_executed(edge: ChainEdge, transaction_hash: Bytes32) -> bool:
    deadline = time.monotonic() + _WITHIN_S
    while edge.receipt(transaction_hash) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True
