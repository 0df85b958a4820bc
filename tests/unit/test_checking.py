"""Lines checked in bulk: the short way and the long one say the same, and nothing in a line breaks either."""

from __future__ import annotations

import json
import random
import secrets

import msgspec
import pytest

from ledger.checking import MAX_LINE_BYTES, Checked, LineChecker, Rejected, decode_records, encode_records
from ledger.checking.codec import BULK_TYPES, Codec, UnusualLineError
from ledger.checking.recovering import Recoverer
from ledger.checking.worker import encode_domains
from ledger.client import LocalKey
from ledger.statements import Domains, Statement, generate_private_key, recover_signer
from ledger.statements.vocabulary import Field
from ledger.types import Address, Bytes32
from tests.support.bulk import Said, Sayer, to_line, word

CONTRACTS = ("ParticipantRegistry", "DatasetRegistry", "AccessGrants", "SharingAgreements", "CheckpointLog")
DOMAINS = Domains(123456789, {name: Address(secrets.token_bytes(20)) for name in CONTRACTS})
SAYER = Sayer(word(), LocalKey(generate_private_key()), DOMAINS)


def value_of(field: Field) -> object:
    if field.type.startswith("uint"):
        return secrets.randbelow(1 << int(field.type[4:]))
    if field.type == "Parent[]":
        return [{"dataset": word(), "version": secrets.randbelow(1 << 64), "registration": word()} for _ in range(3)]
    return secrets.token_bytes(50) if field.type == "bytes" else word()


def said_of(type_name: str) -> Said:
    fields = BULK_TYPES[type_name].fields
    return SAYER.say(type_name, **{field.name: value_of(field) for field in fields if field.name != "participant"})


@pytest.fixture(scope="module")
def checker() -> LineChecker:
    return LineChecker(DOMAINS)


@pytest.mark.parametrize("type_name", BULK_TYPES)
def test_the_short_way_and_the_long_one_say_the_same(checker: LineChecker, type_name: str) -> None:
    for _ in range(5):
        said = said_of(type_name)
        assert checker._decode(said.line.strip()) is not None
        (short,) = checker.check([said.line.strip()])
        assert isinstance(short, Checked)
        # An escape sends the same statement the long way.
        (long,) = checker.check([said.line.strip().replace(b'"type"', b'"typ\\u0065"')])
        assert short == long
        assert short.digest == said.digest
        assert short.participant == SAYER.participant
        assert Statement.parse(type_name, msgspec.json.decode(short.message)) == said.statement


def test_a_message_is_kept_in_canonical_form(checker: LineChecker) -> None:
    from ledger.canonical import parse_canonical

    for type_name in BULK_TYPES:
        (record,) = checker.check([said_of(type_name).line])
        assert isinstance(record, Checked)
        assert parse_canonical(record.message.encode())


def test_whatever_becomes_of_a_line_nothing_breaks(checker: LineChecker) -> None:
    drawn = random.Random(7)
    codec = Codec(DOMAINS)
    for type_name in BULK_TYPES:
        good = said_of(type_name)
        line = good.line.strip()
        for _ in range(150):
            broken = bytearray(line)
            for _ in range(drawn.randint(1, 3)):
                place = drawn.randrange(len(broken))
                broken[place : place + drawn.randint(0, 2)] = drawn.randbytes(drawn.randint(0, 2))
            (record,) = checker.check([bytes(broken)])
            if isinstance(record, Checked):
                assert record.digest == good.digest  # only white space changed
            try:
                quick = codec.decode(bytes(broken))
            except UnusualLineError:
                continue
            # What the short way takes, the long one takes with the same digest.
            statement = Statement.parse(quick.type, msgspec.json.decode(quick.message))
            assert statement.digest(DOMAINS) == quick.digest


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b"\xff\xfe",
        b"null",
        b'""',
        b"{}",
        b"x" * (MAX_LINE_BYTES + 1),
        b'{"type": 1e999}',
    ],
)
def test_what_is_no_statement_is_rejected(checker: LineChecker, line: bytes) -> None:
    (record,) = checker.check([line])
    assert isinstance(record, Rejected)
    assert record.error == "MalformedError"


