"""The bulk endpoint over real HTTP: what is said in a batch is as what is said alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ledger.log import SignedNote, TileReader, build_receipt
from ledger.statements import compute_dataset_id
from ledger.types import Bytes32, parse_hex
from tests.support.asking import Asking, asking, assert_problem
from tests.support.bulk import BulkConnection, Said, Sayer, read_answers, to_line, word
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("bulk"), "utility", "analyst") as world:
        yield world


def sayer(asked: Asking, handle: str) -> Sayer:
    member = asked.world.members[handle]
    return Sayer(member.id, member.signing, asked.world.domains)


def headers_of(asked: Asking, handle: str, **more: str) -> dict[str, str]:
    token = asked.world.members[handle].token
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson", **more}


def post(asked: Asking, handle: str, *pieces: bytes) -> list[dict[str, Any]]:
    answer = asked.http.post("/v1/statements:batch", content=b"".join(pieces), headers=headers_of(asked, handle))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return read_answers(answer.content)


def get(asked: Asking, handle: str, path: str) -> httpx.Response:
    return asked.http.get(path, headers=headers_of(asked, handle))


def codes(answers: list[dict[str, Any]]) -> dict[int, str]:
    """Line by line: accepted, repeated, or the problem's code."""
    return {
        each["line"]: each["problem"]["code"] if "problem" in each else "repeated" if "repeated" in each else "accepted"
        for each in answers
        if "line" in each
    }


def totals(answers: list[dict[str, Any]]) -> tuple[int, int, int, int]:
    last = answers[-1]
    assert last["done"] is True
    return last["lines"], last["accepted"], last["repeated"], last["refused"]


def parent_of(said: Said) -> dict[str, object]:
    message = said.statement.message
    salt = message["datasetSalt"]
    assert isinstance(salt, Bytes32)
    dataset = compute_dataset_id(said.statement.participant, salt)
    return {"dataset": dataset, "version": message["version"], "registration": said.digest}


def test_lines_are_answered_in_order_under_a_checkpoint_then_the_totals(asked: Asking) -> None:
    said = [sayer(asked, "utility").register() for _ in range(5)]
    answers = post(asked, "utility", *(each.line for each in said))
    assert [answer["digest"] for answer in answers[:5]] == [str(each.digest) for each in said]
    assert [answer["line"] for answer in answers[:5]] == [1, 2, 3, 4, 5]
    assert {answer["state"] for answer in answers[:5]} == {"accepted"}
    first = answers[0]["index"]
    assert [answer["index"] for answer in answers[:5]] == list(range(first, first + 5))
    (checkpoint,) = [answer for answer in answers if "checkpoint" in answer]
    assert (checkpoint["first_index"], checkpoint["count"]) == (first, 5)
    SignedNote.parse(checkpoint["checkpoint"].encode())
    assert totals(answers) == (5, 5, 0, 0)


def test_the_checkpoint_makes_the_receipt(asked: Asking) -> None:
    said = sayer(asked, "utility").register()
    answers = post(asked, "utility", said.line)
    gateway = asked.world.gateway
    reader = TileReader(gateway.parts.settings.home / "log")
    receipt = build_receipt(reader, answers[0]["index"], answers[1]["checkpoint"].encode())
    assert get(asked, "utility", f"/v1/statements/{said.digest}/receipt").content == receipt


def test_a_registration_said_in_bulk_is_read_as_one_said_alone(asked: Asking) -> None:
    said = sayer(asked, "utility").register()
    post(asked, "utility", said.line)
    view = get(asked, "utility", f"/v1/statements/{said.digest}?wait=20").json()
    assert view["message"] == said.body["message"]
    assert (view["type"], view["in_force"], view["state"]) == ("DatasetRegistration", "not-applicable", "final")
    assert view["signature"] == said.body["signature"]
    assert view["signer"] == said.body["signer"]
    dataset = view["ids"]["dataset"]
    assert get(asked, "utility", f"/v1/datasets/{dataset}").json()["latest_version"] == 1
    listed = get(asked, "utility", "/v1/statements?type=DatasetRegistration&limit=200").json()["items"]
    assert str(said.digest) in {item["digest"] for item in listed}
    assert get(asked, "analyst", f"/v1/statements/{said.digest}").status_code == 404
    evidence = get(asked, "utility", f"/v1/statements/{said.digest}/evidence")
    assert evidence.status_code == 200


