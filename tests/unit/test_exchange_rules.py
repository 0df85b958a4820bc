"""Who may state what, and every reason for which it is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ledger.canonical import JsonValue
from ledger.errors import MalformedError, NotFoundError, RefusedError
from ledger.exchange import NOBODY, ForbiddenError
from ledger.exchange.intents import (
    AccessGrantIntent,
    AccessRequestIntent,
    AgreementAcceptanceIntent,
    AgreementProposalIntent,
    AgreementRejectionIntent,
    AgreementTerminationIntent,
    ControlKeyClaimIntent,
    ControlKeyRotationIntent,
    DatasetRegistrationIntent,
    DatasetRetirementIntent,
    GovernanceVoteIntent,
    Intent,
    KeyAdditionIntent,
    KeyRevocationIntent,
    ParentName,
    ParticipantRetirementIntent,
    RawIntent,
    UsageDisputeIntent,
    UsageReportIntent,
)
from ledger.statements import Custody, Decision, Resource, address_of
from ledger.surface.outcomes import Outcome
from ledger.types import Address, Bytes32
from tests.support.exchange import Consortium, content_of, read_all, registration, soon, upload
from tests.support.stating import AUDITOR, EVERYTHING, FILE, NONE, code_of, consortium, grant, refusal

__all__ = ["consortium"]

ZERO = Bytes32(bytes(32))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"last_version": 1}, None),
        ({"first_version": 2}, "right-not-granted"),
        ({"rights": ("derive",)}, "right-not-granted"),
        ({"valid_from": soon(hours=1)}, "grant-not-yet-valid"),
    ],
)
def test_a_grant_permits_what_it_covers(consortium: Consortium, members: dict[str, Any], code: str | None) -> None:
    digest = grant(consortium, **members)
    if code is None:
        assert read_all(consortium, "analyst", "utility/power", 1, "plants.csv", grant=digest) == FILE
        return
    with pytest.raises(ForbiddenError) as refused:
        read_all(consortium, "analyst", "utility/power", 1, "plants.csv", grant=digest)
    assert refused.value.code == code


def test_a_grant_ends_with_its_time_and_its_dataset(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    consortium.state("utility", registration("short", {"plants.csv": FILE}))
    upload(consortium, "utility", "utility/short", 1, "plants.csv", FILE)
    digest = grant(consortium, "utility/short", valid_until=soon(seconds=60))
    parts = consortium.gateway.parts
    real = parts.clock
    with monkeypatch.context() as patched:
        patched.setattr(parts, "clock", lambda: real() + 120)
        with pytest.raises(ForbiddenError) as expired:
            read_all(consortium, "analyst", "utility/short", 1, "plants.csv")
    assert expired.value.code == "grant-expired"
    consortium.state("utility", DatasetRetirementIntent(dataset="utility/short"))
    with pytest.raises(ForbiddenError) as retired:
        read_all(consortium, "analyst", "utility/short", 1, "plants.csv", grant=digest)
    assert retired.value.code == "dataset-retired"
    assert code_of(refusal(consortium, "utility", registration("short", {"a": b"1"}))) == "dataset-retired"
    wanted = AccessRequestIntent(dataset="utility/short", purpose="A", rights=("read",), valid_until=soon(days=1))
    assert code_of(refusal(consortium, "manufacturer", wanted)) == "dataset-retired"


def test_requests_are_checked(consortium: Consortium) -> None:
    def wanted(**members: Any) -> AccessRequestIntent:
        given: dict[str, Any] = {"purpose": "A", "rights": ("read",), "valid_until": soon(days=1)} | members
        return AccessRequestIntent(dataset="utility/power", **given)

    for flaw in ({"valid_until": soon(hours=-1)}, {"first_version": 0}, {"first_version": 3, "last_version": 2}):
        assert isinstance(refusal(consortium, "manufacturer", wanted(**flaw)), MalformedError)
    digest = consortium.state("manufacturer", wanted()).digest
    members: dict[str, JsonValue] = {"request": str(digest), "reasonHash": str(NONE)}
    mine = str(consortium.founded.participants["manufacturer"])
    other = str(consortium.founded.participants["analyst"])
    denial = RawIntent(type_name="AccessDenial", members={**members, "consumer": mine})
    assert code_of(refusal(consortium, "manufacturer", denial)) == "not-provider"
    wrong = RawIntent(type_name="AccessDenial", members={**members, "consumer": other})
    assert code_of(refusal(consortium, "utility", wrong)) == "not-consumer"
    consortium.state("utility", denial)
    assert code_of(refusal(consortium, "utility", denial)) == "request-denied"
    assert code_of(refusal(consortium, "manufacturer", AccessGrantIntent(request=digest))) == "not-provider"
    surplus = AccessGrantIntent(request=digest, dataset="utility/power")
    assert isinstance(refusal(consortium, "utility", surplus), MalformedError)
    assert isinstance(refusal(consortium, "utility", AccessGrantIntent(dataset="utility/power")), MalformedError)
    assert isinstance(refusal(consortium, "utility", AccessGrantIntent(request=NONE)), NotFoundError)
    foreign = {"provider": other, "dataset": consortium.gateway.datasets.get(AUDITOR, "utility/power").value.id}
    raw = {
        **{name: str(value) for name, value in foreign.items()}, "firstVersion": "1", "lastVersion": "0",
        "purpose": str(NONE), "rights": "1", "validFrom": "1", "validUntil": "9999999999", "policyHash": str(NONE),
    }  # fmt: skip
    request = RawIntent(type_name="AccessRequest", members=raw)
    assert code_of(refusal(consortium, "manufacturer", request)) == "not-provider"


def agree(consortium: Consortium, *, accept: bool = True) -> Bytes32:
    outcome = consortium.state(
        "manufacturer",
        AgreementProposalIntent(
            parties=("utility",), supplier="utility", user="manufacturer", resource=Resource.CAPACITY,
            terms={"title": "x"}, valid_from=soon(hours=-1), valid_until=soon(days=1), quota=Decimal(10), unit="h",
        ),
    )  # fmt: skip
    agreement = Bytes32.parse(outcome.ids["agreement"])
    if accept:
        consortium.state("utility", AgreementAcceptanceIntent(agreement=agreement))
    return agreement


def report_on(agreement: Bytes32, **members: Any) -> UsageReportIntent:
    given: dict[str, Any] = {"quantity": Decimal(1), "period_from": soon(hours=-1), "period_until": soon()} | members
    return UsageReportIntent(agreement=agreement, **given)


def test_usage_is_the_suppliers_to_report_and_the_users_to_dispute(consortium: Consortium) -> None:
    proposed = agree(consortium, accept=False)
    assert code_of(refusal(consortium, "utility", report_on(proposed))) == "agreement-proposed"
    consortium.state("utility", AgreementRejectionIntent(agreement=proposed))
    agreement = agree(consortium)
    assert code_of(refusal(consortium, "manufacturer", report_on(agreement))) == "not-supplier"
    assert isinstance(refusal(consortium, "utility", report_on(agreement, period_until=soon(days=-1))), MalformedError)
    report = consortium.state("utility", report_on(agreement)).digest
    dispute = UsageDisputeIntent(report=report, reason="x")
    assert code_of(refusal(consortium, "utility", dispute)) == "not-user"
    consortium.state("manufacturer", dispute)
    assert code_of(refusal(consortium, "manufacturer", dispute)) == "report-disputed"
    consortium.state("utility", AgreementTerminationIntent(agreement=agreement))
    assert code_of(refusal(consortium, "utility", report_on(agreement))) == "agreement-terminated"
    views = consortium.gateway.agreements.list(consortium.asker("utility"), EVERYTHING, role="supplier").items
    assert {each.state for each in views} >= {"rejected", "terminated"}
    assert consortium.gateway.agreements.list(NOBODY, EVERYTHING, role="supplier").items == ()


def test_sealings_receipts_and_releases_fit_what_they_name(consortium: Consortium) -> None:
    version = consortium.gateway.datasets.version(AUDITOR, "utility/power", 1).value
    sealing: dict[str, JsonValue] = {
        "dataset": str(version.dataset), "version": "1", "registration": str(version.registration),
        "keyCommitment": str(NONE), "ciphertextRoot": str(NONE), "ciphertextSize": "5",
    }  # fmt: skip
    sealed = consortium.state("utility", RawIntent(type_name="Sealing", members=sealing))
    assert code_of(refusal(consortium, "manufacturer", RawIntent(type_name="Sealing", members=sealing))) == (
        "not-provider"
    )
    flawed = RawIntent(type_name="Sealing", members={**sealing, "registration": str(NONE)})
    assert code_of(refusal(consortium, "utility", flawed)) == "other-registration"
    digest = grant(consortium)
    receipt: dict[str, JsonValue] = {
        "provider": str(consortium.founded.participants["utility"]), "transferSalt": str(NONE), "grant": str(digest),
        "sealing": str(sealed.digest), "ciphertextRoot": str(NONE), "recipientKey": "0x00",
    }  # fmt: skip
    received = consortium.finish(take_receipt(consortium, "analyst", receipt))
    release: dict[str, JsonValue] = {
        "consumer": str(consortium.founded.participants["analyst"]), "transfer": str(NONE), "grant": str(digest),
        "receipt": str(received.digest), "wrappedKey": "0x00",
    }  # fmt: skip
    assert code_of(refusal(consortium, "manufacturer", RawIntent(type_name="KeyRelease", members=release))) == (
        "not-provider"
    )
    other = RawIntent(type_name="KeyRelease", members={**release, "grant": str(grant(consortium))})
    assert code_of(refusal(consortium, "utility", other)) == "other-transfer"
    consortium.state("utility", RawIntent(type_name="KeyRelease", members=release))


def take_receipt(consortium: Consortium, handle: str, members: dict[str, JsonValue]) -> Outcome:
    """As a transfer's own route takes it."""
    intent = RawIntent(type_name="TransferReceipt", members=members)
    if handle != "analyst":
        return consortium.gateway.statements.sign_and_submit(consortium.asker(handle), intent, of_transfer=True)
    signed = consortium.sign(handle, intent, consortium.key_of(handle, "signing"))
    return consortium.gateway._intake.take(signed, of_transfer=True)


