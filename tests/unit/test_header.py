"""Block headers and receipts, against blocks recorded from real networks; seals of validator sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey

from ledger.errors import MalformedError, VerificationError
from ledger.evidence import (
    Header,
    Receipt,
    compute_block_hash,
    encode_header,
    encode_receipt,
    verify_sealed_header,
)
from ledger.evidence.qbft import has_seals, normalize_header
from ledger.evidence.rlp import RlpItem, encode_rlp, parse_rlp
from ledger.evidence.trie import EMPTY_TRIE_ROOT, prove_receipt, verify_receipt
from ledger.keccak import keccak256
from ledger.statements import address_of, generate_private_key
from ledger.types import Bytes32

VECTORS = Path(__file__).parents[1] / "vectors" / "qbft"
NETWORKS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("*.json"))}
BLOCKS = [(name, block) for name, network in NETWORKS.items() for block in network["blocks"]]
IDS = [f"{name}-{int(block['number'], 16)}" for name, block in BLOCKS]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

Json = dict[str, Any]


def extra_of(header: Header) -> list[Any]:
    item = parse_rlp(header.extra_data)
    assert isinstance(item, list)
    return item


def with_extra(header: Header, extra: list[Any]) -> bytes:
    return header.with_extra_data(encode_rlp(extra)).to_bytes()


def validators_of(block: Json) -> list[bytes]:
    return list(extra_of(Header.parse(encode_header(block)))[1])


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=IDS)
def test_recorded_blocks(name: str, block: Json) -> None:
    raw = encode_header(block)
    header = Header.parse(raw)
    assert header.to_bytes() == raw
    assert str(compute_block_hash(header)) == block["hash"]
    assert str(header.parent_hash) == block["parentHash"]
    assert header.timestamp == int(block["timestamp"], 16)
    known = {bytes.fromhex(each[2:]) for each in NETWORKS[name]["validators_at_genesis"]}
    pinned = known if len(validators_of(block)) == 4 else known - {bytes.fromhex(NETWORKS[name]["removed"][2:])}
    sealed = verify_sealed_header(raw, pinned)
    assert str(sealed.block_hash) == block["hash"]
    assert sealed.number == int(block["number"], 16)
    assert str(sealed.receipts_root) == block["receiptsRoot"]
    assert has_seals(header)
    assert not has_seals(normalize_header(header))
    assert normalize_header(normalize_header(header)).hash == sealed.block_hash


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=IDS)
def test_recorded_receipts(name: str, block: Json) -> None:
    encoded = [encode_receipt(receipt) for receipt in block["receipts"]]
    if not encoded:
        assert block["receiptsRoot"] == "0x" + EMPTY_TRIE_ROOT.hex()
    for index, (raw, form) in enumerate(zip(encoded, block["receipts"], strict=True)):
        root, proof = prove_receipt(encoded, index)
        assert "0x" + root.hex() == block["receiptsRoot"]
        verify_receipt(root, index, raw, proof)
        receipt = Receipt.parse(raw)
        assert receipt.type == int(form["type"], 16)
        assert [str(log.address) for log in receipt.logs] == [log["address"].lower() for log in form["logs"]]


def test_genesis_headers() -> None:
    for network in NETWORKS.values():
        header = Header.parse(encode_header(network["genesis"]))
        assert str(compute_block_hash(header)) == network["genesis"]["hash"]
        assert not has_seals(header)


def test_any_number_of_fork_fields() -> None:
    raw = parse_rlp(encode_header(NETWORKS["besu_cancun"]["blocks"][0]))
    assert isinstance(raw, list)
    longer: list[RlpItem] = [*raw, b"a" * 32, b"later"]
    assert len(Header.parse(encode_rlp(longer)).fields) == len(raw) + 2
    prague = NETWORKS["besu_cancun"]["blocks"][0] | {"requestsHash": "0x" + "ab" * 32}
    assert Header.parse(encode_header(prague)).fields[-1] == b"\xab" * 32


def _header_items() -> list[RlpItem]:
    item = parse_rlp(encode_header(NETWORKS["goquorum_4"]["blocks"][0]))
    assert isinstance(item, list)
    return item


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, b"a" * 31), (2, b"a" * 21), (6, b""), (7, b"\0"), (8, b"\1" * 9), (11, b"\1" * 9), (14, b"")],
)
def test_malformed_headers(at: int, value: bytes) -> None:
    items = _header_items()
    items[at] = value
    with pytest.raises(MalformedError):
        Header.parse(encode_rlp(items))


def test_headers_of_another_shape() -> None:
    items = _header_items()
    wrongs: list[Any] = [items[:14], [*items, [b"a"]], b"abc"]
    for wrong in wrongs:
        with pytest.raises(MalformedError):
            Header.parse(encode_rlp(wrong))


@pytest.mark.parametrize(
    ("name", "value"),
    [("number", None), ("number", "12"), ("parentHash", "0xzz"), ("parentHash", "0xaa"), ("nonce", 5)],
)
def test_json_rpc_headers_that_are_none(name: str, value: object) -> None:
    block = dict(NETWORKS["goquorum_4"]["blocks"][0])
    block[name] = value
    with pytest.raises(MalformedError, match=name):
        encode_header(block)


def _receipt(**changes: object) -> Json:
    form: Json = {
        "status": "0x1",
        "cumulativeGasUsed": "0x5208",
        "logsBloom": "0x" + "00" * 256,
        "logs": [{"address": "0x" + "11" * 20, "topics": ["0x" + "22" * 32], "data": "0x3344"}],
    }
    return form | changes


def test_receipts_before_byzantium_have_a_state_root() -> None:
    raw = encode_receipt(_receipt(status=None, root="0x" + "55" * 32))
    assert Receipt.parse(raw).type == 0
    assert Receipt.parse(encode_receipt(_receipt(type="0x3"))).type == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "0x80"},
        {"status": None},
        {"logs": None},
        {"logs": [5]},
        {"logs": [{"address": "0x11", "topics": [], "data": "0x"}]},
        {"logs": [{"address": "0x" + "11" * 20, "topics": ["0x22"], "data": "0x"}]},
        {"logsBloom": "0x00"},
        {"cumulativeGasUsed": 5},
    ],
)
def test_json_rpc_receipts_that_are_none(changes: Json) -> None:
    with pytest.raises(MalformedError):
        encode_receipt(_receipt(**changes))


def test_malformed_receipts() -> None:
    good = parse_rlp(encode_receipt(_receipt()))
    assert isinstance(good, list)
    log: list[RlpItem] = [b"\x11" * 20, [b"\x22" * 32] * 5, b""]
    for at, value in ((0, b"\2"), (1, b"\0"), (2, b""), (3, b""), (3, [log]), (3, [[b"", [], b""]])):
        items: list[Any] = list(good)
        items[at] = value
        with pytest.raises(MalformedError):
            Receipt.parse(encode_rlp(items))
    for raw in (b"", b"\x80", b"\2", encode_rlp(good[:3])):
        with pytest.raises(MalformedError):
            Receipt.parse(raw)


class Validators:
    """Four validators of our own, who seal what they are asked to."""

    def __init__(self, count: int = 4) -> None:
        self.keys = [generate_private_key() for _ in range(count)]
        self.addresses = [bytes(address_of(key)) for key in self.keys]

    def seal(self, sealers: int | None = None, *, number: int = 0, repeat: bool = False) -> bytes:
        header = Header.parse(encode_header(NETWORKS["besu_london"]["blocks"][0]))
        extra = [b"v" * 32, self.addresses, [], b"" if number == 0 else bytes([number]), []]
        digest = keccak256(with_extra(header, extra))
        seals = [PrivateKey(key).sign_recoverable(digest, hasher=None) for key in self.keys[:sealers]]
        return with_extra(header, [*extra[:4], seals + (seals[:1] if repeat else [])])


@pytest.mark.parametrize(("count", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7)])
def test_quorum_is_two_thirds_rounded_up(count: int, quorum: int) -> None:
    validators = Validators(count)
    verify_sealed_header(validators.seal(quorum, number=3), validators.addresses)
    with pytest.raises(VerificationError, match="quorum"):
        verify_sealed_header(validators.seal(quorum - 1), validators.addresses)


def test_seals_by_strangers_and_doubles_are_refused() -> None:
    validators, strangers = Validators(), Validators()
    with pytest.raises(VerificationError, match="other validators"):
        verify_sealed_header(validators.seal(), strangers.addresses)
    with pytest.raises(VerificationError, match="other validators"):
        verify_sealed_header(validators.seal(), validators.addresses[:3])
    with pytest.raises(VerificationError, match="two seals"):
        verify_sealed_header(validators.seal(repeat=True), validators.addresses)
    strangers.addresses = validators.addresses
    with pytest.raises(VerificationError, match="no pinned validator"):
        verify_sealed_header(strangers.seal(), validators.addresses)


def test_a_round_that_was_not_signed_is_refused() -> None:
    validators = Validators()
    header = Header.parse(validators.seal(number=1))
    extra = extra_of(header)
    for other in (b"", b"\2"):
        with pytest.raises(VerificationError, match="no pinned validator"):
            verify_sealed_header(with_extra(header, [*extra[:3], other, extra[4]]), validators.addresses)


def test_malleated_seals_are_refused() -> None:
    validators = Validators()
    header = Header.parse(validators.seal())
    extra = extra_of(header)
    seal = extra[4][0]
    s = ORDER - int.from_bytes(seal[32:64], "big")
    high = seal[:32] + s.to_bytes(32, "big") + bytes([seal[64] ^ 1])
    for seals in ([high, *extra[4][1:]], [*extra[4], high], [seal[:64] + b"\x1b", *extra[4][1:]], [seal[:64]]):
        with pytest.raises(MalformedError):
            verify_sealed_header(with_extra(header, [*extra[:4], seals]), validators.addresses)


def test_headers_that_nobody_could_seal() -> None:
    validators = Validators()
    raw = validators.seal()
    header = Header.parse(raw)
    extra = extra_of(header)
    with pytest.raises(MalformedError, match="no validators"):
        verify_sealed_header(raw, [])
    with pytest.raises(MalformedError):
        verify_sealed_header(raw, [b"short"])
    vote = [[b"\1" * 19, b""]]
    for wrong in (extra[:4], [*extra[:2], *vote, *extra[3:]], [*extra[:3], b"\0\1", extra[4]]):
        with pytest.raises(MalformedError):
            verify_sealed_header(with_extra(header, wrong), validators.addresses)
    other = Header((*header.fields[:13], bytes(32), *header.fields[14:]))
    with pytest.raises(MalformedError, match="mix hash"):
        verify_sealed_header(other.to_bytes(), validators.addresses)
    assert compute_block_hash(other) == Bytes32(keccak256(other.to_bytes()))
    assert not has_seals(other)


def test_every_bit_of_a_sealed_header_counts() -> None:
    block = NETWORKS["besu_cancun"]["blocks"][0]
    raw, pinned = encode_header(block), validators_of(block)
    good = verify_sealed_header(raw, pinned)
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises((MalformedError, VerificationError)):
            verify_sealed_header(changed, pinned)
    assert str(good.block_hash) == block["hash"]