def test_the_whole_file_again_is_repeated_not_taken_twice(asked: Asking) -> None:
    said = [sayer(asked, "utility").register() for _ in range(3)]
    first = post(asked, "utility", *(each.line for each in said[:2]))
    again = post(asked, "utility", *(each.line for each in said), said[2].line)
    assert codes(again) == {1: "repeated", 2: "repeated", 3: "accepted", 4: "repeated"}
    assert [each["index"] for each in again[:2]] == [each["index"] for each in first[:2]]
    assert again[2]["index"] == again[3]["index"]
    assert totals(again) == (4, 1, 2 + 1, 0)


def test_what_came_alone_is_repeated_in_bulk_and_the_other_way(asked: Asking) -> None:
    alone, bulk = sayer(asked, "utility").register(), sayer(asked, "utility").register()
    first = asked.http.post("/v1/statements", json=alone.body, headers=headers_of(asked, "utility") | JSON)
    answers = post(asked, "utility", alone.line, bulk.line)
    assert codes(answers) == {1: "repeated", 2: "accepted"}
    assert answers[0]["index"] == first.json()["index"]
    second = asked.http.post("/v1/statements", json=bulk.body, headers=headers_of(asked, "utility") | JSON)
    assert second.json()["index"] == answers[1]["index"]
    assert second.json()["in_force"] == "not-applicable"


JSON = {"Content-Type": "application/json"}


def test_a_version_of_bulk_keeps_its_root_against_one_that_comes_alone(asked: Asking) -> None:
    said = sayer(asked, "utility").register()
    post(asked, "utility", said.line)
    other = sayer(asked, "utility").register(datasetSalt=said.statement.message["datasetSalt"])
    answer = asked.http.post("/v1/statements", json=other.body, headers=headers_of(asked, "utility") | JSON)
    assert_problem(answer, 409, "dataset-registry-version-taken", "another root")


