"""Lines laid out alike: cut at known places they say what they say decoded, and what has another form is left alone."""

from __future__ import annotations

import json
import secrets

import pytest

from ledger.checking import Checked
from ledger.checking.codec import BULK_TYPES, Codec, UnusualLineError
from ledger.checking.layouts import Layout
from ledger.client import LocalKey
from ledger.statements import Domains, generate_private_key
from ledger.types import Address
from tests.support.bulk import Sayer, word

CONTRACTS = ("ParticipantRegistry", "DatasetRegistry", "AccessGrants", "SharingAgreements", "CheckpointLog")
DOMAINS = Domains(123456789, {name: Address(secrets.token_bytes(20)) for name in CONTRACTS})
SAYER = Sayer(word(), LocalKey(generate_private_key()), DOMAINS)
FLAT = [name for name, each in BULK_TYPES.items() if all(field.type != "bytes" for field in each.fields)]


def line_of(type_name: str, **members: object) -> bytes:
    drawn = {"uint64": 10**9 + 1, "uint256": 10**30 + 7, "Parent[]": []}
    fields = {field.name: drawn.get(field.type) for field in BULK_TYPES[type_name].fields[1:]}
    values = {name: word() if value is None else value for name, value in fields.items()}
    return SAYER.say(type_name, **{**values, **members}).line.strip()


def decode_alone(line: bytes) -> Checked:
    return Codec(DOMAINS).decode(line)


def used(codec: Codec) -> list[Layout]:
    return [layout for layout, _ in codec._layouts.values()]


@pytest.mark.parametrize("type_name", FLAT)
def test_a_line_laid_out_like_one_before_it_is_not_decoded_again(
    type_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, lines = Codec(DOMAINS), [line_of(type_name) for _ in range(4)]
    assert codec.decode(lines[0]) == decode_alone(lines[0])
    monkeypatch.setattr(codec, "_decoder", None)
    for line in lines:
        assert codec.decode(line) == decode_alone(line)


def test_members_of_equal_values_keep_their_places() -> None:
    same, codec = word(), Codec(DOMAINS)
    alike = line_of("DatasetRegistration", contentHash=same, metadataHash=same, datasetSalt=same, salt=same)
    other = line_of("DatasetRegistration")
    assert codec.decode(alike) == decode_alone(alike)
    assert codec.decode(other) == decode_alone(other)
    assert codec._misfits == 0


def test_spaces_and_order_are_part_of_the_layout() -> None:
    body = json.loads(line_of("DatasetRegistration"))
    forms = [
        json.dumps(body, indent=1).replace("\n", " "),
        json.dumps(dict(reversed(body.items()))),
        json.dumps({"cosignature": None, **body}, separators=(" ,", " :\t")),
    ]
    for form in forms:
        codec, line = Codec(DOMAINS), form.encode()
        assert codec.decode(line) == codec.decode(line) == decode_alone(line)
        assert len(used(codec)) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":"1000000001"', b'"version":"0000000001"'),
        (b'"version":"1000000001"', b'"version":"10000000x1"'),
        (b'"version":"1000000001"', b'"version":"100000000\xff"'),
        (b'"version":"1000000001"', b'"version":"1000\\u0031"'),
        (b'"version":"1000000001"', b'"version":1000000001  '),
        (b'"contentHash":"0x', b'"contentHash":"0X'),
        (b'"type":"DatasetRegistration"', b'"type":"DatasetRegistratioN"'),
        (b'"salt":"0xa', b'"salt":"0xA'),
        (b'"salt":"0xa', b'"salt":"0x"'),
        (b'"salt":"0xa', b'"salt":"0x '),
    ],
)
def test_what_a_layout_cannot_take_goes_the_long_way(old: bytes, new: bytes) -> None:
    salt = bytes([0xA0, *word()[1:]])
    line = line_of("DatasetRegistration", salt=salt)
    codec, broken = Codec(DOMAINS), line.replace(old, new)
    codec.decode(line)
    assert len(broken) == len(line) != 0
    assert broken != line
    with pytest.raises(UnusualLineError):
        codec.decode(broken)
    assert codec.decode(line) == decode_alone(line)


def test_layouts_that_no_longer_fit_are_learnt_anew() -> None:
    codec, line = Codec(DOMAINS), line_of("DatasetRegistration")
    body = json.loads(line)
    turned = json.dumps(dict(reversed(body.items())), separators=(",", ":")).encode()
    codec.decode(line)
    (before,) = used(codec)
    for _ in range(80):
        assert codec.decode(turned) == decode_alone(line)
    (after,) = used(codec)
    assert after is not before
    assert after.read(turned) is not None
    assert after.read(line) is None


def test_only_so_many_layouts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.checking.codec._MOST_LAYOUTS", 2)
    codec = Codec(DOMAINS)
    for version in (1, 10, 100, 1000):
        line = line_of("DatasetRegistration", version=version)
        assert codec.decode(line) == decode_alone(line)
    assert len(used(codec)) == 2


def test_a_line_with_parents_has_no_layout() -> None:
    codec = Codec(DOMAINS)
    parents = [{"dataset": word(), "version": 1, "registration": word()}]
    assert codec.decode(line_of("DatasetRegistration", parents=parents)).registered is not None
    assert not used(codec)


def test_a_member_without_a_place_gives_no_layout() -> None:
    assert Layout.learn(b'{"a":"0x00"}', ["a"], ["b"], ["a", "b"]) is None
