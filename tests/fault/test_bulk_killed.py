"""A bulk stream whose service is killed, whose checking processes are killed, and whose service is asked to end."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.client import LocalKey
from ledger.exchange import Founded
from ledger.keyfiles import read_key_file
from ledger.log import TileReader
from ledger.statements import Domains, Entry
from tests.support.bulk import BulkConnection, Said, Sayer, read_answers
from tests.support.founded import found_once
from tests.support.served import served
from tests.support.waiting import eventually
from tests.support.world import PASSPHRASE, PLAN

LINES = 1000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Founded]:
    folder = tmp_path_factory.mktemp("bulk") / "home"
    return folder, found_once(folder, PLAN)


def sayer_of(founded: Founded) -> Sayer:
    key = LocalKey(read_key_file(founded.key_files["regulator/signing"], PASSPHRASE))
    return Sayer(founded.participants["regulator"], key, Domains(founded.chain_id, founded.contracts))


def checking_processes(parent: int) -> set[int]:
    """Children of a process that check lines."""
    found: set[int] = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_text()
            except OSError:
                continue
            if int(fields[1]) == parent and "ledger.checking" in command:
                found.add(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def send_all(stream: BulkConnection, said: list[Said]) -> None:
    try:
        for first in range(0, len(said), 50):
            stream.send(b"".join(each.line for each in said[first : first + 50]))
        stream.end()
    except OSError:
        return  # the service is gone


def resend(url: str, token: str, said: list[Said]) -> list[dict[str, Any]]:
    answer = httpx.post(
        f"{url}/v1/statements:batch",
        content=b"".join(each.line for each in said),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"},
        timeout=120,
    )
    return read_answers(answer.content)


def test_killed_in_mid_stream_the_file_sent_again_enters_once(home: tuple[Path, Founded]) -> None:
    folder, founded = home
    token, said = founded.api_keys["regulator"], [sayer_of(founded).register() for _ in range(LINES)]
    before: dict[str, int] = {}
    with served(folder) as (child, url), BulkConnection(url, token) as stream:
        sending = threading.Thread(target=send_all, args=(stream, said))
        sending.start()
        for answer in stream.answers():
            if "index" in answer:
                before[answer["digest"]] = answer["index"]
            if len(before) == 100:
                break
        workers = checking_processes(child.pid)
        child.kill()
        sending.join(90)
    assert workers
    eventually(lambda: not any(map(is_alive, workers)), otherwise="a checking process outlived its gateway")
    with served(folder) as (_, url):
        answers = resend(url, token, said)
    assert answers[-1]["refused"] == 0
    assert answers[-1]["accepted"] + answers[-1]["repeated"] == LINES
    after = {answer["digest"]: answer for answer in answers if "index" in answer}
    assert all(after[digest]["repeated"] and after[digest]["index"] == index for digest, index in before.items())
    reader = TileReader(folder / "log")
    entries = [str(Entry.parse(entry).digest) for entry in reader.entries(0, reader.size)]
    assert len(set(entries)) == len(entries)
    assert {str(each.digest) for each in said} <= set(entries)
    assert all(entries[answer["index"]] == digest for digest, answer in after.items())


@pytest.mark.slow
def test_a_killed_checking_process_is_replaced_and_the_stream_goes_on(home: tuple[Path, Founded]) -> None:
    folder, founded = home
    said = [sayer_of(founded).register() for _ in range(LINES)]
    with served(folder) as (child, url), BulkConnection(url, founded.api_keys["regulator"]) as stream:
        sending = threading.Thread(target=send_all, args=(stream, said))
        sending.start()
        answers = stream.answers()
        next(answers)
        for pid in checking_processes(child.pid):
            os.kill(pid, signal.SIGKILL)
        last = list(answers)[-1]
        sending.join(90)
    assert (last["done"], last["accepted"]) == (True, LINES)


@pytest.mark.slow
def test_asked_to_end_it_answers_what_it_read_and_says_so(home: tuple[Path, Founded]) -> None:
    folder, founded = home
    said = [sayer_of(founded).register() for _ in range(20)]
    with served(folder) as (child, url), BulkConnection(url, founded.api_keys["regulator"]) as stream:
        stream.send(b"".join(each.line for each in said))
        answers = stream.answers()
        first = [next(answers) for _ in range(20)]
        child.send_signal(signal.SIGTERM)
        *_, last = answers
        assert child.wait(90) == 0
    assert {answer["state"] for answer in first} == {"accepted"}
    assert last["problem"]["code"] == "unavailable"
    assert "closing" in last["problem"]["detail"]
    assert last["retry_after_s"] >= 1
