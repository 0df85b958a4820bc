"""Every event of the contracts decodes to its members as an ABI library encodes them, and nothing else decodes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from ledger.errors import MalformedError
from ledger.evidence.decoding import decode_event
from ledger.evidence.events import EVENTS, SUBJECTS
from ledger.evidence.receipt import EventLog
from ledger.statements import STATEMENT_TYPES
from ledger.types import Address, Bytes32

ARTIFACTS = Path(__file__).parents[2] / "ledger" / "chain" / "artifacts"
CONTRACT = Address(b"\x01" * 20)
LOG_OPENED = EVENTS["LogOpened"]


def _inputs() -> dict[str, list[dict[str, Any]]]:
    found = {}
    for path in ARTIFACTS.glob("*.json"):
        for item in json.loads(path.read_text(encoding="utf-8"))["abi"]:
            if item["type"] == "event" and item["name"] in EVENTS:
                found[item["name"]] = item["inputs"]
    return found


INPUTS = _inputs()


def draw(member: dict[str, Any], chance: random.Random) -> tuple[str, Any, Any]:
    """A member's type for eth_abi, a value of it, and its JSON form."""
    kind = str(member["type"])
    if kind.endswith("[]"):
        items = [draw(member | {"type": kind[:-2]}, chance) for _ in range(chance.randint(0, 3))]
        inner = draw(member | {"type": kind[:-2]}, chance)[0]
        return inner + "[]", [value for _, value, _ in items], [form for _, _, form in items]
    if kind == "tuple":
        parts = {each["name"]: draw(each, chance) for each in member["components"]}
        types = ",".join(part[0] for part in parts.values())
        return f"({types})", tuple(part[1] for part in parts.values()), {name: part[2] for name, part in parts.items()}
    if kind == "string":
        text = "gateway.example/log"[: chance.randint(1, 19)] * chance.randint(1, 4)
        return kind, text, text
    if kind.startswith("uint"):
        number = chance.getrandbits(int(kind[4:]))
        return kind, number, str(number)
    raw = chance.randbytes(20 if kind == "address" else 32)
    return kind, "0x" + raw.hex() if kind == "address" else raw, "0x" + raw.hex()


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_decodes(name: str) -> None:
    chance = random.Random(name)
    for _ in range(5):
        drawn = {member["name"]: (member["indexed"], *draw(member, chance)) for member in INPUTS[name]}
        topics = [Bytes32(encode([kind], [value])) for is_indexed, kind, value, _ in drawn.values() if is_indexed]
        plain = [(kind, value) for is_indexed, kind, value, _ in drawn.values() if not is_indexed]
        data = encode([kind for kind, _ in plain], [value for _, value in plain])
        decoded = decode_event(EventLog(CONTRACT, (EVENTS[name].topic, *topics), data))
        assert decoded.event is EVENTS[name]
        assert decoded.members == {member: form for member, (_, _, _, form) in drawn.items()}
        for spoilt in (data[:-1], data + b"\0", data + bytes(32), data[32:]):
            if spoilt != data:
                with pytest.raises(MalformedError):
                    decode_event(EventLog(CONTRACT, (EVENTS[name].topic, *topics), spoilt))


def opened(data: bytes, *, topics: int = 3) -> EventLog:
    return EventLog(CONTRACT, (LOG_OPENED.topic, *[Bytes32(bytes(32))] * topics), data)


def words(*values: int | bytes) -> bytes:
    return b"".join(value.to_bytes(32, "big") if isinstance(value, int) else value.ljust(32, b"\0") for value in values)


def test_what_is_laid_out_otherwise_is_malformed() -> None:
    good = words(96, 17, 1, 3, b"abc")
    assert decode_event(opened(good)).members["origin"] == "abc"
    spoilt = {
        "another offset": words(128, 17, 1, 0, 3, b"abc"),
        "padding that is not zero": words(96, 17, 1, 3, b"abc\x01"),
        "a text longer than the data": words(96, 17, 1, 33, b"abc"),
        "no length": words(96, 17, 1),
        "not UTF-8": words(96, 17, 1, 3, b"a\xff\xfe"),
        "an address of more than 20 bytes": words(96, 2**160, 1, 3, b"abc"),
    }
    for data in spoilt.values():
        with pytest.raises(MalformedError):
            decode_event(opened(data))
    with pytest.raises(MalformedError, match="3 indexed members"):
        decode_event(opened(good, topics=2))


def test_a_list_longer_than_the_data_is_malformed_before_it_is_read() -> None:
    registered = EVENTS["DatasetRegistered"]
    log = EventLog(CONTRACT, (registered.topic, *[Bytes32(bytes(32))] * 3), words(1, 1, 1, 1, 160, 2**200))
    with pytest.raises(MalformedError, match="longer than its data"):
        decode_event(log)


def test_an_unknown_event_is_malformed() -> None:
    for topics in ((), (Bytes32(b"?" * 32),)):
        with pytest.raises(MalformedError, match="does not know"):
            decode_event(EventLog(CONTRACT, topics, b""))


def test_events_about_a_statement_begin_with_its_digest() -> None:
    for name, subject in SUBJECTS.items():
        assert INPUTS[name][0]["name"] in {"digest", "proposal"}
        assert subject in STATEMENT_TYPES
