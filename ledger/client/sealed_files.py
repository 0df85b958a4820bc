"""What is received of a transfer, on disk: chunks checked as they arrive, and no plaintext before all is there.

FOLDER/.concord-pull/<registration>/state.json     the transfer's salt, private key and receipt, for its owner alone
FOLDER/.concord-pull/<registration>/sealed         the good chunks so far, one stream
FOLDER/.concord-pull/<registration>/plain/         files while they are opened; moved when all are, else removed
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from ledger.canonical import JsonValue
from ledger.client.flow import ByteProgress
from ledger.content import ChunkIndex, Manifest
from ledger.content.release import RecipientKey
from ledger.content.sealing import SealingDescriptor, SealingKey
from ledger.content.sealing_files import FileOpener, open_chunks
from ledger.errors import MalformedError, VerificationError
from ledger.merkle import leaf_hash
from ledger.types import Bytes32, parse_hex

__all__ = ["KeptTransfer", "PullState", "SealedIntake", "check_paths", "load_state", "open_files"]

_FOLDER: Final = ".concord-pull"
_NAMED: Final = ("transfer", "provider")


@dataclass
class PullState:
    """What a pull goes on from after it was interrupted."""

    folder: Path
    salt: Bytes32
    recipient: RecipientKey
    transfer: Bytes32 | None = None
    provider: Bytes32 | None = None
    receipt: JsonValue = None
    """as it was sent: the same is sent again"""

    @classmethod
    def of(cls, target: Path, registration: Bytes32) -> Self:
        """The state of an earlier pull of this version into ``target``, or a fresh one. Raises: OSError."""
        folder = target / _FOLDER / registration.hex()
        try:
            return cls(folder, *_parse((folder / "state.json").read_bytes()))
        except (FileNotFoundError, MalformedError):
            return cls(folder, Bytes32(secrets.token_bytes(32)), RecipientKey.generate())

    def save(self) -> None:
        """Keep it, durably, for its owner alone. Raises: OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        document = {
            "transfer": None if self.transfer is None else str(self.transfer),
            "provider": None if self.provider is None else str(self.provider),
            "transfer_salt": str(self.salt),
            "private_key": "0x" + self.recipient.private.hex(),
            "receipt": self.receipt,
        }
        aside = self.folder / "state.next"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(json.dumps(document).encode())
            target.flush()
            os.fsync(target.fileno())
        aside.replace(self.folder / "state.json")

    def renew(self) -> None:
        """Begin anew: another transfer, nothing received."""
        self.salt, self.recipient = Bytes32(secrets.token_bytes(32)), RecipientKey.generate()
        self.transfer, self.receipt = None, None
        (self.folder / "sealed").unlink(missing_ok=True)

    def drop(self) -> None:
        """Forget it: all that was received is in its place."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()


@dataclass(frozen=True)
class KeptTransfer:
    """What an unfinished pull left of a transfer."""

    transfer: Bytes32
    provider: Bytes32
    recipient: RecipientKey = field(repr=False)


def load_state(path: Path) -> KeptTransfer:
    """What a pull left in its ``state.json``. Raises: MalformedError: none of a transfer that began; OSError."""
    _, recipient, transfer, provider, _ = _parse(path.read_bytes())
    if transfer is None or provider is None:
        raise MalformedError(f"{path} is of a pull that had not begun a transfer yet")
    return KeptTransfer(transfer, provider, recipient)


def _parse(raw: bytes) -> tuple[Bytes32, RecipientKey, Bytes32 | None, Bytes32 | None, JsonValue]:
    try:
        given = json.loads(raw)
        transfer, provider = (None if given[name] is None else Bytes32.parse(given[name]) for name in _NAMED)
        return (
            Bytes32.parse(given["transfer_salt"]),
            RecipientKey(parse_hex(given["private_key"])),
            transfer,
            provider,
            given["receipt"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedError("this is no state.json of a pull") from error


@dataclass
class SealedIntake:
    """Takes the sealed stream piece by piece: every chunk is checked against its hash before it is written."""

    path: Path
    descriptor: SealingDescriptor
    leaves: Sequence[bytes]
    progress: ByteProgress | None = None
    _sizes: list[int] = field(default_factory=list)
    _next: int = 0
    _size_bytes: int = 0
    _buffer: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        """Find the good chunks that are there; what follows them is cut off. Raises: OSError."""
        for file in self.descriptor.files:
            spans = (file.chunk_span(index) for index in range(file.chunk_count))
            self._sizes.extend(last - first + 1 for first, last in spans)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._target = self.path.open("a+b")
        self._target.seek(0)
        while self._next < len(self._sizes):
            chunk = self._target.read(self._sizes[self._next])
            if leaf_hash(chunk) != self.leaves[self._next]:
                break
            self._count(chunk)
        self._target.truncate(self._size_bytes)
        self._target.seek(self._size_bytes)

    @property
    def size_bytes(self) -> int:
        """How many good bytes are there: whole chunks."""
        return self._size_bytes

    @property
    def is_complete(self) -> bool:
        """Whether every chunk is there."""
        return self._next == len(self._sizes)

    def restart(self) -> None:
        """Forget a chunk that was cut off: the stream goes on at ``size_bytes``."""
        self._buffer.clear()

    def accept(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            VerificationError: a chunk that is not the sealing's, or more than there is; nothing of it is kept.
            OSError: the disk does not take it.
        """
        self._buffer += piece
        while not self.is_complete and len(self._buffer) >= self._sizes[self._next]:
            chunk = bytes(self._buffer[: self._sizes[self._next]])
            if leaf_hash(chunk) != self.leaves[self._next]:
                raise VerificationError(
                    f"sealed chunk {self._next}, from byte {self._size_bytes} on, is not the one of the sealing: "
                    "the provider, or something between, changed it",
                    expected=self.leaves[self._next],
                    found=leaf_hash(chunk),
                )
            self._target.write(chunk)
            del self._buffer[: len(chunk)]
            self._count(chunk)
        if self.is_complete and self._buffer:
            raise VerificationError("the provider sent more than the sealing has")

    def finish(self) -> None:
        """Make what was received last. Raises: OSError."""
        self._target.flush()
        os.fsync(self._target.fileno())

    def close(self) -> None:
        """Let go of the file. Raises: OSError."""
        self._target.close()

    def _count(self, chunk: bytes) -> None:
        self._next += 1
        self._size_bytes += len(chunk)
        if self.progress is not None:
            self.progress(len(chunk))


