"""``concord serve`` killed by SIGKILL in the middle of a stream of writes, starved of disk, and started twice."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ledger.errors import ConflictError
from ledger.exchange import Founded, Gateway
from ledger.statements import Entry
from tests.support.asking import registration
from tests.support.exchange import content_of
from tests.support.founded import found_once
from tests.support.served import ROOT, command_line, environment, served
from tests.support.waiting import eventually
from tests.support.world import PLAN, settings_of

WRITERS: Final = 4
LARGE: Final = bytes(8 << 20)
LARGE_FILE: Final = "/v1/datasets/chamber~large/versions/1/files/a.bin"


@dataclass
class Stream:
    """Writers that register data sets until the service dies; what was accepted, and what nobody answered."""

    url: str
    token: str
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, http: httpx.Client, slug: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": slug}
        return http.post("/v1/datasets", json=registration(slug, {"a.csv": slug.encode()}), headers=headers)

    def write(self, name: str, dead: threading.Event) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as http:
            for number in range(10_000):
                slug = f"{name}-{number}"
                try:
                    answer = self.post(http, slug)
                except httpx.TransportError:
                    with self.lock:
                        self.unanswered.add(slug)
                    return
                if dead.is_set() and answer.status_code not in (201, 202):
                    return
                assert answer.status_code in (201, 202), answer.text
                with self.lock:
                    self.accepted[slug] = answer.json()

    def run_until_killed(self, child: subprocess.Popen[str], round_name: str, wanted: int, extra_s: float) -> None:
        """Let writers write, kill the child a moment after ``wanted`` more were accepted."""
        before, dead = len(self.accepted), threading.Event()
        threads = [threading.Thread(target=self.write, args=(f"{round_name}-{each}", dead)) for each in range(WRITERS)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: len(self.accepted) >= before + wanted, otherwise="too little was accepted")
            time.sleep(extra_s)
        finally:
            dead.set()
            child.kill()
            for thread in threads:
                thread.join(90)
        assert not any(thread.is_alive() for thread in threads)


def found_below(folder: Path) -> tuple[Path, Founded]:
    home = folder / "home"
    return home, found_once(home, PLAN)


def pages(http: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        page = http.get(f"{path}&limit=200{cursor}").json()
        yield from page["items"]
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"


def check_all(http: httpx.Client, accepted: dict[str, dict[str, Any]]) -> None:
    """Every accepted statement is there once, at its index, and becomes final and in force."""
    for slug, answer in accepted.items():
        now = http.get(f"/v1/statements/{answer['digest']}?wait=30").json()
        assert (now["index"], now["state"], now["in_force"]) == (answer["index"], "final", "yes"), (slug, now)
    listed = list(pages(http, "/v1/statements?type=DatasetRegistration"))
    digests = {answer["digest"] for answer in accepted.values()}
    assert len(digests) == len(accepted)
    assert {each["digest"] for each in listed} == digests
    assert len(listed) == len(digests)
    datasets = [each["slug"] for each in pages(http, "/v1/datasets?provider=chamber")]
    assert sorted(datasets) == sorted(accepted)


def check_log(http: httpx.Client, accepted: dict[str, dict[str, Any]]) -> None:
    """Each entry stands once, where its receipt says."""
    size = http.get("/v1/ready").json()["log_size"]
    entries = [Entry.parse(http.get(f"/v1/log/entries/{index}").content) for index in range(size)]
    digests = [str(entry.digest) for entry in entries]
    assert len(set(digests)) == size
    for answer in accepted.values():
        assert digests[answer["index"]] == answer["digest"]


def verify(folder: Path, home: Path, url: str, http: httpx.Client, digest: str) -> None:
    """An auditor pins the chain and verifies one statement offline."""
    policy, evidence = folder / "policy.json", folder / "evidence.json"
    create = ["policy", "create", "--rpc", f"{url}/rpc", "--consortium", str(home / "consortium.json")]
    subprocess.run(
        [sys.executable, "-m", "scripts.concord", *create, "--output", str(policy)],
        cwd=ROOT, env=environment(), check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    evidence.write_bytes(http.get(f"/v1/statements/{digest}/evidence").content)
    done = subprocess.run(
        [sys.executable, "-m", "scripts.verify_provenance", str(evidence), "--policy", str(policy)],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "VERIFIED" in done.stdout.upper()


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_killed_again_and_again_nothing_that_was_accepted_is_lost(tmp_path: Path, kills: int) -> None:
    home, founded = found_below(tmp_path)
    stream = Stream("", founded.api_keys["chamber"])
    chance = random.Random()
    for kill in range(kills):
        with served(home) as (child, url):
            stream.url = url
            ready = httpx.get(url + "/v1/ready").json()
            assert ready["ready"], ready
            stream.run_until_killed(child, f"r{kill}", wanted=chance.randrange(1, 12), extra_s=chance.random() * 0.3)
    assert len(stream.accepted) >= kills
    assert stream.unanswered
    headers = {"Authorization": f"Bearer {stream.token}"}
    with served(home) as (_, url), httpx.Client(base_url=url, headers=headers, timeout=60) as http:
        for slug in sorted(stream.unanswered):  # repeated with the same key: what had entered the log, or once now
            answer = stream.post(http, slug)
            assert answer.status_code in (201, 202), answer.text
            stream.accepted[slug] = answer.json()
        for slug, known in list(stream.accepted.items())[:3]:
            repeated = stream.post(http, slug).json()
            assert (repeated["digest"], repeated["index"]) == (known["digest"], known["index"])
        check_all(http, stream.accepted)
        check_log(http, stream.accepted)
        verify(tmp_path, home, url, http, next(iter(stream.accepted.values()))["digest"])


@pytest.mark.slow
def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    home, founded = found_below(tmp_path)
    headers = {"Authorization": f"Bearer {founded.api_keys['chamber']}"}
    with served(home) as (_, url):
        second = subprocess.run(
            command_line(home), cwd=ROOT, env=environment(), check=False, capture_output=True, text=True, timeout=120
        )
        assert second.returncode == 2
        assert second.stdout == ""
        assert "another process" in second.stderr
        assert "stop it" in second.stderr
        assert "Traceback" not in second.stderr
        with pytest.raises(ConflictError) as refused:
            Gateway.open(settings_of(home))
        assert refused.value.code == "folder-in-use"
        body = registration("power", {"a.csv": b"1"})
        answer = httpx.post(url + "/v1/datasets", json=body, headers=headers | {"Prefer": "wait=30"}, timeout=60)
        assert (answer.status_code, answer.json()["in_force"]) == (201, "yes")


def _limit_files(size_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))


@pytest.mark.slow
def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    home, founded = found_below(tmp_path)
    headers = {"Authorization": f"Bearer {founded.api_keys['chamber']}"}
    largest = max(each.stat().st_size for each in home.rglob("*") if each.is_file())
    limit = largest + (4 << 20)  # room for some transactions in the databases' write-ahead logs
    assert limit < len(LARGE)
    stream = Stream("", founded.api_keys["chamber"])
    refused: list[httpx.Response] = []
    with (
        served(home, lambda: _limit_files(limit)) as (child, url),
        httpx.Client(base_url=url, headers=headers, timeout=90) as http,
    ):
        manifest, chunks, _ = content_of({"a.bin": LARGE})
        intent = registration("large", {"a.bin": b""}) | {"manifest": manifest, "chunks": chunks}
        registered = http.post("/v1/datasets", json=intent, headers={"Prefer": "wait=30"})
        assert registered.status_code == 201, registered.text
        upload = http.put(LARGE_FILE, content=LARGE)
        assert (upload.status_code, upload.json()["code"]) == (503, "unavailable"), upload.text
        assert not http.get(LARGE_FILE.rpartition("/")[0]).json()["files"][0]["uploaded"]
        stream.accepted["large"] = registered.json()
        for number in range(2_000):
            answer = stream.post(http, f"full-{number}")
            if answer.status_code in (201, 202):
                stream.accepted[f"full-{number}"] = answer.json()
                continue
            refused.append(answer)
            if len(refused) == 2:
                break
        assert child.poll() is None
        ready = http.get("/v1/ready")
    assert stream.accepted
    assert len(refused) == 2
    for answer in refused:
        assert answer.status_code == 503, answer.text
        assert answer.headers["retry-after"]
        assert answer.json()["code"] == "unavailable"
    assert ready.status_code in (200, 503)
    with served(home) as (_, url), httpx.Client(base_url=url, headers=headers, timeout=60) as http:
        again = stream.post(http, "room-again")
        assert again.status_code in (201, 202), again.text
        stream.accepted["room-again"] = again.json()
        assert http.put(LARGE_FILE, content=LARGE).json()["uploaded"]
        assert http.get(LARGE_FILE).content == LARGE
        check_all(http, stream.accepted)
        check_log(http, stream.accepted)
