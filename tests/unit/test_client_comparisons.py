"""What a gateway may prepare for each type of statement, and what it may not: each lie about each member is met."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from ledger.canonical import JsonValue, encode_canonical
from ledger.client import Identity, LocalKey, statements
from ledger.errors import MalformedError, VerificationError
from ledger.keccak import keccak256
from ledger.statements import STATEMENT_TYPES, Entry, Statement
from ledger.surface.codec import dump_value
from ledger.surface.outcomes import InForce, Outcome, State
from ledger.types import Address, Bytes32, parse_hex
from tests.support.answering import FACES, Run, Said, answering, run_sync
from tests.support.log import receipt_alone
from tests.support.prepared import AGREEMENT_SERVED, CASES, CONTROL, DOMAINS, NOW, SERVED, Case, b32

TESTED_LATER: Final = {"LogOpening", "LogRotation", "LogClosing", "TransferReceipt", "KeyRelease"}


class Counting:
    """A key that counts what it signs."""

    def __init__(self, key: LocalKey) -> None:
        self._key = key
        self.signed: list[Bytes32] = []

    @property
    def address(self) -> Address:
        return self._key.address

    def sign(self, digest: Bytes32) -> bytes:
        self.signed.append(digest)
        return self._key.sign(digest)

    def sign_payload(self, payload: bytes) -> bytes:
        return self.sign(Bytes32(keccak256(payload)))


def outcome_of(body: Mapping[str, Any]) -> bytes:
    """What a gateway answers to what was submitted."""
    statement = Statement.parse(body["type"], body["message"])
    entry = Entry.of(statement.digest(DOMAINS), statement.participant, parse_hex(body["signature"]))
    accepted = Outcome(
        digest=statement.digest(DOMAINS), type=body["type"], participant=statement.participant, state=State.ACCEPTED,
        in_force=InForce.PENDING, refusal=None, index=0, receipt=receipt_alone(entry), transaction=None, block=None,
        custodial=False, api_key=None, ids={}, accepted_at=datetime.now(UTC), as_of_block=1,
    )  # fmt: skip
    return json.dumps(dump_value(accepted)).encode()


class Gateway:
    """Prepares and serves what a test says, over real HTTP."""

    def __init__(self) -> None:
        self.url = ""
        self.prepared: Any = None
        self.served: Mapping[str, JsonValue] = {}

    def answer(self, _method: str, path: str, _headers: Mapping[str, str], body: bytes) -> Said:
        if path == "/v1/statements:prepare":
            return Said(body=json.dumps(self.prepared).encode())
        if path == "/v1/statements":
            return Said(202, outcome_of(json.loads(body)))
        return Said(body=json.dumps(self.served[path]).encode())

    def state(
        self, case: Case, prepared: JsonValue, served: Mapping[str, JsonValue] = SERVED, run: Run = run_sync
    ) -> list[Bytes32]:
        """State the case's intent where ``prepared`` is prepared; what was signed: nothing, if it raises."""
        self.prepared, self.served = prepared, served
        signer = Counting(CONTROL)
        try:
            run(self.url, statements.state(case.type, case.intent, Identity(signer, DOMAINS)))
        except (VerificationError, MalformedError) as error:
            assert signer.signed == []
            raise error from None
        return signer.signed


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    served = Gateway()
    with answering(served.answer) as url:
        served.url = url
        yield served


def test_every_type_that_has_an_intent_is_tested() -> None:
    assert {case.type for case in CASES.values()} == STATEMENT_TYPES.keys() - TESTED_LATER


@FACES
def test_an_honest_gateways_statement_is_signed(gateway: Gateway, run: Run) -> None:
    for name, case in CASES.items():
        prepared = case.prepare({}, case.documents)
        signed = gateway.state(case, prepared, run=run)
        assert [str(digest) for digest in signed] == [prepared["digest"]], name


LIES: Final = [(name, member) for name, case in CASES.items() for member in case.lies]


