"""A transaction for each statement on anvil, a node of native code: signed ahead, all sent at once, nothing between.

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

_WITHIN_S: Final = 120.0
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
        if any(edge.send(signed)):
            raise RuntimeError("anvil did not take every transaction")
        _await(edge, signed[-1].hash)
        elapsed_s = time.perf_counter() - started
        receipts = edge.receipts([each.hash for each in signed])
        if not all(receipt is not None and receipt.is_successful for receipt in receipts):
            raise RuntimeError("not every registration was executed")
        return count / elapsed_s


def _await(edge: ChainEdge, transaction_hash: Bytes32) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while edge.receipt(transaction_hash) is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"anvil did not execute every transaction within {_WITHIN_S:.0f} s")
        time.sleep(_PAUSE_S)
