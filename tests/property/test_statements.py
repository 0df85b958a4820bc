"""Properties of every statement type, with generated values."""

from __future__ import annotations

from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import encode_canonical, parse_canonical
from ledger.statements import Statement, address_of, recover_signer, sign_digest
from tests.support.statements import DOMAINS, any_statement

keys = st.integers(1, 2**255).map(lambda number: number.to_bytes(32, "big"))


@given(any_statement)
def test_json_reads_back_to_the_same_statement(statement: Statement) -> None:
    message = parse_canonical(encode_canonical(statement.to_json()))
    assert Statement.parse(statement.type.name, message) == statement


@given(any_statement)
def test_the_digest_is_the_one_that_wallets_sign(statement: Statement) -> None:
    typed_data = dict(statement.typed_data(DOMAINS))
    typed_data["domain"] = {**typed_data["domain"], "chainId": DOMAINS.chain_id}  # type: ignore[dict-item]  # a dict
    assert bytes(_hash_eip191_message(encode_typed_data(full_message=typed_data))) == statement.digest(DOMAINS)


@given(any_statement, keys)
def test_a_signature_recovers_to_its_key(statement: Statement, key: bytes) -> None:
    digest = statement.digest(DOMAINS)
    assert recover_signer(digest, sign_digest(key, digest)) == address_of(key)
