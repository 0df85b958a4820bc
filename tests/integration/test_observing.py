"""Metrics, log lines that follow a statement to its block, answers no older than a block, an end that drains."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.log_lines import LogFormat, set_up_log
from ledger.chain import LocalSigner
from ledger.exchange import State
from ledger.exchange.tracing import REQUEST_ID, Traces
from tests.support.asking import Asking, asking, assert_problem, registration
from tests.support.exchange import PASSPHRASE as QUICK_PASSPHRASE
from tests.support.exchange import found_in, open_gateway
from tests.support.exchange import registration as intent_of
from tests.support.waiting import eventually
from tests.support.world import PASSPHRASE


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("observing"), "utility") as service:
        yield service


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the process logs, in the form that the test names."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    form: LogFormat = getattr(request, "param", "json")
    set_up_log(form, "info", stream)
    yield stream
    root.handlers[:], root.level = handlers, level
    root.setLevel(level)


def samples(service: Asking) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = service.get("utility", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_say_how_the_gateway_is(service: Asking) -> None:
    service.final(service.state("utility", "DatasetRegistration", registration("metered", {"a.csv": b"1"})))
    found = {name: value for (name, labels), value in samples(service).items() if not labels}
    ready = service.get("none", "/v1/ready").json()
    assert found["concord_ready"] == 1
    assert found["concord_log_entries"] == ready["log_size"] == found["concord_anchored_entries"]
    assert found["concord_indexed_block"] <= found["concord_chain_head_block"]
    assert found["concord_index_lag_blocks"] == 0
    assert found["concord_outbox_depth"] == found["concord_oldest_in_flight_seconds"] == 0
    assert found["concord_oldest_unanchored_seconds"] == 0
    assert 0 <= found["concord_checkpoint_age_seconds"] < 600
    assert found["concord_chain_final_block"] > 0


def test_metrics_count_requests_by_template_and_refusals_by_code(service: Asking) -> None:
    before = samples(service)
    service.get("utility", "/v1/datasets/utility~nothing")
    service.get("utility", "/v1/datasets/utility~nowhere")
    service.get("none", "/v1/participants")
    service.get("none", "/no/such/route")
    after = samples(service)

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after.get(key, 0) - before.get(key, 0)

    counted, plain = "concord_request_seconds_count", {"method": "GET", "status": "404", "kind": "plain"}
    assert grown(counted, route="/v1/datasets/{dataset}", **plain) == 2
    assert grown(counted, route="none", **plain) == 1
    assert grown("concord_refusals_total", code="unauthorized") == 1
    assert grown("concord_refusals_total", code="not-found") == 3
    assert not any("nowhere" in str(key) for key in after)
    assert_problem(service.get("none", "/metrics"), 401, "unauthorized")


def test_waiting_and_downloads_are_told_from_slowness(service: Asking) -> None:
    done = service.final(service.state("utility", "DatasetRegistration", registration("timed", {"a.csv": b"1"})))
    sent = service.http.put(
        "/v1/datasets/utility~timed/versions/1/files/a.csv", content=b"1", headers=service.headers("utility")
    )
    assert sent.status_code == 200, sent.text
    statement, version = f"/v1/statements/{done['digest']}", "/v1/datasets/utility~timed/versions/1"

    def counts() -> dict[tuple[str, str], float]:
        return {
            (dict(labels)["route"], dict(labels)["kind"]): value
            for (name, labels), value in samples(service).items()
            if name == "concord_request_seconds_count" and {("method", "GET"), ("status", "200")} <= set(labels)
        }

    before = counts()
    for path, headers in (
        (statement, {}),
        (statement + "?wait=1", {}),
        (version, {"Concord-Min-Block": "0"}),
        (version + "/files/a.csv", {}),
    ):
        assert service.get("utility", path, **headers).status_code == 200, path
    after = counts()
    grown = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    grown.pop(("/metrics", "plain"))
    route = "/v1/datasets/{dataset}/versions/{version}"
    assert grown == {
        ("/v1/statements/{digest}", "plain"): 1,
        ("/v1/statements/{digest}", "waited"): 1,
        (route, "plain"): 1,
        (route + "/files/{path:path}", "streamed"): 1,
    }


def test_methods_that_strangers_invent_share_one_name(service: Asking, lines: io.StringIO) -> None:
    methods = ("INVENTED1", "INVENTED2", "INVENTED3")

    def others() -> float:
        found = samples(service)
        assert not any("INVENTED" in str(name) for name in found)
        return sum(
            count
            for (name, labels), count in found.items()
            if name == "concord_request_seconds_count" and ("method", "other") in labels
        )

    before = others()
    for method in methods:
        service.http.request(method, "/v1/health")
    assert others() - before == len(methods)
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [each["method"] for each in told if each["message"] == "request"].count("other") == len(methods)
    assert "INVENTED" not in lines.getvalue()


def test_a_request_id_follows_a_statement_to_its_block(service: Asking, lines: io.StringIO) -> None:
    body = registration("traced", {"a.csv": b"1"})
    message = service.prepare("utility", "DatasetRegistration", body)
    signed = service.signed(service.world.members["utility"].identity, "DatasetRegistration", message)
    answer = service.post("utility", "/v1/statements", signed, X_Request_Id="order-66.a")
    assert answer.headers["X-Request-Id"] == "order-66.a"
    done = service.final(answer)
    eventually(lambda: '"anchored"' in lines.getvalue())
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    mine = {each["message"]: each for each in told if each.get("digest") == done["digest"]}
    assert set(mine) == {"accepted", "given a transaction", "in force", "anchored"}
    assert {each["request_id"] for each in mine.values()} == {"order-66.a"}
    assert mine["in force"]["block"] == done["block"]
    assert mine["in force"]["transaction"] == done["transaction"]
    assert mine["accepted"]["index"] == mine["anchored"]["index"] == done["index"]
    assert mine["anchored"]["block"] >= done["block"]
    (request,) = [each for each in told if each["message"] == "request" and each["request_id"] == "order-66.a"]
    assert (request["route"], request["method"], request["status"]) == ("/v1/statements", "POST", 202)
    assert request["ms"] > 0
    assert all(set(each) >= {"time", "level", "logger", "message"} for each in told)


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "é"])
def test_a_request_id_that_is_none_is_replaced(service: Asking, given: str) -> None:
    headers = httpx.Headers([(b"X-Request-Id", given.encode())])
    answer = service.http.get("/v1/health", headers=headers)
    assert len(answer.headers["X-Request-Id"]) == 32


@pytest.mark.parametrize("lines", ["text"], indirect=True)
def test_lines_for_people(service: Asking, lines: io.StringIO) -> None:
    service.get("none", "/v1/health", **{"X-Request-Id": "people"})
    assert "INFO concord.requests request request_id=people" in lines.getvalue()
    assert "route=/v1/health" in lines.getvalue()


def test_an_exception_is_told_on_one_line(lines: io.StringIO) -> None:
    try:
        int("broken")
    except ValueError:
        logging.getLogger("concord.api").exception("it broke")
    (line,) = lines.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


def test_no_key_and_no_passphrase_is_ever_logged(tmp_path: Path, lines: io.StringIO) -> None:
    set_up_log("json", "debug", lines)
    founded = found_in(tmp_path / "home")
    with open_gateway(tmp_path / "home", founded) as running:
        running.state("utility", intent_of("power", {"a.csv": b"1"}))
        keys = running.gateway.keys
        keys.rotate_log()
        keys.rotate_relay()
        keys.change_passphrase(QUICK_PASSPHRASE, "another passphrase")
        signers = running.gateway.parts.keystore._signers.values()
        secrets = [each._private_key.secret.hex() for each in signers if isinstance(each, LocalSigner)]
        secrets += [running.gateway.parts.log_signer.seed.hex(), QUICK_PASSPHRASE, "another passphrase", PASSPHRASE]
    assert len(secrets) > 5
    text = lines.getvalue()
    assert "encrypted anew" in text
    assert not [secret for secret in secrets if secret in text]


def test_answers_are_no_older_than_the_block_asked_for(service: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    indexed = service.get("none", "/v1/ready").json()["indexed"]
    answer = service.get("utility", "/v1/datasets", **{"Concord-Min-Block": str(indexed)})
    assert (answer.status_code, answer.json()["as_of_block"] >= indexed) == (200, True)
    monkeypatch.setattr("api.min_block._LONGEST_WAIT_S", 0.1)
    late = service.get("utility", "/v1/datasets", **{"Concord-Min-Block": str(indexed + 1000)})
    assert_problem(late, 503, "block-not-indexed", f"block {indexed + 1000} is asked for")
    assert late.headers["Retry-After"] == "1"
    for wrong in ("-1", "x", str(1 << 60)):
        assert_problem(service.get("utility", "/v1/datasets", **{"Concord-Min-Block": wrong}), 422, "malformed")


@pytest.mark.parametrize(
    "path", ["/v1/health", "/v1/ready", "/v1/consortium", "/v1/log/checkpoint", "/v1/log/proof?index=0"]
)
def test_what_is_public_does_not_wait(service: Asking, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr("api.min_block._LONGEST_WAIT_S", 1e9)
    assert service.get("none", path, **{"Concord-Min-Block": "900000"}).status_code == 200


def test_nobody_waits_who_is_not_let_in(service: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.min_block._LONGEST_WAIT_S", 1e9)
    ahead = {"Concord-Min-Block": "900000"}
    for path in ("/v1/datasets", "/v1/whoami", "/v1/api-keys", "/v1/offers/utility", "/v1/transfers"):
        assert_problem(service.get("none", path, **ahead), 401, "unauthorized")
    applying = {"Authorization": f"Bearer {service.world.api_key('apply')}"}
    for path in ("/v1/datasets", "/v1/offers/utility"):
        assert_problem(service.http.get(path, headers=ahead | applying), 403, "missing-scope")
    assert service.get("utility", "/metrics", **ahead).status_code == 200


def test_an_answer_waits_until_the_block_is_there(service: Asking) -> None:
    indexed = service.get("none", "/v1/ready").json()["indexed"]
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(service.get("utility", "/v1/datasets", **{"Concord-Min-Block": str(indexed + 1)}))

    asked = threading.Thread(target=ask)
    asked.start()
    service.final(service.state("utility", "DatasetRegistration", registration("awaited", {"a.csv": b"1"})))
    asked.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["as_of_block"] > indexed
    labels = {"method": "GET", "route": "/v1/datasets", "status": "200", "kind": "waited"}
    assert ("concord_request_seconds_count", tuple(sorted(labels.items()))) in samples(service)


def test_an_end_drains_what_was_accepted(tmp_path: Path) -> None:
    founded = found_in(tmp_path / "home")
    with open_gateway(tmp_path / "home", founded, publish_after_s=3.0) as running:
        gateway = running.gateway
        assert gateway.drain(60.0)
        intent = intent_of("power", {"a.csv": b"1"})
        accepted = gateway.statements.sign_and_submit(running.asker("utility"), intent)
        assert not gateway.drain(0.0)
        assert gateway.drain(60.0)
        assert gateway.statements.wait(accepted.digest, State.FINAL, 20.0).state is State.FINAL
        gateway._indexing.stop()
        gateway._indexing._failure = "the node does not answer"
        gateway.statements.sign_and_submit(running.asker("utility"), intent_of("more", {"a.csv": b"1"}))
        assert not gateway.drain(30.0)  # nothing to wait for while a worker is kept from its work
    assert gateway.drain(1.0)


def test_traces_are_bounded_and_tell_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.exchange.tracing._MOST_KEPT", 2)
    traces = Traces()
    with caplog.at_level(logging.INFO, logger="concord.statements"):
        token = REQUEST_ID.set("r1")
        for number, digest in enumerate(("0x0", "0x1", "0x2")):
            traces.expect(digest)
            traces.accepted(digest, "AccessRequest", number)
        REQUEST_ID.reset(token)
        traces.anchored(2, block=7)
        traces.anchored(3, block=8)
        traces.moved("0x1", "in force", block=9)
        traces.moved("0x0", "in force", block=None)
        traces.expect("0x9")
        traces.accepted("0x9", "AccessRequest", 2)  # its checkpoint was quicker than its answer
    told = [(each.message, each.digest, each.traced_request) for each in caplog.records]  # type: ignore[attr-defined]
    assert told == [
        ("accepted", "0x0", "r1"), ("accepted", "0x1", "r1"), ("accepted", "0x2", "r1"), ("anchored", "0x1", "r1"),
        ("anchored", "0x2", "r1"), ("in force", "0x1", "r1"), ("in force", "0x0", None), ("accepted", "0x9", None),
        ("anchored", "0x9", None),
    ]  # fmt: skip
