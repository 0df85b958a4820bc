#!/usr/bin/env python3
"""Compare two checkpoints of a log: the larger extends the smaller, or both are kept as evidence of a fork.

    python scripts/check_consistency.py FIRST SECOND --policy POLICY | --vkey VKEY [--tiles FOLDER|URL] [--fork FILE]
    python scripts/check_consistency.py FORK --policy POLICY | --vkey VKEY

FIRST and SECOND are checkpoints from anywhere: a signed note, a receipt, an evidence file, a log's folder or its URL,
and with --rpc the newest one on chain (chain) or that of a size (chain:SIZE). A signed checkpoint that contradicts the
chain's is kept with the chain's proof, as evidence that the log broke its promise.
One argument alone is evidence of a fork that an earlier run kept, to be checked again.

Exit code 0: consistent, 1: a fork, 2: could not find out, 3: a usage error. Imports nothing but the verifier.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if __package__ in {None, ""}:  # run as a file from a checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.evidence import Policy, build_forked, parse_policy
from ledger.evidence.breach import Breach
from ledger.evidence.delivery import Delivery
from ledger.evidence.evidence import Evidence
from ledger.evidence.fork import Fork, SignedCheckpoint, compare_checkpoints, parse_fork, verify_fork
from ledger.evidence.log_note import find_signer, tell_old_key
from ledger.evidence.opening import open_file
from ledger.evidence.policy import PinnedLog
from ledger.log import Checkpoint, SignedNote, TileReader, TlogProof, VerifierKey
from ledger.log.mirror import Mirror
from scripts.usage import USAGE_ERROR, Parser, UsageError

if TYPE_CHECKING:
    from scripts.chain_checkpoints import ChainCheckpoints, Recorded

__all__ = ["main"]

_CONSISTENT: Final = 0
_FORK: Final = 1
_UNDETERMINED: Final = 2
_WORDS: Final = {_CONSISTENT: "consistent", _FORK: "fork", _UNDETERMINED: "undetermined"}
_CHAIN: Final = "chain"
_FORK_FILE: Final = "fork.json"


@dataclass(frozen=True)
class _Trust:
    """The keys that count, the oldest first, and where they came from a policy that and its log."""

    keys: tuple[VerifierKey, ...]
    policy: Policy | None = None
    log: PinnedLog | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that can not show a character gets it escaped; the program never ends on one.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        code, answer = _check_fork(options) if len(options.checkpoints) == 1 else _compare(options)
    except UsageError as error:
        print(f"check_consistency: {error}", file=sys.stderr)
        return USAGE_ERROR
    except LedgerError as error:
        code, answer = _UNDETERMINED, {"reason": str(error)}
    try:
        _show({"verdict": _WORDS[code], **answer}, as_json=options.json)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader went away; the exit code still counts
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _parser() -> Parser:
    parser = Parser(
        prog="check_consistency",
        description="Prove that the larger of two checkpoints extends the smaller, or keep both as evidence of a fork.",
        epilog="Exit code 0: consistent, 1: a fork, 2: could not find out, 3: usage error.",
    )
    parser.add_argument(
        "checkpoints",
        nargs="+",
        metavar="CHECKPOINT",
        help="two of: note, receipt, evidence, log's folder or URL, chain",
    )
    trust = parser.add_mutually_exclusive_group(required=True)
    trust.add_argument("--policy", type=Path, help="what you trust (docs/spec/policy.md)")
    trust.add_argument("--vkey", action="append", help="the log's verifier key; repeatable, the oldest first")
    parser.add_argument("--tiles", metavar="FOLDER|URL", help="where the log's tiles are; without: as the checkpoints")
    parser.add_argument(
        "--rpc", metavar="URL", help="a node of your choice: chain is then its newest, chain:SIZE another"
    )
    parser.add_argument("--fork", type=Path, default=Path(_FORK_FILE), metavar="FILE", help="where a fork is kept")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _compare(options: argparse.Namespace) -> tuple[int, dict[str, object]]:
    if len(options.checkpoints) != 2:
        raise UsageError("two checkpoints are compared, or one fork is checked")
    notes = [None if _is_on_chain(each) else _read_note(each) for each in options.checkpoints]
    trust = _load_trust(options, [each for each in notes if each is not None])
    keys = trust.keys
    chain = _open_chain(options, trust) if None in notes else None
    recorded: list[Recorded] = []
    pair: list[SignedCheckpoint] = []
    for name, note in zip(options.checkpoints, notes, strict=True):
        if note is None and chain is not None:
            recorded.append(_find_recorded(chain, name))
            pair.append(recorded[-1].unsigned)
        elif note is not None:
            pair.append(SignedCheckpoint.verify(note, keys))
    first, second = pair
    if first.checkpoint.origin != second.checkpoint.origin:
        raise UsageError(f"two logs: {first.checkpoint.origin} and {second.checkpoint.origin}")
    sizes = {name: each.checkpoint.size for name, each in zip(options.checkpoints, pair, strict=True)}
    reader, own = _open_tiles(options, keys, sizes)
    fork = compare_checkpoints(first, second, reader, own)
    smaller, larger = sorted((first.checkpoint, second.checkpoint), key=lambda each: each.size)
    if fork is None:
        return _CONSISTENT, _describe(smaller, larger)
    if fork.smaller and fork.larger:
        smaller, larger = verify_fork(fork, keys)
        kept = fork.to_bytes()
    else:
        kept = _contradict(fork, chain, recorded)
    answer = _describe(smaller, larger) | _found_root(fork) | {"evidence": str(_keep(options.fork, kept))}
    return _judge_fork(fork, keys, answer)


def _is_on_chain(location: str) -> bool:
    return location == _CHAIN or location.startswith(f"{_CHAIN}:")


def _open_chain(options: argparse.Namespace, trust: _Trust) -> ChainCheckpoints:
    if options.rpc is None or trust.policy is None or trust.log is None:
        raise UsageError(f"{_CHAIN} needs --rpc, a node of your choice, and --policy")
    from scripts.chain_checkpoints import ChainCheckpoints  # noqa: PLC0415 - loads what only this way needs

    try:
        return ChainCheckpoints(options.rpc, trust.policy, trust.log)
    except MalformedError as error:
        raise UsageError(str(error)) from error


def _find_recorded(chain: ChainCheckpoints, name: str) -> Recorded:
    size = name.partition(":")[2]
    if name != _CHAIN and not (size.isascii() and size.isdigit()):
        raise UsageError(f"{name}: write {_CHAIN} for the newest checkpoint on chain, or {_CHAIN}:SIZE")
    return chain.find(int(size) if size else None)


def _contradict(fork: Fork, chain: ChainCheckpoints | None, recorded: Sequence[Recorded]) -> bytes:
    """The evidence that a signed checkpoint contradicts the contract's record."""
    if chain is None or len(recorded) != 1:
        raise UnavailableError(
            f"two checkpoints on chain and these tiles contradict each other: compare the tiles' own with {_CHAIN}"
        )
    breach = build_forked(fork.smaller or fork.larger, chain.prove(recorded[0]), root=fork.root, proof=fork.proof)
    return breach.to_bytes()


