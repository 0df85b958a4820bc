"""Python's digest equals Solidity's for every statement type, with generated values (issue: one vocabulary)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from web3 import Web3
from web3.contract import Contract

from ledger.statements import STATEMENT_TYPES, Domains, Statement
from ledger.types import Address
from tests.support.ethereum_tester import deploy_harness
from tests.support.statements import CONTRACTS, statements_of


@cache
def harness() -> Contract:
    return deploy_harness("DigestHarness")


def domains() -> Domains:
    """Every type under the harness's own domain: the contract's address is part of what is compared."""
    address = Address(bytes.fromhex(harness().address[2:]))
    return Domains(harness().w3.eth.chain_id, dict.fromkeys(CONTRACTS, address))


def to_abi(value: object) -> object:
    if isinstance(value, Address):
        return Web3.to_checksum_address(bytes(value))
    if isinstance(value, Mapping):
        return tuple(to_abi(member) for member in value.values())
    return [to_abi(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", STATEMENT_TYPES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_digests_agree(name: str, data: Any) -> None:
    statement: Statement = data.draw(statements_of(STATEMENT_TYPES[name]))
    found = harness().functions[f"digestOf{name}"](to_abi(statement.message)).call()
    assert bytes(found) == statement.digest(domains())
