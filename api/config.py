"""Settings of the service, from the environment (``CONCORD_...``); the only place in `api` that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.log_lines import LogFormat
from ledger.exchange import GatewaySettings

__all__ = ["ServiceConfig"]


class ServiceConfig(BaseSettings):
    """How the service runs. Every member is read from ``CONCORD_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="CONCORD_", frozen=True)

    home: Path = Path(platformdirs.user_data_dir("concord"))
    """The gateway's folder."""
    passphrase: SecretStr = SecretStr("")
    """Opens its keystore."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    database_url: str | None = None
    """SQLAlchemy's URL; without: SQLite in the home folder."""
    content_url: str | None = None
    """``s3://``, ``gs://`` or ``az://``; without: a folder in the home folder."""
    publish_after_s: Annotated[float, Field(gt=0)] = 0.2
    """Longest time until what was accepted is published on chain."""
    publish_after_entries: Annotated[int, Field(gt=0)] = 1024
    batch_delay_s: Annotated[float, Field(ge=0)] = 0.02
    """How long a batch of the log waits for company."""
    most_in_flight: Annotated[int, Field(gt=0)] = 4096
    """Statements waiting for the log; beyond that: 503, come back later."""

    log_format: LogFormat = "text"
    """``json``: a JSON object a line, for machines."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """``info`` tells of every request and of every statement on its way to its block."""

    def gateway_settings(self) -> GatewaySettings:
        """What the gateway takes of it."""
        return GatewaySettings(
            home=self.home,
            passphrase=self.passphrase.get_secret_value(),
            database_url=self.database_url,
            content_url=self.content_url,
            publish_after_s=self.publish_after_s,
            publish_after_entries=self.publish_after_entries,
            batch_delay_s=self.batch_delay_s,
            most_in_flight=self.most_in_flight,
        )
