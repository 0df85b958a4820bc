"""Two checkpoints of one log: that the larger tree extends the smaller, or evidence that the log was forked.

The evidence (docs/operating/auditing.md) needs no tiles to be checked again: both signed notes and, where their sizes
differ, the root that the larger tree has at the smaller one's size, with the RFC 9162 consistency proof that shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.errors import UnavailableError, VerificationError
from ledger.evidence.documents import check_format, each_of, expect_members, expect_text
from ledger.log import Checkpoint, SignedNote, TileReader, VerifierKey, verify_checkpoint
from ledger.log.text import format_base64, parse_base64
from ledger.merkle import HASH_SIZE_BYTES, verify_consistency

__all__ = [
    "FORK_FORMAT",
    "Fork",
    "SignedCheckpoint",
    "compare_checkpoints",
    "parse_fork",
    "read_fork",
    "verify_contradiction",
    "verify_fork",
]

FORK_FORMAT: Final = "concord-fork/1"
_MAX_SIZE_BYTES: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint that one of a log's keys signed, and the note that shows it."""

    checkpoint: Checkpoint
    note: bytes

    @classmethod
    def verify(cls, note: bytes, keys: Sequence[VerifierKey]) -> SignedCheckpoint:
        """Read a signed note under the newest of ``keys``, the last, that signed it.

        Raises:
            MalformedError: no note, or no checkpoint in it.
            VerificationError: none of the keys signed it, or it is another log's.
        """
        signed = SignedNote.parse(note)
        lines = {(line.name, line.key_id): line for line in signed.signatures}
        key = next((each for each in reversed(keys) if (each.name, each.key_id) in lines), None)
        if key is None:
            found = ", ".join(sorted(f"{name}+{key_id.hex()}" for name, key_id in lines))
            raise VerificationError(f"none of the log's keys signed the checkpoint, only {found}")
        # Other lines, such as witnesses', are left out: in evidence nothing would bind them.
        own = SignedNote(signed.text, (lines[key.name, key.key_id],)).to_bytes()
        return cls(verify_checkpoint(note, key), own)


@dataclass(frozen=True, slots=True)
class Fork:
    """Two signed checkpoints that no append-only log has both; ``root`` is the larger's at the smaller's size."""

    smaller: bytes
    larger: bytes
    root: bytes
    proof: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """The file that keeps it."""
        return encode_canonical(
            {
                "format": FORK_FORMAT,
                "smaller": self.smaller.decode(),
                "larger": self.larger.decode(),
                "root": format_base64(self.root),
                "proof": [format_base64(each) for each in self.proof],
            }
        )


def parse_fork(raw: bytes) -> Fork:
    """Read the evidence of a fork, strictly; it counts after `verify_fork`. Raises: MalformedError."""
    return read_fork(parse_canonical(raw, max_size_bytes=_MAX_SIZE_BYTES))


def read_fork(value: JsonValue) -> Fork:
    """Read the evidence of a fork from its canonical document. Raises: MalformedError."""
    check_format(value, FORK_FORMAT)
    document = expect_members(value, "a fork", ("format", "smaller", "larger", "root", "proof"))
    return Fork(
        expect_text(document, "smaller").encode(),
        expect_text(document, "larger").encode(),
        parse_base64(expect_text(document, "root"), HASH_SIZE_BYTES),
        each_of(document, "proof", lambda text: parse_base64(text, HASH_SIZE_BYTES)),
    )


def verify_fork(fork: Fork, keys: Sequence[VerifierKey]) -> tuple[Checkpoint, Checkpoint]:
    """Check that the log of ``keys`` signed both checkpoints and that they contradict each other; return both.

    Raises:
        MalformedError: a note or a proof has another form.
        VerificationError: it shows no fork of this log.
    """
    smaller = SignedCheckpoint.verify(fork.smaller, keys).checkpoint
    larger = SignedCheckpoint.verify(fork.larger, keys).checkpoint
    verify_contradiction(fork, smaller, larger)
    return smaller, larger