def _check_fork(options: argparse.Namespace) -> tuple[int, dict[str, object]]:
    (name,) = options.checkpoints
    try:
        fork = parse_fork(_read(Path(name)))
    except MalformedError as error:
        raise UsageError(f"{name} is no evidence of a fork ({error}); to compare, name two checkpoints") from error
    keys = _load_trust(options, [fork.smaller, fork.larger]).keys
    smaller, larger = verify_fork(fork, keys)
    return _judge_fork(fork, keys, _describe(smaller, larger) | _found_root(fork) | {"evidence": name})


def _judge_fork(fork: Fork, keys: Sequence[VerifierKey], answer: dict[str, object]) -> tuple[int, dict[str, object]]:
    """A fork is the log's where its newest key signed; what an older one signed may be somebody else's."""
    notes = [SignedNote.parse(note) for note in (fork.smaller, fork.larger) if note]
    own = {key.key_id for key in keys}
    doubt = tell_old_key({line.key_id for note in notes for line in note.signatures} & own, keys)
    return (_FORK, answer) if doubt is None else (_UNDETERMINED, answer | {"reason": doubt})


def _read_note(location: str) -> bytes:
    """A signed note out of whatever carries one, not verified."""
    path = Path(location)
    if "://" in location or path.is_dir():
        return _open_mirror(location).fetch_checkpoint()
    raw = _read(path)
    try:
        if raw.startswith(b"{"):
            return _read_evidence(raw)
        if raw.startswith(b"c2sp.org/tlog-proof@"):
            return TlogProof.parse(raw).note.to_bytes()
        Checkpoint.parse(SignedNote.parse(raw).text)
    except MalformedError as error:
        raise UsageError(f"{location} holds no checkpoint: {error}") from error
    return raw