def bad_lines(asked: Asking) -> dict[str, tuple[bytes, str]]:
    """Lines that no log takes, and the code of each."""
    mine, theirs = sayer(asked, "utility"), sayer(asked, "analyst")
    good = mine.register()
    message = dict(good.statement.to_json())
    other_key = Sayer(mine.participant, theirs.key, mine.domains)
    expired = Sayer(mine.participant, mine.key, mine.domains, deadline_s=1)
    distant = Sayer(mine.participant, mine.key, mine.domains, deadline_s=1 << 40)
    revocation = mine.say("AccessRevocation", grant=word())
    signature = parse_hex(str(good.body["signature"]))
    high_s = int.to_bytes(ORDER - int.from_bytes(signature[32:64], "big"), 32, "big")
    text = good.line
    return {
        "not JSON": (b"{nonsense\n", "malformed"),
        "not UTF-8": (text.replace(b"DatasetRegistration", b"Dataset\xff", 1), "malformed"),
        "not an object": (b"[1, 2]\n", "malformed"),
        "a number": (b"17\n", "malformed"),
        "NaN": (b'{"type": NaN}\n', "malformed"),
        "a huge number": (b'{"type": ' + b"9" * 20_000 + b"}\n", "malformed"),
        "too long": (b'{"type": "' + b"x" * 70_000 + b'"}\n', "malformed"),
        "nested": (b"[" * 30_000 + b"]" * 30_000 + b"\n", "malformed"),
        "nested within": (
            to_line({**good.body, "message": message}).replace(b"[]", b"[" * 9000 + b"]" * 9000),
            "malformed",
        ),
        "a member twice": (text.replace(b'"version":"1"', b'"version":"1","version":"1"'), "malformed"),
        "a member twice outside": (text.replace(b'"signer"', b'"type":"DatasetRegistration","signer"'), "malformed"),
        "a member missing": (to_line({"type": "DatasetRegistration", "message": message}), "malformed"),
        "a member more": (to_line({**good.body, "nonce": "1"}), "malformed"),
        "a name that UTF-8 has not": (to_line({**good.body, "\ud800": "1"}), "malformed"),
        "co-signed, of no type": (to_line({**good.body, "type": {}, "cosignature": "0x"}), "malformed"),
        "a message's member more": (to_line({**good.body, "message": {**message, "nonce": "1"}}), "malformed"),
        "upper case": (text.replace(b'"signer":"0x', b'"signer":"0X'), "malformed"),
        "a number for a string": (to_line({**good.body, "message": {**message, "version": 1}}), "malformed"),
        "leading zero": (to_line({**good.body, "message": {**message, "version": "01"}}), "malformed"),
        "short id": (to_line({**good.body, "message": {**message, "salt": "0x00"}}), "malformed"),
        "type of another type": (to_line({**good.body, "type": 7}), "malformed"),
        "unknown type": (to_line({**good.body, "type": "Unheard"}), "not-found"),
        "co-signed": (to_line({**good.body, "cosignature": good.body["signature"]}), "malformed"),
        "not in bulk": (revocation.line, "not-in-bulk"),
        "another's": (theirs.register().line, "not-yours"),
        "a key not of theirs": (other_key.register().line, "key-not-active"),
        "past": (expired.register().line, "deadline-passed"),
        "too far ahead": (distant.register().line, "malformed"),
        "signer another": (to_line({**good.body, "signer": str(theirs.key.address)}), "verification-failed"),
        "altered": (to_line({**good.body, "message": {**message, "version": "2"}}), "verification-failed"),
        "no signature": (to_line({**good.body, "signature": "0x"}), "malformed"),
        "high s": (
            to_line({**good.body, "signature": "0x" + (signature[:32] + high_s + signature[64:]).hex()}),
            "malformed",
        ),
        "v": (to_line({**good.body, "signature": "0x" + (signature[:64] + b"\0").hex()}), "malformed"),
        "r zero": (to_line({**good.body, "signature": "0x" + (bytes(32) + signature[32:]).hex()}), "malformed"),
    }


ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_one_bad_line_never_hurts_the_others(asked: Asking) -> None:
    bad = bad_lines(asked)
    pieces: list[bytes] = []
    expected: dict[int, str] = {}
    for line, code in bad.values():
        pieces += [sayer(asked, "utility").register().line, line]
        expected |= {len(pieces) - 1: "accepted", len(pieces): code}
    answers = post(asked, "utility", *pieces)
    names = dict(zip(range(2, len(pieces) + 1, 2), bad, strict=True))
    found = codes(answers)
    assert {names.get(line, line): code for line, code in found.items()} == {
        names.get(line, line): code for line, code in expected.items()
    }
    assert totals(answers) == (len(pieces), len(bad), 0, len(bad))
    assert all(len(each["problem"]["detail"]) > 10 for each in answers if "problem" in each)


def test_empty_lines_count_and_the_last_needs_no_newline(asked: Asking) -> None:
    said = [sayer(asked, "utility").register() for _ in range(2)]
    answers = post(asked, "utility", b"\n \r\n", said[0].line, b"\n", said[1].line.rstrip())
    assert codes(answers) == {3: "accepted", 5: "accepted"}
    assert totals(answers) == (5, 2, 0, 0)
    assert post(asked, "utility", b"") == [{"done": True, "lines": 0, "accepted": 0, "repeated": 0, "refused": 0}]