def test_blocks_have_a_record_for_each_line(checker: LineChecker) -> None:
    said = said_of("DatasetRegistration")
    records = checker.check_block(b"\n" + said.line + b"  \nnonsense\n")
    assert [type(each) for each in records] == [type(None), Checked, type(None), Rejected]
    assert decode_records(encode_records(records)) == records


def test_recovering_agrees_with_the_long_way() -> None:
    recoverer, digest = Recoverer(), word()
    signature = SAYER.key.sign(digest)
    assert recoverer.recover(digest, signature) == recover_signer(digest, signature) == SAYER.key.address
    for broken in (b"", signature[:64], signature[:64] + b"\x02", bytes(32) + signature[32:], b"\xff" * 64 + b"\x1b"):
        assert recoverer.recover(digest, broken) is None
    assert recoverer.recover(digest, signature[:32] + b"\xff" * 32 + signature[64:]) is None
    assert recoverer.recover(digest, bytes(31) + b"\x05" + signature[32:]) is None  # no point has this x


def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.checking.recovering._MOST_REMEMBERED", 2)
    recoverer, digest = Recoverer(), word()
    keys = [LocalKey(generate_private_key()) for _ in range(3)]
    for key in (*keys, *keys, keys[2]):
        assert recoverer.recover(digest, key.sign(digest)) == key.address
    assert len(recoverer._addresses) <= 2


def test_domains_go_to_the_process_as_json() -> None:
    from ledger.checking.worker import _parse_domains

    assert _parse_domains(encode_domains(DOMAINS)) == DOMAINS


def test_lines_of_other_members_are_rejected_with_their_names(checker: LineChecker) -> None:
    body = said_of("Erasure").body
    (record,) = checker.check([to_line({**body, "nonce": 1, "more": 2})])
    assert isinstance(record, Rejected)
    assert record.detail == "unknown: more, nonce"
    (record,) = checker.check([to_line({"type": "Erasure"})])
    assert isinstance(record, Rejected)
    assert record.detail == "missing: message, signature, signer"


@pytest.mark.parametrize("cosignature", [None, "x", [], {}])
@pytest.mark.parametrize("value", [None, 1, "\ud800", [], {}, [[]], {"\ud800": "\ud800"}])
def test_whatever_a_member_is_only_its_line_is_refused(
    checker: LineChecker, value: object, cosignature: object
) -> None:
    body = said_of("DatasetRegistration").body
    message: dict[str, object] = json.loads(json.dumps(body["message"]))
    bodies: list[dict[str, object]] = [{**body, name: value} for name in (*body, "cosignature")]
    bodies += [{**body, "message": {**message, name: value}} for name in message]
    bodies += [{**body, "more\ud800": value}, {**body, "message": {**message, "more\ud800": value}}]
    bodies += [{**body, "message": {**message, "parents": [{"dataset": value, "\ud800": value}]}}]
    for each in bodies:
        records = checker.check_block(to_line({"cosignature": cosignature, **each}))
        assert decode_records(encode_records(records)) == records
        if each.get("cosignature", cosignature) is not None:
            assert isinstance(records[0], Rejected)
            assert records[0].error in {"MalformedError", "UnknownStatementTypeError"}


def test_a_fault_of_ours_costs_its_line_alone(checker: LineChecker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_line: bytes) -> None:
        raise TypeError("a fault")

    monkeypatch.setattr("ledger.checking.lines.parse_json", fail)
    records = checker.check_block(b"odd\n" + said_of("Erasure").line)
    assert [type(each) for each in records] == [Rejected, Checked]
    assert isinstance(records[0], Rejected)
    assert records[0].detail == "the line could not be read (TypeError)"


def test_where_the_short_way_breaks_the_long_one_checks(checker: LineChecker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "_recover", lambda _digest: None)
    said = said_of("Erasure")
    (record,) = checker.check([said.line])
    assert isinstance(record, Checked)
    assert record.digest == said.digest


def test_ids_keep_their_bytes() -> None:
    record = Rejected("MalformedError", "x", Bytes32(bytes(32)))
    assert decode_records(encode_records([record])) == [record]
