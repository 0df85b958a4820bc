"""Where a delivery lies on the disk, for the gateway's own account alone.

deliveries/<id>/receiving/             while it is being received: as `ledger.client.sealed_files`
deliveries/<id>/receiving/wrong-chunk.json   where the released key does not open what was registered
deliveries/<id>/<transfer>/state.json  of a transfer that was receipted, and in whose place another began
deliveries/<id>/manifest.json          the version's manifest
deliveries/<id>/statements.json        what was stated about it: Sealing, TransferReceipt, KeyRelease
deliveries/<id>/files/                 the files; they appear by one rename, when all are right
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.client import transfers
from ledger.client.sealed_files import PullState
from ledger.content import Manifest, parse_manifest
from ledger.durable import rename_durably, sync, write_synced
from ledger.errors import MalformedError, NotFoundError
from ledger.types import Bytes32

__all__ = ["Place"]

_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one delivery. Every method raises OSError where the disk fails."""

    folder: Path

    @classmethod
    def of(cls, home: Path, delivery: Bytes32) -> Place:
        """The place of a delivery below the gateway's folder of deliveries."""
        return cls(home / delivery.hex())

    @property
    def is_opened(self) -> bool:
        """Whether all files are there."""
        return self._files.is_dir()

    @property
    def received_bytes(self) -> int:
        """How much of the sealed data is there."""
        try:
            return (self._receiving / "sealed").stat().st_size
        except FileNotFoundError:
            return 0

    def load_state(self) -> PullState:
        """What an earlier try left, or a fresh state; kept before anything is asked for, so that it is found again."""
        self.folder.parent.mkdir(mode=0o700, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        state = PullState.load_from(self._receiving)
        state.save()
        return state

    def find_transfer(self) -> Bytes32 | None:
        """The transfer under way at the other gateway; None: none began, or what was kept of it is damaged."""
        try:
            return PullState.load_from(self._receiving).transfer
        except MalformedError:
            return None

    def publish(self, plain: Path, manifest: Manifest, statements: bytes) -> None:
        """Let the opened files appear, all at once and durably; what they were received with goes."""
        write_synced(self.folder / "manifest.json", manifest.to_bytes())
        write_synced(self.folder / "statements.json", statements)
        for path in [plain, *(each for each in plain.rglob("*") if each.is_dir())]:
            sync(path)
        rename_durably(plain, self._files)
        self.tidy()

    def tidy(self) -> None:
        """Remove what the files were received with: the sealed data, and the private key of the transfer."""
        if self._receiving.exists():
            shutil.rmtree(self._receiving)

    def remove(self) -> None:
        """Remove all of it; a second call does nothing."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def load_manifest(self) -> Manifest:
        """The manifest of what was delivered. Raises: NotFoundError."""
        return parse_manifest(self._read("manifest.json"))

    def load_statements(self) -> bytes:
        """What was stated about it, as JSON. Raises: NotFoundError."""
        return self._read("statements.json")

    def load_private_state(self) -> bytes:
        """What evidence of a provider that withholds the key is made from: of the transfer receipted last.

        Raises:
            NotFoundError: none is under way, and none was replaced after its receipt.
        """
        return self._read(str((self._find_told() / "state.json").relative_to(self.folder)))

    def load_kept_sealing(self) -> bytes:
        """Evidence of the sealing of that transfer, as it was kept before the receipt. Raises: NotFoundError."""
        return self._read(str((self._find_told() / transfers.KEPT_SEALING).relative_to(self.folder)))

    def load_wrong_chunk(self) -> bytes:
        """What the key that was released for that transfer does not open rightly. Raises: NotFoundError: nothing."""
        return self._read(str((self._find_told() / transfers.WRONG_CHUNK).relative_to(self.folder)))

    def _find_told(self) -> Path:
        """The folder of the transfer that was receipted last, or of one that is under way."""
        states = sorted(
            self.folder.glob("*/state.json"), key=lambda each: (each.parent == self._receiving, each.stat().st_mtime_ns)
        )
        chosen = [each for each in states if _is_receipted(each.parent)] or states
        return chosen[-1].parent if chosen else self.folder

    def check_file(self, path: str) -> None:
        """Raise NotFoundError unless a file that the manifest names is there."""
        if not (self._files / path).is_file():
            raise NotFoundError(
                f"{path[:200]!r} is not on this gateway's disk any more: cancel the delivery, start anew"
            )

    def read(self, path: str, first: int, last: int) -> Iterator[bytes]:
        """Bytes ``first`` to ``last`` (included) of a file that the manifest names."""
        left = last - first + 1
        with (self._files / path).open("rb") as source:
            source.seek(first)
            while left > 0 and (piece := source.read(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece

    @property
    def _receiving(self) -> Path:
        return self.folder / "receiving"

    @property
    def _files(self) -> Path:
        return self.folder / "files"

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"this delivery has no {name} now") from error


def _is_receipted(folder: Path) -> bool:
    try:
        return PullState.load_from(folder).receipt is not None
    except MalformedError:
        return False
