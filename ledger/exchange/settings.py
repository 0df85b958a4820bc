"""Settings of a gateway, given by whoever starts it; no environment is read here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["GatewaySettings", "Home"]


@dataclass(frozen=True, slots=True)
class Home:
    """The gateway's folder and what lies where in it."""

    folder: Path

    @property
    def consortium_file(self) -> Path:
        """What joiners and auditors import: chain id, genesis hash, contracts, logs."""
        return self.folder / "consortium.json"

    @property
    def gateway_file(self) -> Path:
        """What this gateway is: operator, origin, log id, relay account, chain profile."""
        return self.folder / "gateway.json"

    @property
    def founding_file(self) -> Path:
        """What an interrupted founding goes on from; gone when it is done."""
        return self.folder / "founding.json"

    @property
    def joining_file(self) -> Path:
        """What an interrupted joining goes on from; gone when it is done."""
        return self.folder / "joining.json"

    @property
    def accepted_loss_file(self) -> Path:
        """That what came after the restored backup is given up: the log's key signs no more; see `AcceptedLoss`."""
        return self.folder / "accepted-loss.json"

    @property
    def unfinished(self) -> str | None:
        """What is not finished in this folder, and what to do; None: nothing was interrupted."""
        for path, what, command in (
            (self.founding_file, "founding", "concord init"),
            (self.joining_file, "joining", "concord join gateway"),
        ):
            if path.exists():
                return f"the {what} is not finished: call `{command}` again with the same settings"
        return None

    @property
    def chain_folder(self) -> Path:
        """The embedded chain's blocks and state."""
        return self.folder / "chain"

    @property
    def log_folder(self) -> Path:
        """The log's tiles, entries and checkpoints, as C2SP lays them out."""
        return self.folder / "log"

    @property
    def content_folder(self) -> Path:
        """Manifests' files."""
        return self.folder / "content"

    @property
    def database_file(self) -> Path:
        """The SQLite database, unless settings name another."""
        return self.folder / "ledger.db"

    @property
    def deliveries_folder(self) -> Path:
        """What was fetched from other gateways for consumers of this one."""
        return self.folder / "deliveries"

    @property
    def keys_folder(self) -> Path:
        """Encrypted keys that the gateway signs with."""
        return self.folder / "keys"


_RESTING: Final = 5


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How a gateway runs. ``passphrase`` opens its keystore."""

    home: Path
    passphrase: str = field(repr=False)
    database_url: str | None = field(default=None, repr=False)
    """None: SQLite in the home folder"""
    content_url: str | None = field(default=None, repr=False)
    """None: a folder in the home folder; else what obstore takes (s3://, gs://, az://)"""
    kms_token: str | None = field(default=None, repr=False)
    """of the key-management service that keeps the key-encryption key"""
    kms_token_file: Path | None = None
    """or a file whose first line it is, read anew whenever it is needed: an agent may renew it"""
    kms_urls: str = ""
    """key-management services that the key-encryption key may be moved to: URLs; with commas"""
    batch_size: int = 256
    """most statements in one checkpoint"""
    batch_delay_s: float = 0.02
    """how long a batch waits for company"""
    most_in_flight: int = 4096
    """statements waiting for the log; beyond that: come back later"""
    bulk_streams: int = 8
    """requests to the bulk endpoint at once; beyond that: come back later"""
    bulk_streams_each: int = 4
    """so many of them of one participant"""
    bulk_idle_s: float = 60.0
    """how long one may bring no whole line, or leave its answers unread"""
    bulk_workers: int | None = None
    """processes that check signatures in bulk; None: as many as cores"""
    bulk_block_bytes: int = 256 << 10
    """lines that are checked by one process at a time"""
    bulk_block_lines: int = 512
    """no more of them than so many, however short they are"""
    bulk_window: int = 48
    """blocks of one stream on their way; beyond that it is read no further"""
    bulk_batch_size: int = 16_384
    """lines of all streams that one checkpoint brings, about"""
    bulk_delay_s: float = 0.25
    """how long such a batch waits for company that does not come"""
    bulk_longest_s: float = 2.0
    """and how long while company keeps coming"""
    publish_after_s: float = 0.2
    """longest time until what was accepted is published on chain"""
    publish_after_entries: int = 1024
    """so many gathered: published at once, and then no more often than ``publish_every_s``"""
    publish_every_s: float = 5.0
    """least time between two checkpoints on chain while statements come in bulk"""
    anchor_within_s: float = 600.0
    """what receipts promise (anchor-by)"""
    poll_s: float = 0.2
    """how often workers look at what changes without waking them"""
    finality_depth: int = 0
    """blocks on top of one until it counts as final; 0 for engines with immediate finality"""
    relay_signers: int = 1
    """accounts that relay statements on a node, 64 transactions on their way each; the first publishes the log too"""
    peers: str = ""
    """endpoints of other gateways that data may be fetched from, besides those that profiles name; with commas"""
    deliveries_at_once: int = 2
    """versions that are fetched from other gateways at once"""
    deliveries_most_bytes: int = 64 << 30
    """of the disk for what is being fetched and was delivered; what does not fit is refused before it is fetched"""
    catalogue_every_s: float = 300.0
    """how often other members' gateways are asked what they offer; 0: never"""
    catalogue_kept_s: float = 604_800.0
    """how long what they offered is shown after they told it last"""
    download_chunk_size_bytes: int = 1 << 20

    @property
    def resting_s(self) -> float:
        """How often workers look that are woken when there is something to do: five times as rarely as `poll_s`."""
        return _RESTING * self.poll_s
