"""The whole of the exchange: founding, admission, data, access, agreements, evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from ledger.chain import LocalSigner
from ledger.errors import ConflictError, NotFoundError, RefusedError, VerificationError
from ledger.evidence import (
    PinnedContract,
    PinnedLog,
    PinnedRange,
    Policy,
    Verdict,
    Verifier,
    compute_block_root,
    verify_all,
)
from ledger.exchange import Announce, Asker, ForbiddenError, Outcome, Paging, Scope, State
from ledger.exchange.drafting import Drafting
from ledger.exchange.intents import (
    AccessDenialIntent,
    AccessGrantIntent,
    AccessRequestIntent,
    AccessRevocationIntent,
    AgreementAcceptanceIntent,
    AgreementProposalIntent,
    GovernanceVoteIntent,
    ParentName,
    ParticipantApplicationIntent,
    SettlementRecordIntent,
    UsageConfirmationIntent,
    UsageDisputeIntent,
    UsageReportIntent,
)
from ledger.statements import Custody, Resource, generate_private_key
from ledger.surface.outcomes import InForce
from ledger.types import Bytes32
from tests.support.exchange import (
    Consortium,
    found_in,
    open_gateway,
    read_all,
    registration,
    soon,
    upload,
)

FILES = {"plants.csv": b"plant,mwh\nA,1\n", "load.bin": bytes(range(256)) * 4096 * 3}
EVERYTHING = Paging(limit=200)


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("gateway") / "home"
    founded = found_in(home)
    with open_gateway(home, founded) as running:
        yield running


@pytest.fixture(scope="module")
def power(consortium: Consortium) -> str:
    """A dataset of the utility with its bytes uploaded."""
    consortium.state("utility", registration("power", FILES))
    for path, data in FILES.items():
        assert upload(consortium, "utility", "utility/power", 1, path, data)
    return "utility/power"


def ask(consortium: Consortium, dataset: str, **members: object) -> Bytes32:
    """The analyst, who holds its own key, asks for access."""
    intent = AccessRequestIntent(
        dataset=dataset,
        purpose="ResearchAndDevelopment",
        rights=("read", "derive"),
        valid_until=soon(days=1),
        **members,  # type: ignore[arg-type]
    )
    return state_own(consortium, intent)


def state_own(consortium: Consortium, intent: object) -> Bytes32:
    signed = consortium.sign("analyst", intent, consortium.key_of("analyst", "signing"))  # type: ignore[arg-type]
    outcome = consortium.gateway.statements.submit(consortium.asker("analyst"), signed)
    return consortium.finish(outcome).digest


def test_founding_puts_founders_and_log_into_the_log(consortium: Consortium) -> None:
    auditor = Asker(None, frozenset({Scope.AUDIT}))
    statements = consortium.gateway.statements.list(auditor, EVERYTHING).items
    first = sorted(statements, key=lambda each: each.outcome.index)[:4]
    assert [each.outcome.type for each in first] == ["ParticipantApplication"] * 3 + ["LogOpening"]
    assert all(each.outcome.in_force is InForce.YES for each in first)
    people = consortium.gateway.participants.list(auditor, EVERYTHING).items
    assert {each.handle for each in people if each.governor} == {"manufacturer", "utility", "analyst"}


def test_founders_get_keys_that_authenticate(consortium: Consortium) -> None:
    for handle, token in consortium.founded.api_keys.items():
        asker = consortium.gateway.api_keys.authenticate(token)
        assert asker is not None
        assert asker.participant == consortium.founded.participants[handle]
        assert consortium.gateway.api_keys.authenticate(token[:-1] + ("0" if token[-1] != "0" else "1")) is None


def test_an_applicant_is_admitted_by_two_votes_and_states_with_a_custodial_key(consortium: Consortium) -> None:
    gateway = consortium.gateway
    control = LocalSigner(generate_private_key())
    operator = consortium.asker("manufacturer", Scope.OPERATE)
    view, token = gateway.api_keys.create(operator, scopes=frozenset({Scope.APPLY}), label="newcomer")
    applicant = gateway.api_keys.authenticate(token)
    assert applicant is not None
    intent = ParticipantApplicationIntent(
        control_key=control.address,
        custody=Custody.CUSTODIAL,
        profile={"handle": "grid", "name": "Grid AG", "endpoint": "https://grid.example"},
    )
    signed = consortium.sign(applicant, intent, control)
    outcome = consortium.finish(gateway.statements.submit(applicant, signed))
    newcomer = gateway.api_keys.authenticate(token)
    assert newcomer is not None
    assert newcomer.participant == outcome.participant
    with pytest.raises(RefusedError) as not_yet:
        gateway.statements.sign_and_submit(newcomer, registration("early", FILES))
    assert not_yet.value.code == "participant-not-admitted"
    (proposal,) = gateway.participants.proposals(newcomer, EVERYTHING, state="open").items
    assert (proposal.decision, proposal.subject_handle) == ("admit", "grid")
    for governor in ("manufacturer", "utility"):
        key = consortium.key_of(governor, "control")
        vote = consortium.sign(governor, GovernanceVoteIntent(proposal=proposal.id), key)
        consortium.finish(gateway.statements.submit(consortium.asker(governor), vote))
    assert gateway.participants.get(newcomer, "grid").value.status == "active"
    assert gateway.participants.proposal(newcomer, proposal.id).value.state == "executed"
    done = consortium.state(newcomer, registration("meters", {"a.csv": b"1\n"}))
    assert done.custodial
    assert gateway.datasets.get(newcomer, "grid/meters").value.latest_version == 1
    assert view.label == "newcomer"


def test_versions_follow_one_another_without_waiting(consortium: Consortium) -> None:
    gateway, asker = consortium.gateway, consortium.asker("utility")
    outcomes = [
        gateway.statements.sign_and_submit(asker, registration("series", {"a.csv": f"{number}\n".encode()}))
        for number in range(3)
    ]
    assert [consortium.finish(outcome).ids["version"] for outcome in outcomes] == ["1", "2", "3"]
    with pytest.raises(ConflictError) as conflict:
        gateway.statements.sign_and_submit(asker, registration("series", {"a.csv": b"9\n"}, version=3))
    assert (conflict.value.code, conflict.value.facts) == ("version-conflict", {"expected": 4, "given": 3})


def test_access_from_request_to_revocation(consortium: Consortium, power: str) -> None:
    gateway = consortium.gateway
    analyst, utility = consortium.asker("analyst"), consortium.asker("utility")
    with pytest.raises(ForbiddenError) as refused:
        read_all(consortium, "analyst", power, 1, "plants.csv")
    assert refused.value.code == "no-grant"
    with pytest.raises(ForbiddenError):
        gateway.datasets.manifest(analyst, power, 1)
    request = ask(consortium, power)
    inbox = gateway.access.requests(utility, EVERYTHING, role="provider", state="open").items
    assert [each.digest for each in inbox] == [request]
    assert inbox[0].terms.purpose == "https://w3id.org/dpv#ResearchAndDevelopment"
    assert inbox[0].terms.rights == ("read", "derive")
    grant = consortium.state("utility", AccessGrantIntent(request=request)).digest
    assert gateway.access.request(analyst, request).value.state == "granted"
    assert gateway.access.grant(analyst, grant).value.state == "active"
    for path, data in FILES.items():
        assert read_all(consortium, "analyst", power, 1, path) == data
    assert (
        read_all(consortium, "analyst", power, 1, "load.bin", first=1_000_000, last=1_100_000, grant=grant)
        == (FILES["load.bin"][1_000_000:1_100_001])
    )
    assert gateway.datasets.manifest(analyst, power, 1).value
    with pytest.raises(ForbiddenError):
        read_all(consortium, "manufacturer", power, 1, "plants.csv")
    revocation = consortium.state("utility", AccessRevocationIntent(grant=grant))
    with pytest.raises(ForbiddenError) as revoked:
        read_all(consortium, "analyst", power, 1, "plants.csv")
    assert revoked.value.code == "grant-revoked"
    assert revoked.value.facts["block"] == revocation.block
    assert gateway.statements.get(analyst, revocation.digest).outcome.type == "AccessRevocation"
    with pytest.raises(NotFoundError):
        gateway.statements.get(consortium.asker("manufacturer"), revocation.digest)


def test_a_revocation_stops_a_download_under_way(
    consortium: Consortium, power: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.exchange.rooms.datasets._ASK_AGAIN_S", 0.0)
    request = ask(consortium, power)
    grant = consortium.state("utility", AccessGrantIntent(request=request)).digest
    rooms = consortium.gateway.datasets

    async def read() -> int:
        got = await rooms.download(consortium.asker("analyst"), power, 1, "load.bin", grant=grant)
        arrived = 0
        async for piece in got.pieces:
            arrived += len(piece)
            await asyncio.to_thread(consortium.state, "utility", AccessRevocationIntent(grant=grant))
        return arrived

    with pytest.raises(ForbiddenError) as stopped:
        asyncio.run(read())
    assert stopped.value.code == "grant-revoked"


def test_a_receipt_keeps_the_promise_of_its_batch(consortium: Consortium, power: str) -> None:
    """Otherwise a gateway could move its anchor-by with every later batch."""
    first = ask(consortium, power)
    before = consortium.gateway.statements.outcome(first).receipt
    ask(consortium, power)
    assert consortium.gateway.statements.outcome(first).receipt == before


def test_requests_that_can_not_be(consortium: Consortium, power: str) -> None:
    with pytest.raises(RefusedError) as own:
        consortium.state(
            "utility",
            AccessRequestIntent(dataset=power, purpose="Marketing", rights=("read",), valid_until=soon(days=1)),
        )
    assert own.value.code == "own-dataset"
    request = ask(consortium, power, first_version=1)
    denial = consortium.state("utility", AccessDenialIntent(request=request, reason="not now"))
    view = consortium.gateway.access.request(consortium.asker("analyst"), request).value
    assert (view.state, view.denial) == ("denied", denial.digest)
    with pytest.raises(RefusedError) as selfish:
        consortium.state(
            "utility",
            AccessGrantIntent(
                dataset=power, consumer="utility", purpose="Marketing", rights=("read",), valid_until=soon(days=1)
            ),
        )
    assert selfish.value.code == "access-grants-to-provider"


def test_only_the_named_key_states(consortium: Consortium, power: str) -> None:
    gateway, analyst = consortium.gateway, consortium.asker("analyst")
    intent = AccessRequestIntent(dataset=power, purpose="Marketing", rights=("read",), valid_until=soon(days=1))
    stranger = LocalSigner(generate_private_key())
    with pytest.raises(RefusedError) as refused:
        gateway.statements.submit(analyst, consortium.sign("analyst", intent, stranger))
    assert refused.value.code == "key-not-active"
    signed = consortium.sign("analyst", intent, consortium.key_of("analyst", "signing"))
    forged = type(signed)(signed.statement, signed.signature, stranger.address)
    with pytest.raises(VerificationError):
        gateway.statements.submit(analyst, forged)
    with pytest.raises(ForbiddenError):
        gateway.statements.submit(consortium.asker("utility"), signed)
    with pytest.raises(ConflictError) as custodial:
        gateway.statements.sign_and_submit(analyst, intent)
    assert custodial.value.code == "no-custodial-key"
    once = gateway.statements.submit(analyst, signed)
    assert gateway.statements.submit(analyst, signed).index == once.index
    with pytest.raises(ForbiddenError) as readonly:
        gateway.statements.prepare(Asker(analyst.participant, frozenset({Scope.READ})), intent)
    assert readonly.value.code == "missing-scope"


def test_an_agreement_from_proposal_to_settlement(consortium: Consortium) -> None:
    gateway = consortium.gateway
    proposal = consortium.state(
        "manufacturer",
        AgreementProposalIntent(
            parties=("manufacturer", "utility"),
            supplier="utility",
            user="manufacturer",
            resource=Resource.CAPACITY,
            terms={"title": "Capacity", "price": "81.50", "currency": "EUR"},
            valid_from=soon(hours=-1),
            valid_until=soon(days=30),
            quota=Decimal("100.5"),
            unit="MW.h",
        ),
    )
    agreement = Bytes32.parse(proposal.ids["agreement"])
    consortium.state("utility", AgreementAcceptanceIntent(agreement=agreement))
    utility = consortium.asker("utility")
    view = gateway.agreements.get(utility, agreement).value
    assert (view.state, view.quota, view.unit) == ("active", Decimal("100.5"), "MW.h")
    with pytest.raises(NotFoundError):
        gateway.agreements.get(consortium.asker("analyst"), agreement)

    def report(quantity: str) -> Bytes32:
        intent = UsageReportIntent(
            agreement=agreement,
            quantity=Decimal(quantity),
            period_from=soon(hours=-1),
            period_until=soon(hours=0),
            detail={"meter": "7"},
        )
        return consortium.state("utility", intent).digest

    first, second = report("60"), report("40.25")
    with pytest.raises(ConflictError) as over:
        report("0.5")
    assert over.value.code == "quota-exceeded"
    assert over.value.facts["remaining"] == "0.25"
    consortium.state("manufacturer", UsageConfirmationIntent(report=first))
    consortium.state("manufacturer", UsageDisputeIntent(report=second, reason="the meter stood still"))
    states = {each.digest: each.state for each in gateway.agreements.usage(utility, EVERYTHING).items}
    assert (states[first], states[second]) == ("confirmed", "disputed")
    settled = consortium.state("utility", SettlementRecordIntent(agreement=agreement, invoice={"number": "1"}))
    (settlement,) = gateway.agreements.settlements(utility, EVERYTHING, agreement=agreement).items
    assert (settlement.digest, settlement.total) == (settled.digest, Decimal(60))
    with pytest.raises(ConflictError) as nothing:
        consortium.state("utility", SettlementRecordIntent(agreement=agreement))
    assert nothing.value.code == "nothing-to-settle"


def test_lineage_and_catalogue(consortium: Consortium, power: str) -> None:
    gateway = consortium.gateway
    consortium.state("manufacturer", registration("derived", {"d.csv": b"1"}, ParentName(power, 1)))
    tree = gateway.datasets.lineage(consortium.asker("analyst"), "manufacturer/derived", 1).value
    assert [(each.name, each.version) for each in tree.parents] == [(power, 1)]
    found = gateway.datasets.list(consortium.asker("analyst"), EVERYTHING, text="derived").items
    assert [each.slug for each in found] == ["derived"]
    with pytest.raises(NotFoundError):
        gateway.statements.sign_and_submit(
            consortium.asker("manufacturer"), registration("orphan", {"d.csv": b"1"}, ParentName("utility/none", 1))
        )


def test_uploads_are_checked(consortium: Consortium, power: str) -> None:
    with pytest.raises(VerificationError):
        upload(consortium, "utility", power, 1, "plants.csv", b"plant,mwh\nA,2\n")
    with pytest.raises(ForbiddenError):
        upload(consortium, "analyst", power, 1, "plants.csv", FILES["plants.csv"])
    with pytest.raises(NotFoundError):
        upload(consortium, "utility", power, 1, "other.csv", b"")


def policy_of(consortium: Consortium) -> Policy:
    """What an auditor would pin with a node of its own choice."""
    parts = consortium.gateway.parts
    last = parts.edge.head().number
    headers = [parts.edge.header(number) for number in range(last + 1)]
    root = compute_block_root([header.hash for header in headers if header is not None])
    deployment = parts.deployment
    return Policy(
        chain_id=deployment.chain_id,
        genesis_hash=deployment.genesis_hash,
        contracts={
            name: PinnedContract(address, deployment.code_hashes[name])
            for name, address in deployment.contracts.items()
        },
        epochs=(PinnedRange(0, last, root),),
        logs=(PinnedLog(parts.config.operator, parts.config.origin, (parts.log_signer.verifier_key,)),),
    )


def test_evidence_of_every_statement_is_verified_offline(consortium: Consortium, power: str, tmp_path: Path) -> None:
    auditor = Asker(None, frozenset({Scope.AUDIT}))
    gateway = consortium.gateway
    consortium.state("manufacturer", registration("proof", FILES, ParentName(power, 1)))
    policy = policy_of(consortium)
    statements = gateway.statements.list(auditor, EVERYTHING).items
    files = [
        (str(each.outcome.index), gateway.statements.evidence(auditor, each.outcome.digest, last=policy.epochs[0].last))
        for each in statements
    ]
    reports = verify_all(Verifier(policy), files)
    for each, report in zip(statements, reports, strict=True):
        assert report.verdict is Verdict.VERIFIED, (each.outcome.type, report)
    with pytest.raises(NotFoundError):
        gateway.statements.evidence(consortium.asker("utility"), statements[0].outcome.digest)
    folder = tmp_path / "proof@1"
    folder.mkdir()
    for path, data in FILES.items():
        (folder / path).write_bytes(data)
    raw = gateway.statements.evidence(auditor, statements[0].outcome.digest)
    assert Verifier(policy_of(consortium)).verify(raw, data=folder).verdict is not Verdict.REFUTED


def test_health_log_and_receipts(consortium: Consortium) -> None:
    health = consortium.gateway.health()
    assert health.ready, health.reasons
    log = consortium.gateway.log
    size, proof = log.prove_inclusion(0)
    assert size == health.log_size
    assert proof
    assert len(log.entry(0)) == 97
    assert log.checkpoint().startswith(b"gateway.example/log\n")
    assert log.prove_consistency(1, size)[1]


def test_idempotency_keys(consortium: Consortium) -> None:
    gateway, asker = consortium.gateway, consortium.asker("utility")
    intent = registration("nightly", {"a.csv": b"1"})

    def act(announce: Announce) -> Outcome:
        return gateway.statements.sign_and_submit(asker, intent, announce)

    first = gateway.idempotent(asker, "k1", b"body", act)
    assert gateway.idempotent(asker, "k1", b"body", act).digest == first.digest
    with pytest.raises(RefusedError) as reused:
        gateway.idempotent(asker, "k1", b"other", act)
    assert reused.value.code == "idempotency-key-reused"


def test_an_idempotency_key_finds_what_entered_the_log_before_a_crash(consortium: Consortium) -> None:
    gateway, asker = consortium.gateway, consortium.asker("utility")
    size = gateway.health().log_size

    def die_after(announce: Announce) -> Outcome:
        gateway.statements.sign_and_submit(asker, registration("crashing", {"a.csv": b"1"}), announce)
        raise SystemExit

    def die_before(announce: Announce) -> Outcome:
        announce(Bytes32(bytes(32)))
        raise SystemExit

    def act(announce: Announce) -> Outcome:
        return gateway.statements.sign_and_submit(asker, registration("other", {"a.csv": b"1"}), announce)

    with pytest.raises(SystemExit):
        gateway.idempotent(asker, "late", b"body", die_after)
    assert gateway.idempotent(asker, "late", b"body", act).index == size
    with pytest.raises(SystemExit):
        gateway.idempotent(asker, "early", b"body", die_before)
    assert gateway.idempotent(asker, "early", b"body", act).index == size + 1
    assert gateway.health().log_size == size + 2


def test_a_gateway_goes_on_where_it_stopped(tmp_path: Path) -> None:
    home = tmp_path / "home"
    founded = found_in(home)
    with open_gateway(home, founded) as first:
        digest = first.state("utility", registration("power", FILES)).digest
    with open_gateway(home, founded) as second:
        again = second.gateway.statements.outcome(digest)
        assert (again.state, again.in_force) == (State.FINAL, InForce.YES)
        assert second.state("utility", registration("power", {"a.csv": b"2"})).ids["version"] == "2"


def test_what_only_a_log_keeps_is_prepared_without_waiting_for_the_chain(consortium: Consortium, power: str) -> None:
    waits: list[bool] = []

    def settle() -> bool:
        waits.append(True)
        return True

    drafting, analyst = Drafting(consortium.gateway.parts, settle), consortium.asker("analyst")

    def request(dataset: str) -> AccessRequestIntent:
        return AccessRequestIntent(
            dataset=dataset, purpose="ResearchAndDevelopment", rights=("read",), valid_until=soon(days=1)
        )

    drafting.prepare(analyst, request(power))
    assert not waits
    with pytest.raises(NotFoundError):
        drafting.prepare(analyst, request("utility/on-its-way"))
    assert len(waits) == 1, "what it speaks of may be on its way"
    drafting.prepare(consortium.asker("utility"), registration("another", FILES))
    assert len(waits) == 2, "a version's number is the contract's"