def test_other_spellings_of_the_same_statement_are_taken(asked: Asking) -> None:
    spaced, escaped, null = (sayer(asked, "utility").register() for _ in range(3))
    lines = (
        json.dumps(spaced.body).encode() + b"\r\n",
        escaped.line.replace(b"DatasetRegistration", b"DatasetRegistr\\u0061tion"),
        to_line({**null.body, "cosignature": None}),
    )
    answers = post(asked, "utility", *lines)
    assert [answer["digest"] for answer in answers[:3]] == [str(each.digest) for each in (spaced, escaped, null)]


def test_registrations_follow_the_registrys_rules_also_within_a_batch(asked: Asking) -> None:
    mine = sayer(asked, "utility")
    first = mine.register()
    salt = first.statement.message["datasetSalt"]
    second = mine.register(datasetSalt=salt, version=2, parents=(parent_of(first),))
    lines = {
        "first": (first, "accepted"),
        "second, derived from the first": (second, "accepted"),
        "first again with another root": (mine.register(datasetSalt=salt), "dataset-registry-version-taken"),
        "fourth": (mine.register(datasetSalt=salt, version=4), "dataset-registry-version-skipped"),
        "version zero": (mine.register(version=0), "dataset-registry-version-skipped"),
        "third": (mine.register(datasetSalt=salt, version=3), "accepted"),
        "parent of nowhere": (
            mine.register(parents=({"dataset": word(), "version": 1, "registration": word()},)),
            "dataset-registry-parent-unknown",
        ),
        "parent with another digest": (
            mine.register(parents=({**parent_of(first), "registration": word()},)),
            "dataset-registry-parent-unknown",
        ),
        "parents unsorted": (
            mine.register(parents=(parent_of(second), parent_of(first))),
            "dataset-registry-parents-unordered",
        ),
    }
    answers = post(asked, "utility", *(said.line for said, _ in lines.values()))
    found = dict(zip(lines, codes(answers).values(), strict=True))
    assert found == {name: code for name, (_, code) in lines.items()}
    again = post(asked, "utility", mine.register(datasetSalt=salt, version=4).line)
    assert codes(again) == {1: "accepted"}
    dataset = str(parent_of(first)["dataset"])
    assert get(asked, "utility", f"/v1/datasets/{dataset}").json()["latest_version"] == 4


def test_types_that_logs_keep_come_in_bulk_under_their_rules(asked: Asking) -> None:
    mine, theirs = sayer(asked, "utility"), sayer(asked, "analyst")
    version = mine.register()
    parent = parent_of(version)
    sealing = {"keyCommitment": word(), "ciphertextRoot": word(), "ciphertextSize": 5}
    good = mine.say("Sealing", **parent, **sealing)
    wrong = mine.say("Sealing", **{**parent, "registration": word()}, **sealing)
    unknown = mine.say("Sealing", **{**parent, "dataset": word()}, **sealing)
    answers = post(asked, "utility", version.line, good.line, wrong.line, unknown.line)
    assert codes(answers) == {1: "accepted", 2: "accepted", 3: "other-registration", 4: "not-found"}
    receipt = {
        "provider": mine.participant, "transferSalt": word(), "grant": word(), "sealing": good.digest,
        "ciphertextRoot": sealing["ciphertextRoot"], "recipientKey": word(),
    }  # fmt: skip
    refused = post(asked, "analyst", theirs.say("TransferReceipt", **receipt).line)
    assert codes(refused) == {1: "transfers-only"}
    request = {
        "provider": mine.participant, "dataset": parent["dataset"], "firstVersion": 1, "lastVersion": 0,
        "purpose": word(), "rights": 1, "validFrom": 0, "validUntil": 1 << 40, "policyHash": word(),
    }  # fmt: skip
    asks = theirs.say("AccessRequest", **request)
    answers = post(asked, "analyst", asks.line, theirs.say("AccessRequest", **{**request, "rights": 0}).line)
    assert codes(answers) == {1: "accepted", 2: "malformed"}
    denial = {"consumer": theirs.participant, "request": asks.digest, "reasonHash": word()}
    denials = [mine.say("AccessDenial", **denial) for _ in range(2)]
    answers = post(asked, "utility", *(each.line for each in denials))
    assert codes(answers) == {1: "accepted", 2: "request-denied"}
    assert get(asked, "analyst", f"/v1/statements/{denials[0].digest}").status_code == 200