def test_a_receipt_is_of_what_its_provider_sealed_for_the_grant(consortium: Consortium) -> None:
    utility = consortium.founded.participants["utility"]
    sealed = {number: seal(consortium, "utility", "power", number) for number in (1, 2)}
    consortium.state("manufacturer", registration("steel", {"a.csv": b"steel"}))
    consortium.state("utility", registration("heat", {"a.csv": b"heat"}))
    foreign, unrelated = seal(consortium, "manufacturer", "steel"), seal(consortium, "utility", "heat")
    now = int(consortium.gateway.parts.clock())
    receipt: dict[str, JsonValue] = {
        "provider": str(utility), "transferSalt": str(NONE), "grant": str(grant(consortium, last_version=1)),
        "sealing": str(sealed[1]), "ciphertextRoot": str(NONE), "recipientKey": "0x00",
    }  # fmt: skip
    wrong: list[tuple[dict[str, JsonValue], str]] = [
        ({"provider": str(consortium.founded.participants["manufacturer"])}, "not-consumer"),
        ({"sealing": str(foreign)}, "other-sealing"),
        ({"sealing": str(unrelated)}, "other-sealing"),
        ({"sealing": str(sealed[2])}, "other-sealing"),
        ({"ciphertextRoot": str(ZERO)}, "other-sealing"),
        ({"deadline": str(now + 200)}, "deadline-too-near"),
    ]
    size = consortium.gateway.parts.sequencer.size
    for members, code in wrong:
        with pytest.raises(RefusedError) as refused:
            take_receipt(consortium, "analyst", receipt | members)
        assert refused.value.code == code, members
    for name, value in (("sealing", str(NONE)), ("grant", str(NONE)), ("sealing", receipt["grant"])):
        with pytest.raises(NotFoundError):
            take_receipt(consortium, "analyst", receipt | {name: value})
    with pytest.raises(RefusedError) as refused:
        take_receipt(consortium, "manufacturer", receipt)
    assert refused.value.code == "not-consumer"
    assert consortium.gateway.parts.sequencer.size == size
    consortium.finish(take_receipt(consortium, "analyst", receipt | {"deadline": str(now + 900)}))


