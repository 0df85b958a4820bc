"""Statements: members are checked, ids derived, signatures canonical."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ledger.canonical import JsonValue
from ledger.errors import MalformedError, VerificationError
from ledger.keccak import keccak256
from ledger.statements import (
    ENTRY_SIZE_BYTES,
    STATEMENT_TYPES,
    Entry,
    Statement,
    UnknownStatementTypeError,
    address_of,
    compute_agreement_id,
    compute_dataset_id,
    compute_log_id,
    compute_participant_id,
    compute_transfer_id,
    generate_private_key,
    recover_signer,
    sign_digest,
    verify_signature,
)
from ledger.statements.eip712 import encode_type, encode_word, type_hash
from ledger.types import Address, Bytes32
from tests.support.statements import DOMAINS

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = bytes(31) + b"\x01"


def retirement(**changes: Any) -> Statement:
    members: dict[str, Any] = {
        "participant": Bytes32(b"\x01" * 32),
        "datasetSalt": Bytes32(b"\x02" * 32),
        "deadline": 1_795_000_000,
        "salt": Bytes32(b"\x03" * 32),
    }
    return Statement.build("DatasetRetirement", **(members | changes))


def test_every_type_begins_with_its_participant_and_ends_with_deadline_and_salt() -> None:
    for each in STATEMENT_TYPES.values():
        names = [field.name for field in each.fields]
        assert names[0] == "participant"
        assert names[-2:] == ["deadline", "salt"]
        assert len(set(names)) == len(names)
        assert each.cosigned_by is None or each.cosigned_by in names


def test_types_that_logs_alone_keep_stand_under_the_checkpoint_logs_domain() -> None:
    assert {each.contract for each in STATEMENT_TYPES.values() if each.function is None} == {"CheckpointLog"}


def test_a_type_is_encoded_with_the_struct_it_refers_to() -> None:
    assert encode_type(STATEMENT_TYPES["DatasetRegistration"]) == (
        "DatasetRegistration(bytes32 participant,bytes32 datasetSalt,uint64 version,bytes32 contentHash,"
        "bytes32 metadataHash,Parent[] parents,uint64 deadline,bytes32 salt)"
        "Parent(bytes32 dataset,uint64 version,bytes32 registration)"
    )
    retirement_type = STATEMENT_TYPES["DatasetRetirement"]
    assert type_hash(retirement_type) == keccak256(encode_type(retirement_type).encode())


def test_a_value_without_an_encoding_is_a_callers_bug() -> None:
    with pytest.raises(ValueError, match="no EIP-712 encoding"):
        encode_word("uint64", 1.5)


def test_an_unknown_type_is_told_apart_from_a_malformed_one() -> None:
    with pytest.raises(UnknownStatementTypeError, match="Wish"):
        Statement.build("Wish")
    with pytest.raises(MalformedError):
        Statement.parse(7, {})  # type: ignore[arg-type]  # what a JSON document may hold


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deadline": -1}, "deadline: expected a uint64"),
        ({"deadline": 2**64}, "deadline: expected a uint64"),
        ({"deadline": True}, "deadline: expected a uint64"),
        ({"deadline": "1"}, "deadline: expected a uint64"),
        ({"salt": b"short"}, "salt: Bytes32 takes 32 bytes"),
        ({"salt": "0x" + "00" * 32}, "salt: expected 32 bytes"),
        ({"colour": 1}, "unknown: colour"),
    ],
)
def test_members_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        retirement(**changes)


def test_a_missing_member_is_named() -> None:
    with pytest.raises(MalformedError, match="missing: participant, datasetSalt, deadline, salt"):
        Statement.build("DatasetRetirement")


def log_opening(origin: object = "log.example/a", publisher: object = Address(bytes(20))) -> Statement:
    zero = Bytes32(bytes(32))
    return Statement.build(
        "LogOpening", participant=zero, origin=origin, publisher=publisher, verifierKey=zero, deadline=1, salt=zero
    )


@pytest.mark.parametrize("origin", ["", "e\u0301", "x" * 256, "\ud800", 7])
def test_strings_are_short_and_in_normal_form(origin: object) -> None:
    with pytest.raises(MalformedError, match="origin"):
        log_opening(origin)


def test_an_address_has_twenty_bytes() -> None:
    assert log_opening().message["publisher"] == bytes(20)
    for publisher in (bytes(19), "0x" + "00" * 20):
        with pytest.raises(MalformedError, match="publisher"):
            log_opening(publisher=publisher)


def receipt(recipient_key: object) -> Statement:
    zero = Bytes32(bytes(32))
    names = ("participant", "provider", "transferSalt", "grant", "sealing", "ciphertextRoot", "salt")
    return Statement.build("TransferReceipt", **dict.fromkeys(names, zero), recipientKey=recipient_key, deadline=1)


def test_bytes_are_bounded() -> None:
    assert receipt(b"k" * 4096).to_json()["recipientKey"] == "0x" + "6b" * 4096
    for wrong in (b"k" * 4097, "k"):
        with pytest.raises(MalformedError, match="recipientKey: expected at most 4096 bytes"):
            receipt(wrong)


def registration(parents: object) -> Statement:
    zero = Bytes32(bytes(32))
    names = ("participant", "datasetSalt", "contentHash", "metadataHash", "salt")
    return Statement.build("DatasetRegistration", **dict.fromkeys(names, zero), version=1, parents=parents, deadline=1)


@pytest.mark.parametrize("parents", [None, "text", b"bytes", [7], [{"dataset": bytes(32)}], [{}] * 65])
def test_parents_are_checked(parents: object) -> None:
    with pytest.raises(MalformedError, match="parents"):
        registration(parents)


def with_member(name: str, value: JsonValue, statement: Statement | None = None) -> Statement:
    chosen = statement or registration(())
    return Statement.parse(chosen.type.name, chosen.to_json() | {name: value})


@pytest.mark.parametrize("number", [1, "", "01", "+1", "-1", "1.0", "1e3", " 1", "1\n", "\u0661", str(2**64), "9" * 79])
def test_numbers_are_plain_decimal_strings(number: JsonValue) -> None:
    with pytest.raises(MalformedError, match="version"):
        with_member("version", number)


@pytest.mark.parametrize("parents", ["", {}, [[]], ["x"], [{}] * 65, None])
def test_json_lists_are_checked(parents: JsonValue) -> None:
    with pytest.raises(MalformedError, match="parents"):
        with_member("parents", parents)


def test_json_of_another_kind_is_malformed() -> None:
    with pytest.raises(MalformedError, match="expected a JSON object"):
        Statement.parse("DatasetRetirement", [])
    with pytest.raises(MalformedError, match="salt"):
        with_member("salt", None)


def test_a_statement_names_its_parties() -> None:
    ids = [Bytes32(bytes([number]) * 32) for number in range(4)]
    zero = Bytes32(bytes(32))
    proposal = Statement.build(
        "AgreementProposal",
        participant=ids[1], agreement=zero, revision=1, parties=[ids[1], ids[2]], supplier=ids[1], user=ids[2],
        resource=5, termsHash=zero, validFrom=1, validUntil=2, quota=3, decimals=0, unit=zero, deadline=1, salt=zero,
    )  # fmt: skip
    assert proposal.named_parties == {ids[1], ids[2]}
    assert retirement().named_parties == {Bytes32(b"\x01" * 32)}
    assert retirement().participant == b"\x01" * 32
    assert retirement().deadline == 1_795_000_000


def test_typed_data_names_the_nested_struct_only_where_it_occurs() -> None:
    def types_of(statement: Statement) -> set[str]:
        types = statement.typed_data(DOMAINS)["types"]
        assert isinstance(types, dict)
        return set(types)

    assert types_of(registration(())) == {"EIP712Domain", "DatasetRegistration", "Parent"}
    assert types_of(retirement()) == {"EIP712Domain", "DatasetRetirement"}


def test_ids_are_hashes_over_who_and_salt() -> None:
    who, salt = Bytes32(b"\x01" * 32), Bytes32(b"\x02" * 32)
    expected = keccak256(who + salt)
    assert (
        compute_dataset_id(who, salt) == compute_agreement_id(who, salt) == compute_transfer_id(who, salt) == expected
    )
    assert compute_participant_id(Address(b"\x05" * 20), salt) == keccak256(bytes(12) + b"\x05" * 20 + salt)
    assert compute_log_id(who, "é") == keccak256(who + keccak256("é".encode()))


def test_an_entry_commits_to_the_signature() -> None:
    entry = Entry.of(Bytes32(b"\x01" * 32), Bytes32(b"\x02" * 32), b"signature")
    raw = entry.to_bytes()
    assert raw == b"\x01" + b"\x01" * 32 + b"\x02" * 32 + hashlib.sha256(b"signature").digest()
    assert Entry.parse(raw) == entry
    for wrong in (raw[:-1], raw + b"\0", b"\x02" + raw[1:]):
        with pytest.raises(MalformedError):
            Entry.parse(wrong)
    assert len(raw) == ENTRY_SIZE_BYTES


def test_a_signature_is_canonical_and_recovers_its_signer() -> None:
    digest = Bytes32(keccak256(b"said"))
    signature = sign_digest(KEY, digest)
    assert len(signature) == 65
    assert recover_signer(digest, signature) == address_of(KEY)
    assert str(address_of(KEY)) == "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"  # the address of private key 1
    verify_signature(digest, signature, address_of(KEY))
    with pytest.raises(VerificationError, match="not by"):
        verify_signature(digest, signature, Address(bytes(20)))


def test_a_high_s_signature_is_malformed() -> None:
    digest = Bytes32(keccak256(b"said"))
    signature = sign_digest(KEY, digest)
    high_s = (ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    with pytest.raises(MalformedError, match="high half"):
        recover_signer(digest, signature[:32] + high_s + bytes([55 - signature[64]]))


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"\x01" * 64,
        b"\x01" * 64 + b"\x00",
        b"\x01" * 66,
        bytes(32) + b"\x01" * 32 + b"\x1b",
        b"\x01" * 32 + bytes(32) + b"\x1b",
        ORDER.to_bytes(32, "big") + b"\x01" * 32 + b"\x1b",
    ],
)
def test_a_signature_out_of_range_is_malformed(signature: bytes) -> None:
    with pytest.raises(MalformedError):
        recover_signer(Bytes32(bytes(32)), signature)


def test_a_signature_of_no_key_is_a_finding() -> None:
    # r = 5 is the x coordinate of no point on secp256k1.
    signature = (5).to_bytes(32, "big") + (1).to_bytes(32, "big") + b"\x1b"
    with pytest.raises(VerificationError, match="no public key"):
        recover_signer(Bytes32(bytes(32)), signature)


def test_private_keys_are_drawn_below_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([bytes(32), ORDER.to_bytes(32, "big"), KEY])
    monkeypatch.setattr("ledger.statements.signing.secrets.token_bytes", lambda _size: next(drawn))
    assert generate_private_key() == KEY
