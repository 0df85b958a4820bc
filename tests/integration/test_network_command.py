"""`concord network`, as its user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def concord(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.concord", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_a_network_is_made_once_and_says_how_to_start_it(tmp_path: Path) -> None:
    folder = tmp_path / "network"
    made = concord("--json", "network", "init", folder, "--validators", 4, "--period", 5)
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    assert answer["tolerates"] == 1
    assert answer["start"] == [f"{folder}/node-{place}/start.sh" for place in range(1, 5)]
    assert sorted(answer["rpc"].values()) == [f"http://127.0.0.1:{port}" for port in range(8545, 8549)]
    genesis = json.loads((folder / "genesis.json").read_bytes())
    assert genesis["config"]["qbft"] == {"blockperiodseconds": 5, "epochlength": 30000, "requesttimeoutseconds": 10}
    again = concord("network", "init", folder)
    assert again.returncode == 1
    assert "holds something already" in again.stderr


def test_it_says_what_it_can_not_stand(tmp_path: Path) -> None:
    lone = concord("network", "init", tmp_path / "lone", "--validators", 3)
    assert "stands still when one validator is lost" in lone.stdout
    uneven = concord("network", "init", tmp_path / "uneven", "--host", "10.0.0.1")
    assert uneven.returncode == 3
    assert "each of the 4 validators: 1 given" in uneven.stderr


def test_accounts_are_named_later(tmp_path: Path) -> None:
    account = "0x" + "0A" * 20
    concord("network", "init", tmp_path / "network")
    allowed = concord("network", "allow", tmp_path / "network", account)
    assert account.lower() in allowed.stdout
    permissions = tomllib.loads((tmp_path / "network" / "node-4" / "permissions.toml").read_text())
    assert permissions["accounts-allowlist"] == [account.lower()]
    assert concord("network", "allow", tmp_path, account).returncode == 4


def test_a_founding_names_a_node_before_its_fee(tmp_path: Path) -> None:
    refused = concord("init", "--home", tmp_path / "home", "--gas-price", 7)
    assert refused.returncode == 3
    assert "name its node with --rpc" in refused.stderr
