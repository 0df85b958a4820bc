"""Who may have the bytes: the contract's word at the final head, and, when it says no, why."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.chain import ParticipantStatus
from ledger.exchange.asker import Asker
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.parts import Parts
from ledger.statements import Right, Statement
from ledger.store.rows import GrantRow, VersionRow
from ledger.types import Bytes32

__all__ = ["Permission", "covers"]


class Permission:
    """Decides over downloads under `AccessGrants.isPermitted`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def check(self, asker: Asker, version: VersionRow, grant: Bytes32 | None = None) -> None:
        """Check that the asker may read a version: as its provider, or under a grant (any that permits, or this one).

        Raises:
            ForbiddenError: ``no-grant``, ``grant-revoked``, ``grant-expired``, ``grant-not-yet-valid``,
                ``participant-suspended``, ``dataset-retired`` or ``right-not-granted``.
            UnavailableError: the chain does not answer.
        """
        if asker.participant == version.provider:
            return
        grants = self._grants(asker, version, grant)
        if not any(self._is_permitted(row, version.version) for row in grants):
            raise self._explain(grants, version)

    def find_permitting(self, asker: Asker, version: VersionRow, grant: Bytes32 | None, number: int) -> GrantRow:
        """The grant (any, or this one) that permits the asker to read a version after block ``number``.

        Raises:
            ForbiddenError: as `check`; a provider has no grant of its own data.
            UnavailableError: the chain does not answer.
        """
        grants = self._grants(asker, version, grant)
        found = next((row for row in grants if self._is_permitted(row, version.version, number)), None)
        if found is None:
            raise self._explain(grants, version)
        return found

    def is_permitted(self, asker: Asker, version: VersionRow) -> bool:
        """Whether `check` would pass; decides what is shown, never what is handed out."""
        if asker.participant == version.provider:
            return True
        return any(self._is_permitted(row, version.version) for row in self._grants(asker, version, None))

    def is_live(self, grant: Bytes32, version: VersionRow) -> bool:
        """Whether a grant permits its consumer to read a version, after the final head."""
        row = self._parts.store.access.find_grant(grant, self._parts.now())
        return row is not None and self._is_permitted(row, version.version)

    def permits_anybody(self, version: VersionRow) -> bool:
        """Whether any grant permits anybody to read a version, after the final head."""
        grants = self._parts.store.access.active_grants(version.dataset, self._parts.now())
        return any(self._is_permitted(row, version.version) for row in grants)

    def _grants(self, asker: Asker, version: VersionRow, grant: Bytes32 | None) -> Sequence[GrantRow]:
        if asker.participant is None:
            return ()
        rows = self._parts.store.access.grants_for(version.dataset, asker.participant, self._parts.now())
        return [row for row in rows if grant is None or row.digest == grant]

    def _is_permitted(self, grant: GrantRow, version: int, at: int | None = None) -> bool:
        """After block ``at``; without, after the final head."""
        row = self._parts.store.statements.find(grant.digest)
        if not grant.terms.valid_from <= int(self._parts.clock()) < grant.terms.valid_until:
            return False
        if row is None:
            return self._is_permitted_as_emitted(grant, version, at)
        statement = Statement.parse(row.type, dict(row.message))
        depth = self._parts.edge.settings.finality_blocks
        number = self._parts.edge.final_head().number if depth and at is None else at
        return self._parts.reader.is_permitted(statement, version, int(Right.READ), number)

    def _is_permitted_as_emitted(self, grant: GrantRow, version: int, at: int | None) -> bool:
        """As `isPermitted` decides, of a grant that was relayed past this gateway: its terms are the event's."""
        reader, number = self._parts.reader, self._parts.edge.final_head().number if at is None else at
        kept = reader.grant_of(grant.provider, grant.digest, number)
        sides = (reader.status_of(each, number) for each in (grant.provider, grant.consumer))
        return (
            kept.granted_at > 0
            and kept.revoked_at == 0
            and covers(grant, version)
            and all(status is ParticipantStatus.ACTIVE for status in sides)
            and reader.retired_at(grant.dataset, number) == 0
        )

    def _explain(self, grants: Sequence[GrantRow], version: VersionRow) -> ForbiddenError:
        if not grants:
            return ForbiddenError(
                "no grant permits this: ask the provider with an access request",
                code="no-grant",
                facts={"dataset": str(version.dataset), "version": version.version},
            )
        code, sentence, facts = self._reason(grants[0], version)
        return ForbiddenError(sentence, code=code, facts={"grant": str(grants[0].digest), **facts})

    def _reason(self, grant: GrantRow, version: VersionRow) -> tuple[str, str, dict[str, object]]:
        if grant.revoked_at is not None:
            facts: dict[str, object] = {
                "block": grant.revoked_block,
                "revoked_at": grant.revoked_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            return (
                "grant-revoked",
                f"the grant was revoked in block {grant.revoked_block}: ask the provider for another",
                facts,
            )
        if grant.retired_at is not None:
            return "dataset-retired", "the dataset was retired: its grants ended", {}
        for participant in (grant.provider, grant.consumer):
            status = self._parts.directory.status_of(participant)
            if status != "active":
                return "participant-suspended", f"a side of the grant is {status}", {"participant": str(participant)}
        return _reason_of_terms(grant, version.version, int(self._parts.clock()))


def _reason_of_terms(grant: GrantRow, version: int, now_s: int) -> tuple[str, str, dict[str, object]]:
    terms = grant.terms
    if terms.valid_until <= now_s:
        return "grant-expired", "the grant's time is over: ask for another", {"valid_until": terms.valid_until}
    if terms.valid_from > now_s:
        return "grant-not-yet-valid", "the grant's time has not begun", {"valid_from": terms.valid_from}
    if not covers(grant, version):
        facts: dict[str, object] = {"version": version, "right": "read"}
        return "right-not-granted", "the grant does not cover reading this version", facts
    return "no-grant", "the grant is not in force yet: try again when it is final", {"state": grant.state}


def covers(grant: GrantRow, version: int) -> bool:
    """Whether a grant's terms are about reading a version of its dataset, whatever became of the grant."""
    terms = grant.terms
    return (
        bool(terms.rights & Right.READ)
        and terms.first_version <= version
        and (terms.last_version == 0 or version <= terms.last_version)
    )
