"""Members, applicants, proposals."""

from __future__ import annotations

from typing import TypeVar

from ledger.errors import NotFoundError
from ledger.exchange.asker import Asker
from ledger.exchange.paging import Paging, present_page
from ledger.exchange.parts import Parts
from ledger.exchange.presenting import present_key, present_participant, present_proposal
from ledger.exchange.profiles import BroughtProfile, keep_profile
from ledger.surface.outcomes import Page, SaltedDocument, Stamped
from ledger.surface.views import KeyView, ParticipantView, ProfileView, ProposalView
from ledger.types import Bytes32

__all__ = ["Participants"]

T = TypeVar("T")


class Participants:
    """`gateway.participants`: known to every bearer of a key."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def list(
        self, _asker: Asker, paging: Paging, *, status: str | None = None, text: str | None = None
    ) -> Page[ParticipantView]:
        """Participants and applicants. Raises: MalformedError: the cursor is of another list."""
        rows = self._parts.store.participants.list(state=status, text=text, limit=paging.limit, cursor=paging.cursor)
        return present_page(rows, present_participant)

    def get(self, _asker: Asker, name: str) -> Stamped[ParticipantView]:
        """A participant or applicant by id or handle. Raises: NotFoundError."""
        with self._parts.store.snapshot():
            return self._stamp(present_participant(self._parts.directory.participant_row(name)))

    def profile(self, _asker: Asker, name: str) -> Stamped[ProfileView]:
        """Its present profile document. Raises: NotFoundError: also when it never came through here."""
        with self._parts.store.snapshot():
            row = self._parts.directory.participant_row(name)
            documents = self._parts.store.documents.find_stated([row.profile_hash], row.id, kind="profile")
            document = documents.get(row.profile_hash)
            if document is None:
                raise NotFoundError(f"the profile of {name} is not kept here: ask its endpoint")
            salted = SaltedDocument(document.hash, document.salt, document.document)
            return self._stamp(ProfileView(row.id, row.profile_version, salted))

    def bring_profile(self, _asker: Asker, name: str, brought: BroughtProfile) -> Stamped[ParticipantView]:
        """Keep the profile of a participant who came through another gateway. Raises: as `keep_profile`."""
        with self._parts.store.snapshot():
            participant = self._parts.directory.participant(name)
        keep_profile(self._parts, str(participant), brought.salt, brought.document)
        return self.get(_asker, str(participant))

    def keys(self, _asker: Asker, name: str) -> Stamped[tuple[KeyView, ...]]:
        """All keys that it has or had. Raises: NotFoundError."""
        with self._parts.store.snapshot():
            participant = self._parts.directory.participant(name)
            held = self._parts.keystore.keys_of(participant)
            rows = self._parts.store.participants.keys(participant)
            return self._stamp(tuple(present_key(row, here=row.key in held) for row in rows))

    def proposals(self, _asker: Asker, paging: Paging, *, state: str | None = None) -> Page[ProposalView]:
        """What governors vote on. Raises: MalformedError: the cursor is of another list."""
        rows = self._parts.store.governance.list(state=state, limit=paging.limit, cursor=paging.cursor)
        return present_page(rows, present_proposal)

    def proposal(self, _asker: Asker, proposal: Bytes32) -> Stamped[ProposalView]:
        """A proposal by its id. Raises: NotFoundError."""
        with self._parts.store.snapshot():
            return self._stamp(present_proposal(self._parts.directory.proposal(proposal)))

    def _stamp(self, value: T) -> Stamped[T]:
        return Stamped(value, self._parts.store.chain.as_of_block())
