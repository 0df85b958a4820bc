"""The transit engine of Vault itself: collected alone where its program is named (`make test-kms`).

The program is Vault's engine, its code unchanged, behind a small HTTP door of ours: tests/kms/engine/main.go.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.transit_checks import KEY, Service
from tests.support.transit_stand_in import TOKEN

_PROGRAM: Final = os.environ.get("CONCORD_TRANSIT_ENGINE")
collect_ignore_glob = [] if _PROGRAM is not None else ["test_*.py"]


@pytest.fixture
def service() -> Iterator[Service]:
    """A new engine with one key, as its operator makes it."""
    assert _PROGRAM is not None
    if not Path(_PROGRAM).is_file():
        pytest.fail(f"CONCORD_TRANSIT_ENGINE names {_PROGRAM}, which is not there: `make test-kms` builds it")
    environment = {**os.environ, "TRANSIT_TOKEN": TOKEN}
    with subprocess.Popen([_PROGRAM], env=environment, stdout=subprocess.PIPE, text=True) as engine:
        try:
            assert engine.stdout is not None
            url = f"http://127.0.0.1:{int(engine.stdout.readline())}"
            made = httpx.post(
                f"{url}/v1/transit/keys/{KEY}", json={"type": "aes256-gcm96"}, headers={"X-Vault-Token": TOKEN}
            )
            assert made.status_code == 200, made.text
            yield Service(url, TOKEN)
        finally:
            engine.terminate()
