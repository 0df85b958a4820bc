"""`concord network`, as its user runs it."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.concord import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]


@pytest.fixture
def concord(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["concord", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out, err)

    return run


def test_a_network_is_made_once_and_says_how_to_start_it(concord: Command, tmp_path: Path) -> None:
    folder = tmp_path / "network"
    made = concord("--json", "network", "init", folder, "--validators", 4, "--period", 5)
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    assert answer["tolerates"] == 1
    assert answer["start"] == [f"{folder}/node-{place}/start.sh" for place in range(1, 5)]
    assert sorted(answer["rpc"].values()) == [f"http://127.0.0.1:{port}" for port in range(8545, 8549)]
    genesis = json.loads((folder / "genesis.json").read_bytes())
    assert genesis["config"]["qbft"] == {"blockperiodseconds": 5, "epochlength": 30000, "requesttimeoutseconds": 10}
    assert "--governor HANDLE=NAME" in concord("network", "init", tmp_path / "other").stdout
    again = concord("network", "init", folder)
    assert again.returncode == 1
    assert "holds something already" in again.stderr


def test_it_says_what_it_can_not_stand(concord: Command, tmp_path: Path) -> None:
    lone = concord("network", "init", tmp_path / "lone", "--validators", 3)
    assert "stands still when one validator is lost" in lone.stdout
    uneven = concord("network", "init", tmp_path / "uneven", "--host", "10.0.0.1")
    assert uneven.returncode == 3
    assert "each of the 4 validators: 1 given" in uneven.stderr


def test_a_port_beyond_the_last_is_refused(concord: Command, tmp_path: Path) -> None:
    refused = concord("network", "init", tmp_path / "network", "--rpc-port", 65534)
    assert (refused.returncode, "the last would be 65537" in refused.stderr) == (3, True)
    assert not (tmp_path / "network").exists()


def test_a_node_alone_is_told_who_may_send(concord: Command, tmp_path: Path) -> None:
    concord("network", "init", tmp_path)
    for node in tmp_path.glob("node-*"):
        node.rename(node.with_name(f"given-{node.name}"))
    command = ("network", "add", tmp_path, "--host", "10.0.0.9")
    refused = concord(*command)
    assert (refused.returncode, "--everybody" in refused.stderr) == (3, True)
    assert concord(*command, "--everybody", "--account", "0x" + "0a" * 20).returncode == 3
    assert concord(*command, "--account", "0x" + "0a" * 20).returncode == 0
    permissions = tomllib.loads((tmp_path / "node-5" / "permissions.toml").read_text())
    assert permissions["accounts-allowlist"] == ["0x" + "0a" * 20]


def test_accounts_are_named_later(concord: Command, tmp_path: Path) -> None:
    account = "0x" + "0A" * 20
    concord("network", "init", tmp_path / "network")
    allowed = concord("network", "allow", tmp_path / "network", account)
    assert account.lower() in allowed.stdout
    permissions = tomllib.loads((tmp_path / "network" / "node-4" / "permissions.toml").read_text())
    assert permissions["accounts-allowlist"] == [account.lower()]
    assert concord("network", "allow", tmp_path, account).returncode == 4


def test_a_founding_names_a_node_before_its_fee(concord: Command, tmp_path: Path) -> None:
    refused = concord("init", "--home", tmp_path / "home", "--gas-price", 7)
    assert refused.returncode == 3
    assert "name its node with --rpc" in refused.stderr
