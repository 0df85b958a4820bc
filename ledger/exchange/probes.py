"""What the doctor asks of others: the running gateway, the remote signers, the content store, the node's clock."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final

from ledger.chain import ChainEdge, Deployment, RemoteSigner, Signer, decode_events
from ledger.client import Client, operations
from ledger.client.problems import NotReadyError
from ledger.content.objects import Patience
from ledger.content.store import ContentStore
from ledger.errors import LedgerError, NotFoundError
from ledger.exchange.findings import FindingError
from ledger.exchange.settings import GatewaySettings, Home
from ledger.store import Store
from ledger.types import Bytes32

__all__ = [
    "ask_gateway",
    "ask_signers",
    "check_content",
    "find_anchored",
    "is_running",
    "read_node_clock",
]

_LOCK: Final = ".lock"
_PROBE: Final = b"\x19Ethereum Signed Message:\n14concord doctor"
"""What no chain and no contract takes for anything (EIP-191)."""
_QUICKLY: Final = Patience(retries=0, retry_s=5.0)
_REGULAR_BLOCKS: Final = 8
_LONGEST_PERIOD_S: Final = 60
_QUIET_S: Final = 15
_LOOK_AGAIN_S: Final = 1.2


def is_running(home: Home) -> bool:
    """Whether a process writes the home's log. Raises: OSError: the lock can not be looked at."""
    try:
        descriptor = os.open(home.log_folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def ask_gateway(url: str, origin: str, *, runs: bool) -> str:
    """Ask the gateway of the log ``origin`` whether it can do its work; ``runs``: a process has its folder.

    Raises:
        FindingError: it can not, or it runs and is not to be found at the URL.
    """
    try:
        with Client(url) as client:
            found = client.run(operations.log_origin())
            if found != origin:
                raise NotFoundError(f"the gateway of another log answers there: {found[:100]}")
            client.run(operations.readiness())
    except NotReadyError as error:
        raise FindingError(
            "; ".join(f"{name}: {reason}" for name, reason in error.reasons.items()),
            "do what each says; what was accepted goes on by itself once nothing keeps it",
        ) from error
    except LedgerError as error:
        if not runs:
            return f"none of this folder runs ({url} was asked)"
        raise FindingError(
            f"the gateway runs and does not answer at {url}: {error}",
            "set CONCORD_URL to where it listens; if it is that, look at its log, and start it anew",
        ) from error
    return f"ready, at {url}"


def ask_signers(signers: Iterable[Signer]) -> str:
    """Let every key that a remote signer holds sign what is worth nothing. Raises: UnavailableError: one does not."""
    remote = {each.address: each for each in signers if isinstance(each, RemoteSigner)}
    for each in remote.values():
        each.sign(_PROBE)
    return f"{len(remote)} keys sign" if remote else "none: all keys are in the keystore"


def check_content(settings: GatewaySettings, store: Store) -> str:
    """Look for the folder or ask the bucket.

    Raises:
        FindingError: the folder is gone, with what was uploaded.
        MalformedError, UnavailableError: as `ContentStore`.
    """
    if settings.content_url is not None and "://" in settings.content_url:
        asyncio.run(ContentStore.open(settings.content_url, patience=_QUICKLY).check())
        return "the store answers"
    folder = Home(settings.home).content_folder if settings.content_url is None else Path(settings.content_url)
    if folder.is_dir():
        return str(folder)
    count = len({each.sha256 for each in store.scanning.list_uploaded()})
    raise FindingError(
        f"{folder} is missing, and with it {count} files that were uploaded",
        f"put it back from a backup: `cp -rT BACKUP/content {folder}`, owned by the gateway's user; what a backup "
        "lacks, providers upload again",
    )


def find_anchored(edge: ChainEdge, deployment: Deployment, store: Store, log: Bytes32) -> int:
    """How many entries the log's last checkpoint on chain has: what was indexed, and what the chain says since.

    Raises:
        UnavailableError: chain or database do not answer.
    """
    row, cursor = store.chain.last_checkpoint(log), store.projections.cursor()
    size = 0 if row is None else row.size
    first, last = (0 if cursor is None else cursor.block + 1), edge.head().number
    events = edge.find_events(deployment.contracts["CheckpointLog"], [[], [log]], first, last)
    for number in sorted({each.block for each in events}):
        block = edge.block(number)
        for event in () if block is None else decode_events(block, deployment.contracts):
            if event.name == "CheckpointPublished" and event.args["log"] == log:
                size = max(size, int(event.args["size"]))
    return size


def read_node_clock(edge: ChainEdge, now_s: int) -> tuple[int, bool]:
    """The newest time that a node tells, and whether it goes on by itself, so that it is the present.

    It does where the node dates the block that it would make, and where blocks come at regular times, empty ones too.

    Raises:
        UnavailableError: the node does not answer.
    """
    head, pending_s = edge.head(), edge.pending_time_s()
    if pending_s is not None and pending_s > head.timestamp:
        if pending_s > now_s - _QUIET_S:
            return pending_s, True
        time.sleep(_LOOK_AGAIN_S)  # some nodes keep an old one
        return pending_s, (edge.pending_time_s() or 0) > pending_s
    blocks = edge.blocks(max(1, head.number - _REGULAR_BLOCKS), head.number, whole=False)
    gaps = [later.timestamp - earlier.timestamp for earlier, later in pairwise(blocks)]
    empty = sum(1 for each in blocks if not each.receipts)
    is_regular = len(gaps) == _REGULAR_BLOCKS and min(gaps) > 0 and 2 * empty >= len(blocks)
    return head.timestamp, is_regular and max(gaps) <= _LONGEST_PERIOD_S
