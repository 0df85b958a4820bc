"""Settings of the service, from the environment (``CONCORD_...``); the only place in `api` that reads it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Final, Literal

import platformdirs
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.log_lines import LogFormat
from ledger.exchange import GatewaySettings

__all__ = ["ServiceConfig"]

_DEFAULT: Final = GatewaySettings(Path(), "")


class ServiceConfig(BaseSettings):
    """How the service runs. Every member is read from ``CONCORD_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="CONCORD_", frozen=True, allow_inf_nan=False)

    home: Path = Path(platformdirs.user_data_dir("concord"))
    """The gateway's folder."""
    passphrase: SecretStr = SecretStr("")
    """Opens its keystore."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    database_url: Annotated[str | None, Field(repr=False)] = _DEFAULT.database_url
    """SQLAlchemy's URL; without: SQLite in the home folder."""
    content_url: Annotated[str | None, Field(repr=False)] = _DEFAULT.content_url
    """``s3://``, ``gs://`` or ``az://``; without: a folder in the home folder."""
    kms_token: Annotated[str | None, Field(repr=False)] = _DEFAULT.kms_token
    """Of the key service that keeps the key-encryption key."""
    kms_token_file: Path | None = _DEFAULT.kms_token_file
    """Or a file whose first line it is, read anew whenever it is needed."""
    kms_urls: str = _DEFAULT.kms_urls
    """Key services that the key-encryption key may be moved to: URLs; with commas."""
    batch_size: Annotated[int, Field(gt=0)] = _DEFAULT.batch_size
    """Most statements, of those that come alone, in one checkpoint."""
    batch_delay_s: Annotated[float, Field(ge=0)] = _DEFAULT.batch_delay_s
    """How long a batch of the log waits for company."""
    most_in_flight: Annotated[int, Field(gt=0)] = _DEFAULT.most_in_flight
    """Statements waiting for the log; beyond that: 503, come back later."""

    bulk_streams: Annotated[int, Field(gt=0)] = _DEFAULT.bulk_streams
    """Requests to the bulk endpoint at once; beyond that: 503, come back later."""
    bulk_streams_each: Annotated[int, Field(gt=0)] = _DEFAULT.bulk_streams_each
    """So many of them of one participant."""
    bulk_idle_s: Annotated[float, Field(gt=0)] = _DEFAULT.bulk_idle_s
    """How long one may bring no whole line, or leave its answers unread."""
    bulk_workers: Annotated[int, Field(gt=0)] | None = _DEFAULT.bulk_workers
    """Processes that check signatures in bulk; without: as many as cores."""
    bulk_window: Annotated[int, Field(gt=0)] = _DEFAULT.bulk_window
    """Blocks of lines of one stream on their way; beyond that it is read no further."""
    bulk_batch_size: Annotated[int, Field(gt=0)] = _DEFAULT.bulk_batch_size
    """Lines of all streams that one checkpoint brings, about."""
    bulk_delay_s: Annotated[float, Field(ge=0)] = _DEFAULT.bulk_delay_s
    """How long such a batch waits for company that does not come."""
    bulk_longest_s: Annotated[float, Field(ge=0)] = _DEFAULT.bulk_longest_s
    """And how long while company keeps coming."""

    publish_after_s: Annotated[float, Field(gt=0)] = _DEFAULT.publish_after_s
    """Longest time until what was accepted is published on chain."""
    publish_after_entries: Annotated[int, Field(gt=0)] = _DEFAULT.publish_after_entries
    """So many gathered: published at once, and then no more often than ``publish_every_s``."""
    publish_every_s: Annotated[float, Field(ge=0)] = _DEFAULT.publish_every_s
    """Least time between two checkpoints on chain while statements come in bulk."""
    anchor_within_s: Annotated[float, Field(gt=0)] = _DEFAULT.anchor_within_s
    """Within how long receipts promise that a statement is anchored."""
    poll_s: Annotated[float, Field(gt=0)] = _DEFAULT.poll_s
    """How often workers look at the chain when nothing wakes them."""
    relay_signers: Annotated[int, Field(gt=0)] = _DEFAULT.relay_signers
    """Accounts that relay statements on a node; the first publishes the log, too."""

    peers: str = _DEFAULT.peers
    """Endpoints of other gateways that data may be fetched from, besides those that profiles name; with commas."""
    deliveries_at_once: Annotated[int, Field(gt=0)] = _DEFAULT.deliveries_at_once
    """Versions that are fetched from other gateways at once."""
    deliveries_most_bytes: Annotated[int, Field(gt=0)] = _DEFAULT.deliveries_most_bytes
    """Of the disk for what is fetched from other gateways; what does not fit is refused before it is fetched."""

    catalogue_every_s: Annotated[float, Field(ge=0)] = _DEFAULT.catalogue_every_s
    """How often other members' gateways are asked what they offer; 0: never."""
    catalogue_kept_s: Annotated[float, Field(gt=0)] = _DEFAULT.catalogue_kept_s
    """How long what they offered is shown after they told it last."""

    log_format: LogFormat = "text"
    """``json``: a JSON object a line, for machines."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """``info`` tells of every request and of every statement on its way to its block."""

    def gateway_settings(self) -> GatewaySettings:
        """What the gateway takes of it."""
        given = {each.name: getattr(self, each.name) for each in fields(GatewaySettings) if hasattr(self, each.name)}
        return GatewaySettings(**given | {"passphrase": self.passphrase.get_secret_value()})
