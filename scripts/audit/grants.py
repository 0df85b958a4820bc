"""Grants over time: their window, and what ended or masked them, as far as the evidence tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ledger.evidence import HistoryRecord
from ledger.statements import HistoryKind, Right
from ledger.types import Bytes32
from scripts.audit.pieces import Piece, Role
from scripts.audit.scope import Period

__all__ = ["Grant", "Span", "list_grants", "name_rights"]

Span = tuple[int, int | None]
"""From a moment to before another, in UTC seconds; None: it had not ended at the end of what is known."""


@dataclass(frozen=True)
class Grant:
    """One grant; times in UTC seconds, None where nothing shows one.

    ``granted_at`` is when it took effect on chain, ``said_at`` when the log had it at the latest. ``masked`` are the
    times at which provider or consumer was suspended.
    """

    piece: Piece
    is_in_scope: bool
    provider: Bytes32
    consumer: Bytes32
    dataset: Bytes32
    versions: str
    rights: str
    valid_from: int
    valid_until: int
    granted_at: int | None
    said_at: int | None
    revoked_at: int | None
    revocation_said_at: int | None
    retired_at: int | None
    masked: tuple[Span, ...]

    @property
    def begins(self) -> int:
        """The first moment at which it can have permitted anything."""
        return max(self.valid_from, self.granted_at or 0)

    @property
    def ends(self) -> int:
        """The moment from which it permits nothing any more."""
        return max(self.begins, min(filter(None, (self.valid_until, self.revoked_at, self.retired_at))))

    @property
    def state(self) -> str:
        """What ended it, in a word or two."""
        if not self.piece.stands:
            return "refuted"
        if self.granted_at is None:
            return "said, not shown in force"
        if self.revoked_at is not None:
            return "revoked"
        if self.retired_at is not None:
            return "data set retired"
        return "revocation said, not shown in force" if self.revocation_said_at is not None else "granted"


def name_rights(mask: int) -> str:
    """The rights of a mask in words, those without a name by their bits: ``read, derive``."""
    names = [right.name.lower() for right in Right if mask & right and right.name]
    other = mask & ~sum(Right)
    return ", ".join([*names, *([f"{other:#x}"] if other else [])]) or "none"


def list_grants(pieces: Sequence[Piece], period: Period) -> tuple[Grant, ...]:
    """Every grant that is in scope, or that a period touches, in the order of their windows."""
    history: Sequence[HistoryRecord] = max((each.history for each in pieces), key=len, default=())
    found: dict[Bytes32 | None, list[Piece]] = {}
    for piece in pieces:
        if piece.states == "AccessGrant" and piece.dataset:
            found.setdefault(piece.report.digest, []).append(piece)
    grants = [_read(own, pieces, history) for own in found.values()]
    shown = [each for each in grants if each.is_in_scope or _touches(each, period)]
    return tuple(sorted(shown, key=lambda each: (each.dataset, each.valid_from, each.piece.order)))


def _touches(grant: Grant, period: Period) -> bool:
    if not period:
        return False
    return grant.begins < (period.end or grant.begins + 1) and grant.ends > (period.first or 0)


def _read(own: Sequence[Piece], pieces: Sequence[Piece], history: Sequence[HistoryRecord]) -> Grant:
    """Bring together what the evidence of one grant, and of what ended it, shows."""
    standing = [each for each in own if each.stands]
    piece = (standing or own)[0]
    statement, digest = piece.statement, piece.report.digest
    if statement is None or piece.dataset is None:
        raise ValueError("a grant has a statement and a data set")
    provider, consumer = statement.participant, cast(Bytes32, statement.message["consumer"])
    message = {name: cast(int, value) for name, value in statement.message.items()}
    slots = [each.report.attestation for each in standing if each.report.attestation is not None]
    ending = [each for each in pieces if each.stands and each.statement and each.statement.participant == provider]
    revocations = [
        each for each in ending if each.states == "AccessRevocation" and _message(each).get("grant") == digest
    ]
    retirements = [each for each in ending if each.states == "DatasetRetirement" and each.dataset == piece.dataset]
    last = "on" if message["lastVersion"] == 0 else f"to {message['lastVersion']}"
    return Grant(
        piece=piece,
        is_in_scope=any(each.role is Role.IN_SCOPE for each in own),
        provider=provider,
        consumer=consumer,
        dataset=piece.dataset,
        versions=f"{message['firstVersion']} {last}",
        rights=name_rights(message["rights"]),
        valid_from=message["validFrom"],
        valid_until=message["validUntil"],
        granted_at=_first([*_effects(standing, "AccessGranted"), *(each.granted_at for each in slots)]),
        said_at=_first([each.time for each in standing]),
        revoked_at=_first([*_effects(revocations, "AccessRevoked"), *(each.revoked_at for each in slots)]),
        revocation_said_at=_first([each.time for each in revocations]),
        retired_at=_first([*_effects(retirements, "DatasetRetired"), *(each.retired_at for each in slots)]),
        masked=tuple(_suspensions(history, {provider, consumer})),
    )


def _message(piece: Piece) -> Mapping[str, object]:
    return {} if piece.statement is None else piece.statement.message


def _effects(pieces: Sequence[Piece], event: str) -> Iterator[int]:
    """When the contract executed what the pieces state, as far as that is shown."""
    for piece in pieces:
        if piece.report.in_force is not None and piece.report.in_force.event == event and piece.report.rests_on:
            yield piece.report.in_force.time


def _first(times: Iterable[int | None]) -> int | None:
    """The earliest; zero and None are no times."""
    return min(filter(None, times), default=None)


def _suspensions(history: Sequence[HistoryRecord], parties: set[Bytes32]) -> Iterator[Span]:
    """When a party was not Active, which masks its grants."""
    for party in sorted(parties):
        since: int | None = None
        for record in history:
            if record.participant != party:
                continue
            if record.kind in {HistoryKind.SUSPENDED, HistoryKind.RETIRED} and since is None:
                since = record.time
            elif record.kind == HistoryKind.REINSTATED and since is not None:
                yield since, record.time
                since = None
        if since is not None:
            yield since, None
