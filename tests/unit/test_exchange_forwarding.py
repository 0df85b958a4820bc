"""Requests for access and their denials, brought to the gateway of whom they are addressed to, and taken there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from ledger.chain import LocalSigner
from ledger.errors import LedgerError, UnavailableError
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.deliveries.peers import Peers, parse_peers
from ledger.exchange.directory import Directory
from ledger.exchange.forwarding.sending import Sending
from ledger.exchange.forwarding.taking import Taking
from ledger.exchange.transfers import Caller
from ledger.statements import HistoryKind
from ledger.store.rows import NewStatement
from ledger.surface.codec import dump_value, parse_object
from ledger.surface.forwarding import ForwardedDocument, ForwardedStatement
from ledger.surface.outcomes import SignedStatement
from ledger.types import Bytes32
from tests.support.answering import Said, answering
from tests.support.statements import DOMAINS
from tests.support.store_world import NOW, World, open_world, word

CONSUMER: Final = word("manu")
PROVIDER: Final = word("util")
HOST: Final = "util.example:8080"


@dataclass
class Elsewhere:
    """The provider's gateway, which answers whatever it likes."""

    url: str = ""
    said: Said = field(default_factory=Said)
    asked: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    silent: threading.Event | None = None

    def answer(self, *asked: Any) -> Said:
        self.asked.append(asked)
        self.begun.set()
        if self.silent is not None:
            self.silent.wait(60)
        return self.said


@dataclass
class Stage:
    """The consumer's gateway, whose clock stands still."""

    world: World
    elsewhere: Elsewhere
    now_s: float = NOW.timestamp() + 1000

    def __post_init__(self) -> None:
        self.parts: Any = SimpleNamespace(
            store=self.world.store,
            config=SimpleNamespace(operator=CONSUMER),
            keystore=SimpleNamespace(find=lambda *_: LocalSigner(b"\1" * 32)),
            domains=DOMAINS,
            directory=Directory(self.world.store, self.now),
            now=self.now,
            clock=lambda: self.now_s,
        )
        self.sending = self.start()

    def start(self, peers: str | None = None) -> Sending:
        return Sending(self.parts, Peers(self.parts, parse_peers(self.elsewhere.url if peers is None else peers)))

    def now(self) -> Any:
        return NOW + timedelta(seconds=self.now_s - NOW.timestamp())

    def step(self, after_s: float = 0.0) -> int:
        """Later the gateway looks again; how often it asked then."""
        self.now_s += after_s
        before = len(self.elsewhere.asked)
        self.sending.step()
        return len(self.elsewhere.asked) - before

    def request(self, *, provider: Bytes32 = PROVIDER, deadline_s: int = 3600, **terms: Any) -> NewStatement:
        return self.world.say(
            "AccessRequest", participant=CONSUMER, provider=provider, dataset=word("set"),
            deadline=int(self.now_s) + deadline_s, at_s=900, **self.world.terms(**terms),
        )  # fmt: skip

    def name(self, who: str, endpoint: str) -> None:
        """A participant states where it serves."""
        row = self.world.document("profile", {"handle": who, "name": who, "endpoint": endpoint})
        self.world.store.documents.bind([row.hash], word(who))
        self.world.chain.mine(self.world.history(HistoryKind.PROFILE_UPDATED, word(who), row.hash))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    elsewhere = Elsewhere()
    with answering(elsewhere.answer) as elsewhere.url, open_world(tmp_path) as world:
        world.found("util", "manu")
        opened = Stage(world, elsewhere)
        opened.name("util", elsewhere.url)
        opened.name("manu", "http://manu.example")
        yield opened
        if elsewhere.silent is not None:
            elsewhere.silent.set()


def brought(asked: tuple[str, str, Mapping[str, str], bytes]) -> ForwardedStatement:
    return parse_object(ForwardedStatement, json.loads(asked[3]))


def test_a_request_is_brought_once_as_it_was_signed_with_its_policy(stage: Stage) -> None:
    assert stage.step() == 0
    request = stage.request()
    assert (stage.step(), stage.step(600)) == (1, 0)
    [asked] = stage.elsewhere.asked
    method, path, headers, _ = asked
    assert (method, path) == ("PUT", f"/v1/statements/{request.digest}")
    assert f'keyid="{CONSUMER}/' in headers["Signature-Input"]
    found = brought(asked)
    assert (found.type, found.message, found.signer) == (
        "AccessRequest", request.statement.to_json(), request.signer,
    )  # fmt: skip
    assert found.signature == "0x" + request.signature.hex()
    policy: Any = request.statement.message["policyHash"]
    document = stage.world.store.documents.find(policy)
    assert document is not None
    assert found.documents == (ForwardedDocument(salt=document.salt, document=document.document),)


