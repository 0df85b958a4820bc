"""Participants, keys, governors, proposals."""

from __future__ import annotations

from ledger.statements import Decision
from ledger.store.rows import GovernorsRow, KeyRow, ParticipantRow, ProposalRow, RowPage
from ledger.types import Address, Bytes32

__all__ = ["Governance", "Participants"]


class Participants:
    """Who belongs, and by which keys it speaks."""

    def find(self, participant: Bytes32) -> ParticipantRow | None:
        """A participant or applicant."""
        raise NotImplementedError

    def find_by_handle(self, handle: str) -> ParticipantRow | None:
        """A participant or applicant by its handle."""
        raise NotImplementedError

    def find_by_key(self, key: Address) -> ParticipantRow | None:
        """Whom an address serves or served, as signing or control key."""
        raise NotImplementedError

    def list(
        self, *, state: str | None = None, text: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> RowPage[ParticipantRow]:
        """Participants and applicants by state (applied, active, suspended, retired) and by text in handle or profile.

        Raises:
            MalformedError: the cursor is not one of this list with these filters.
        """
        raise NotImplementedError

    def keys(self, participant: Bytes32) -> tuple[KeyRow, ...]:
        """All keys it has or had, the oldest first. Empty for an applicant."""
        raise NotImplementedError

    def active_signing_keys(self, participant: Bytes32) -> tuple[KeyRow, ...]:
        """Its signing keys that are active now."""
        raise NotImplementedError


class Governance:
    """Who governs, and what is voted on."""

    def governors(self) -> GovernorsRow:
        """Epoch, threshold and governors now. Before the founding: epoch 0, nobody."""
        raise NotImplementedError

    def counter_of(self, subject: Bytes32) -> int:
        """The subject's counter, which a vote must name."""
        raise NotImplementedError

    def find(self, proposal: Bytes32) -> ProposalRow | None:
        """A proposal by its id."""
        raise NotImplementedError

    def find_open(self, decision: Decision, subject: Bytes32, argument: Bytes32) -> ProposalRow | None:
        """The open proposal on this, if there is one."""
        raise NotImplementedError

    def list(self, *, state: str | None = None, limit: int = 50, cursor: str | None = None) -> RowPage[ProposalRow]:
        """Proposals by state (open, executed, rejected, lapsed), the newest first.

        Raises:
            MalformedError: the cursor is not one of this list with these filters.
        """
        raise NotImplementedError
