"""What is received of a transfer, on disk: chunks checked as they arrive, and no plaintext before all is there.

FOLDER/.concord-pull/<registration>/state.json     what is chosen; the transfer's salt, private key, offer and receipt
FOLDER/.concord-pull/<registration>/sealed         the good chunks so far, one after another
FOLDER/.concord-pull/<registration>/described/     what the provider told of the sealing: its chunks' hashes, ...
FOLDER/.concord-pull/<transfer>/state.json         of a transfer that was receipted, and in whose place another began
FOLDER/.concord-pull/<registration>/plain/         files while they are opened; moved when all are, else removed
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn, Self

from ledger.canonical import JsonValue
from ledger.client.choosing import Choice
from ledger.client.flow import ByteProgress
from ledger.content import Manifest
from ledger.content.release import RecipientKey
from ledger.content.sealing import SealingDescriptor
from ledger.content.write_behind import WriteBehind
from ledger.errors import ConflictError, MalformedError, VerificationError
from ledger.keyfiles import replace_private_file
from ledger.merkle import begin_leaf_hash, leaf_hash
from ledger.surface.codec import dump_value, parse_object
from ledger.surface.transfers import TransferView
from ledger.types import Bytes32, parse_hex

__all__ = ["KeptTransfer", "PullState", "SealedIntake", "check_paths", "load_state", "parse_state"]

_FOLDER: Final = ".concord-pull"
_DESCRIBED: Final = "described"
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
    choice: Choice = field(default_factory=Choice)
    offer: TransferView | None = None
    """as it was checked: what is receipted is of this one, whatever the provider says of it later"""

    @classmethod
    def of(cls, target: Path, registration: Bytes32, choice: Choice | None = None) -> Self:
        """The state of an earlier pull of this version into ``target``, or a fresh one.

        Raises:
            ConflictError: the earlier pull is not done, and chose something else (``other-choice``).
            MalformedError: its state.json is damaged.
            OSError: it can not be read.
        """
        kept, wanted = cls.load_from(target / _FOLDER / registration.hex(), choice), choice or Choice()
        if kept.choice != wanted:
            raise ConflictError(
                f"a pull into {target} is not done that chose {kept.choice}: repeat that one first, or take another "
                f"folder. To give it up, with all that it received, remove {kept.folder}",
                code="other-choice",
            )
        return kept

    @classmethod
    def load_from(cls, folder: Path, choice: Choice | None = None) -> Self:
        """The state that a pull keeps in ``folder``, whatever it chose, or a fresh one.

        Raises:
            MalformedError: its state.json is damaged.
            OSError: it can not be read.
        """
        try:
            return cls(folder, *_parse((folder / "state.json").read_bytes()))
        except FileNotFoundError:
            return cls(folder, Bytes32(secrets.token_bytes(32)), RecipientKey.generate(), choice=choice or Choice())
        except MalformedError as error:
            raise MalformedError(
                f"{folder / 'state.json'} of an earlier pull is damaged: {error}. It held the private key of a "
                "transfer, without which what was receipted can not be opened: put a copy of it back. Without one "
                f"remove {folder} and pull again: that begins another transfer"
            ) from error

    @property
    def sealed_file(self) -> Path:
        """The good chunks so far."""
        return self.folder / "sealed"

    @property
    def plain_folder(self) -> Path:
        """Where files are while they are opened."""
        return self.folder / "plain"

    def save(self) -> None:
        """Keep it, durably, for its owner alone. Raises: OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        document = {
            "transfer": None if self.transfer is None else str(self.transfer),
            "provider": None if self.provider is None else str(self.provider),
            "transfer_salt": str(self.salt),
            "private_key": "0x" + self.recipient.private.hex(),
            "receipt": self.receipt,
            "choice": self.choice.to_json(),
            "offer": None if self.offer is None else dump_value(self.offer),
        }
        replace_private_file(self.folder / "state.json", json.dumps(document).encode())

    def renew(self) -> None:
        """Begin anew: another transfer, nothing received. Raises: OSError.

        Of a transfer that was receipted the state is set aside: evidence that its key was withheld is made from it.
        """
        if self.receipt is not None and self.transfer is not None:
            aside = self.folder.parent / self.transfer.hex()
            aside.mkdir(exist_ok=True)
            for path in [each for each in self.folder.iterdir() if each.is_file() and each != self.sealed_file]:
                path.replace(aside / path.name)
        self.salt, self.recipient = Bytes32(secrets.token_bytes(32)), RecipientKey.generate()
        self.transfer, self.receipt, self.offer = None, None, None
        self.sealed_file.unlink(missing_ok=True)
        shutil.rmtree(self.folder / _DESCRIBED, ignore_errors=True)

    def keep(self, name: str, raw: bytes) -> None:
        """Keep a part of what describes the sealing. Raises: OSError."""
        place = self.folder / _DESCRIBED / name
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_suffix(".next")
        aside.write_bytes(raw)
        aside.replace(place)

    def load(self, name: str) -> bytes:
        """A part that was kept. Raises: OSError: it was not."""
        return (self.folder / _DESCRIBED / name).read_bytes()

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
    return parse_state(path.read_bytes(), str(path))


