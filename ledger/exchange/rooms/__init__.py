"""The rooms behind the gateway's door: one for each kind of thing that is asked about."""

from ledger.exchange.rooms.access import Access
from ledger.exchange.rooms.agreements import Agreements
from ledger.exchange.rooms.api_keys import ApiKeys
from ledger.exchange.rooms.datasets import Datasets
from ledger.exchange.rooms.evidence import EvidenceRoom
from ledger.exchange.rooms.participants import Participants
from ledger.exchange.rooms.public_log import PublicLog
from ledger.exchange.rooms.statements import Statements

__all__ = ["Access", "Agreements", "ApiKeys", "Datasets", "EvidenceRoom", "Participants", "PublicLog", "Statements"]
