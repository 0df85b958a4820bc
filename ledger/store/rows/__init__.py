"""What the store answers with: frozen rows.

Ids are bytes, moments aware UTC datetimes, members of statements stand as they were stated.
"""

from ledger.store.rows.access import AccessRequestRow, GrantRow, RevocationRow, TermsRow
from ledger.store.rows.agreements import AgreementRow, SettlementRow, UsageRow
from ledger.store.rows.catalogue import OfferedRow, OfferRow, OriginRow, PeerRow, RegisteredRow
from ledger.store.rows.chain import (
    BlockHeader,
    ChainEvent,
    CheckpointRow,
    CursorRow,
    EffectRow,
    HistoryRow,
    LogRow,
)
from ledger.store.rows.contents import ContentRow, FileRow, MatchRow, OpeningRow
from ledger.store.rows.datasets import DatasetRow, DescendantRow, ParentRow, VersionRow
from ledger.store.rows.deliveries import DeliveryRow
from ledger.store.rows.documents import DocumentRow, DraftRow
from ledger.store.rows.erasures import ErasureRow
from ledger.store.rows.keys import ApiKeyRow, IdempotencyRow
from ledger.store.rows.outbox import FormerTransaction, OutboxRow, OutboxState, SignedTransaction
from ledger.store.rows.pages import RowPage
from ledger.store.rows.participants import BallotRow, GovernorsRow, KeyRow, ParticipantRow, ProposalRow
from ledger.store.rows.sealings import SealingRow, SealingState
from ledger.store.rows.statements import InForce, NewStatement, StatementRow, StatementState
from ledger.store.rows.transfers import AccessRow, TransferRow

__all__ = [
    "AccessRequestRow",
    "AccessRow",
    "AgreementRow",
    "ApiKeyRow",
    "BallotRow",
    "BlockHeader",
    "ChainEvent",
    "CheckpointRow",
    "ContentRow",
    "CursorRow",
    "DatasetRow",
    "DeliveryRow",
    "DescendantRow",
    "DocumentRow",
    "DraftRow",
    "EffectRow",
    "ErasureRow",
    "FileRow",
    "FormerTransaction",
    "GovernorsRow",
    "GrantRow",
    "HistoryRow",
    "IdempotencyRow",
    "InForce",
    "KeyRow",
    "LogRow",
    "MatchRow",
    "NewStatement",
    "OfferRow",
    "OfferedRow",
    "OpeningRow",
    "OriginRow",
    "OutboxRow",
    "OutboxState",
    "ParentRow",
    "ParticipantRow",
    "PeerRow",
    "ProposalRow",
    "RegisteredRow",
    "RevocationRow",
    "RowPage",
    "SealingRow",
    "SealingState",
    "SettlementRow",
    "SignedTransaction",
    "StatementRow",
    "StatementState",
    "TermsRow",
    "TransferRow",
    "UsageRow",
    "VersionRow",
]
