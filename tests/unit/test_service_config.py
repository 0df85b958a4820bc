"""Settings from the environment: every one that a gateway takes can be given there, and is documented."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError

from api.config import ServiceConfig
from ledger.exchange import GatewaySettings

DOCUMENTED_IN: Final = Path(__file__).parents[2] / "docs/operating/gateway.md"
INTERNAL: Final = {
    "bulk_block_bytes": "how lines are handed to processes, which streams never see",
    "bulk_block_lines": "as the bytes",
    "finality_depth": "a node's is in gateway.json, where `concord init --finality` puts it",
    "download_chunk_size_bytes": "how answers are cut, which clients never see",
}
"""Settings of a gateway that an operator has no use for, and why."""
OF_THE_SERVICE: Final = {"host", "port", "log_format", "log_level"}
"""What the gateway itself does not take."""
TOLD: Final[dict[str, Any]] = {
    "home": Path("elsewhere"),
    "passphrase": "told",
    "database_url": "sqlite:///elsewhere.db",
    "content_url": "s3://elsewhere",
    "kms_token": "hvs.told",
    "kms_token_file": Path("token"),
    "kms_urls": "https://vault.example:8200",
    "peers": "https://one.example,https://two.example",
}


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServiceConfig.model_fields:
        monkeypatch.delenv(f"CONCORD_{name.upper()}", raising=False)


def test_every_setting_of_a_gateway_is_reachable_or_internal() -> None:
    settings = {each.name for each in fields(GatewaySettings)}
    reachable = ServiceConfig.model_fields.keys() - OF_THE_SERVICE
    assert settings - reachable == INTERNAL.keys()
    assert reachable <= settings


def test_without_environment_the_gateway_has_its_own_defaults(tmp_path: Path) -> None:
    assert ServiceConfig(home=tmp_path).gateway_settings() == GatewaySettings(tmp_path, "")


def test_what_is_told_reaches_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    told = dict(TOLD)
    for name in ServiceConfig.model_fields.keys() - OF_THE_SERVICE - TOLD.keys():
        default = getattr(GatewaySettings(Path(), ""), name)
        told[name] = 3 if default is None else default + 1
    for name, value in told.items():
        monkeypatch.setenv(f"CONCORD_{name.upper()}", str(value))
    made = ServiceConfig().gateway_settings()
    assert {name: getattr(made, name) for name in told} == told


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("database_url", "postgresql+psycopg://one:s3cret@db/one"),
        ("content_url", "https://one:s3cret@store.example/bucket?sig=s3cret"),
    ],
)
def test_what_opens_a_store_is_never_shown(name: str, url: str) -> None:
    config = ServiceConfig.model_validate({name: url})
    assert getattr(config.gateway_settings(), name) == url
    for shown in (config, config.gateway_settings()):
        assert "s3cret" not in f"{shown} {shown!r}"


@pytest.mark.parametrize("name", sorted(ServiceConfig.model_fields.keys() - OF_THE_SERVICE - TOLD.keys()))
def test_what_makes_no_sense_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("-1", "inf", "nan"):
        monkeypatch.setenv(f"CONCORD_{name.upper()}", value)
        with pytest.raises(ValidationError, match=name):
            ServiceConfig()


def test_every_variable_is_documented() -> None:
    table = DOCUMENTED_IN.read_text().partition("## Settings")[2].partition("\n## ")[0]
    for name in ServiceConfig.model_fields:
        assert f"`CONCORD_{name.upper()}`" in table, name