def test_a_denial_goes_to_its_consumer_and_what_is_at_home_here_stays(stage: Stage) -> None:
    stage.name("util", "http://manu.example")
    stage.name("other", "http://manu.example")
    stage.request()
    stage.world.say(
        "AccessDenial", participant=CONSUMER, consumer=PROVIDER, request=word("r"), reasonHash=word("h"),
        deadline=int(stage.now_s) + 60, at_s=900,
    )  # fmt: skip
    assert stage.step() == 0
    stage.name("util", stage.elsewhere.url)
    denial = stage.world.say(
        "AccessDenial", participant=CONSUMER, consumer=PROVIDER, request=word("r"), reasonHash=word("i"),
        deadline=int(stage.now_s) + 60, at_s=900,
    )  # fmt: skip
    assert stage.step() == 1
    assert stage.elsewhere.asked[0][1] == f"/v1/statements/{denial.digest}"
    assert brought(stage.elsewhere.asked[0]).documents == ()


def test_a_silent_gateway_is_asked_less_and_less_until_the_deadline(stage: Stage) -> None:
    stage.elsewhere.said = Said(503)
    stage.request()
    stage.request()
    assert stage.step() == 1, "that is silent for the other one, too"
    assert (stage.step(0.5), stage.step(1), stage.step(1), stage.step(1)) == (0, 1, 0, 1)
    stage.elsewhere.said = Said()
    assert stage.step(4) == 2
    stage.elsewhere.said = Said(503)
    stage.request(deadline_s=100)
    assert stage.step() == 1
    stage.elsewhere.said = Said()
    assert stage.step(100) == 0, "no log takes it any more"
    assert stage.sending._waiting == {}


