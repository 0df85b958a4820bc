"""The table of events agrees with the compiled contracts, and decoding is strict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import MalformedError, VerificationError
from ledger.evidence.events import (
    EFFECTS,
    EVENTS,
    find_effect,
    parse_checkpoint_published,
    parse_history_extended,
    parse_log_key,
    parse_signer,
)
from ledger.evidence.receipt import EventLog
from ledger.statements import STATEMENT_TYPES
from ledger.types import Address, Bytes32

ARTIFACTS = Path(__file__).parents[2] / "ledger" / "chain" / "artifacts"
CONTRACT, DIGEST = Address(b"\x01" * 20), Bytes32(b"\x02" * 32)


def _type(member: dict[str, Any]) -> str:
    kind = str(member["type"])
    if kind.startswith("tuple"):
        return "(" + ",".join(map(_type, member["components"])) + ")" + kind.removeprefix("tuple")
    return kind


def _compiled() -> dict[tuple[str, str], list[dict[str, Any]]]:
    found = {}
    for path in ARTIFACTS.glob("*.json"):
        for item in json.loads(path.read_text(encoding="utf-8"))["abi"]:
            if item["type"] == "event" and item["name"] != "EIP712DomainChanged":
                found[path.stem, item["name"]] = item["inputs"]
    return found


def test_the_table_is_that_of_the_compiled_contracts() -> None:
    compiled = _compiled()
    assert {(event.contract, event.name) for event in EVENTS.values()} == set(compiled)
    for (_, name), members in compiled.items():
        event = EVENTS[name]
        assert event.signature == f"{name}({','.join(map(_type, members))})"
        assert event.indexed == tuple(_type(member) for member in members if member["indexed"])
        plain = [member["name"] for member in members if not member["indexed"]]
        assert (event.signer_at is not None) == ("signer" in plain)
        assert event.signer_at is None or plain[event.signer_at] == "signer"


def test_every_executed_type_has_an_effect_whose_first_topic_is_its_digest() -> None:
    compiled = _compiled()
    assert set(EFFECTS) == {name for name, each in STATEMENT_TYPES.items() if each.function is not None}
    for type_name, names in EFFECTS.items():
        for name in names:
            assert EVENTS[name].contract == STATEMENT_TYPES[type_name].contract
            assert compiled[EVENTS[name].contract, name][0]["name"] in {"digest", "proposal"}


def test_the_table_in_the_docs_is_that_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "spec" / "evidence.md").read_text(encoding="utf-8")
    section = text.split("## Effects\n")[1].split("\n## ")[0]
    rows = [row.strip("| ").split(" | ") for row in section.splitlines() if row.startswith("| `")]
    assert [(name.strip("`"), contract, effects.replace("`", "").split(", ")) for name, contract, effects in rows] == [
        (name, EVENTS[effects[0]].contract, list(effects)) for name, effects in EFFECTS.items()
    ]


def log_of(name: str, *topics: bytes, data: bytes = b"", address: Address = CONTRACT) -> EventLog:
    return EventLog(address, (EVENTS[name].topic, *map(Bytes32, topics)), data)


def words(*values: int | bytes) -> bytes:
    return b"".join(value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0") for value in values)


def test_checkpoint_published() -> None:
    event = log_of("CheckpointPublished", DIGEST, data=words(7, b"r" * 32, 90, 3, b"p" * 32, 80, b"h" * 32))
    found = parse_checkpoint_published(event, CONTRACT)
    assert (found.log, found.size, found.root, found.time) == (DIGEST, 7, b"r" * 32, 90)
    assert (found.previous_size, found.previous_root, found.previous_time) == (3, b"p" * 32, 80)
    assert found.history_head == b"h" * 32
    with pytest.raises(VerificationError, match="another contract"):
        parse_checkpoint_published(event, Address(b"\x05" * 20))
    with pytest.raises(VerificationError, match="another one"):
        parse_checkpoint_published(log_of("LogAttested", DIGEST), CONTRACT)
    with pytest.raises(VerificationError, match="another one"):
        parse_checkpoint_published(EventLog(CONTRACT, (), b""), CONTRACT)
    with pytest.raises(MalformedError, match="indexed"):
        parse_checkpoint_published(log_of("CheckpointPublished", DIGEST, DIGEST), CONTRACT)
    with pytest.raises(MalformedError, match="bytes instead"):
        parse_checkpoint_published(log_of("CheckpointPublished", DIGEST, data=event.data[:-1]), CONTRACT)
    with pytest.raises(MalformedError, match="64 bits"):
        parse_checkpoint_published(log_of("CheckpointPublished", DIGEST, data=b"\1" + event.data[1:]), CONTRACT)


def test_history_extended() -> None:
    event = log_of("HistoryExtended", words(5), DIGEST, data=words(6, b"d" * 32, b"h" * 32))
    assert parse_history_extended(event) == (5, 6, DIGEST, b"d" * 32, b"h" * 32)


def test_log_keys() -> None:
    head = words(96, b"\x07" * 20, b"k" * 32)
    opened = log_of("LogOpened", DIGEST, b"l" * 32, b"o" * 32, data=head + words(7) + b"example".ljust(32, b"\0"))
    key = parse_log_key(opened)
    assert key is not None
    assert (key.log, key.public_key, key.operator, key.origin) == (b"l" * 32, b"k" * 32, b"o" * 32, "example")
    foreign = parse_log_key(
        log_of("LogOpened", DIGEST, DIGEST, DIGEST, data=head + words(1) + b"\xff".ljust(32, b"\0"))
    )
    assert foreign is not None
    assert foreign.origin == "\udcff"
    rotated = parse_log_key(log_of("LogRotated", DIGEST, b"l" * 32, data=words(1, b"\x07" * 20, b"n" * 32)))
    assert rotated is not None
    assert (rotated.public_key, rotated.operator, rotated.origin) == (b"n" * 32, None, None)
    assert parse_log_key(log_of("LogClosed", DIGEST, DIGEST)) is None
    for data in (
        head + words(7),
        words(64, 0, 0, 0),
        head[:64],
    ):
        with pytest.raises(MalformedError):
            parse_log_key(log_of("LogOpened", DIGEST, DIGEST, DIGEST, data=data))


def test_effects() -> None:
    grant = STATEMENT_TYPES["AccessGrant"]
    event = log_of("AccessGranted", DIGEST, DIGEST, DIGEST, data=words(b"\x0a" * 20) + bytes(256))
    assert find_effect(event, CONTRACT, grant, DIGEST).name == "AccessGranted"
    assert parse_signer(event, EVENTS["AccessGranted"]) == b"\x0a" * 20
    assert parse_signer(event, EVENTS["LogClosed"]) is None
    with pytest.raises(VerificationError, match="another statement"):
        find_effect(event, CONTRACT, grant, Bytes32(bytes(32)))
    with pytest.raises(VerificationError, match="another one") as caught:
        find_effect(log_of("GrantAttested", DIGEST, DIGEST, DIGEST), CONTRACT, grant, DIGEST)
    assert (caught.value.expected, caught.value.found) == ("AccessGranted", "GrantAttested")
    with pytest.raises(VerificationError) as caught:
        find_effect(EventLog(CONTRACT, (DIGEST,), b""), CONTRACT, STATEMENT_TYPES["UsageReport"], DIGEST)
    assert (caught.value.expected, caught.value.found) == ("none", "unknown")
    for data in (b"", words(b"\x01" * 21)):
        with pytest.raises(MalformedError):
            parse_signer(log_of("AccessGranted", data=data), EVENTS["AccessGranted"])
