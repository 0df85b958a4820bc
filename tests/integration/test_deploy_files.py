"""What deploy/ holds: unit and container file name what there is, every alert stands on a metric that is served."""

from __future__ import annotations

import re
import resource
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

import httpx
import pytest

from api.config import ServiceConfig
from ledger.exchange.home_check import HomeCheck
from ledger.exchange.settings import Home
from scripts.concord.context import read_passphrase
from tests.support.asking import asking, registration
from tests.support.founded import found_once
from tests.support.served import ROOT, environment, served
from tests.support.world import PLAN

DEPLOY: Final = ROOT / "deploy"
UNIT: Final = DEPLOY / "systemd/concord.service"
CONTAINER: Final = DEPLOY / "container/Containerfile"


def test_every_alert_stands_on_metrics_that_are_served(tmp_path: Path) -> None:
    with asking(tmp_path, "utility") as service:
        service.get("none", "/v1/participants")
        page = service.get("utility", "/metrics").text
    served_names = set(re.findall(r"^# TYPE (\w+) ", page, re.MULTILINE))
    text = (DEPLOY / "prometheus/alerts.yml").read_text()
    expressions = re.findall(r"^ +expr: (.+)$", text, re.MULTILINE)
    assert len(expressions) == text.count("- alert:") > 5
    for expression in expressions:
        named = set(re.findall(r"concord_\w+", expression))
        known = {each.removesuffix("_total") for each in served_names}
        assert {re.sub(r"_(bucket|total)$", "", each) for each in named} <= known, expression
    assert text.count("summary:") == text.count("action:") == len(expressions)


@pytest.mark.parametrize("file", [UNIT, CONTAINER], ids=["systemd", "container"])
def test_every_setting_is_one_of_the_service(file: Path) -> None:
    known = {f"CONCORD_{name.upper()}" for name in ServiceConfig.model_fields} | {"CONCORD_PASSPHRASE_FILE"}
    named = set(re.findall(r"CONCORD_[A-Z_]+", file.read_text()))
    assert named >= {"CONCORD_HOME", "CONCORD_LOG_FORMAT", "CONCORD_PASSPHRASE_FILE"}
    assert named <= known


def test_every_message_that_is_explained_is_one_that_is_printed() -> None:
    guide = (ROOT / "docs/operating/gateway.md").read_text().partition("## When it says no")[2].partition("\n## ")[0]
    shown = [text for row in re.findall(r"^\| (.+?) \|", guide, re.MULTILINE) for text in re.findall(r"`(.+?)`", row)]
    sources = "".join(path.read_text() for room in ("ledger", "api") for path in (ROOT / room).rglob("*.py"))
    printed = re.sub(r'"\s*f?"|\{[^}]*\}', "", sources)  # sentences in one piece, without what is filled in
    plain = [re.sub(r"\b[A-Z]+\b|relay\.json", "", text) for text in shown]
    assert len(plain) > 6
    assert [text for text in plain if text not in printed and text not in sources] == []


def test_the_container_file_copies_what_there_is() -> None:
    text = CONTAINER.read_text()
    sources = [word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for word in line.split()]
    assert sources
    assert all((ROOT / each).exists() for each in sources)
    assert text.index("USER concord") < text.index("ENTRYPOINT")
    assert "podman build --format docker" in text  # OCI images have no HEALTHCHECK
    assert text.index("chown 10001:10001 hand-out") < text.index("-v ./hand-out:/hand-out")
    assert "--uid 10001" in text


def test_the_page_on_installing_is_that_of_the_unit() -> None:
    page, unit = (ROOT / "docs/operating/installing.md").read_text(), UNIT.read_text()
    for place in ("/opt/concord", "/etc/concord/passphrase", "/etc/concord/environment"):
        assert place in unit
        assert place in page
    assert "docs/operating/installing.md" in unit
    for needed in (
        "useradd --system",
        "python3 -m venv /opt/concord",
        "concord init",
        "systemctl enable --now concord",
    ):
        assert needed in page


def test_the_folder_of_the_network_names_its_guide() -> None:
    readme = (DEPLOY / "besu/README.md").read_text()
    for name in re.findall(r"\]\(([^)]+)\)", readme):
        assert (DEPLOY / "besu" / name).exists(), name
    assert "docs/operating/network.md" in readme


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert "RestartPreventExitStatus=1 3 4" in text
    assert "LimitCORE=0" in text
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here: the unit was read, not verified")
    unit = tmp_path / "concord.service"
    unit.write_text(text.replace("/opt/concord/bin/concord", "/bin/true").replace("User=concord", "User=root"))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=60)
    assert "concord.service" not in done.stderr, done.stderr


def test_a_passphrase_comes_out_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.delenv("CONCORD_PASSPHRASE", raising=False)
    monkeypatch.setenv("CONCORD_PASSPHRASE_FILE", str(tmp_path / "secret"))
    assert read_passphrase("a test") == "from a file"
    monkeypatch.setenv("CONCORD_PASSPHRASE", "from the environment")
    assert read_passphrase("a test") == "from the environment"


@pytest.mark.slow
def test_sigterm_drains_what_was_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd and containers stop it: accepted a moment before, on chain when it has ended."""
    founded = found_once(tmp_path / "home", PLAN)
    monkeypatch.setattr(
        "tests.support.served.environment",
        lambda environment=environment: {**environment(), "CONCORD_PUBLISH_AFTER_S": "2", "CONCORD_LOG_FORMAT": "json"},
    )
    with served(tmp_path / "home") as (child, url):
        assert resource.prlimit(child.pid, resource.RLIMIT_CORE) == (0, 0)
        headers = {"Authorization": f"Bearer {founded.api_keys['chamber']}"}
        with httpx.Client(base_url=url, timeout=60, headers=headers) as http:
            accepted = http.post("/v1/datasets", json=registration("late", {"a.csv": b"1"}))
        assert accepted.status_code == 202, accepted.text
        child.send_signal(signal.SIGTERM)
        assert child.wait(90) == 0
    with HomeCheck.open(Home(tmp_path / "home")) as check:
        assert check.store.outbox.depth() == 0
        last = check.store.chain.last_checkpoint(check.config.log)
        assert last is not None
        assert last.size == check.last().size > accepted.json()["index"]