@pytest.mark.parametrize(("name", "member"), LIES)
def test_a_member_that_says_something_else_is_not_signed(gateway: Gateway, name: str, member: str) -> None:
    case = CASES[name]
    prepared = case.prepare({member: case.lies[member]}, case.documents)
    with pytest.raises(VerificationError):
        gateway.state(case, prepared, {**SERVED, f"/v1/agreements/{b32(62)}": AGREEMENT_SERVED})


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.other_documents])
def test_another_document_is_not_signed(gateway: Gateway, name: str) -> None:
    case = CASES[name]
    with pytest.raises(VerificationError):
        gateway.state(case, case.prepare({}, case.other_documents))
    hidden = case.prepare({}, case.documents)
    hidden["documents"] = []
    with pytest.raises(VerificationError):
        gateway.state(case, hidden)


def test_a_registration_without_the_salt_of_its_content_is_not_signed(gateway: Gateway) -> None:
    case = CASES["registration"]
    prepared = case.prepare({}, case.documents)
    prepared["version_salt"] = None
    with pytest.raises(VerificationError, match="contentHash"):
        gateway.state(case, prepared)


def test_a_later_deadline_is_not_signed(gateway: Gateway) -> None:
    case = CASES["revocation"]
    with pytest.raises(VerificationError, match="later deadline"):
        gateway.state(case, case.prepare({"deadline": NOW + 3 * 24 * 3600}, {}))
    longer = Case(case.type, {**case.intent, "deadline_s": 4 * 24 * 3600}, case.members)
    assert gateway.state(longer, longer.prepare({"deadline": NOW + 3 * 24 * 3600}, {})) != []


@pytest.mark.parametrize("name", ["grant of a request", "acceptance", "rejection", "confirmation", "dispute"])
def test_what_is_answered_is_read_under_its_own_digest(gateway: Gateway, name: str) -> None:
    case = CASES[name]
    prepared = case.prepare({}, case.documents)
    statements_served = {path: value for path, value in SERVED.items() if "statements" in path}
    for change, words, kind in (
        ({"message": {"deadline": "9"}}, "served another", VerificationError),
        ({"type": "Erasure"}, "is no ", MalformedError),
    ):
        lies = {path: {**change_of(value, change)} for path, value in statements_served.items()}
        with pytest.raises(kind, match=words):
            gateway.state(case, prepared, {**SERVED, **lies})


def change_of(value: Any, change: Mapping[str, Any]) -> dict[str, Any]:
    """A statement as it is served, changed."""
    message = {**value["message"], **change.get("message", {})}
    return {**value, **change, "message": message}


def test_a_digest_that_is_not_the_statements_is_not_signed(gateway: Gateway) -> None:
    case = CASES["revocation"]
    prepared = case.prepare({}, {})
    for digest in (str(b32(7)), None, 5):
        with pytest.raises(VerificationError, match=r"consortium\.json"):
            gateway.state(case, {**prepared, "digest": digest})


def test_what_is_no_statement_or_no_document_is_malformed(gateway: Gateway) -> None:
    case = CASES["denial"]
    prepared = case.prepare({}, case.documents)
    wrong: list[Any] = [
        {**prepared, "message": None}, {**prepared, "message": {}}, {**prepared, "documents": [1]},
        {**prepared, "documents": [{"document": {}}]}, {**prepared, "documents": [{"salt": "0x", "document": {}}]},
        {**prepared, "version_salt": "0x12"}, [],
    ]  # fmt: skip
    for bad in wrong:
        with pytest.raises(MalformedError):
            gateway.state(case, bad)


def test_a_member_that_nothing_compares_is_refused(gateway: Gateway) -> None:
    case = Case("AccessRevocation", {"grant": str(b32(50)), "because": "x"}, {"grant": b32(50)})
    with pytest.raises(MalformedError, match="has no member because"):
        gateway.state(case, case.prepare({}, {}))


def test_canonical_forms_are_compared_and_not_the_order_of_members(gateway: Gateway) -> None:
    case = CASES["profile"]
    turned: JsonValue = {"name": "Me", "handle": "me"}
    assert encode_canonical(turned) == encode_canonical(case.documents["profile"])
    assert gateway.state(case, case.prepare({}, {"profile": turned})) != []