def seal(consortium: Consortium, provider: str, slug: str, number: int = 1) -> Bytes32:
    version = consortium.gateway.datasets.version(AUDITOR, f"{provider}/{slug}", number).value
    sealing: dict[str, JsonValue] = {
        "dataset": str(version.dataset), "version": str(number), "registration": str(version.registration),
        "keyCommitment": str(NONE), "ciphertextRoot": str(NONE), "ciphertextSize": "5",
    }  # fmt: skip
    return consortium.state(provider, RawIntent(type_name="Sealing", members=sealing)).digest


def test_a_receipt_comes_by_the_route_of_its_transfer_alone(consortium: Consortium) -> None:
    receipt: dict[str, JsonValue] = {
        "provider": str(consortium.founded.participants["utility"]), "transferSalt": str(NONE),
        "grant": str(grant(consortium)), "sealing": str(seal(consortium, "utility", "power")),
        "ciphertextRoot": str(NONE), "recipientKey": "0x00",
    }  # fmt: skip
    intent = RawIntent(type_name="TransferReceipt", members=receipt)
    assert code_of(refusal(consortium, "manufacturer", intent)) == "transfers-only"
    signed = consortium.sign("analyst", intent, consortium.key_of("analyst", "signing"))
    gateway, analyst = consortium.gateway, consortium.asker("analyst")
    with pytest.raises(RefusedError, match=r"/v1/transfers/.id./receipt"):
        gateway.statements.submit(analyst, signed)
    taken = gateway._intake.take(signed, of_transfer=True)
    assert gateway.statements.submit(analyst, signed).digest == taken.digest  # it is known: the same outcome


