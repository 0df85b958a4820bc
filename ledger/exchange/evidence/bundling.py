"""Bundles: all evidence about a data set up to a version and its ancestors, as far as the asker may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from ledger.errors import ConflictError, NotFoundError
from ledger.exchange.evidence.assembly import EvidenceAssembly
from ledger.exchange.evidence.attesting import Attestations, AttestedPlace
from ledger.exchange.evidence.events import EventAssembly
from ledger.exchange.evidence.proving import Pins
from ledger.exchange.parts import Parts
from ledger.statements import Statement
from ledger.store.rows import StatementState, VersionRow
from ledger.types import Bytes32

__all__ = ["Bundling", "LeftOut"]

_MOST_MEMBERS: Final = 10_000
_MOST_EARLIER: Final = 1_000
_MOST_GRANTS: Final = 20_000
_PAGE: Final = 200
_PASSING: Final = frozenset({"not-final", "outside-range"})

_Versions = dict[Bytes32, VersionRow]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that a bundle lacks, and why in a word: ``outside-range``, ``not-final`` or ``too-many``."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} {self.why}"


@dataclass(frozen=True)
class Bundling:
    """Collects a bundle's members for one asker.

    ``may_see`` says whether it may read a statement; ``participant`` is whose grants it may know of, None: everybody's;
    ``tell`` hears what is left out.
    """

    parts: Parts
    statements: EvidenceAssembly
    events: EventAssembly
    attestations: Attestations
    may_see: Callable[[Bytes32], bool]
    participant: Bytes32 | None
    tell: Callable[[LeftOut], None]

    def collect(self, version: VersionRow, pins: Pins, *, with_chunks: bool, with_grants: bool) -> Iterator[bytes]:
        """The evidence of a version's registration, of the versions before it, of all their ancestors', and of grants.

        Of a registration whose text the asker may not read there is the contract's event alone, which is public; of
        one that no contract executed, nothing. The version and its ancestors must be there; what else is not final
        yet or lies outside the pins is left out.

        Raises:
            NotFoundError: the asker may see no evidence of the version at all.
            ConflictError: the version or an ancestor is not final yet or lies outside the pins, or it is too much for
                one file.
            UnavailableError: the chain does not answer.
        """
        found = self._walk([version], {})
        for row in found.values():
            member = self._registration(row.registration, pins, with_chunks=with_chunks)
            if member is None and row is version:
                raise NotFoundError("there is no evidence of this version that you may know of")
            if member is not None:
                yield member
        earlier = self._walk_earlier(version, found)
        yield from self._earlier_members(earlier, pins, with_chunks=with_chunks)
        if with_grants:
            yield from self._grant_members([*found.values(), *earlier.values()], pins)

    def _earlier_members(self, versions: Iterable[Bytes32], pins: Pins, *, with_chunks: bool) -> Iterator[bytes]:
        for digest in versions:
            build = partial(self._registration, digest, pins, with_chunks=with_chunks)
            member = self._try(f"DatasetRegistration {digest}", build)
            if member is not None:
                yield member

    def _grant_members(self, versions: Iterable[VersionRow], pins: Pins) -> Iterator[bytes]:
        datasets = dict.fromkeys(row.dataset for row in versions)
        digests = (digest for dataset in datasets for digest in self._list_grants(dataset))
        for number, digest in enumerate(digests):
            if number == _MOST_GRANTS:
                raise ConflictError(
                    f"there are more than {_MOST_GRANTS} grants: ask for the bundle without them",
                    code="too-many-grants",
                )
            yield from self._grant(digest, pins)

    def _walk(self, starts: Iterable[VersionRow], known: Mapping[Bytes32, VersionRow]) -> _Versions:
        """The versions and their ancestors, as far as they are not known already."""
        found = {row.registration: row for row in starts if row.registration not in known}
        waiting = list(found.values())
        while waiting:
            for parent in waiting.pop().parents:
                is_new = parent.registration not in found and parent.registration not in known
                row = self._find(parent.registration) if is_new else None
                if row is not None:
                    found[row.registration] = row
                    waiting.append(row)
            if len(found) + len(known) > _MOST_MEMBERS:
                raise ConflictError(
                    f"it descends from more than {_MOST_MEMBERS} versions: ask for its ancestors' bundles one by one",
                    code="lineage-too-long",
                )
        return found

    def _walk_earlier(self, version: VersionRow, known: Mapping[Bytes32, VersionRow]) -> _Versions:
        """The versions before one, the newest first, with their ancestors, as many as find room."""
        rows: list[VersionRow] = []
        cursor: str | None = None
        while True:
            page = self.parts.store.datasets.versions(
                version.dataset, until=version.version, limit=_PAGE, cursor=cursor
            )
            rows += page.items
            cursor = page.next
            if cursor is None or len(rows) > _MOST_EARLIER:
                break
        if len(rows) > _MOST_EARLIER:
            self.tell(LeftOut(f"versions up to {rows[_MOST_EARLIER].version}", "too-many"))
        try:
            return self._walk(rows[:_MOST_EARLIER], known)
        except ConflictError:
            self.tell(LeftOut("earlier versions", "too-many"))
            return {}

    def _find(self, registration: Bytes32) -> VersionRow | None:
        return self.parts.store.datasets.find_registration(registration)

    def _try(self, what: str, build: Callable[[], bytes | None]) -> bytes | None:
        """What ``build`` gives, None and told where it is not final yet or lies outside the pins."""
        try:
            return build()
        except ConflictError as error:
            if error.code not in _PASSING:
                raise
            self.tell(LeftOut(what, error.code))
            return None

    def _registration(self, digest: Bytes32, pins: Pins, *, with_chunks: bool) -> bytes | None:
        if self._is_logged(digest) and self.may_see(digest):
            return self.statements.assemble(digest, pins, with_chunks=with_chunks).to_bytes()
        if self.parts.store.chain.find_effect(digest) is None:
            return None
        return self.events.build(self.events.find_place(digest), pins).to_bytes()

    def _is_logged(self, digest: Bytes32) -> bool:
        row = self.parts.store.statements.find(digest)
        return row is not None and row.log_index is not None

    def _list_grants(self, dataset: Bytes32) -> Iterator[Bytes32]:
        cursor: str | None = None
        while True:
            page = self.parts.store.access.list_grants(
                now=self.parts.now(),
                participant=self.participant,
                dataset=dataset,
                limit=_PAGE,
                cursor=cursor,
            )
            yield from (grant.digest for grant in page.items)
            cursor = page.next
            if cursor is None:
                return

    def _grant(self, digest: Bytes32, pins: Pins) -> Iterator[bytes]:
        row = self.parts.store.statements.find(digest)
        is_logged = self._is_logged(digest)
        if row is not None and is_logged and row.state is not StatementState.FINAL:
            self.tell(LeftOut(f"AccessGrant {digest}", "not-final"))  # it comes into the next bundle
            return
        if (member := self._try(f"AccessGrant {digest}", partial(self._stated_grant, digest, pins))) is not None:
            yield member
        place = self._find_attestation(digest, pins)
        if place is not None:
            grant = Statement.parse(row.type, dict(row.message)) if row is not None and is_logged else None
            yield self.events.build(place, pins, find_statement=lambda _: grant).to_bytes()

    def _stated_grant(self, digest: Bytes32, pins: Pins) -> bytes | None:
        if self._is_logged(digest):
            return self.statements.assemble(digest, pins).to_bytes()
        if self.parts.store.chain.find_effect(digest) is None:
            return None
        return self.events.build(self.events.find_place(digest), pins).to_bytes()

    def _find_attestation(self, digest: Bytes32, pins: Pins) -> AttestedPlace | None:
        """The newest attestation within the pins: one that is newer tells an auditor nothing yet."""
        try:
            place = self.attestations.place("grant", digest)
        except NotFoundError:
            return None
        if pins.hold(place.block):
            return place
        try:
            return self.attestations.place("grant", digest, is_fit=pins.hold)
        except NotFoundError:
            self.tell(LeftOut(f"GrantAttested {digest}", "outside-range"))
            return None
