"""Object stores on a real S3 server: collected alone where its program is named (`make test-objects`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fault_proxy import FaultProxy, running_proxy
from tests.support.versitygw import ACCESS_KEY, SECRET_KEY, S3Server, find_versitygw, running_s3

collect_ignore_glob = [] if find_versitygw() is not None else ["test_*.py"]


@pytest.fixture(scope="module")
def program() -> Path:
    """The server's program."""
    found = find_versitygw()
    assert found is not None
    if not found.is_file():
        pytest.fail(f"CONCORD_VERSITYGW names {found}, which is not there: `make test-objects` builds it")
    return found


@pytest.fixture
def server(program: Path, tmp_path: Path) -> Iterator[S3Server]:
    """A server of this test alone."""
    with running_s3(tmp_path / "s3", program) as running:
        yield running


@pytest.fixture
def proxy(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What stands before it; the environment names the proxy and the key, as an operator's does."""
    with running_proxy(server.port) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.port}")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        yield running