def _read_evidence(raw: bytes) -> bytes:
    """The checkpoint of an evidence file: the newest, where it was linked to a later one. Raises: MalformedError."""
    contents = [each.content for each in open_file("evidence", raw)]
    for content in contents:
        if isinstance(content, MalformedError):
            raise content
    notes = [content.log.checkpoint for content in contents if isinstance(content, Evidence) and content.later is None]
    notes += [each.later.checkpoint for each in contents if isinstance(each, Evidence) and each.later is not None]
    for content in contents:
        if isinstance(content, Breach):
            notes += [content.contradiction.checkpoint] if content.contradiction else []
            notes += [TlogProof.parse(content.promise.receipt).note.to_bytes()] if content.promise else []
        elif isinstance(content, Delivery):
            notes += [content.sealing.log.checkpoint, content.receipt.log.checkpoint]
            notes += [content.shown.log.checkpoint] if isinstance(content.shown, Evidence) else []
    if not notes:
        raise MalformedError("evidence of this kind carries none")
    return max(notes, key=lambda note: Checkpoint.parse(SignedNote.parse(note).text).size)


def _load_trust(options: argparse.Namespace, notes: Sequence[bytes]) -> _Trust:
    """The keys that count: those given, or all of the policy's of the log that signed the notes.

    Without a note the policy's only log is meant.
    """
    try:
        if options.vkey is not None:
            return _Trust(tuple(map(VerifierKey.parse, options.vkey)))
        policy = parse_policy(_read(options.policy))
    except MalformedError as error:
        raise UsageError(f"the {'vkey' if options.vkey else 'policy'} is malformed: {error}") from error
    if not notes and len(policy.logs) != 1:
        raise UsageError(f"the policy names {len(policy.logs)} logs: compare with a checkpoint of the one you mean")
    log = find_signer(policy, notes) if notes else policy.logs[0]
    return _Trust(log.keys, policy, log)


def _open_tiles(
    options: argparse.Namespace, keys: Sequence[VerifierKey], sizes: Mapping[str, int]
) -> tuple[TileReader | None, SignedCheckpoint | None]:
    """A reader of the tiles as far as they go, and the checkpoint that they publish, if it is the log's.

    Of two places those with the larger checkpoint count: they alone can show whether it extends the other.
    """
    places = [each for each in sizes if not _is_on_chain(each) and ("://" in each or Path(each).is_dir())]
    location = options.tiles or max(places, key=lambda each: sizes[each], default=None)
    if location is None:
        return None, None
    mirror = _open_mirror(location)
    try:
        own = SignedCheckpoint.verify(mirror.fetch_checkpoint(), keys)
    except UnavailableError:
        raise
    except LedgerError:  # tiles alone, or of who knows whom: what they hash to decides
        return mirror.reader(max(sizes.values())), None
    return mirror.reader(own.checkpoint.size), own


def _open_mirror(location: str) -> Mirror:
    try:
        return Mirror(location)
    except MalformedError as error:
        raise UsageError(str(error)) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can not be read: {error}") from error


def _keep(path: Path, raw: bytes) -> Path:
    """Write the evidence, never over other evidence."""
    number = 1
    target = path
    while target.exists() and target.read_bytes() != raw:
        number += 1
        target = path.with_name(f"{path.stem}-{number}{path.suffix}")
    try:
        target.write_bytes(raw)
    except OSError as error:
        raise UsageError(f"a fork was found and {target} can not be written ({error}): name another --fork") from error
    return target


def _describe(smaller: Checkpoint, larger: Checkpoint) -> dict[str, object]:
    return {
        "origin": smaller.origin,
        "smaller": {"size": smaller.size, "root": _base64(smaller.root)},
        "larger": {"size": larger.size, "root": _base64(larger.root)},
    }


def _found_root(fork: Fork) -> dict[str, object]:
    return {"root_of_larger_at_smaller_size": _base64(fork.root)}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _show(answer: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer, indent=2))
        return
    for name, value in answer.items():
        text = f"size {value['size']} root {value['root']}" if isinstance(value, dict) else str(value)
        print(f"{name}: {_escape(text.upper() if name == 'verdict' else text)}")


def _escape(text: str) -> str:
    """Keep what a file says from driving the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


if __name__ == "__main__":
    sys.exit(main())
