"""What read answers are made of. Ids are bytes, times aware UTC, quantities decimals; api gives the JSON form."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ledger.canonical import JsonValue
from ledger.surface.catalogue import OriginView
from ledger.surface.outcomes import Outcome, SaltedDocument
from ledger.surface.scopes import Scope
from ledger.types import Address, Bytes32

__all__ = [
    "AccessRequestView",
    "AgreementView",
    "ApiKeyView",
    "BallotView",
    "ConsortiumView",
    "DatasetView",
    "DescendantView",
    "Download",
    "FileView",
    "GrantView",
    "HealthView",
    "KeyView",
    "LineageView",
    "MatchView",
    "ParticipantView",
    "ProfileView",
    "ProposalView",
    "SettlementView",
    "StatementView",
    "TermsView",
    "UsageView",
    "VerdictView",
    "VersionView",
]


@dataclass(frozen=True, slots=True)
class ParticipantView:
    """A participant, or an applicant (status ``applied``)."""

    id: Bytes32
    handle: str | None
    name: str | None
    endpoint: str | None
    did: str | None
    status: str
    """applied, active, suspended, retired"""
    governor: bool
    control_key: Address
    profile_version: int
    profile_hash: Bytes32
    admitted_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProfileView:
    """A participant's present profile document."""

    participant: Bytes32
    version: int
    document: SaltedDocument


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key of a participant."""

    participant: Bytes32
    key: Address
    role: str
    """signing or control"""
    custody: str
    """own or custodial"""
    active_from: datetime
    active_until: datetime | None
    here: bool
    """whether this gateway's keystore holds it"""


@dataclass(frozen=True, slots=True)
class BallotView:
    """One governor's vote."""

    governor: Bytes32
    statement: Bytes32
    choice: str
    """approve or reject"""
    cast_at: datetime


@dataclass(frozen=True, slots=True)
class ProposalView:
    """What governors vote on; ``id`` is the argument's digest for ADMIT and RECOVER_CONTROL_KEY."""

    id: Bytes32
    decision: str
    """admit, suspend, reinstate, retire, appoint-governor, dismiss-governor, set-threshold, ..."""
    subject: Bytes32
    subject_handle: str | None
    argument: Bytes32
    epoch: int
    counter: int
    state: str
    """open, executed, rejected, lapsed"""
    threshold: int
    votes: tuple[BallotView, ...]
    opened_at: datetime
    executed_at: datetime | None


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of a dataset."""

    dataset: Bytes32
    version: int
    registration: Bytes32
    content_hash: Bytes32
    content_root: Bytes32 | None
    version_salt: Bytes32 | None
    metadata: JsonValue
    file_count: int
    size_bytes: int
    parents: tuple[tuple[Bytes32, int, Bytes32], ...]
    """(dataset, version, registration) of each"""
    in_force: str
    """pending or yes"""
    registered_at: datetime | None
    erased: Bytes32 | None = None
    """its tombstone: digest of the Erasure by which its provider destroyed the data"""


@dataclass(frozen=True, slots=True)
class DescendantView:
    """A version that is derived from another, over whatever many generations."""

    dataset: Bytes32
    name: str | None
    version: int
    registration: Bytes32
    in_force: str
    """pending or yes"""
    registered_at: datetime
    erased: Bytes32 | None


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A dataset with what its latest version says of it; ``origin``: another gateway told of it, else None."""

    id: Bytes32
    provider: Bytes32
    provider_handle: str | None
    slug: str | None
    latest_version: int
    title: str | None
    description: str | None
    licence: str | None
    keywords: tuple[str, ...]
    state: str
    """active or retired"""
    retired_at: datetime | None
    registered_at: datetime | None
    updated_at: datetime | None
    origin: OriginView | None = None


@dataclass(frozen=True, slots=True)
class LineageView:
    """A version and, parent by parent, what it is derived from; ``more``: its parents stand elsewhere in the tree."""

    dataset: Bytes32
    name: str | None
    version: int
    registration: Bytes32
    parents: tuple[LineageView, ...]
    more: bool = False
    erased: Bytes32 | None = None


@dataclass(frozen=True, slots=True)
class FileView:
    """A file of a manifest and whether its bytes are here."""

    path: str
    size_bytes: int
    sha256: Bytes32
    root: Bytes32
    uploaded: bool


