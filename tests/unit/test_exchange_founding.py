"""Founding: refused plans, another plan, a kill in the middle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError, VerificationError
from ledger.exchange import Founder, Gateway, GatewaySettings, found
from ledger.exchange import founding as founding_module
from tests.support.exchange import HANDLES, PASSPHRASE, found_in, open_gateway, plan_of


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("every", [9, pytest.param(3, marks=pytest.mark.slow)])
def test_a_founding_goes_on_after_a_kill_at_every_step(tmp_path: Path, every: int) -> None:
    steps: list[str] = []
    found(tmp_path / "whole", plan_of(), on_step=steps.append)
    for stop in range(0, len(steps), every):
        home = tmp_path / f"killed-{stop}"
        seen = 0

        def kill(_step: str, stop: int = stop) -> None:
            nonlocal seen
            seen += 1
            if seen > stop:
                raise KilledError

        with pytest.raises(KilledError):
            found(home, plan_of(), on_step=kill)
        founded = found(home, plan_of())
        assert set(founded.api_keys) == set(HANDLES)
        with open_gateway(home, founded) as consortium:
            assert consortium.gateway.health().log_size == 4


def test_a_kill_before_the_journal_is_gone_draws_new_api_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    first: list[list[str]] = []
    real = founding_module._draw_api_keys

    def draw_and_die(*arguments: object) -> list[str]:
        first.append(real(*arguments))  # type: ignore[arg-type]
        raise KilledError

    monkeypatch.setattr(founding_module, "_draw_api_keys", draw_and_die)
    with pytest.raises(KilledError):
        found(home, plan_of())
    monkeypatch.undo()
    founded = found(home, plan_of())
    with open_gateway(home, founded) as consortium:
        assert all(consortium.gateway.api_keys.authenticate(token) is None for token in first[0])
        assert all(consortium.gateway.api_keys.authenticate(token) for token in founded.api_keys.values())


def test_a_folder_is_founded_once_and_with_one_plan(tmp_path: Path) -> None:
    home = tmp_path / "home"

    def kill(_step: str) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        found(home, plan_of(), on_step=kill)
    with pytest.raises(ConflictError) as other:
        found(home, replace(plan_of(), threshold=3))
    assert other.value.code == "other-founding"
    found(home, plan_of())
    with pytest.raises(ConflictError) as again:
        found(home, plan_of())
    assert again.value.code == "already-founded"


def test_plans_that_can_not_work(tmp_path: Path) -> None:
    plan = plan_of()
    twins = (Founder({"handle": "a", "name": "A"}), Founder({"handle": "a", "name": "B"}))
    for wrong in (
        replace(plan, founders=()),
        replace(plan, threshold=4),
        replace(plan, threshold=0),
        replace(plan, passphrase=""),
        replace(plan, origin="has space"),
        replace(plan, founders=twins),
        replace(plan, founders=(Founder({"handle": "Bad Handle", "name": "A"}),), threshold=1),
    ):
        with pytest.raises(MalformedError):
            found(tmp_path / "none", wrong)
    assert not (tmp_path / "none").exists()


def test_a_gateway_opens_where_it_was_founded_alone(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Gateway.open(GatewaySettings(home=tmp_path, passphrase=PASSPHRASE))
    home = tmp_path / "home"
    founded = found_in(home)
    with pytest.raises(VerificationError):
        Gateway.open(GatewaySettings(home=home, passphrase="wrong"))
    with open_gateway(home, founded), pytest.raises(ConflictError) as second:
        Gateway.open(GatewaySettings(home=home, passphrase=PASSPHRASE))
    assert second.value.code == "folder-in-use"


def test_a_folder_that_was_there_becomes_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)

    def kill(_step: str) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        found(home, plan_of(), on_step=kill)
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_can_not_be_private_holds_no_consortium(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="private"):
        found(tmp_path / "file" / "home", plan_of())
