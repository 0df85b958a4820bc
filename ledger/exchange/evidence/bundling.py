"""Bundles: all evidence about a version of a data set and what it is derived from, as far as the asker may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.errors import ConflictError, NotFoundError
from ledger.exchange.evidence.assembly import EvidenceAssembly
from ledger.exchange.evidence.attesting import Attestations
from ledger.exchange.evidence.events import EventAssembly
from ledger.exchange.evidence.proving import Pins
from ledger.exchange.parts import Parts
from ledger.statements import Statement
from ledger.store.rows import StatementState, VersionRow
from ledger.types import Bytes32

__all__ = ["Bundling"]

_MOST_MEMBERS: Final = 10_000
_PAGE: Final = 200


@dataclass(frozen=True)
class Bundling:
    """Collects a bundle's members for one asker.

    ``may_see`` says whether it may read a statement; ``participant`` is whose grants it may know of, None: everybody's.
    """

    parts: Parts
    statements: EvidenceAssembly
    events: EventAssembly
    attestations: Attestations
    may_see: Callable[[Bytes32], bool]
    participant: Bytes32 | None

    def collect(self, version: VersionRow, pins: Pins, *, with_chunks: bool, with_grants: bool) -> Iterator[bytes]:
        """The evidence of a version's registration, of every ancestor's, and, if asked for, of the version's grants.

        Of a registration whose text the asker may not read there is the contract's event alone, which is public; of
        one that no contract executed, nothing.

        Raises:
            NotFoundError: the asker may see no evidence of the version at all.
            ConflictError: something is not final yet, lies outside the pins, or it is too much for one file.
            UnavailableError: the chain does not answer.
        """
        versions = self._ancestors(version)
        for row in versions:
            member = self._registration(row.registration, pins, with_chunks=with_chunks)
            if member is None and row is version:
                raise NotFoundError("there is no evidence of this version that you may know of")
            if member is not None:
                yield member
        if with_grants:
            yield from self._grants(version, pins)

    def _ancestors(self, version: VersionRow) -> list[VersionRow]:
        found = {version.registration: version}
        waiting = [version]
        while waiting:
            for parent in waiting.pop().parents:
                row = None if parent.registration in found else self._find(parent.registration)
                if row is not None:
                    found[row.registration] = row
                    waiting.append(row)
            if len(found) > _MOST_MEMBERS:
                raise ConflictError(
                    f"it descends from more than {_MOST_MEMBERS} versions: ask for its ancestors' bundles one by one",
                    code="lineage-too-long",
                )
        return list(found.values())

    def _find(self, registration: Bytes32) -> VersionRow | None:
        return self.parts.store.datasets.find_registration(registration)

    def _registration(self, digest: Bytes32, pins: Pins, *, with_chunks: bool) -> bytes | None:
        if self._is_logged(digest) and self.may_see(digest):
            return self.statements.assemble(digest, pins, with_chunks=with_chunks).to_bytes()
        if self.parts.store.chain.find_effect(digest) is None:
            return None
        return self.events.build(self.events.find_place(digest), pins).to_bytes()

    def _is_logged(self, digest: Bytes32) -> bool:
        row = self.parts.store.statements.find(digest)
        return row is not None and row.log_index is not None

    def _grants(self, version: VersionRow, pins: Pins) -> Iterator[bytes]:
        cursor: str | None = None
        while True:
            page = self.parts.store.access.list_grants(
                now=self.parts.now(),
                participant=self.participant,
                dataset=version.dataset,
                limit=_PAGE,
                cursor=cursor,
            )
            for grant in page.items:
                yield from self._grant(grant.digest, pins)
            cursor = page.next
            if cursor is None:
                return

    def _grant(self, digest: Bytes32, pins: Pins) -> Iterator[bytes]:
        row = self.parts.store.statements.find(digest)
        is_logged = self._is_logged(digest)
        if row is not None and is_logged:
            if row.state is not StatementState.FINAL:
                return  # it comes into the next bundle
            yield self.statements.assemble(digest, pins).to_bytes()
        elif self.parts.store.chain.find_effect(digest) is not None:
            yield self.events.build(self.events.find_place(digest), pins).to_bytes()
        try:
            place = self.attestations.place("grant", digest)
        except NotFoundError:
            return
        grant = Statement.parse(row.type, dict(row.message)) if row is not None and is_logged else None
        yield self.events.build(place, pins, find_statement=lambda _: grant).to_bytes()
