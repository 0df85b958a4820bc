"""Short names for participants and data sets: what a reader can keep apart where ids have 64 digits.

Names out of metadata are their signers' own words. Every participant has a number in the report besides, so that two
who call themselves the same are told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from ledger.errors import NotFoundError
from ledger.evidence import Evidence
from ledger.types import Bytes32
from scripts.audit.pieces import Piece

__all__ = ["Names", "brief"]


def brief(raw: bytes) -> str:
    """The beginning and the end of an id or hash: ``0x1234abcd…89ef``."""
    digits = raw.hex()
    return f"0x{digits}" if len(digits) <= 16 else f"0x{digits[:8]}…{digits[-4:]}"


@dataclass(frozen=True)
class Names:
    """Numbers and self-declared names."""

    numbers: dict[Bytes32, int]
    handles: dict[Bytes32, str]
    slugs: dict[Bytes32, tuple[str, str]]
    titles: dict[Bytes32, str]

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Names:
        """Number participants as they first appear; take names from registrations that were not refuted."""
        numbers: dict[Bytes32, int] = {}
        handles: dict[Bytes32, str] = {}
        slugs: dict[Bytes32, tuple[str, str]] = {}
        titles: dict[Bytes32, str] = {}
        for piece in pieces:
            for participant in _participants(piece):
                numbers.setdefault(participant, len(numbers) + 1)
            if piece.stands and piece.statement and piece.dataset and piece.report.dataset:
                handle, slug = piece.report.dataset[0], piece.report.dataset[1].rpartition("@")[0]
                slugs[piece.dataset] = handle, slug
                handles[piece.statement.participant] = handle
                titles[piece.dataset] = _title(piece) or titles.get(piece.dataset, "")
        return cls(numbers, handles, slugs, titles)

    def short(self, participant: Bytes32) -> str:
        """A participant by its number: ``P3``."""
        return f"P{self.numbers[participant]}" if participant in self.numbers else brief(participant)

    def participant(self, participant: Bytes32) -> str:
        """A participant by number and, where it said one, name: ``P3 utility``."""
        handle = self.handles.get(participant)
        return self.short(participant) + (f" {handle}" if handle else "")

    def dataset(self, dataset: Bytes32) -> str:
        """A data set by its name, if its registration says one: ``utility/power``."""
        return "/".join(self.slugs[dataset]) if dataset in self.slugs else brief(dataset)

    def find_dataset(self, name: str) -> Bytes32:
        """The data set of an id or of ``provider/slug``. Raises: NotFoundError: none, or more than one."""
        if name.startswith("0x"):
            return Bytes32.parse(name)
        found = sorted(dataset for dataset, names in self.slugs.items() if "/".join(names) == name)
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(map(str, found))
            raise NotFoundError(f"{len(found)} data sets call themselves {name}: name one by its id ({ids})")
        raise NotFoundError(
            f"no evidence here registers a data set {name}: name it by its id, or give its registration"
        )


def _title(piece: Piece) -> str:
    content = piece.content.content if isinstance(piece.content, Evidence) else None
    title = content.metadata.document.get("title") if content and content.metadata else None
    return title if isinstance(title, str) else ""


def _participants(piece: Piece) -> Iterable[Bytes32]:
    if piece.statement is None:
        return
    for field in piece.statement.type.fields:
        if field.party:
            value = piece.statement.message[field.name]
            for each in value if isinstance(value, tuple) else (value,):
                if any(cast(Bytes32, each)):
                    yield cast(Bytes32, each)
