"""Rows of the store as the views that read answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.statements import Choice, Custody, Decision, Resource
from ledger.store.rows import (
    AccessRequestRow,
    AgreementRow,
    ApiKeyRow,
    DatasetRow,
    DescendantRow,
    FileRow,
    GrantRow,
    KeyRow,
    MatchRow,
    OriginRow,
    ParticipantRow,
    ProposalRow,
    SettlementRow,
    TermsRow,
    UsageRow,
    VersionRow,
)
from ledger.surface.catalogue import OriginView
from ledger.surface.scopes import Scope
from ledger.surface.terms import dump_quantity, name_rights, purpose_of_policy, read_time, read_unit
from ledger.surface.views import (
    AccessRequestView,
    AgreementView,
    ApiKeyView,
    BallotView,
    DatasetView,
    DescendantView,
    FileView,
    GrantView,
    KeyView,
    MatchView,
    ParticipantView,
    ProposalView,
    SettlementView,
    TermsView,
    UsageView,
    VersionView,
)

__all__ = [
    "present_agreement",
    "present_api_key",
    "present_dataset",
    "present_descendant",
    "present_file",
    "present_grant",
    "present_key",
    "present_match",
    "present_participant",
    "present_proposal",
    "present_request",
    "present_settlement",
    "present_usage",
    "present_version",
]


def _word(member: Decision | Choice | Custody | Resource) -> str:
    return member.name.lower().replace("_", "-")


def _text(document: JsonValue, member: str) -> str | None:
    value = document.get(member) if isinstance(document, dict) else None
    return value if isinstance(value, str) else None


def _name(handle: str | None, slug: str | None) -> str | None:
    return None if handle is None or slug is None else f"{handle}/{slug}"


def present_participant(row: ParticipantRow) -> ParticipantView:
    """A participant or applicant."""
    return ParticipantView(
        id=row.id,
        handle=row.handle,
        name=_text(row.profile, "name"),
        endpoint=_text(row.profile, "endpoint"),
        did=_text(row.profile, "did"),
        status=row.status,
        governor=row.governor,
        control_key=row.control_key,
        profile_version=row.profile_version,
        profile_hash=row.profile_hash,
        admitted_at=row.admitted_at,
    )


def present_key(row: KeyRow, *, here: bool) -> KeyView:
    """A key."""
    return KeyView(row.participant, row.key, row.role, _word(row.custody), row.active_from, row.active_until, here=here)


def present_proposal(row: ProposalRow) -> ProposalView:
    """A proposal with its votes."""
    return ProposalView(
        id=row.id,
        decision=_word(row.decision),
        subject=row.subject,
        subject_handle=row.subject_handle,
        argument=row.argument,
        epoch=row.epoch,
        counter=row.counter,
        state=row.state,
        threshold=row.threshold,
        votes=tuple(BallotView(vote.governor, vote.statement, _word(vote.choice), vote.cast_at) for vote in row.votes),
        opened_at=row.opened_at,
        executed_at=row.decided_at if row.state == "executed" else None,
    )


def present_dataset(row: DatasetRow, now: datetime) -> DatasetView:
    """A dataset, as of ``now``."""
    keywords = row.metadata.get("keywords") if isinstance(row.metadata, dict) else None
    return DatasetView(
        id=row.id,
        provider=row.provider,
        provider_handle=row.provider_handle,
        slug=row.slug,
        latest_version=row.latest_version,
        title=_text(row.metadata, "title"),
        description=_text(row.metadata, "description"),
        licence=_text(row.metadata, "licence"),
        keywords=tuple(str(each) for each in keywords) if isinstance(keywords, list) else (),
        state=row.state,
        retired_at=row.retired_at,
        registered_at=row.registered_at,
        updated_at=row.updated_at,
        origin=None if row.origin is None else _present_origin(row.origin, now),
    )


def _present_origin(row: OriginRow, now: datetime) -> OriginView:
    age_s = max(0, int((now - row.seen_at).total_seconds()))
    return OriginView(row.endpoint, row.seen_at, age_s, row.version)


def present_version(row: VersionRow, *, opened: bool) -> VersionView:
    """A version; ``opened``: with what opens its content hash, for those who may have the data."""
    return VersionView(
        dataset=row.dataset,
        version=row.version,
        registration=row.registration,
        content_hash=row.content_hash,
        content_root=row.content_root if opened else None,
        version_salt=row.version_salt if opened else None,
        metadata=row.metadata,
        file_count=row.file_count or 0,
        size_bytes=row.size_bytes or 0,
        parents=tuple((each.dataset, each.version, each.registration) for each in row.parents),
        in_force="yes" if row.in_force else "pending",
        registered_at=row.registered_at,
        erased=row.erased,
    )


def present_descendant(row: DescendantRow) -> DescendantView:
    """A version that is derived from another."""
    return DescendantView(
        dataset=row.dataset,
        name=_name(row.provider_handle, row.slug),
        version=row.version,
        registration=row.registration,
        in_force="yes" if row.in_force else "pending",
        registered_at=row.stated_at,
        erased=row.erased,
    )


def present_file(row: FileRow) -> FileView:
    """A file of a version."""
    return FileView(row.path, row.size_bytes, row.sha256, row.root, uploaded=row.uploaded_at is not None)


def present_match(row: MatchRow) -> MatchView:
    """A registered file that was asked about."""
    name = _name(row.provider_handle, row.slug)
    return MatchView(row.dataset, name, row.version, row.path, row.registration, row.registered_at)


def _present_terms(row: TermsRow) -> TermsView:
    return TermsView(
        first_version=row.first_version,
        last_version=row.last_version,
        purpose=purpose_of_policy(row.policy, row.purpose),
        purpose_hash=row.purpose,
        rights=name_rights(row.rights),
        valid_from=read_time(row.valid_from),
        valid_until=read_time(row.valid_until),
        policy_hash=row.policy_hash,
        policy=row.policy,
    )


def present_request(row: AccessRequestRow) -> AccessRequestView:
    """A request for access."""
    return AccessRequestView(
        digest=row.digest,
        consumer=row.consumer,
        consumer_handle=row.consumer_handle,
        provider=row.provider,
        provider_handle=row.provider_handle,
        dataset=row.dataset,
        dataset_name=_name(row.provider_handle, row.dataset_slug),
        terms=_present_terms(row.terms),
        state=row.state,
        grant=row.grant,
        denial=row.denial,
        stated_at=row.stated_at,
    )


def present_grant(row: GrantRow) -> GrantView:
    """A grant."""
    return GrantView(
        digest=row.digest,
        provider=row.provider,
        provider_handle=row.provider_handle,
        consumer=row.consumer,
        consumer_handle=row.consumer_handle,
        dataset=row.dataset,
        dataset_name=_name(row.provider_handle, row.dataset_slug),
        terms=_present_terms(row.terms),
        state=row.state,
        request=row.request,
        granted_at=row.granted_at,
        revoked_at=row.revoked_at,
        revocation=row.revocation,
        stated_at=row.stated_at,
    )


def present_agreement(row: AgreementRow) -> AgreementView:
    """An agreement in its present revision."""
    return AgreementView(
        id=row.id,
        proposal=row.proposal,
        revision=row.revision,
        proposer=row.proposer,
        state=row.state,
        parties=row.parties,
        party_handles=row.party_handles,
        accepted_by=row.accepted_by,
        supplier=row.supplier,
        user=row.user,
        resource=_word(row.resource),
        terms=row.terms,
        terms_hash=row.terms_hash,
        valid_from=read_time(row.valid_from),
        valid_until=read_time(row.valid_until),
        unit=read_unit(row.unit),
        decimals=row.decimals,
        quota=dump_quantity(row.quota, row.decimals),
        confirmed=dump_quantity(row.confirmed, row.decimals),
        settled=dump_quantity(row.settled, row.decimals),
        confirmations=row.confirmations,
        settlements=row.settlements,
        proposed_at=row.proposed_at,
    )


def present_usage(row: UsageRow) -> UsageView:
    """A usage report."""
    return UsageView(
        digest=row.digest,
        agreement=row.agreement,
        supplier=row.supplier,
        user=row.user,
        quantity=dump_quantity(row.quantity, row.decimals),
        unit=read_unit(row.unit),
        period_from=read_time(row.period_from),
        period_until=read_time(row.period_until),
        detail=row.detail,
        state=row.state,
        confirmation=row.confirmation,
        dispute=row.dispute,
        reason=_text(row.reason, "reason") if isinstance(row.reason, Mapping) else None,
        stated_at=row.stated_at,
    )


def present_settlement(row: SettlementRow) -> SettlementView:
    """A settlement."""
    return SettlementView(
        digest=row.digest,
        agreement=row.agreement,
        sequence=row.sequence,
        quantity=dump_quantity(row.quantity, row.decimals),
        total=dump_quantity(row.total, row.decimals),
        unit=read_unit(row.unit),
        invoice=row.invoice,
        settled_at=row.settled_at,
    )


def present_api_key(row: ApiKeyRow) -> ApiKeyView:
    """An API key without its secret."""
    return ApiKeyView(
        id=row.id,
        participant=row.participant,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        label=row.label,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