def parse_state(raw: bytes, source: str) -> KeptTransfer:
    """Read a ``state.json``. Raises: MalformedError: none of a transfer that began."""
    _, recipient, transfer, provider, *_ = _parse(raw)
    if transfer is None or provider is None:
        raise MalformedError(f"{source} is of a pull that had not begun a transfer yet")
    return KeptTransfer(transfer, provider, recipient)


def _parse(
    raw: bytes,
) -> tuple[Bytes32, RecipientKey, Bytes32 | None, Bytes32 | None, JsonValue, Choice, TransferView | None]:
    try:
        given = json.loads(raw)
        transfer, provider = (None if given[name] is None else Bytes32.parse(given[name]) for name in _NAMED)
        offer = given.get("offer")
        return (
            Bytes32.parse(given["transfer_salt"]),
            RecipientKey(parse_hex(given["private_key"])),
            transfer,
            provider,
            given["receipt"],
            Choice.parse(given.get("choice")),
            None if offer is None else parse_object(TransferView, offer),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedError("this is no state.json of a pull") from error


@dataclass
class SealedIntake:
    """Takes sealed chunks as they arrive: each is checked against its hash before it is written."""

    path: Path
    descriptor: SealingDescriptor
    leaves: Sequence[bytes]
    progress: ByteProgress | None = None
    runs: Sequence[range] | None = None
    """which of the sealing's chunks are wanted, ascending, as of `runs_of`; None: all"""
    _left: deque[range] = field(default_factory=deque)
    _asked: int = 0
    _size_bytes: int = 0
    _pieces: list[memoryview] = field(default_factory=list)
    """of the next chunk, which are hashed as they come"""
    _held: int = 0

    def __post_init__(self) -> None:
        """Find the good chunks that are there; what follows them is cut off. Raises: OSError."""
        self._forget()
        self._left.extend([range(self.descriptor.chunk_count)] if self.runs is None else self.runs)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._target = self.path.open("a+b")
        self._target.seek(0)
        while not self.is_complete:
            chunk = self._target.read(self._size_of_next())
            if leaf_hash(chunk) != self.leaves[self._left[0][0]]:
                self._asked = len(self._left[0])
                break
            self._count(chunk)
        self._target.truncate(self._size_bytes)
        self._target.seek(self._size_bytes)
        self._behind = WriteBehind(self._target)

    @property
    def size_bytes(self) -> int:
        """How many good bytes are there: whole chunks."""
        return self._size_bytes

    @property
    def is_complete(self) -> bool:
        """Whether every chunk that is wanted is there."""
        return not self._left

    def restart(self) -> tuple[int, int]:
        """Forget a chunk that was cut off; return which bytes of the sealing to fetch next, both included.

        They are those of the chunks that are missing up to the next one that is not wanted.
        """
        self._forget()
        run = self._left[0]
        self._asked = len(run)
        return self.descriptor.chunk_span(run[0])[0], self.descriptor.chunk_span(run[-1])[1]

    def accept(self, piece: bytes) -> None:
        """Take the next of the bytes that ``restart`` named.

        Raises:
            VerificationError: a chunk that is not the sealing's, or more than was asked for; nothing of it is kept.
            OSError: the disk does not take it.
        """
        view = memoryview(piece)
        while view and self._asked:
            missing = self._size_of_next() - self._held
            part, view = view[:missing], view[missing:]
            self._hash.update(part)
            self._pieces.append(part)
            self._held += len(part)
            if len(part) == missing:
                self._take_chunk()
        if view:
            raise VerificationError("the provider sent more than it was asked for")

    def _take_chunk(self) -> None:
        number, found, chunk = self._left[0][0], self._hash.digest(), b"".join(self._pieces)
        self._forget()
        if found != self.leaves[number]:
            raise VerificationError(
                f"sealed chunk {number}, from byte {self.descriptor.chunk_span(number)[0]} on, is not the one of "
                "the sealing: the provider, or something between, changed it",
                expected=self.leaves[number],
                found=found,
            )
        self._behind.write(chunk)
        self._asked -= 1
        self._count(chunk)

    def _forget(self) -> None:
        """Nothing of the next chunk is there."""
        self._pieces.clear()
        self._held, self._hash = 0, begin_leaf_hash()

    def finish(self) -> None:
        """Make what was received last. Raises: OSError."""
        self._behind.finish()

    def close(self) -> None:
        """Let go of the file. Where a sync failed it is removed: what it seems to hold may be in memory alone.

        Raises:
            OSError: the first error of a sync; others.
        """
        try:
            self._behind.close()
            self._target.close()
        finally:
            if self._behind.failure is not None:
                self._remove(self._behind.failure)

    def _remove(self, failure: OSError) -> NoReturn:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise failure from error
        raise failure

    def _size_of_next(self) -> int:
        first, last = self.descriptor.chunk_span(self._left[0][0])
        return last - first + 1

    def _count(self, chunk: bytes) -> None:
        self._left[0] = self._left[0][1:]
        if not self._left[0]:
            self._left.popleft()
        self._size_bytes += len(chunk)
        if self.progress is not None:
            self.progress(len(chunk))


def check_paths(manifest: Manifest) -> None:
    """Check that no file would lie where a pull keeps its own. Raises: MalformedError."""
    if any(entry.path.partition("/")[0].lower() == _FOLDER for entry in manifest.files):
        raise MalformedError(
            f"the version has files in {_FOLDER}, where a pull keeps its own: `concord dataset get` it"
        )
