"""Intents: what a participant wants to state, in its own words; this room turns them into statements.

One frozen dataclass a statement type. Participants are named by id or handle, datasets by id or ``provider/slug``,
versions by ``provider/slug@2``; times are aware UTC, quantities decimals.
"""

from collections.abc import Mapping
from typing import Final

from ledger.exchange.intents.access import (
    AccessDenialIntent,
    AccessGrantIntent,
    AccessRequestIntent,
    AccessRevocationIntent,
)
from ledger.exchange.intents.agreements import (
    AgreementAcceptanceIntent,
    AgreementProposalIntent,
    AgreementRejectionIntent,
    AgreementTerminationIntent,
    SettlementRecordIntent,
    UsageConfirmationIntent,
    UsageDisputeIntent,
    UsageReportIntent,
)
from ledger.exchange.intents.datasets import (
    DatasetRegistrationIntent,
    DatasetRetirementIntent,
    ErasureIntent,
    ParentName,
)
from ledger.exchange.intents.intent import Intent, RawIntent
from ledger.exchange.intents.participants import (
    ControlKeyClaimIntent,
    ControlKeyRotationIntent,
    GovernanceVoteIntent,
    KeyAdditionIntent,
    KeyRevocationIntent,
    ParticipantApplicationIntent,
    ParticipantRetirementIntent,
    ProfileUpdateIntent,
)

__all__ = [
    "INTENTS",
    "AccessDenialIntent",
    "AccessGrantIntent",
    "AccessRequestIntent",
    "AccessRevocationIntent",
    "AgreementAcceptanceIntent",
    "AgreementProposalIntent",
    "AgreementRejectionIntent",
    "AgreementTerminationIntent",
    "ControlKeyClaimIntent",
    "ControlKeyRotationIntent",
    "DatasetRegistrationIntent",
    "DatasetRetirementIntent",
    "ErasureIntent",
    "GovernanceVoteIntent",
    "Intent",
    "KeyAdditionIntent",
    "KeyRevocationIntent",
    "ParentName",
    "ParticipantApplicationIntent",
    "ParticipantRetirementIntent",
    "ProfileUpdateIntent",
    "RawIntent",
    "SettlementRecordIntent",
    "UsageConfirmationIntent",
    "UsageDisputeIntent",
    "UsageReportIntent",
]

INTENTS: Final[Mapping[str, type[Intent]]] = {
    kind.TYPE: kind
    for kind in (
        AccessDenialIntent,
        AccessGrantIntent,
        AccessRequestIntent,
        AccessRevocationIntent,
        AgreementAcceptanceIntent,
        AgreementProposalIntent,
        AgreementRejectionIntent,
        AgreementTerminationIntent,
        ControlKeyClaimIntent,
        ControlKeyRotationIntent,
        DatasetRegistrationIntent,
        DatasetRetirementIntent,
        ErasureIntent,
        GovernanceVoteIntent,
        KeyAdditionIntent,
        KeyRevocationIntent,
        ParticipantApplicationIntent,
        ParticipantRetirementIntent,
        ProfileUpdateIntent,
        SettlementRecordIntent,
        UsageConfirmationIntent,
        UsageDisputeIntent,
        UsageReportIntent,
    )
}
"""The intent of each statement type that has one; the others are given as `RawIntent`."""
