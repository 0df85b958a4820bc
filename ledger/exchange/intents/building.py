"""Which builder makes a statement of an intent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ledger.errors import MalformedError
from ledger.exchange.intents import access, agreements, datasets, participants
from ledger.exchange.intents.draft import Draft, draw_salt
from ledger.exchange.intents.intent import Intent, RawIntent
from ledger.statements import Statement

__all__ = ["build_statement"]

Builder = Callable[[Draft, Any], Statement]


def _build_raw(draft: Draft, intent: RawIntent) -> Statement:
    """A statement of JSON members, with what was left out filled in."""
    defaults = {
        "participant": str(draft.participant),
        "deadline": str(draft.now_s + intent.deadline_s),
        "salt": str(draw_salt()),
    }
    return Statement.parse(intent.type_name, {**defaults, **intent.members})


_BUILDERS: Final[Mapping[type[Intent], Builder]] = {
    RawIntent: _build_raw,
    participants.ParticipantApplicationIntent: participants.build_application,
    participants.KeyAdditionIntent: participants.build_key_addition,
    participants.KeyRevocationIntent: participants.build_key_revocation,
    participants.ControlKeyRotationIntent: participants.build_control_key_rotation,
    participants.ControlKeyClaimIntent: participants.build_control_key_claim,
    participants.ProfileUpdateIntent: participants.build_profile_update,
    participants.ParticipantRetirementIntent: participants.build_retirement,
    participants.GovernanceVoteIntent: participants.build_vote,
    datasets.DatasetRegistrationIntent: datasets.build_registration,
    datasets.DatasetRetirementIntent: datasets.build_dataset_retirement,
    datasets.ErasureIntent: datasets.build_erasure,
    access.AccessRequestIntent: access.build_request,
    access.AccessDenialIntent: access.build_denial,
    access.AccessGrantIntent: access.build_grant,
    access.AccessRevocationIntent: access.build_revocation,
    agreements.AgreementProposalIntent: agreements.build_proposal,
    agreements.AgreementAcceptanceIntent: agreements.build_acceptance,
    agreements.AgreementRejectionIntent: agreements.build_rejection,
    agreements.AgreementTerminationIntent: agreements.build_termination,
    agreements.UsageReportIntent: agreements.build_report,
    agreements.UsageConfirmationIntent: agreements.build_confirmation,
    agreements.UsageDisputeIntent: agreements.build_dispute,
    agreements.SettlementRecordIntent: agreements.build_settlement,
}


def build_statement(draft: Draft, intent: Intent) -> Statement:
    """The statement of an intent; ``draft`` then holds its documents.

    Raises:
        MalformedError: the intent's values are not what they must be.
        NotFoundError: it names what is not known here.
        ConflictError: it does not fit the present state.
    """
    builder = _BUILDERS.get(type(intent))
    if builder is None:
        raise MalformedError(f"no statement is made of {type(intent).__name__}")
    return builder(draft, intent)