@dataclass(frozen=True, slots=True)
class Download:
    """Bytes of a file: ``first`` to ``last`` (included) of ``size_bytes``, checked chunk by chunk as they are read."""

    file: FileView
    first: int
    last: int
    pieces: AsyncIterator[bytes]
    as_of_block: int


@dataclass(frozen=True, slots=True)
class TermsView:
    """The terms of a request or grant."""

    first_version: int
    last_version: int
    purpose: str | None
    """the purpose's IRI, where the policy tells it"""
    purpose_hash: Bytes32
    rights: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime
    policy_hash: Bytes32
    policy: JsonValue


@dataclass(frozen=True, slots=True)
class AccessRequestView:
    """A request for access."""

    digest: Bytes32
    consumer: Bytes32
    consumer_handle: str | None
    provider: Bytes32
    provider_handle: str | None
    dataset: Bytes32
    dataset_name: str | None
    terms: TermsView
    state: str
    """open, granted, denied, expired"""
    grant: Bytes32 | None
    denial: Bytes32 | None
    stated_at: datetime


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant."""

    digest: Bytes32
    provider: Bytes32
    provider_handle: str | None
    consumer: Bytes32
    consumer_handle: str | None
    dataset: Bytes32
    dataset_name: str | None
    terms: TermsView
    state: str
    """pending, active, revoked, expired, retired, refused"""
    request: Bytes32 | None
    granted_at: datetime | None
    revoked_at: datetime | None
    revocation: Bytes32 | None
    stated_at: datetime


@dataclass(frozen=True, slots=True)
class AgreementView:
    """An agreement in its present revision."""

    id: Bytes32
    proposal: Bytes32
    revision: int
    proposer: Bytes32
    state: str
    """proposed, active, rejected, terminated"""
    parties: tuple[Bytes32, ...]
    party_handles: tuple[str | None, ...]
    accepted_by: tuple[Bytes32, ...]
    supplier: Bytes32
    user: Bytes32
    resource: str
    terms: JsonValue
    terms_hash: Bytes32
    valid_from: datetime
    valid_until: datetime
    unit: str
    decimals: int
    quota: Decimal
    confirmed: Decimal
    settled: Decimal
    confirmations: int
    settlements: int
    proposed_at: datetime | None


@dataclass(frozen=True, slots=True)
class UsageView:
    """A usage report."""

    digest: Bytes32
    agreement: Bytes32
    supplier: Bytes32
    user: Bytes32
    quantity: Decimal
    unit: str
    period_from: datetime
    period_until: datetime
    detail: JsonValue
    state: str
    """reported, confirmed, disputed"""
    confirmation: Bytes32 | None
    dispute: Bytes32 | None
    reason: str | None
    stated_at: datetime


@dataclass(frozen=True, slots=True)
class SettlementView:
    """A settlement record."""

    digest: Bytes32
    agreement: Bytes32
    sequence: int
    quantity: Decimal
    total: Decimal
    unit: str
    invoice: JsonValue
    settled_at: datetime


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement as its signer, the parties it names and auditors may read it."""

    outcome: Outcome
    message: dict[str, JsonValue]
    signer: Address
    signature: bytes
    cosignature: bytes | None
    documents: tuple[SaltedDocument, ...]


@dataclass(frozen=True, slots=True)
class MatchView:
    """A registered file with the bytes that were asked about."""

    dataset: Bytes32
    name: str | None
    version: int
    path: str
    registration: Bytes32
    registered_at: datetime | None


@dataclass(frozen=True, slots=True)
class VerdictView:
    """Whether bytes are registered: verified, refuted or undetermined, with a sentence."""

    verdict: str
    sentence: str
    matches: tuple[MatchView, ...]


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    """An API key without its secret."""

    id: str
    participant: Bytes32 | None
    scopes: frozenset[Scope]
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConsortiumView:
    """What joiners and auditors import: ``consortium.json``."""

    document: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class HealthView:
    """Whether the gateway can do its work; ``reasons`` name what is wrong, worker by worker.

    ``writes``: this process takes statements; false where several share a database and another one does. ``writer`` is
    that one's name, or its own; None where there is one process, or nobody writes.

    A number that could not be read is None, never 0: ``head`` and ``final`` while the chain does not answer,
    ``indexed``, ``anchored_size`` and ``outbox_depth`` while the database does not.
    """

    ready: bool
    reasons: Mapping[str, str]
    head: int | None
    final: int | None
    indexed: int | None
    log_size: int | None
    anchored_size: int | None
    outbox_depth: int | None
    writes: bool = True
    writer: str | None = None
