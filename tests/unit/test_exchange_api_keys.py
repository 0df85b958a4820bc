"""What an API key may become: whose application binds it, and how long its heirs live."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from ledger.chain import LocalSigner
from ledger.errors import ConflictError, MalformedError, RefusedError, VerificationError
from ledger.exchange import Asker, Paging, Scope
from ledger.exchange.intents import ParticipantApplicationIntent
from ledger.exchange.signatures import sign_statement
from ledger.statements import Custody, Statement, generate_private_key
from ledger.surface.outcomes import SignedStatement
from ledger.types import Address
from tests.support.exchange import Consortium, found_in, open_gateway, soon

AUDITOR = Asker(None, frozenset({Scope.AUDIT}))
APPLY = frozenset({Scope.APPLY})
BOTH = frozenset({Scope.READ, Scope.WRITE})


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("api-keys") / "home"
    with open_gateway(home, found_in(home)) as running:
        yield running


def newcomer(consortium: Consortium) -> tuple[Asker, str]:
    """The bearer of a fresh key that may only apply, and its token."""
    _, token = consortium.gateway.api_keys.create(consortium.asker("manufacturer", Scope.OPERATE), scopes=APPLY)
    return bearer(consortium, token), token


def bearer(consortium: Consortium, token: str) -> Asker:
    asker = consortium.gateway.api_keys.authenticate(token)
    assert asker is not None
    return asker


def application(consortium: Consortium, asker: Asker, handle: str, control: LocalSigner) -> SignedStatement:
    intent = ParticipantApplicationIntent(
        control_key=control.address, custody=Custody.CUSTODIAL, profile={"handle": handle, "name": handle}
    )
    return consortium.sign(asker, intent, control)


def forgeries(signed: SignedStatement, consortium: Consortium) -> list[SignedStatement]:
    """What who knows only the message can send, and who knows the signatures too."""
    statement, mallory = signed.statement, LocalSigner(generate_private_key())
    own = sign_statement(mallory, statement, consortium.gateway.parts.domains)
    zero = bytes(65)
    return [
        SignedStatement(statement, zero, signed.signer, zero),
        SignedStatement(statement, b"\0", signed.signer, b"\0"),
        SignedStatement(statement, own, signed.signer, signed.cosignature),
        SignedStatement(statement, own, mallory.address, signed.cosignature),
        SignedStatement(statement, signed.signature, signed.signer, own),
        SignedStatement(statement, signed.signature, Address(bytes(20)), signed.cosignature),
    ]


def test_an_application_of_somebody_else_binds_no_key(consortium: Consortium) -> None:
    statements, control = consortium.gateway.statements, LocalSigner(generate_private_key())
    victim, token = newcomer(consortium)
    signed = application(consortium, victim, "victim", control)
    outcome = consortium.finish(statements.submit(victim, signed))
    public = statements.get(AUDITOR, outcome.digest)
    kept = SignedStatement(signed.statement, public.signature, public.signer, public.cosignature)
    stranger, strangers_token = newcomer(consortium)
    for forged in forgeries(kept, consortium):
        with pytest.raises((MalformedError, VerificationError, RefusedError)):
            statements.submit(stranger, forged)
    assert statements.submit(stranger, kept).digest == outcome.digest
    assert bearer(consortium, strangers_token) == stranger
    assert statements.submit(victim, kept).digest == outcome.digest
    bound = bearer(consortium, token)
    assert bound.participant == outcome.participant
    assert bound.scopes == frozenset({Scope.APPLY, Scope.READ, Scope.WRITE})


def test_a_repeat_after_a_crash_binds_the_key_that_filed(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements, store = consortium.gateway.statements, consortium.gateway.parts.store
    asker, token = newcomer(consortium)
    signed = application(consortium, asker, "crashed", LocalSigner(generate_private_key()))
    with monkeypatch.context() as patched:
        patched.setattr(store.api_keys, "bind", lambda *_: None)
        outcome = statements.submit(asker, signed)
    assert bearer(consortium, token).participant is None
    statements.submit(asker, signed)
    assert bearer(consortium, token).participant == outcome.participant


def test_an_application_of_a_founder_binds_no_key(consortium: Consortium) -> None:
    """Those stand in the deployment's transaction and in each founder's evidence."""
    stranger, token = newcomer(consortium)
    views = consortium.gateway.statements.list(AUDITOR, Paging(limit=200)).items
    founding = [each for each in views if each.outcome.participant in consortium.founded.participants.values()]
    applications = [each for each in founding if each.outcome.type == "ParticipantApplication"]
    assert len(applications) == 3
    for view in applications:
        statement = Statement.parse(view.outcome.type, dict(view.message))
        kept = SignedStatement(statement, view.signature, view.signer, view.cosignature)
        for forged in forgeries(kept, consortium):
            with pytest.raises((MalformedError, VerificationError, RefusedError)):
                consortium.gateway.statements.submit(stranger, forged)
        consortium.gateway.statements.submit(stranger, kept)
        assert bearer(consortium, token) == stranger


def test_an_heir_ends_with_its_maker(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, parts = consortium.gateway.api_keys, consortium.gateway.parts
    end = soon(minutes=5).replace(microsecond=0)
    _, token = keys.create(consortium.asker("utility"), scopes=BOTH, expires_at=end)
    maker = bearer(consortium, token)
    for asked, given in ((None, end), (end + timedelta(days=1), end), (end - timedelta(minutes=1),) * 2):
        assert keys.create(maker, scopes=BOTH, expires_at=asked)[0].expires_at == given
    _, heir = keys.create(maker, scopes=BOTH)
    real = parts.clock
    monkeypatch.setattr(parts, "clock", lambda: real() + 600)
    assert keys.authenticate(heir) is None


def test_revoking_a_key_reaches_its_heirs_and_nobody_elses(consortium: Consortium) -> None:
    keys, participants = consortium.gateway.api_keys, consortium.founded.participants
    _, first = keys.create(consortium.asker("utility"), scopes=BOTH)
    _, second = keys.create(bearer(consortium, first), scopes=BOTH)
    _, third = keys.create(bearer(consortium, second), scopes=frozenset({Scope.READ}))
    _, other = keys.create(consortium.asker("utility"), scopes=BOTH)
    caught = bearer(consortium, second)
    keys.revoke(consortium.asker("utility"), bearer(consortium, first).api_key or "")
    assert [keys.authenticate(token) for token in (first, second, third)] == [None] * 3
    assert keys.authenticate(other) is not None
    with pytest.raises(ConflictError) as ended:
        keys.create(caught, scopes=BOTH)
    assert ended.value.code == "api-key-ended"
    _, operator = keys.create(consortium.asker("manufacturer", Scope.OPERATE), scopes=BOTH | {Scope.OPERATE})
    asker = bearer(consortium, operator)
    _, deputy = keys.create(asker, scopes=frozenset({Scope.OPERATE}))
    handed = [
        keys.create(asker, scopes=BOTH, participant=str(participants["analyst"]))[1],
        keys.create(asker, scopes=APPLY)[1],
        keys.create(asker, scopes=frozenset({Scope.AUDIT}))[1],
    ]
    keys.revoke(asker, asker.api_key or "")
    assert keys.authenticate(deputy) is None
    assert all(keys.authenticate(token) is not None for token in handed)


def test_preparing_fills_no_keystore(consortium: Consortium) -> None:
    parts = consortium.gateway.parts
    folder = parts.settings.home / "keys"
    asker, _ = newcomer(consortium)
    before = len(list(folder.rglob("*.json")))
    drawn = [
        application(consortium, asker, f"squat-{number}", LocalSigner(generate_private_key())) for number in range(3)
    ]
    assert len({signed.statement.message["signingKey"] for signed in drawn}) == 1
    assert len(list(folder.rglob("*.json"))) == before + 1
    other = application(consortium, newcomer(consortium)[0], "other", LocalSigner(generate_private_key()))
    assert other.statement.message["signingKey"] != drawn[0].statement.message["signingKey"]
    outcome = consortium.finish(consortium.gateway.statements.submit(asker, drawn[1]))
    assert parts.keystore.keys_of(outcome.participant) == {drawn[1].statement.message["signingKey"]}
    with pytest.raises(MalformedError, match="co-signature"):
        consortium.gateway.statements.submit(asker, drawn[0])
    assert consortium.gateway.statements.submit(asker, drawn[1]).digest == outcome.digest
    following = application(consortium, asker, "following", LocalSigner(generate_private_key()))
    assert following.statement.message["signingKey"] != drawn[0].statement.message["signingKey"]


def test_a_drawn_key_signs_only_what_was_prepared_with_it(consortium: Consortium) -> None:
    control = LocalSigner(generate_private_key())
    asker, _ = newcomer(consortium)
    drawn = application(consortium, asker, "mine", control).statement
    rewritten = Statement.parse(drawn.type.name, dict(drawn.to_json()) | {"salt": "0x" + "07" * 32})
    signature = sign_statement(control, rewritten, consortium.gateway.parts.domains)
    with pytest.raises(MalformedError, match="co-signature"):
        consortium.gateway.statements.submit(asker, SignedStatement(rewritten, signature, control.address))
