"""Evidence files read and verified, and what each of them is about."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final, cast

from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.evidence import (
    Breach,
    Delivery,
    EventEvidence,
    Evidence,
    HistoryRecord,
    Outcome,
    Policy,
    Report,
    Verdict,
    Verifier,
    parse_checkpoint_published,
    verify_all,
)
from ledger.evidence.fork import Fork
from ledger.evidence.opening import open_files
from ledger.evidence.proven_event import ProvenEvent
from ledger.log import Checkpoint, SignedNote
from ledger.statements import Statement, compute_dataset_id
from ledger.types import Bytes32

__all__ = ["Anchored", "Piece", "Role", "Source", "find_files", "read_pieces"]

Content = Evidence | EventEvidence | Breach | Fork | Delivery | MalformedError | UnavailableError
"""What stands in a piece of evidence, or the error that says why it can not be read"""

_LAST: Final = 2**64
_ESTABLISHED: Final = frozenset({5, 6, 7, 8, 9})
# Members that name another statement by its digest, whose data set is then this one's.
_FOLLOWED: Final = ("grant", "request")


class Role(Enum):
    """What a piece is to the report."""

    IN_SCOPE = "in scope"
    CONTEXT = "context"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was found."""

    name: str
    raw: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of its bytes in hex."""
        return hashlib.sha256(self.raw).hexdigest()


@dataclass(frozen=True, slots=True)
class Anchored:
    """Where an entry stands, and the checkpoint on chain that first covered it, as far as verified."""

    log: Bytes32
    origin: str
    index: int
    size: int
    root: bytes
    time: int
    block: int
    previous_size: int


@dataclass(frozen=True)
class Piece:
    """One piece of evidence with what the verifier found; a bundle has many."""

    source: Source
    report: Report
    content: Content
    anchored: Anchored | None = None
    dataset: Bytes32 | None = None
    role: Role = Role.IN_SCOPE

    @property
    def statement(self) -> Statement | None:
        """The statement, as far as it could be read."""
        return self.report.statement

    @property
    def kind(self) -> str:
        """The statement's type, or what else it is evidence of."""
        if self.report.shown is not None:
            return f"{self.report.shown.name} (event)"
        if isinstance(self.content, Breach | Fork):
            return "Breach by a log"
        if isinstance(self.content, Delivery):
            return "Key not delivered by a provider"
        return "unreadable" if self.statement is None else self.statement.type.name

    @property
    def states(self) -> str:
        """The type of the statement that it carries, whether as itself or with an event; empty where there is none."""
        return "" if self.statement is None else self.statement.type.name

    @property
    def time(self) -> int | None:
        """The time of the block that it rests on, UTC seconds; None where that was not shown."""
        return self.report.time if self.report.rests_on else None

    @property
    def stands(self) -> bool:
        """Whether nothing in it was refuted."""
        return self.report.verdict is not Verdict.REFUTED

    @property
    def is_breach(self) -> bool:
        """Whether it shows that a log, or who provides data, broke a promise."""
        return isinstance(self.content, Breach | Fork | Delivery) and self.report.verdict is Verdict.VERIFIED

    @property
    def history(self) -> Sequence[HistoryRecord]:
        """The registry's records that it brings, if they were shown to be all there are up to its block."""
        holds = self.report.steps[9].outcome is Outcome.PASS and bool(self.report.rests_on)
        known = self.content.history if isinstance(self.content, Evidence | EventEvidence) else None
        return (known or ()) if holds else ()

    @property
    def order(self) -> tuple[int, int, str]:
        """By time, then by index in the log; what has no time last."""
        index = self.anchored.index if self.anchored else _LAST
        return (_LAST if self.time is None else self.time, index, self.report.source)


def find_files(paths: Sequence[Path], policy: bytes) -> tuple[list[Source], list[str]]:
    """Read the files that are named, and the ``.json`` files of folders that are; return what was left out besides.

    Policies among a folder's files are no evidence.

    Raises:
        NotFoundError: there is no such file.
        OSError: one can not be read.
    """
    sources: dict[Path, Source] = {}
    left_out: list[str] = []
    for path in paths:
        if path.is_dir():
            for found in sorted(path.glob("*.json")):
                source = Source(found.name, found.read_bytes())
                if source.raw == policy or source.raw[:64].startswith(b'{"chain_id":'):
                    left_out.append(f"{found.name} (a policy)")
                else:
                    sources[found.resolve()] = source
        elif path.is_file():
            sources[path.resolve()] = Source(path.name, path.read_bytes())
        else:
            raise NotFoundError(f"there is no {path}")
    return sorted(_named_apart(sources), key=lambda each: (each.name, each.sha256)), left_out


def _named_apart(sources: Mapping[Path, Source]) -> Iterator[Source]:
    """Name files of one name by their folders, too."""
    counts = Counter(each.name for each in sources.values())
    for path, source in sources.items():
        name = source.name if counts[source.name] == 1 else f"{path.parent.name}/{source.name}"
        yield replace(source, name=name)


def read_pieces(policy: Policy, verifier: Verifier, sources: Sequence[Source], data: Path | None) -> tuple[Piece, ...]:
    """Verify all files together, the members of bundles among them, and say what each is about."""
    files = [(each.name, each.raw) for each in sources]
    reports = verify_all(verifier, files, data)
    opened = [
        (source, each.content) for source, file in zip(sources, files, strict=True) for each in open_files([file])
    ]
    statements = {each.digest: each.statement for each in reports if each.digest and each.statement}
    pieces = [
        Piece(
            source,
            report,
            content,
            _find_anchored(policy, content, report),
            _find_dataset(report.statement, statements),
        )
        for (source, content), report in zip(opened, reports, strict=True)
    ]
    return tuple(sorted(pieces, key=lambda each: each.order))


def _find_anchored(policy: Policy, evidence: Content, report: Report) -> Anchored | None:
    passed = {step.number for step in report.steps if step.outcome is Outcome.PASS}
    if not isinstance(evidence, Evidence) or not passed >= _ESTABLISHED:
        return None
    chain = ProvenEvent("anchor", evidence.anchor)
    found = parse_checkpoint_published(chain.event, policy.address_of("CheckpointLog"))
    return Anchored(
        found.log,
        Checkpoint.parse(SignedNote.parse(evidence.log.checkpoint).text).origin,
        evidence.log.index,
        found.size,
        found.root,
        found.time,
        chain.header.number,
        found.previous_size,
    )


def _find_dataset(statement: Statement | None, known: Mapping[Bytes32, Statement]) -> Bytes32 | None:
    """The data set that a statement is about; a revocation's is that of its grant, if that is given."""
    for each in _follow(statement, known):
        if "datasetSalt" in each.message:
            return compute_dataset_id(each.participant, cast(Bytes32, each.message["datasetSalt"]))
        if "dataset" in each.message:
            return cast(Bytes32, each.message["dataset"])
    return None


def _follow(statement: Statement | None, known: Mapping[Bytes32, Statement]) -> Iterator[Statement]:
    while statement is not None:
        yield statement
        named = next((statement.message[name] for name in _FOLLOWED if name in statement.message), None)
        statement = None if named is None else known.get(cast(Bytes32, named))
