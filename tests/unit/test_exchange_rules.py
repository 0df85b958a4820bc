"""Who may state and see what, and every reason for which access is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import JsonValue
from ledger.errors import ConflictError, LedgerError, MalformedError, NotFoundError, RefusedError, VerificationError
from ledger.exchange import NOBODY, Asker, ForbiddenError, Paging, Scope, found
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
    ParticipantApplicationIntent,
    ParticipantRetirementIntent,
    ProfileUpdateIntent,
    RawIntent,
    UsageDisputeIntent,
    UsageReportIntent,
)
from ledger.exchange.signatures import sign_statement
from ledger.statements import Custody, Decision, Resource, Statement, address_of
from ledger.surface.outcomes import Outcome, SignedStatement
from ledger.types import Address, Bytes32
from tests.support.exchange import (
    Consortium,
    content_of,
    found_in,
    open_gateway,
    plan_of,
    read_all,
    registration,
    soon,
    upload,
)

EVERYTHING = Paging(limit=200)
ZERO = Bytes32(bytes(32))
NONE = Bytes32(bytes([9]) * 32)
AUDITOR = Asker(None, frozenset({Scope.AUDIT}))
FILE = b"plant,mwh\nA,1\n"


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("rules") / "home"
    with open_gateway(home, found_in(home)) as running:
        running.state("utility", registration("power", {"plants.csv": FILE}))
        running.state("utility", registration("power", {"plants.csv": FILE + b"B,2\n"}))
        upload(running, "utility", "utility/power", 1, "plants.csv", FILE)
        yield running


def refusal(consortium: Consortium, who: str, intent: Intent) -> LedgerError:
    """Why a statement is not taken."""
    with pytest.raises(LedgerError) as error:
        consortium.gateway.statements.sign_and_submit(consortium.asker(who), intent)
    return error.value


def code_of(error: LedgerError) -> str:
    assert isinstance(error, RefusedError | ConflictError), repr(error)
    return error.code


def grant(consortium: Consortium, dataset: str = "utility/power", **members: Any) -> Bytes32:
    terms: dict[str, Any] = {"purpose": "Marketing", "rights": ("read",), "valid_until": soon(days=1)} | members
    return consortium.state("utility", AccessGrantIntent(dataset=dataset, consumer="analyst", **terms)).digest


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


def test_profiles_change_and_handles_are_unique(consortium: Consortium) -> None:
    taken = ProfileUpdateIntent(profile={"handle": "utility", "name": "X"})
    assert code_of(refusal(consortium, "manufacturer", taken)) == "handle-taken"
    consortium.state("manufacturer", ProfileUpdateIntent(profile={"handle": "manufacturer", "name": "New Name"}))
    profile = consortium.gateway.participants.profile(AUDITOR, "manufacturer").value
    assert (profile.version, profile.document.document) == (2, {"handle": "manufacturer", "name": "New Name"})
    found = consortium.gateway.statements.document(NOBODY, profile.document.hash).value
    assert found == profile.document
    for flaw in ({"handle": "manufacturer"}, {"handle": "M", "name": "x"}, {"handle": "m", "name": "x", "did": 1}):
        given: dict[str, JsonValue] = {**flaw}  # type: ignore[dict-item]
        assert isinstance(refusal(consortium, "manufacturer", ProfileUpdateIntent(profile=given)), MalformedError)


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


def test_a_signature_of_another_consortium_is_refused(consortium: Consortium, tmp_path: Path) -> None:
    intent = DatasetRetirementIntent(dataset="utility/power")
    signed = consortium.sign("utility", intent, consortium.key_of("utility", "control"))
    with open_gateway(tmp_path / "other", found(tmp_path / "other", plan_of())) as other:
        stranger = Asker(signed.statement.participant, frozenset({Scope.WRITE}))
        with pytest.raises(RefusedError) as refused:
            other.gateway.statements.submit(stranger, signed)
        assert refused.value.code == "participant-not-admitted"
    high_s = signed.signature[:32] + bytes([255]) * 32 + signed.signature[64:]
    with pytest.raises(MalformedError):
        consortium.gateway.statements.submit(
            consortium.asker("utility"), type(signed)(signed.statement, high_s, signed.signer)
        )
    with pytest.raises(VerificationError):
        consortium.gateway.statements.submit(
            consortium.asker("utility"), type(signed)(signed.statement, signed.signature, Address(bytes(20)))
        )


def test_api_keys_are_made_within_bounds(consortium: Consortium) -> None:
    keys, utility = consortium.gateway.api_keys, consortium.asker("utility")
    operator = consortium.asker("manufacturer", Scope.OPERATE)
    view, token = keys.create(utility, scopes=frozenset({Scope.READ}), expires_at=soon(hours=1))
    assert keys.authenticate(token) == Asker(utility.participant, frozenset({Scope.READ}), view.id)
    flaws: tuple[tuple[type[LedgerError], Callable[[], object]], ...] = (
        (ForbiddenError, lambda: keys.create(utility, scopes=frozenset({Scope.AUDIT}))),
        (ForbiddenError, lambda: keys.create(utility, scopes=frozenset({Scope.READ}), participant="analyst")),
        (ForbiddenError, lambda: keys.create(NOBODY, scopes=frozenset({Scope.READ}))),
        (MalformedError, lambda: keys.create(operator, scopes=frozenset())),
        (MalformedError, lambda: keys.create(utility, scopes=frozenset({Scope.READ}), expires_at=soon(hours=-1))),
        (NotFoundError, lambda: keys.create(operator, scopes=frozenset({Scope.READ}), participant="nobody")),
        (NotFoundError, lambda: keys.revoke(consortium.asker("analyst"), view.id)),
    )
    for kind, act in flaws:
        with pytest.raises(kind):
            act()
    assert view.id in {each.id for each in keys.list(utility)}
    assert view.id not in {each.id for each in keys.list(consortium.asker("analyst"))}
    assert keys.list(NOBODY) == ()
    keys.revoke(operator, view.id)
    assert keys.authenticate(token) is None
    assert keys.authenticate("nonsense") is None


def test_an_expired_key_opens_nothing(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, parts = consortium.gateway.api_keys, consortium.gateway.parts
    _, token = keys.create(consortium.asker("utility"), scopes=frozenset({Scope.READ}), expires_at=soon(minutes=1))
    real = parts.clock
    monkeypatch.setattr(parts, "clock", lambda: real() + 120)
    assert keys.authenticate(token) is None


def test_what_may_be_seen(consortium: Consortium) -> None:
    gateway, analyst, utility = consortium.gateway, consortium.asker("analyst"), consortium.asker("utility")
    auditor = gateway.statements.list(AUDITOR, EVERYTHING).items
    mine = gateway.statements.list(consortium.asker("manufacturer"), EVERYTHING).items
    assert len(mine) < len(auditor)
    assert gateway.statements.list(NOBODY, EVERYTHING).items == ()
    assert gateway.statements.receipt(AUDITOR, auditor[0].outcome.digest).startswith("c2sp.org/tlog-proof@v1")
    for missing in (
        lambda: gateway.statements.outcome(NONE),
        lambda: gateway.statements.document(utility, NONE),
        lambda: gateway.statements.evidence(AUDITOR, NONE),
        lambda: gateway.participants.get(utility, "nobody"),
        lambda: gateway.datasets.get(utility, "utility/none"),
        lambda: gateway.datasets.version(utility, "utility/power", 9),
        lambda: gateway.access.request(utility, NONE),
        lambda: gateway.access.grant(utility, NONE),
        lambda: gateway.agreements.get(utility, NONE),
        lambda: gateway.log.entry(10**6),
        lambda: gateway.log.prove_consistency(5, 3),
        lambda: gateway.datasets.chunks(utility, "utility/power", 9),
    ):
        with pytest.raises(NotFoundError):
            missing()
    version = gateway.datasets.version(utility, "utility/power", 2).value
    assert version.version_salt is not None
    hidden = gateway.datasets.version(consortium.asker("manufacturer"), "utility/power", 2).value
    assert (hidden.version_salt, hidden.content_root) == (None, None)
    assert [each.version for each in gateway.datasets.versions(analyst, "utility/power", EVERYTHING).items] == [2, 1]
    assert gateway.datasets.manifest(AUDITOR, "utility/power", 1).value
    assert gateway.datasets.chunks(AUDITOR, "utility/power", 1).value
    assert [each.uploaded for each in gateway.datasets.files(utility, "utility/power", 2).value] == [False]
    with pytest.raises(NotFoundError):
        read_all(consortium, "utility", "utility/power", 2, "plants.csv")
    with pytest.raises(MalformedError):
        read_all(consortium, "utility", "utility/power", 1, "plants.csv", first=99)
    assert gateway.access.grants(utility, EVERYTHING, role="provider", dataset="utility/power").items


def test_bytes_are_recognised_for_those_who_may_know(consortium: Consortium) -> None:
    datasets = consortium.gateway.datasets
    known = Bytes32(sha256(FILE).digest())
    verdict = datasets.verify(consortium.asker("utility"), known).value
    assert (verdict.verdict, verdict.matches[0].name) == ("verified", "utility/power")
    assert datasets.verify(consortium.asker("manufacturer"), known).value.verdict == "undetermined"
    assert datasets.verify(AUDITOR, NONE).value.matches == ()


def test_evidence_lies_within_the_pinned_range(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = consortium.gateway
    digest = gateway.statements.list(AUDITOR, EVERYTHING).items[0].outcome.digest
    with pytest.raises(ConflictError) as outside:
        gateway.statements.evidence(AUDITOR, digest, last=1)
    assert outside.value.code == "outside-range"
    with pytest.raises(MalformedError):
        gateway.statements.evidence(AUDITOR, digest, last=10**6)
    settings = consortium.gateway.parts.settings
    monkeypatch.setattr(consortium.gateway.parts, "settings", replace(settings, publish_after_s=60.0))
    fresh = gateway.statements.sign_and_submit(consortium.asker("utility"), registration("fresh", {"a": b"1"}))
    with pytest.raises(ConflictError) as early:
        gateway.statements.evidence(AUDITOR, fresh.digest)
    assert (early.value.code, early.value.retry_after_s) == ("not-final", 1.0)
    monkeypatch.undo()
    gateway._publishing.wake()
    consortium.finish(fresh)


def test_applications_need_a_key_that_may_apply(consortium: Consortium) -> None:
    intent = ParticipantApplicationIntent(control_key=Address(bytes(20)), profile={"handle": "n", "name": "N"})
    with pytest.raises(ForbiddenError):
        consortium.gateway.statements.prepare(Asker(None, frozenset({Scope.READ})), intent)
    with pytest.raises(ForbiddenError):
        consortium.gateway.statements.prepare(Asker(None, frozenset({Scope.WRITE})), ParticipantRetirementIntent())
    with pytest.raises(MalformedError):
        consortium.gateway.statements.prepare(Asker(None, frozenset({Scope.APPLY})), intent)


def test_consortium_and_rpc_are_public(consortium: Consortium) -> None:
    document = consortium.gateway.consortium().document
    assert document["chain_id"] == str(consortium.founded.chain_id)
    answer = consortium.gateway.rpc(b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}')
    assert hex(consortium.founded.chain_id).encode() in answer


@pytest.mark.parametrize(
    "origin", ["evil\u2003log", "evil log", "evil\nlog", "evil+log", "\u00e9.example/log", "a\x7f"]
)
def test_a_log_opens_under_a_name_that_can_be_pinned(consortium: Consortium, origin: str) -> None:
    """Auditors name logs in their policies: one that can not be named would keep them from it."""
    statement = Statement.build(
        "LogOpening",
        participant=consortium.founded.participants["analyst"],
        origin=origin,
        publisher=consortium.gateway.parts.relay.address,
        verifierKey=NONE,
        deadline=int(soon(days=1).timestamp()),
        salt=NONE,
    )
    signer = consortium.key_of("analyst", "signing")
    signature = sign_statement(signer, statement, consortium.gateway.parts.domains)
    with pytest.raises(MalformedError, match="origin"):
        consortium.gateway.statements.submit(
            consortium.asker("analyst"), SignedStatement(statement, signature, signer.address)
        )
