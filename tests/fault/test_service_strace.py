"""``concord serve`` on a disk whose fsync, pwrite or rename fails now and then, broken by ``strace``, then killed.

Chain, database and log lie on that disk. What was accepted is there after a restart on a healthy one, once, final and
in force, and `fsck` finds nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from scripts.fsck import main as fsck
from tests.fault.test_service_killed import Stream, check_all, check_log
from tests.support.founded import found_once
from tests.support.served import ROOT, command_line, environment, served
from tests.support.world import PLAN

STRACE: Final = shutil.which("strace")
REQUESTS: Final = 20
FAULTS: Final = {  # each thread counts for itself; the first come after the service has started
    "fsync,fdatasync": "error=EIO:when=9+11",
    "rename,renameat,renameat2": "error=EIO:when=5+7",
    "pwrite64": "error=ENOSPC:when=90+211",  # the databases'; with write it speaks to its clients, too
}

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        STRACE is None and not os.environ.get("CI"),
        reason="STRACE IS MISSING: no real system call of the service is broken. apt-get install strace",
    ),
]


@contextmanager
def served_on_a_bad_disk(home: Path) -> Iterator[str]:
    """The service under a tracer that breaks its calls; both are killed when the block ends."""
    trace = [str(STRACE), "-f", "-qq", "--seccomp-bpf", "-o", os.devnull, "-e", f"trace={','.join(FAULTS)}"]
    for calls, fault in FAULTS.items():
        trace += ["-e", f"inject={calls}:{fault}"]
    with subprocess.Popen(
        [*trace, *command_line(home)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as tracer:
        try:
            assert tracer.stdout is not None
            line = tracer.stdout.readline()
            assert line, "the service did not start"
            yield json.loads(line)["url"]
        finally:
            os.killpg(tracer.pid, 9)


@pytest.mark.slow
def test_a_disk_that_fails_now_and_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert STRACE is not None, "CI is set and strace is missing: apt-get install -y strace"
    home = tmp_path / "home"
    founded = found_once(home, PLAN)
    stream = Stream("", founded.api_keys["chamber"])
    slugs = [f"power-{number}" for number in range(REQUESTS)]
    refused: list[httpx.Response] = []
    with served_on_a_bad_disk(home) as url, httpx.Client(base_url=url, timeout=60) as http:
        for slug in slugs:
            answer = stream.post(http, slug)
            if answer.status_code in (201, 202):
                stream.accepted[slug] = answer.json()
            else:
                refused.append(answer)
    assert stream.accepted
    assert refused
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "unavailable")}
    headers = {"Authorization": f"Bearer {stream.token}"}
    with served(home) as (_, url), httpx.Client(base_url=url, headers=headers, timeout=60) as http:
        for slug in slugs:  # sent again with the same key: once, whatever became of it
            known, again = stream.accepted.get(slug), stream.post(http, slug)
            assert again.status_code in (201, 202), again.text
            assert known is None or (again.json()["digest"], again.json()["index"]) == (known["digest"], known["index"])
            stream.accepted[slug] = again.json()
        check_all(http, stream.accepted)
        check_log(http, stream.accepted)
        assert fsck(["--home", str(home)]) == 0, capsys.readouterr().out
