"""The exchange: joins chain, store, log, content and evidence into what a gateway does. One door: `Gateway`.

`found` makes a consortium, `join` a further gateway of one; `Gateway.open` runs it. A statement takes one path, whoever
brings it: prepare (an intent becomes a statement with its documents), sign, submit (checked, simulated, logged,
receipted), then workers submit it to its contract, index what the chain says and publish the log's checkpoints.
"""

from ledger.exchange.asker import NOBODY, Asker, Scope
from ledger.exchange.errors import ErasedError, ForbiddenError, NoSuchRangeError
from ledger.exchange.founding import Founded, Founder, FoundingPlan, found
from ledger.exchange.founding_chain import ExistingChain
from ledger.exchange.gateway import Gateway, Paging
from ledger.exchange.intake import Announce
from ledger.exchange.joining import Joined, JoiningPlan, KnownProfile, join
from ledger.exchange.settings import GatewaySettings, Home
from ledger.surface.outcomes import (
    InForce,
    Outcome,
    Page,
    Prepared,
    Refusal,
    SaltedDocument,
    SignedStatement,
    Stamped,
    State,
)

__all__ = [
    "NOBODY",
    "Announce",
    "Asker",
    "ExistingChain",
    "ErasedError",
    "ForbiddenError",
    "Founded",
    "Founder",
    "FoundingPlan",
    "Gateway",
    "GatewaySettings",
    "Home",
    "InForce",
    "Joined",
    "JoiningPlan",
    "KnownProfile",
    "NoSuchRangeError",
    "Outcome",
    "Page",
    "Paging",
    "Prepared",
    "Refusal",
    "SaltedDocument",
    "SignedStatement",
    "Scope",
    "Stamped",
    "State",
    "found",
    "join",
]
