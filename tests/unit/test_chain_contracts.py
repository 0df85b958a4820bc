"""Calls, events and refusals of the compiled contracts, without a chain."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_abi.abi import encode

from ledger.chain import (
    CONTRACT_NAMES,
    Commitment,
    LocalSigner,
    Log,
    Receipt,
    SignedStatement,
    decode_receipt_events,
    encode_attest_grant,
    encode_publish,
    encode_register_batch,
    encode_statement,
    predict_addresses,
)
from ledger.chain.contracts import decode_refusal, load_artifact
from ledger.chain.transactions import predict_contract_address, sign_transaction
from ledger.errors import MalformedError
from ledger.keccak import keccak256
from ledger.statements import STATEMENT_TYPES, Domains, Statement, StatementType, verify_signature
from ledger.statements.vocabulary import PARENT
from ledger.types import Address, Bytes32
from tests.support.chain import Person, draw

CONTRACTS = predict_addresses(Address(b"\x01" * 20))
DOMAINS = Domains(5, CONTRACTS)
EXECUTABLE = [each for each in STATEMENT_TYPES.values() if each.function is not None]


def sample(statement_type: StatementType) -> Statement:
    values: dict[str, object] = {"string": "example.org/log", "bytes32[]": (), "Parent[]": (), "bytes": b""}
    values |= {"bytes32": Bytes32(b"\x07" * 32), "address": Address(b"\x08" * 20)}
    members = {each.name: values.get(each.type, 1) for each in statement_type.fields}
    return Statement.build(statement_type.name, **members)


def sign(statement: Statement, *, cosign: bool) -> SignedStatement:
    return SignedStatement(statement, Address(b"\x09" * 20), b"\x01" * 65, b"\x02" * 65 if cosign else None)


@pytest.mark.parametrize("statement_type", EXECUTABLE, ids=lambda each: each.name)
def test_every_executable_type_is_its_contracts_struct(statement_type: StatementType) -> None:
    assert statement_type.function is not None
    abi = load_artifact(statement_type.contract).functions[statement_type.function]
    struct = abi["inputs"][0]["components"]
    kinds = [(each["name"], each["type"].replace("tuple", "Parent")) for each in struct]
    assert kinds == [(field.name, field.type) for field in statement_type.fields]
    for each in struct:
        if each["type"] == "tuple[]":
            assert [(part["name"], part["type"]) for part in each["components"]] == [
                (field.name, field.type) for field in PARENT
            ]
    statement = sample(statement_type)
    needs = statement_type.cosigned_by is not None
    call = encode_statement(CONTRACTS, sign(statement, cosign=needs))
    assert (call.contract, call.to) == (statement_type.contract, CONTRACTS[statement_type.contract])
    assert call.gas_limit >= 21_000 + 40 * len(call.data)
    with pytest.raises(ValueError, match=f"{statement_type.name} takes"):
        encode_statement(CONTRACTS, sign(statement, cosign=not needs))


def test_call_is_what_eth_abi_makes_of_it() -> None:
    parent = {"dataset": draw(), "version": 3, "registration": draw()}
    members: dict[str, Any] = {"participant": draw(), "datasetSalt": draw(), "version": 4, "contentHash": draw()}
    members |= {"metadataHash": draw(), "parents": (parent,), "deadline": 9, "salt": draw()}
    statement = Statement.build("DatasetRegistration", **members)
    call = encode_statement(CONTRACTS, sign(statement, cosign=False))
    struct = "(bytes32,bytes32,uint64,bytes32,bytes32,(bytes32,uint64,bytes32)[],uint64,bytes32)"
    flat = tuple(members.values())
    expected = (*flat[:5], [tuple(parent.values())], *flat[6:])
    signature = f"register({struct},address,bytes)".encode()
    body = encode([struct, "address", "bytes"], [expected, b"\x09" * 20, b"\x01" * 65])
    assert call.data == keccak256(signature)[:4] + body
    assert encode_register_batch(CONTRACTS, [sign(statement, cosign=False)] * 100).gas_limit < 30_000_000


def test_calls_that_can_not_be_made() -> None:
    with pytest.raises(ValueError, match="kept by logs alone"):
        encode_statement(CONTRACTS, sign(sample(STATEMENT_TYPES["AccessRequest"]), cosign=False))
    for batch in ([], [sign(sample(STATEMENT_TYPES["AccessGrant"]), cosign=False)]):
        with pytest.raises(ValueError, match="one DatasetRegistration or more"):
            encode_register_batch(CONTRACTS, batch)
    with pytest.raises(ValueError, match="expected an AccessGrant"):
        encode_attest_grant(CONTRACTS, sample(STATEMENT_TYPES["AccessRevocation"]))
    artifact = load_artifact("CheckpointLog")
    with pytest.raises(ValueError, match="has no function publishAll"):
        artifact.encode_call("publishAll", {})
    with pytest.raises(ValueError, match="takes log, current; given: log"):
        artifact.encode_call("attest", {"log": draw()})
    with pytest.raises(MalformedError, match="not of its type"):
        artifact.encode_call("attest", {"log": draw(), "current": {"size": 1, "root": draw()}})
    with pytest.raises(MalformedError, match="not of its type"):
        encode_publish(CONTRACTS, draw(), Commitment(1, draw(), 2), 2**64, draw(), [])


def test_artifacts_are_whole() -> None:
    for name in CONTRACT_NAMES:
        artifact = load_artifact(name)
        assert artifact.name == name
        assert 0 < len(artifact.deployed_bytecode) < 24_576
        assert artifact.is_same_code(artifact.deployed_bytecode)
        start, length = artifact.immutable_spans[0]
        code = bytearray(artifact.deployed_bytecode)
        code[start : start + length] = b"\xff" * length
        assert artifact.is_same_code(bytes(code))
        code[0] ^= 1
        assert not artifact.is_same_code(bytes(code))
        assert not artifact.is_same_code(artifact.deployed_bytecode + b"\0")


def selector(error: str) -> bytes:
    return keccak256(error.encode())[:4]


def test_custom_errors_become_refusals_with_their_facts() -> None:
    log, root = b"\x01" * 32, b"\x02" * 32
    data = selector("CheckpointLogNotKept(bytes32,(uint64,bytes32,uint64))")
    data += encode(["bytes32", "(uint64,bytes32,uint64)"], [log, (5, root, 6)])
    refused = decode_refusal(data)
    assert refused.code == "checkpoint-log-not-kept"
    assert refused.facts == {"log": "0x" + log.hex(), "given": {"size": 5, "root": "0x" + root.hex(), "time": 6}}
    assert str(refused).startswith("CheckpointLog refused it: not kept (log 0x01")
    short = decode_refusal(data[:40])
    assert (short.code, short.facts) == (refused.code, {"data": "0x" + data[:40].hex()})


def test_every_error_of_every_contract_has_its_own_code() -> None:
    codes: dict[str, bytes] = {}
    for name in CONTRACT_NAMES:
        for found in load_artifact(name).errors:
            code = decode_refusal(found).code
            assert codes.setdefault(code, found) == found
            assert code == code.lower()
    assert "statement-executor-deadline-passed" in codes


def test_a_panic_is_one_number_and_nothing_else() -> None:
    panic = selector("Panic(uint256)")
    known = decode_refusal(panic + (0x11).to_bytes(32, "big"))
    assert (known.code, known.facts) == ("evm-panic", {"panic": 0x11})
    for argument in (b"", b"\x11", b"\0" * 31, b"\0" * 33, b"\xff" * 2000):
        refusal = decode_refusal(panic + argument)
        assert (refusal.code, refusal.facts) == ("evm-reverted", {"data": "0x" + (panic + argument).hex()})


def receipt_of(*logs: Log) -> Receipt:
    return Receipt(draw(), 3, 7, draw(), True, 21_000, None, logs, {})


def test_events_of_others_are_passed_over_and_unknown_ones_of_ours_are_not() -> None:
    topic = Bytes32(keccak256(b"LogClosed(bytes32,bytes32,bytes32)"))
    log, digest, successor = draw(), draw(), draw()
    ours = Log(CONTRACTS["CheckpointLog"], (topic, digest, log), bytes(successor), 9, 1)
    stranger = dataclasses.replace(ours, address=Address(b"\x77" * 20), topics=(draw(),))
    (event,) = decode_receipt_events(receipt_of(stranger, ours), 1_800_000_000, CONTRACTS)
    assert (event.contract, event.name, event.timestamp) == ("CheckpointLog", "LogClosed", 1_800_000_000)
    assert event.args == {"digest": digest, "log": log, "successor": successor}
    assert (event.block_number, event.tx_index, event.log_index_in_block, event.log_index_in_receipt) == (7, 3, 9, 1)
    for topics, data in (((), b""), ((draw(),), b""), ((topic, digest), bytes(successor)), ((topic, digest, log), b"")):
        broken = dataclasses.replace(ours, topics=topics, data=data)
        with pytest.raises(MalformedError):
            decode_receipt_events(receipt_of(broken), 0, CONTRACTS)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"a\x00b", "a\\x00b"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        ("žluť".encode(), "žluť"),
    ],
)
def test_no_string_in_an_event_stops_the_reading(raw: bytes, text: str) -> None:
    artifact = load_artifact("CheckpointLog")
    topic, abi = next((topic, abi) for topic, abi in artifact.events.items() if abi["name"] == "LogOpened")
    plain = [each["type"] for each in abi["inputs"] if not each["indexed"]]
    data = encode(
        ["bytes" if kind == "string" else kind for kind in plain],
        [raw if kind == "string" else bytes(32) if kind == "bytes32" else "0x" + "00" * 20 for kind in plain],
    )
    topics = [topic] + [Bytes32(bytes(32)) for each in abi["inputs"] if each["indexed"]]
    name, args = artifact.decode_event(topics, data)
    assert (name, args["origin"]) == ("LogOpened", text)
    refusal = decode_refusal(bytes.fromhex("08c379a0") + encode(["bytes"], [raw]))
    assert refusal.facts == {"reason": text}


def test_transaction_is_what_eth_account_signs() -> None:
    from eth_account import Account

    key = b"\x21" * 32
    signer = LocalSigner(key)
    for chain_id, nonce, price, to, data in (
        (1, 0, 0, Address(b"\x11" * 20), b""),
        (2**63 + 5, 300, 7, None, b"\x00\x01" * 40),
    ):
        fields: dict[str, Any] = {"nonce": nonce, "gas": 90_000, "gasPrice": price, "value": 0, "chainId": chain_id}
        fields |= {"to": str(to) if to else "", "data": data}
        expected = Account.sign_transaction(fields, key)
        signed = sign_transaction(
            signer, chain_id=chain_id, nonce=nonce, gas_limit=90_000, gas_price_wei=price, to=to, data=data
        )
        assert signed.raw == bytes(expected.raw_transaction)
        assert signed.hash == bytes(expected.hash)
        assert (signed.sender, signed.nonce) == (signer.address, nonce)


def test_local_signer_signs_and_shows_no_key() -> None:
    signer = LocalSigner(b"\x21" * 32)
    verify_signature(Bytes32(keccak256(b"payload")), signer.sign(b"payload"), signer.address)
    assert repr(signer) == f"LocalSigner({signer.address})"
    with pytest.raises(ValueError, match=r"."):
        LocalSigner(bytes(32))


def test_contract_addresses_are_those_of_create() -> None:
    # The field's usual example account.
    deployer = Address.parse("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    assert str(predict_contract_address(deployer, 0)) == "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert str(predict_contract_address(deployer, 1)) == "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8"
    assert list(predict_addresses(deployer)) == list(CONTRACT_NAMES)
    assert Person().id != Person().id
