"""Names, versions, counters and texts as of what is indexed: what builders and checks look things up in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.errors import MalformedError, NotFoundError
from ledger.statements import Decision, Statement
from ledger.store import Store
from ledger.store.rows import AccessRequestRow, AgreementRow, GrantRow, ParticipantRow, ProposalRow, UsageRow
from ledger.surface.outcomes import SaltedDocument
from ledger.surface.terms import read_unit
from ledger.types import Address, Bytes32

__all__ = ["AgreementRecord", "Ballot", "DatasetRecord", "Directory"]

_ID_LENGTH: Final = 66


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A dataset as builders need it; ``latest_version`` is 0 before the first.

    ``salt`` is its dataset salt, which chain events do not tell: None when no statement with it came through here.
    """

    id: Bytes32
    provider: Bytes32
    salt: Bytes32 | None
    slug: str | None
    latest_version: int
    is_retired: bool


@dataclass(frozen=True, slots=True)
class AgreementRecord:
    """An agreement in its present revision; quantities in units of 10^-decimals."""

    id: Bytes32
    proposal: Bytes32
    revision: int
    state: str
    parties: tuple[Bytes32, ...]
    supplier: Bytes32
    user: Bytes32
    decimals: int
    unit: str
    quota: int
    confirmed: int
    settled: int
    reported: int
    """reports known here that are confirmed or open"""
    confirmations: int
    settlements: int


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a vote is about."""

    decision: Decision
    subject: Bytes32
    argument: Bytes32


class Directory:
    """Every method raises NotFoundError for what is not there, unless it says None."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def participant(self, name: str) -> Bytes32:
        """Id of a participant or applicant by id or handle."""
        return self.participant_row(name).id

    def participant_row(self, name: str) -> ParticipantRow:
        """A participant or applicant by id or handle."""
        participant = parse_id(name)
        people = self._store.participants
        row = people.find_by_handle(name) if participant is None else people.find(participant)
        if row is None:
            raise NotFoundError(f"no participant {name[:80]} is known here")
        return row

    def handle_of(self, participant: Bytes32) -> str | None:
        """A participant's handle, None when no profile of it was seen here."""
        return self._store.names.handle_of(participant)

    def handle_holder(self, handle: str) -> Bytes32 | None:
        """Whose handle it is, None when it is free."""
        return self._store.names.find_participant(handle)

    def status_of(self, participant: Bytes32) -> str | None:
        """applied, active, suspended or retired; None for a stranger."""
        row = self._store.participants.find(participant)
        return None if row is None else row.status

    def control_key_of(self, participant: Bytes32) -> Address | None:
        """Its control key, None for a stranger."""
        row = self._store.participants.find(participant)
        return None if row is None else row.control_key

    def signing_keys_of(self, participant: Bytes32) -> tuple[Address, ...]:
        """Its signing keys that are active now, the newest first: while one is rotated, both are."""
        return tuple(row.key for row in reversed(self._store.participants.active_signing_keys(participant)))

    def profile_version(self, participant: Bytes32) -> int:
        """Number of its present profile."""
        return self.participant_row(str(participant)).profile_version

    def epoch(self) -> int:
        """The governors' epoch."""
        return self._store.governance.governors().epoch

    def counter_of(self, subject: Bytes32) -> int:
        """How many decisions on ``subject`` were executed."""
        return self._store.governance.counter_of(subject)

    def proposal(self, proposal: Bytes32) -> ProposalRow:
        """A proposal by its id."""
        row = self._store.governance.find(proposal)
        if row is None:
            raise NotFoundError(f"there is no proposal {proposal}")
        return row

    def dataset(self, name: str) -> DatasetRecord:
        """A dataset by id or ``provider/slug``."""
        dataset = parse_id(name)
        if dataset is None:
            handle, slash, slug = name.partition("/")
            if not slash:
                raise MalformedError(f"a dataset is named provider/slug or by its id, not {name[:80]!r}")
            row = self._store.datasets.find_by_name(handle, slug)
        else:
            row = self._store.datasets.find(dataset)
        if row is None:
            raise NotFoundError(f"no dataset {name[:140]} is known here")
        return DatasetRecord(
            row.id, row.provider, row.dataset_salt, row.slug, row.latest_version, row.state == "retired"
        )

    def find_dataset(self, provider: Bytes32, slug: str) -> DatasetRecord | None:
        """A provider's dataset by slug, also one whose first registration was refused or is on its way."""
        named = self._store.names.find_dataset(provider, slug)
        if named is None:
            return None
        dataset, salt = named
        row = self._store.datasets.find(dataset)
        if row is None:
            return DatasetRecord(dataset, provider, salt, slug, 0, is_retired=False)
        return DatasetRecord(dataset, provider, salt, slug, row.latest_version, row.state == "retired")

    def name_of(self, dataset: Bytes32) -> str | None:
        """``provider/slug``, None when the names are not known here."""
        named = self._store.names.name_of(dataset)
        offered = self._store.catalogue.name_of(dataset) if named is None else named[:2]
        if offered is None:
            return None
        provider, slug = offered
        handle = self.handle_of(provider)
        return None if handle is None else f"{handle}/{slug}"

    def registration(self, dataset: Bytes32, version: int) -> Bytes32:
        """Digest of a version's registration."""
        row = self._store.datasets.find_version(dataset, version)
        if row is None:
            raise NotFoundError(f"the dataset {self.name_of(dataset) or dataset} has no version {version}")
        return row.registration

    def erasure_of(self, registration: Bytes32) -> Bytes32 | None:
        """Digest of the erasure of a version, None while it is kept."""
        row = self._store.erasures.find(registration)
        return None if row is None else row.statement

    def statement(self, digest: Bytes32, type_name: str) -> Statement:
        """A statement of that type by its digest."""
        row = self._store.statements.find(digest)
        if row is None or row.type != type_name or row.log_index is None:
            raise NotFoundError(f"no {type_name} {digest} is known here")
        return Statement.parse(row.type, dict(row.message))

    def request(self, digest: Bytes32) -> AccessRequestRow:
        """A request for access."""
        row = self._store.access.find_request(digest, self._now())
        if row is None:
            raise NotFoundError(f"no request {digest} is known here")
        return row

    def grant(self, digest: Bytes32) -> GrantRow:
        """A grant."""
        row = self._store.access.find_grant(digest, self._now())
        if row is None:
            raise NotFoundError(f"no grant {digest} is known here")
        return row

    def document(self, document_hash: Bytes32, reader: Bytes32) -> SaltedDocument | None:
        """A kept document that ``reader`` may read."""
        row = self._store.documents.find_stated([document_hash], reader).get(document_hash)
        return None if row is None else SaltedDocument(row.hash, row.salt, row.document)

    def agreement_row(self, agreement: Bytes32) -> AgreementRow:
        """An agreement in its present revision."""
        row = self._store.agreements.find(agreement)
        if row is None:
            raise NotFoundError(f"no agreement {agreement} is known here")
        return row

    def agreement(self, agreement: Bytes32) -> AgreementRecord:
        """An agreement in its present revision, as builders need it."""
        row = self.agreement_row(agreement)
        return AgreementRecord(
            id=row.id,
            proposal=row.proposal,
            revision=row.revision,
            state=row.state,
            parties=row.parties,
            supplier=row.supplier,
            user=row.user,
            decimals=row.decimals,
            unit=read_unit(row.unit),
            quota=row.quota,
            confirmed=row.confirmed,
            settled=row.settled,
            reported=row.reported,
            confirmations=row.confirmations,
            settlements=row.settlements,
        )

    def report(self, digest: Bytes32) -> UsageRow:
        """A usage report."""
        row = self._store.agreements.find_report(digest)
        if row is None:
            raise NotFoundError(f"no usage report {digest} is known here")
        return row


def parse_id(name: str) -> Bytes32 | None:
    """The id that ``name`` spells, None when it is another kind of name."""
    if not name.startswith("0x") or len(name) != _ID_LENGTH:
        return None
    return Bytes32.parse(name)
