"""Who may see what, and with which key; what is public."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.canonical import JsonValue
from ledger.errors import ConflictError, LedgerError, MalformedError, NotFoundError, RefusedError, VerificationError
from ledger.exchange import NOBODY, Asker, ForbiddenError, Scope, found
from ledger.exchange.intents import (
    DatasetRetirementIntent,
    ParticipantApplicationIntent,
    ParticipantRetirementIntent,
    ProfileUpdateIntent,
)
from ledger.exchange.signatures import sign_statement
from ledger.statements import Statement
from ledger.surface.outcomes import SignedStatement
from ledger.types import Address, Bytes32
from tests.support.exchange import Consortium, open_gateway, plan_of, read_all, registration, soon
from tests.support.stating import AUDITOR, EVERYTHING, FILE, NONE, code_of, consortium, grant, refusal

__all__ = ["consortium"]


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
    grant(consortium)
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