def test_what_is_refused_again_and_again_stays(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.elsewhere.said = Said(422, body=json.dumps({"code": "not-provider", "detail": "Another's."}).encode())
    stage.request()
    assert [stage.step(300) for _ in range(9)] == [1] * 8 + [0]
    assert "stays here" in caplog.text
    assert "Another's." in caplog.text


def test_what_is_no_answer_ends_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError

    stage.request()
    with monkeypatch.context() as patched:
        patched.setattr(stage.sending._asking, "ask", broken)
        assert stage.step() == 0
    assert stage.step(1) == 1


def test_after_a_start_it_is_brought_again_until_its_deadline(stage: Stage) -> None:
    stage.request(deadline_s=100)
    assert stage.step() == 1
    stage.sending = stage.start()
    assert stage.step() == 1
    stage.sending = stage.start()
    assert stage.step(100) == 0


def test_many_are_found_in_parts_and_no_more_than_are_at_hand(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.exchange.forwarding.sending._AT_ONCE", 2)
    monkeypatch.setattr("ledger.exchange.forwarding.sending._MOST_WAITING", 2)
    for _ in range(3):
        stage.request()
    stage.elsewhere.said = Said(503)
    assert stage.sending.step() is True
    assert stage.sending.step() == 1.0
    assert len(stage.sending._waiting) == 2
    stage.elsewhere.said = Said()
    assert stage.step(10) == 2
    assert stage.step() == 1


def test_who_serves_nowhere_known_or_in_a_private_network_that_nobody_listed_is_not_asked(stage: Stage) -> None:
    stage.request(provider=word("nobody"))
    assert stage.step() == 0
    stage.sending = stage.start(peers="")
    stage.request()
    assert stage.step() == 0
    assert len(stage.sending._waiting) == 2


def test_a_policy_that_is_too_large_is_left_out(stage: Stage) -> None:
    policy = stage.world.document("policy", {"permission": ["x" * (64 << 10)]})
    stage.request(policyHash=policy.hash)
    assert stage.step() == 1
    assert brought(stage.elsewhere.asked[0]).documents == ()


def test_it_stops_while_nothing_comes(stage: Stage) -> None:
    stage.elsewhere.silent = threading.Event()
    stage.request()
    thread = threading.Thread(target=stage.sending.step)
    thread.start()
    assert stage.elsewhere.begun.wait(30)
    stage.sending.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert len(stage.sending._waiting) == 1
    assert stage.step() == 0


# Taken


@dataclass
class Taken:
    """The log's side of it: what would enter it."""

    taken: list[SignedStatement] = field(default_factory=list)

    def take(self, signed: SignedStatement) -> str:
        self.taken.append(signed)
        return "an outcome"


@dataclass
class Home:
    """The provider's gateway, and what was brought there."""

    stage: Stage
    intake: Taken = field(default_factory=Taken)

    def __post_init__(self) -> None:
        self.stage.name("util", f"http://{HOST}")
        self.request = self.stage.request()
        row = self.stage.world.store.documents.find(self.request.statement.message["policyHash"])  # type: ignore[arg-type]
        assert row is not None
        self.policy = ForwardedDocument(salt=row.salt, document=row.document)
        self.form = ForwardedStatement(
            type="AccessRequest", message=self.request.statement.to_json(), signature="0x" + "ab" * 65,
            signer=self.request.signer, documents=(self.policy,),
        )  # fmt: skip

    def take(self, form: ForwardedStatement, caller: Caller | None = None, digest: Bytes32 | None = None) -> Any:
        signed = Caller(Asker(word("anybody"), frozenset({Scope.READ, Scope.WRITE})), HOST)
        taking = Taking(self.stage.parts, self.intake)  # type: ignore[arg-type]  # no more of it is asked for
        return taking.take(caller or signed, digest or self.request.digest, form)


def test_what_is_brought_is_taken_as_if_its_signer_had_brought_it(stage: Stage) -> None:
    home = Home(stage)
    assert home.take(home.form) == "an outcome"
    [signed] = home.intake.taken
    assert signed.statement.digest(DOMAINS) == home.request.digest
    assert (signed.signature, signed.signer, signed.cosignature) == (b"\xab" * 65, home.request.signer, None)


def test_its_documents_are_kept_until_it_is_in_the_log(stage: Stage, tmp_path: Path) -> None:
    home = Home(stage)
    with open_world(tmp_path, "elsewhere") as other:
        stage.parts.store = other.store
        stage.parts.directory = Directory(other.store, stage.now)
        other.found("util", "manu")
        row = other.document("profile", {"handle": "util", "name": "util", "endpoint": f"http://{HOST}"})
        other.store.documents.bind([row.hash], PROVIDER)
        other.chain.mine(other.history(HistoryKind.PROFILE_UPDATED, PROVIDER, row.hash))
        home.take(home.form)
        policy: Any = home.request.statement.message["policyHash"]
        assert other.store.documents.find_stated([policy], CONSUMER) == {}
        other.accept(home.request)
        shown = other.store.documents.find_stated([policy], CONSUMER, asker=PROVIDER, kind="policy")
        assert [each.document for each in shown.values()] == [home.policy.document]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("digest", "MalformedError"),
        ("document", "MalformedError"),
        ("type", "not-forwarded"),
        ("audience", "other-audience"),
        ("api key", "not-yours"),
    ],
)
def test_what_is_not_to_be_brought_is_refused(stage: Stage, wrong: str, code: str) -> None:
    home = Home(stage)
    form, caller, digest = home.form, None, home.request.digest
    if wrong == "digest":
        digest = word("other")
    elif wrong == "document":
        form = replace(form, documents=(replace(home.policy, salt=word("other")),))
    elif wrong == "type":
        grant = stage.world.new(
            "AccessGrant", participant=PROVIDER, consumer=CONSUMER, datasetSalt=word("s"), **stage.world.terms()
        )
        form = replace(form, type="AccessGrant", message=grant.statement.to_json())
    elif wrong == "audience":
        caller = Caller(Asker(CONSUMER, frozenset({Scope.WRITE})), "other.example")
    else:
        caller = Caller(Asker(PROVIDER, frozenset({Scope.WRITE})))
    with pytest.raises(LedgerError) as refused:
        home.take(form, caller, digest)
    assert code in {getattr(refused.value, "code", None), type(refused.value).__name__}
    assert home.intake.taken == []
    assert not isinstance(refused.value, UnavailableError)


def test_its_signer_brings_it_with_an_api_key_too(stage: Stage) -> None:
    home = Home(stage)
    home.take(home.form, Caller(Asker(CONSUMER, frozenset({Scope.WRITE}))))
    assert len(home.intake.taken) == 1


def test_what_travels_is_read_as_it_was_written(stage: Stage) -> None:
    form = Home(stage).form
    assert parse_object(ForwardedStatement, dump_value(form)) == form
