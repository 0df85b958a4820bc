"""Flows against a gateway whose answers a test chooses: pages, waiting, uploads, and what has no answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from ledger.client import Flow, datasets, participants, statements
from ledger.content import scan_folder
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.surface.codec import dump_value
from ledger.surface.outcomes import InForce, Outcome, SaltedDocument, State
from ledger.surface.views import FileView, MatchView, ParticipantView, ProfileView, VerdictView
from ledger.types import Address, Bytes32
from tests.support.answering import FACES, Run, Said, answering, run_sync

ID: Final = Bytes32(b"\xab" * 32)
LARGE: Final = bytes(300_000)
"""So large that it goes by itself."""


def member(number: int) -> ParticipantView:
    return ParticipantView(
        id=Bytes32(bytes([number]) * 32), handle=f"m{number}", name=None, endpoint=None, did=None, status="active",
        governor=False, control_key=Address(b"\1" * 20), profile_version=1, profile_hash=ID, admitted_at=None,
    )  # fmt: skip


def said(value: object) -> Said:
    return Said(body=json.dumps(value).encode())


def pages(path: str, items: list[Any]) -> Said:
    """Two items a page."""
    cursor = int(parse_qs(urlsplit(path).query).get("cursor", ["0"])[0])
    following = str(cursor + 2) if cursor + 2 < len(items) else None
    return said({"items": items[cursor : cursor + 2], "next": following, "as_of_block": 1})


@FACES
def test_all_pages_of_a_list_are_read(run: Run) -> None:
    members = [member(number) for number in range(1, 6)]
    asked: list[str] = []

    def answer(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        asked.append(path)
        return pages(path, [dump_value(each) for each in members])

    with answering(answer) as url:
        assert run(url, participants.list_all(text="m é")) == tuple(members)
        assert len(run(url, statements.list_all(type_name="AccessGrant"))) == 5
    assert asked[1] == "/v1/participants?limit=200&text=m+%C3%A9&cursor=2"
    assert asked[3] == "/v1/statements?limit=200&type=AccessGrant"
    assert len(asked) == 6


@pytest.mark.parametrize("following", ["x", 5, True])
def test_a_list_without_an_end_is_not_followed(following: object) -> None:
    with (
        answering(lambda *_: said({"items": [], "next": following})) as url,
        pytest.raises(MalformedError, match="page"),
    ):
        run_sync(url, participants.list_all())


def outcome(state: State, in_force: InForce = InForce.PENDING) -> dict[str, Any]:
    found = dump_value(
        Outcome(
            digest=ID, type="AccessGrant", participant=ID, state=state, in_force=in_force, refusal=None, index=0,
            receipt="", transaction=None, block=None, custodial=False, api_key=None, ids={},
            accepted_at=datetime.now(UTC), as_of_block=1,
        )
    )  # fmt: skip
    assert isinstance(found, dict)
    return found


@FACES
@pytest.mark.parametrize(
    ("answers", "until", "asked"),
    [
        ([State.ACCEPTED, State.FINAL], State.FINAL, 2),
        ([State.ACCEPTED, State.ANCHORED], State.ANCHORED, 2),
        ([State.FINAL], State.ANCHORED, 1),
        ([State.ACCEPTED] * 9, State.FINAL, 4),
    ],
)
def test_waiting_ends_when_it_is_that_far_or_when_time_is_over(
    run: Run, answers: list[State], until: State, asked: int
) -> None:
    paths: list[str] = []

    def answer(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        paths.append(path)
        return said(outcome(answers[len(paths) - 1]))

    with answering(answer) as url:
        reached = run(url, statements.wait(ID, until, timeout_s=100))
    assert reached.state is answers[asked - 1]
    held = (30, 30, 30, 10)
    assert [path.partition("?")[2] for path in paths] == [f"wait={each}&for={until.value}" for each in held][:asked]


def test_a_refused_statement_is_not_waited_for() -> None:
    with answering(lambda *_: said(outcome(State.ACCEPTED, InForce.REFUSED))) as url:
        assert run_sync(url, statements.wait(ID)).in_force is InForce.REFUSED


def test_a_control_key_is_never_asked_of_the_gateway() -> None:
    with answering(lambda *_: Said()) as url, pytest.raises(ValueError, match="give an identity"):
        run_sync(url, statements.state("GovernanceVote", {}))


def test_a_repeated_custodial_request_is_the_same_one() -> None:
    keys: list[str] = []

    def answer(_method: str, _path: str, headers: Mapping[str, str], _body: bytes) -> Said:
        keys.append(headers["Idempotency-Key"])
        return Said(503, headers={"Retry-After": "0"}) if len(keys) % 2 else said(outcome(State.ACCEPTED))

    with answering(answer) as url:
        for _ in range(2):
            run_sync(url, statements.state("AccessRevocation", {"grant": str(ID)}))
        run_sync(url, statements.state("AccessRevocation", {"grant": str(ID)}, idempotency_key="mine"))
    assert keys[0] == keys[1] != keys[2] == keys[3]
    assert keys[4:] == ["mine", "mine"]


def test_verdicts_profiles_and_first_votes() -> None:
    verdict = VerdictView("verified", "as registered", (MatchView(ID, None, 1, "a", ID, None),))
    profile = ProfileView(ID, 1, SaltedDocument(ID, ID, {"handle": "m1"}))
    asked: list[tuple[str, bytes]] = []

    def answer(_method: str, path: str, _headers: Mapping[str, str], body: bytes) -> Said:
        asked.append((path, body))
        return said(dump_value(verdict if path == "/v1/verify" else profile))

    with answering(answer) as url:
        assert run_sync(url, datasets.verify(ID)) == verdict
        assert run_sync(url, participants.profile("m1")) == profile
    assert asked[0] == ("/v1/verify", json.dumps({"sha256": str(ID)}, separators=(",", ":")).encode())


def uploading(folder: Path, there: dict[str, bool]) -> tuple[Flow[int], list[FileView]]:
    scanned = scan_folder(folder)
    views = [
        FileView(each.path, each.size_bytes, each.sha256, each.root, there[each.path])
        for each in scanned.manifest.files
    ]
    return datasets.upload(folder, scanned.manifest, "utility/power", 1), views


@FACES
def test_only_what_was_scanned_and_is_missing_is_uploaded(run: Run, tmp_path: Path) -> None:
    (tmp_path / "n").mkdir()
    for name in ("a", "n/ü %?#.txt", "c"):
        (tmp_path / name).write_bytes(LARGE if name == "c" else name.encode())
    flow, views = uploading(tmp_path, {"a": True, "n/ü %?#.txt": False, "c": False})
    strange = FileView("../../etc/passwd", 5, ID, ID, uploaded=False)
    sent: dict[str, bytes] = {}

    def answer(method: str, path: str, _headers: Mapping[str, str], body: bytes) -> Said:
        if method == "PUT":
            sent[path] = body
        return said({"files": [dump_value(each) for each in (*views, strange)]})

    with answering(answer) as url:
        assert run(url, flow) == 2
    assert sent == {
        "/v1/datasets/utility~power/versions/1/files/c": LARGE,
        "/v1/datasets/utility~power/versions/1/files/n/%C3%BC%20%25%3F%23.txt": "n/ü %?#.txt".encode(),
    }


@FACES
def test_small_files_go_together_in_batches_that_a_gateway_takes(run: Run, tmp_path: Path) -> None:
    contents = {f"{number:03}": bytes([number % 256]) * (250_000 if number < 20 else number) for number in range(530)}
    contents |= {"large": LARGE, "gone": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    told: list[int] = []
    scanned = scan_folder(tmp_path)
    flow = datasets.upload(tmp_path, scanned.manifest, "utility/power", 1, progress=told.append)
    sent: list[str] = []

    def answer(method: str, path: str, _headers: Mapping[str, str], body: bytes) -> Said:
        if method == "POST":
            line, _, data = body.partition(b"\n")
            sent.extend(json.loads(line))
            assert path == "/v1/datasets/utility~power/versions/1/files:batch"
            assert len(json.loads(line)) <= 500
            assert len(data) <= 4 << 20
            assert data == b"".join(contents[name] for name in json.loads(line))
        elif method == "PUT":
            sent.append(path.rpartition("/")[2])
        return said({"files": []})

    with answering(answer) as url:
        assert run(url, flow) == 532
    assert sorted(sent) == sorted(contents)
    assert sum(told) == sum(map(len, contents.values()))


def test_a_small_file_that_changed_since_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    flow, views = uploading(tmp_path, {"a": False, "b": False})
    (tmp_path / "b").write_text("longer")
    with (
        answering(lambda *_: said({"files": [dump_value(each) for each in views]})) as url,
        pytest.raises(ConflictError, match=r"b changed while it was uploaded"),
    ):
        run_sync(url, flow)


def test_a_file_that_is_gone_before_its_upload_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    flow, views = uploading(tmp_path, {"a": True, "b": False})
    (tmp_path / "b").unlink()
    with (
        answering(lambda *_: said({"files": [dump_value(each) for each in views]})) as url,
        pytest.raises(NotFoundError, match=r"b is gone from .*: put it back"),
    ):
        run_sync(url, flow)


@pytest.mark.parametrize("name", ["utility/power@x", "utility/power@0", "utility/power@", "utility/power@-1"])
def test_a_parent_names_a_version_or_none(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    answers: dict[str, object] = {"/v1/whoami": {"participant": str(member(1).id)}}

    def answer(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        return said(answers.get(path, dump_value(member(1))))

    flow = datasets.register(tmp_path, scan_folder(tmp_path), "m1", "power", {}, parents=[name])
    with answering(answer) as url, pytest.raises(MalformedError, match="names no version"):
        run_sync(url, flow)