def test_who_may_not_send_is_told_before_the_first_line(asked: Asking) -> None:
    line = sayer(asked, "utility").register().line
    url = "/v1/statements:batch"
    ndjson = {"Content-Type": "application/x-ndjson"}
    assert_problem(asked.http.post(url, content=line, headers=ndjson), 401, "unauthorized")
    reader = {"Authorization": f"Bearer {asked.world.api_key('read')}", **ndjson}
    assert_problem(asked.http.post(url, content=line, headers=reader), 403, "missing-scope")
    unbound = {"Authorization": f"Bearer {asked.world.api_key('write', 'read')}", **ndjson}
    assert_problem(asked.http.post(url, content=line, headers=unbound), 403, "not-yours")
    answer = asked.http.post(url, content=line, headers=headers_of(asked, "utility") | JSON)
    assert_problem(answer, 415, "http-415", "x-ndjson")
    packed = headers_of(asked, "utility") | ndjson | {"Content-Encoding": "gzip"}
    assert_problem(asked.http.post(url, content=line, headers=packed), 415, "http-415", "Content-Encoding")


def connect(asked: Asking, handle: str) -> BulkConnection:
    return BulkConnection(asked.world.url, asked.world.members[handle].token)


def test_lines_are_answered_while_the_body_is_being_sent(asked: Asking) -> None:
    with connect(asked, "utility") as stream:
        answers = stream.answers()
        for number in range(1, 4):
            said = sayer(asked, "utility").register()
            stream.send(said.line)
            answer = next(answers)
            assert (answer["line"], answer["digest"]) == (number, str(said.digest))
            assert next(answers)["count"] == 1
        stream.end()
        assert next(answers)["done"] is True


def test_two_streams_share_the_log(asked: Asking) -> None:
    with connect(asked, "utility") as one, connect(asked, "analyst") as other:
        streams = {"utility": (one, one.answers()), "analyst": (other, other.answers())}
        for _ in range(3):
            for handle, (stream, _) in streams.items():
                stream.send(b"".join(sayer(asked, handle).register().line for _ in range(20)))
            for _, answers in streams.values():
                assert codes([next(answers) for _ in range(20)]).keys()
                assert "checkpoint" in next(answers)
        for stream, answers in streams.values():
            stream.end()
            assert next(answers)["accepted"] == 60


def test_who_hangs_up_keeps_what_was_answered_and_leaves_nothing_behind(asked: Asking) -> None:
    said = [sayer(asked, "utility").register() for _ in range(50)]
    with connect(asked, "utility") as stream:
        stream.send(b"".join(each.line for each in said))
        answered = next(stream.answers())
        stream.send(b"x" * 1000)
    bulk = asked.world.gateway.bulk
    eventually(lambda: not bulk.open_streams)
    again = post(asked, "utility", *(each.line for each in said))
    assert codes(again)[answered["line"]] == "repeated"
    assert again[answered["line"] - 1]["index"] == answered["index"]


def test_no_more_streams_than_are_taken(asked: Asking) -> None:
    settings = asked.world.gateway.parts.settings
    most, each = settings.bulk_streams, settings.bulk_streams_each
    assert most == 2 * each
    streams: list[BulkConnection] = []
    try:
        for handle in ("utility", "analyst"):
            for _ in range(each):
                streams.append(connect(asked, handle))
                assert streams[-1].response.status == 200
            answer = asked.http.post("/v1/statements:batch", content=b"", headers=headers_of(asked, handle))
            assert_problem(answer, 503, "unavailable", f"{each} bulk streams of yours")
            assert int(answer.headers["retry-after"]) >= 1
    finally:
        for stream in streams:
            stream.close()
    eventually(lambda: not asked.world.gateway.bulk.open_streams)