def submit_control(consortium: Consortium, handle: str, intent: Intent) -> Outcome:
    signed = consortium.sign(handle, intent, consortium.key_of(handle, "control"))
    return consortium.finish(consortium.gateway.statements.submit(consortium.asker(handle), signed))


def test_control_keys_add_and_end_signing_keys(consortium: Consortium) -> None:
    gateway = consortium.gateway
    assert code_of(refusal(consortium, "utility", KeyRevocationIntent(key=Address(bytes(20))))) == "control-key-needed"
    added = submit_control(consortium, "utility", KeyAdditionIntent(custody=Custody.CUSTODIAL))
    view = gateway.statements.get(consortium.asker("utility"), added.digest)
    key = Address.parse(str(view.message["key"]))
    held = {each.key: each for each in gateway.participants.keys(AUDITOR, "utility").value}
    assert held[key].here
    submit_control(consortium, "utility", KeyRevocationIntent(key=key))
    held = {each.key: each for each in gateway.participants.keys(AUDITOR, "utility").value}
    assert held[key].active_until is not None
    with pytest.raises(MalformedError):
        gateway.statements.prepare(consortium.asker("utility"), KeyAdditionIntent())
    rotation = ControlKeyRotationIntent(new_key=address_of(bytes([3]) * 32))
    signed = consortium.sign("utility", rotation, consortium.key_of("utility", "control"))
    with pytest.raises(MalformedError):
        gateway.statements.submit(consortium.asker("utility"), signed)  # the new key did not co-sign
    wrong = consortium.sign("utility", ParticipantRetirementIntent(), consortium.key_of("analyst", "control"))
    with pytest.raises(RefusedError) as refused:
        gateway.statements.submit(consortium.asker("utility"), wrong)
    assert refused.value.code == "not-control-key"
    claim = ControlKeyClaimIntent(participant="analyst", new_key=address_of(bytes([4]) * 32))
    assert (
        gateway.statements.prepare(consortium.asker("utility"), claim).statement.participant
        == (consortium.founded.participants["analyst"])
    )


def test_votes_name_what_they_are_about(consortium: Consortium) -> None:
    gateway, governor = consortium.gateway, consortium.asker("utility")
    for flaw in (GovernanceVoteIntent(), GovernanceVoteIntent(decision=Decision.SUSPEND)):
        with pytest.raises(MalformedError):
            gateway.statements.prepare(governor, flaw)
    with pytest.raises(NotFoundError):
        gateway.statements.prepare(governor, GovernanceVoteIntent(proposal=NONE))
    threshold = GovernanceVoteIntent(decision=Decision.SET_THRESHOLD, argument=Bytes32((3).to_bytes(32, "big")))
    assert gateway.statements.prepare(governor, threshold).message["subject"] == str(ZERO)
    dismissal = GovernanceVoteIntent(decision=Decision.DISMISS_GOVERNOR, subject="analyst")
    assert gateway.statements.prepare(governor, dismissal).message["decision"] == "6"


@pytest.mark.parametrize(
    "change",
    [
        {"slug": "Bad Slug"},
        {"metadata": {"title": "x"}},
        {"metadata": {"title": "x", "other": 1}},
        {"metadata": {"title": "", "description": "", "licence": "", "contact": "", "keywords": [1]}},
        {"chunks": None},
        {"manifest": {"files": []}},
        {"parents": (ParentName("utility/power"), ParentName("utility/power", 2))},
        {"parents": (ParentName("power"),)},
        {"deadline_s": 0},
    ],
)
def test_registrations_that_can_not_be(consortium: Consortium, change: dict[str, Any]) -> None:
    manifest, chunks, _ = content_of({"large.bin": bytes(3 << 20)})
    given: dict[str, Any] = {
        "slug": "new", "manifest": manifest, "chunks": chunks,
        "metadata": {"title": "", "description": "", "licence": "", "contact": ""}, **change,
    }  # fmt: skip
    assert isinstance(refusal(consortium, "utility", DatasetRegistrationIntent(**given)), MalformedError)


def test_deadlines_are_near_and_ahead(consortium: Consortium) -> None:
    def raw(deadline: int) -> RawIntent:
        return RawIntent(type_name="DatasetRetirement", members={"datasetSalt": str(NONE), "deadline": str(deadline)})

    now = int(consortium.gateway.parts.clock())
    assert code_of(refusal(consortium, "utility", raw(now - 5))) == "deadline-passed"
    assert isinstance(refusal(consortium, "utility", raw(now + 10**8)), MalformedError)
    assert isinstance(refusal(consortium, "utility", Intent()), MalformedError)