def verify_contradiction(fork: Fork, smaller: Checkpoint, larger: Checkpoint) -> None:
    """Check that the fork's checkpoints, whoever signed them, contradict each other.

    Raises:
        MalformedError: the proof has another form.
        VerificationError: they do not, or are of two logs.
    """
    _expect_one_log(smaller, larger)
    if not 0 < smaller.size <= larger.size:
        raise VerificationError("no fork: its first checkpoint is not the smaller one, or is empty")
    verify_consistency(smaller.size, larger.size, fork.proof, fork.root, larger.root)
    if fork.root == smaller.root:
        raise VerificationError("no fork: the larger checkpoint extends the smaller one")


def compare_checkpoints(
    first: SignedCheckpoint,
    second: SignedCheckpoint,
    tiles: TileReader | None = None,
    tiles_checkpoint: SignedCheckpoint | None = None,
) -> Fork | None:
    """Prove that the larger checkpoint extends the smaller (None), or return the fork.

    ``tiles`` is believed as far as it hashes to one of the checkpoints, among them ``tiles_checkpoint``, the one it
    publishes itself; a fork may be between that one and one of the two.

    Raises:
        VerificationError: checkpoints of different logs.
        UnavailableError: the tiles are needed and are not there, or hash to none of the checkpoints.
        NotFoundError, FatalError: as the reader.
    """
    smaller, larger = sorted((first, second), key=lambda each: each.checkpoint.size)
    _expect_one_log(smaller.checkpoint, larger.checkpoint)
    if smaller.checkpoint.size == larger.checkpoint.size:
        is_same = smaller.checkpoint.root == larger.checkpoint.root
        return None if is_same else Fork(smaller.note, larger.note, larger.checkpoint.root, ())
    if smaller.checkpoint.size == 0:
        return None
    if tiles is None:
        raise UnavailableError("two checkpoints of different sizes are compared with the log's tiles: name them")
    return _compare_with(tiles, smaller, larger, tiles_checkpoint)


def _compare_with(
    tiles: TileReader, smaller: SignedCheckpoint, larger: SignedCheckpoint, own: SignedCheckpoint | None
) -> Fork | None:
    if own is not None:
        _expect_one_log(own.checkpoint, larger.checkpoint)
    for anchor in (larger, *([own] if own is not None else ())):
        if not _holds(tiles, anchor.checkpoint):
            continue
        for other in (smaller, larger):
            if other.checkpoint.size <= anchor.checkpoint.size and not _holds(tiles, other.checkpoint):
                return _fork(tiles, other, anchor)
        if larger.checkpoint.size <= anchor.checkpoint.size:
            proof = tiles.prove_consistency(smaller.checkpoint.size, larger.checkpoint.size)
            sizes = smaller.checkpoint.size, larger.checkpoint.size
            verify_consistency(*sizes, proof, smaller.checkpoint.root, larger.checkpoint.root)
            return None
    if tiles.size < larger.checkpoint.size:
        raise UnavailableError(
            f"the tiles hold {tiles.size} entries, the larger checkpoint has {larger.checkpoint.size}: name a mirror "
            "that has them"
        )
    raise UnavailableError("the tiles hash to neither checkpoint: name those of the log that signed the larger one")


def _holds(tiles: TileReader, checkpoint: Checkpoint) -> bool:
    return checkpoint.size <= tiles.size and tiles.root(checkpoint.size) == checkpoint.root


def _fork(tiles: TileReader, other: SignedCheckpoint, anchor: SignedCheckpoint) -> Fork:
    sizes = other.checkpoint.size, anchor.checkpoint.size
    return Fork(other.note, anchor.note, tiles.root(sizes[0]), tuple(tiles.prove_consistency(*sizes)))


def _expect_one_log(first: Checkpoint, second: Checkpoint) -> None:
    if first.origin != second.origin:
        raise VerificationError(
            f"two logs, {first.origin} and {second.origin}: nothing compares their checkpoints",
            expected=first.origin,
            found=second.origin,
        )
