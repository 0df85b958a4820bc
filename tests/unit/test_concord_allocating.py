"""Buffers of chunks are kept by the process, on glibc, and on no other library anything is touched."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import Final

import pytest

from scripts.concord.allocating import keep_buffers
from tests.support.served import ROOT

PROGRAM: Final = """
import resource
from scripts.concord.allocating import keep_buffers
keep_buffers()
bytes(1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    bytes(1 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_chunks_pages_are_taken_once() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, check=True, capture_output=True, text=True)
    assert int(told.stdout) < 1_000  # of 25,600


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    keep_buffers()
