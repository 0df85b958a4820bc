"""Stored statements checked again: entry, signature, whose key it was; and what a database's owner might change."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.exchange.statement_check import StatementCheck
from ledger.statements import (
    Domains,
    Entry,
    Statement,
    address_of,
    compute_dataset_id,
    generate_private_key,
    sign_digest,
)
from ledger.store.scanning import ScannedStatement
from ledger.types import Address, Bytes32
from tests.support.evidence_world import CONTRACTS, salt

DOMAINS = Domains(4711, CONTRACTS)
KEY, CONTROL = generate_private_key(), generate_private_key()
WHO = salt(1)
KEYS = frozenset({("signing", address_of(KEY)), ("control", address_of(CONTROL))})


def stored(type_name: str = "DatasetRegistration", by: bytes = KEY, **members: object) -> ScannedStatement:
    given: dict[str, object] = {"participant": WHO, "deadline": 5, "salt": salt(2)}
    if type_name == "DatasetRegistration":
        given |= {"datasetSalt": salt(3), "version": 1, "contentHash": salt(4), "metadataHash": salt(5), "parents": ()}
    statement = Statement.build(type_name, **(given | members))
    digest = statement.digest(DOMAINS)
    text = encode_canonical(statement.to_json()).decode()
    is_executable = statement.type.function is not None and type_name != "DatasetRegistration"
    signature = sign_digest(by, digest)
    return ScannedStatement(7, digest, type_name, WHO, text, signature, address_of(by), None, is_executable)


def check() -> StatementCheck:
    return StatementCheck(DOMAINS, lambda who: KEYS if who == WHO else frozenset())


def entry_of(row: ScannedStatement) -> bytes:
    return Entry.of(row.digest, row.participant, row.signature).to_bytes()


@pytest.mark.parametrize("executable", [False, True])
def test_what_is_right(executable: bool) -> None:
    row = replace(stored(), executable=executable)
    checker = check()
    found = checker.check(row)
    dataset = compute_dataset_id(WHO, salt(3))
    assert (found.entry, found.wrong, found.registered) == (entry_of(row), None, (dataset, 1, salt(4)))
    assert (checker.signatures, checker.by_contract) == (1, 0)
    control = stored("ParticipantRetirement", CONTROL)
    assert checker.check(control).wrong is None
    assert checker.check(control).registered is None


def test_a_changed_text_makes_another_entry() -> None:
    row = stored()
    changed = replace(row, message=row.message.replace('"version":"1"', '"version":"2"'))
    assert changed != row
    found = check().check(changed)
    assert found.entry not in {None, entry_of(row)}
    assert found.wrong is not None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"participant":"0x"}', '"text"', "{}}"])
def test_a_text_that_is_no_statement(text: str) -> None:
    found = check().check(replace(stored(), message=text))
    assert (found.entry, found.wrong) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "[" * 20_000 + "]" * 20_000,
        "[" * 4_000 + "]" * 4_000,
        '{"a":' * 30_000,
        '{"participant":[]}',
        '{"deadline":{}}',
        '"\\ud800"',
        '{"salt":"\\ud800"}',
        '{"\\ud800":1}',
        '"\ud800"',
        "1" * 5_000,
        "NaN",
        "1e999",
    ],
)
@pytest.mark.parametrize("type_name", ["DatasetRegistration", "AccessRevocation", "TimeTravel", "\ud800"])
def test_whatever_is_stored_nothing_breaks(text: str, type_name: str) -> None:
    row = replace(stored(), message=text, type=type_name)
    found = check().check(row)
    assert (found.entry is None) or (type_name in {"TimeTravel", "\ud800"} and found.entry == entry_of(row))


def test_a_text_can_not_smuggle_members_in() -> None:
    row = stored(by=CONTROL)
    for more in ('{},"signer":"0x%s"', " %s", '{"x":1},"type":"%s"'):
        smuggled = replace(row, message=row.message + "," + more.replace("%s", "00" * 20))
        assert check().check(smuggled).entry is None
    spaced = replace(row, message=json.dumps(json.loads(row.message), indent=1))
    assert check().check(spaced).entry == entry_of(row)  # another text of the same statement says the same


def test_a_signature_of_another_key() -> None:
    row = stored()
    for changed in (
        replace(row, signer=address_of(CONTROL)),
        replace(row, signature=row.signature[:-1] + bytes([row.signature[-1] ^ 7])),
        replace(row, signature=b""),
    ):
        checker = check()
        assert checker.check(changed).wrong
        assert checker.signatures == 0


def test_a_key_that_never_was_the_participants() -> None:
    stranger = generate_private_key()
    wrong = check().check(stored(by=stranger)).wrong
    assert wrong == f"{address_of(stranger)} never was a signing key of {WHO} on chain"
    assert "never was a control key" in str(check().check(stored("ParticipantRetirement", KEY)).wrong)
    nobody = StatementCheck(DOMAINS, lambda _: frozenset())  # the chain was not read yet: nothing is known
    assert nobody.check(stored(by=stranger)).wrong is None
    claim = stored("ControlKeyClaim", stranger, newKey=address_of(stranger))
    assert check().check(claim).wrong is None


def test_what_only_a_contract_can_check() -> None:
    row = replace(stored("AccessRevocation", grant=salt(9)), signature=b"a contract's own")
    checker = check()
    assert checker.check(row).wrong is None
    assert (checker.signatures, checker.by_contract) == (0, 1)
    found = checker.check(replace(row, executable=False))
    assert found.wrong is not None


def test_a_cosignature_is_checked_too() -> None:
    row = stored("KeyAddition", CONTROL, key=address_of(KEY), custody=0)
    assert "co-signature" in str(check().check(row).wrong)
    assert check().check(replace(row, cosignature=sign_digest(KEY, row.digest))).wrong is None
    assert check().check(replace(row, cosignature=sign_digest(CONTROL, row.digest))).wrong is not None


def test_a_type_that_nobody_knows_is_told() -> None:
    row = replace(stored(), type="TimeTravel")
    found = check().check(row)
    assert found.entry == entry_of(row)
    assert found.wrong is not None
    assert "no type 'TimeTravel'" in found.wrong


@pytest.mark.parametrize("changed", [{"digest": salt(9)}, {"participant": salt(9)}])
def test_what_is_stored_under_something_else_is_told(changed: dict[str, Any]) -> None:
    found = check().check(replace(stored(), **changed))
    assert found.entry == entry_of(stored())
    assert found.wrong is not None
    assert "stored as" in found.wrong


def test_keys_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Bytes32] = []

    def keys_of(who: Bytes32) -> frozenset[tuple[str, Address]]:
        asked.append(who)
        return KEYS

    checker = StatementCheck(DOMAINS, keys_of)
    checker.check(stored())
    checker.check(stored())
    assert asked == [WHO]
    monkeypatch.setattr("ledger.exchange.statement_check._MOST_KEPT", 1)
    checker.check(stored(participant=salt(50)))
    assert len(checker._known) <= 2
