"""Contracts in memory on eth-tester: for tests that ask one contract many questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from web3 import EthereumTesterProvider, Web3
from web3.contract import Contract

# Imports py-evm, which raises Python's recursion limit, and puts the limit back, before eth-tester does.
import ledger.chain  # noqa: F401

ARTIFACTS = Path(__file__).parent.parent / "contracts" / "artifacts"


def deploy_harness(name: str) -> Contract:
    """Deploy a harness of ``contracts/test/harness`` on a chain of its own."""
    artifact: dict[str, Any] = json.loads((ARTIFACTS / f"{name}.json").read_bytes())
    web3 = Web3(EthereumTesterProvider())
    factory = web3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    transaction = factory.constructor().transact({"from": web3.eth.accounts[0], "gas": 8_000_000})
    receipt = web3.eth.wait_for_transaction_receipt(transaction)
    return factory(receipt["contractAddress"])