def check_paths(manifest: Manifest) -> None:
    """Check that no file would lie where a pull keeps its own. Raises: MalformedError."""
    if any(entry.path.partition("/")[0].lower() == _FOLDER for entry in manifest.files):
        raise MalformedError(
            f"the version has files in {_FOLDER}, where a pull keeps its own: `concord dataset get` it"
        )


def open_files(
    state: PullState,
    target: Path,
    key: SealingKey,
    manifest: Manifest,
    chunks: ChunkIndex | None,
    sealed: SealingDescriptor,
) -> None:
    """Open all files, check each against the manifest, then move them into ``target``; none stays where one fails.

    Raises:
        VerificationError: a chunk does not open, or a file is not the manifest's.
        OSError: the disk does not take it.
    """
    plain = state.folder / "plain"
    shutil.rmtree(plain, ignore_errors=True)
    try:
        with (state.folder / "sealed").open("rb") as source:
            for position, entry in enumerate(manifest.files):
                place = plain / entry.path
                place.parent.mkdir(parents=True, exist_ok=True)
                source.seek(sealed.first_bytes[position])
                read = _read_chunks(source.read, sealed, position)
                hashes = None if chunks is None else chunks[entry.path]
                with place.open("xb") as opened:
                    for chunk in open_chunks(FileOpener(key, entry), read, hashes):
                        opened.write(chunk)
                    opened.flush()
                    os.fsync(opened.fileno())
        for entry in manifest.files:
            place = target / entry.path
            place.parent.mkdir(parents=True, exist_ok=True)
            (plain / entry.path).replace(place)
    finally:
        shutil.rmtree(plain, ignore_errors=True)


def _read_chunks(read: Callable[[int], bytes], sealed: SealingDescriptor, position: int) -> Iterator[bytes]:
    file = sealed.files[position]
    for index in range(file.chunk_count):
        first, last = file.chunk_span(index)
        yield read(last - first + 1)
