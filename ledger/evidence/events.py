"""The contracts' events, decoded by their fixed ABI layout: one table, no ABI library.

Every event that is an effect of a statement has the statement's EIP-712 digest as its first topic after the signature
hash. A test compares the table with the compiled contracts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ledger.errors import MalformedError, VerificationError
from ledger.evidence.receipt import EventLog
from ledger.keccak import keccak256
from ledger.statements import STATEMENT_TYPES, StatementType
from ledger.statements.vocabulary import PARENT, Contract, Field
from ledger.types import Address, Bytes32

__all__ = [
    "EFFECTS",
    "EVENTS",
    "STRUCTS",
    "SUBJECTS",
    "CheckpointPublished",
    "Event",
    "LogKey",
    "expect_event",
    "find_effect",
    "find_event",
    "parse_checkpoint_published",
    "parse_history_extended",
    "parse_log_key",
    "parse_signer",
]

_WORD: Final = 32
_ADDRESS_SIZE: Final = 20


def _tuple_of(fields: Iterable[Field]) -> str:
    return "(" + ",".join(field.type for field in fields) + ")"


@dataclass(frozen=True)
class Event:
    """One event of a contract: the types of its indexed members, then of the others, and where a signer stands.

    ``names`` are the members' in that same order, with spaces between. ``signer_at`` is the word of the data that holds
    the key whose signature the contract checked, if it says.
    """

    contract: Contract
    name: str
    indexed: tuple[str, ...]
    data: tuple[str, ...]
    names: str
    order: tuple[int, ...] = ()
    signer_at: int | None = None

    @cached_property
    def signature(self) -> str:
        """The signature that is hashed: ``LogClosed(bytes32,bytes32,bytes32)``."""
        members = self.indexed + self.data
        ordered = [members[at] for at in self.order] if self.order else members
        return f"{self.name}({','.join(ordered)})"

    @cached_property
    def topic(self) -> Bytes32:
        """The first topic: the signature's hash."""
        return Bytes32(keccak256(self.signature.encode()))


_B: Final = "bytes32"
_PARENT: Final = _tuple_of(PARENT)
_PROPOSAL: Final = _tuple_of(STATEMENT_TYPES["AgreementProposal"].fields)
STRUCTS: Final = {_PARENT: PARENT, _PROPOSAL: STATEMENT_TYPES["AgreementProposal"].fields}
"""The structs within events, by their types."""
_TERMS: Final = ("uint64", "uint64", _B, "uint256", "uint64", "uint64", _B)
_TERM_NAMES: Final = "firstVersion lastVersion purpose rights validFrom validUntil policyHash"
_REGISTRY: Final = "ParticipantRegistry"
_SHARING: Final = "SharingAgreements"
_LOG: Final = "CheckpointLog"
_DATASETS: Final = "DatasetRegistry"
_GRANTS: Final = "AccessGrants"

_ALL: Final = (
    # `kind` stands between two indexed members.
    Event(
        _REGISTRY,
        "HistoryExtended",
        ("uint64", _B),
        ("uint8", _B, _B),
        "index participant kind detail head",
        order=(0, 2, 1, 3, 4),
    ),
    Event(
        _REGISTRY,
        "ApplicationFiled",
        (_B, _B),
        ("address", "address", "uint8", _B),
        "digest participant controlKey signingKey custody profileHash",
    ),
    Event(_REGISTRY, "KeyAdded", (_B, _B, "address"), ("uint8",), "digest participant key custody"),
    Event(_REGISTRY, "KeyRevoked", (_B, _B, "address"), (), "digest participant key"),
    Event(_REGISTRY, "ControlKeyRotated", (_B, _B, "address"), (), "digest participant newKey"),
    Event(_REGISTRY, "ControlKeyClaimed", (_B, _B, "address"), (), "digest participant newKey"),
    Event(_REGISTRY, "ProfileUpdated", (_B, _B), ("uint64", _B), "digest participant version profileHash"),
    Event(_REGISTRY, "ParticipantRetired", (_B, _B), (), "digest participant"),
    Event(
        _REGISTRY,
        "VoteCast",
        (_B, _B, _B),
        ("uint8", _B, "uint8", "uint64", "uint64", "uint64", "uint64"),
        "digest participant subject decision argument choice epoch counter approvals rejections",
    ),
    Event(
        _REGISTRY,
        "DecisionExecuted",
        (_B, _B, "uint8"),
        (_B, "uint64", "uint64"),
        "digest subject decision argument epoch counter",
    ),
    Event(
        _REGISTRY,
        "ProposalRejected",
        (_B, _B, "uint8"),
        (_B, "uint64", "uint64"),
        "digest subject decision argument epoch counter",
    ),
    Event(
        _DATASETS,
        "DatasetRegistered",
        (_B, _B, _B),
        ("address", "uint64", _B, _B, f"{_PARENT}[]"),
        "digest dataset participant signer version contentHash metadataHash parents",
        signer_at=0,
    ),
    Event(_DATASETS, "RegistrationLifted", (_B, _B), ("uint64",), "digest log index"),
    Event(_DATASETS, "DatasetRetired", (_B, _B, _B), ("address",), "digest dataset participant signer", signer_at=0),
    Event(
        _GRANTS,
        "AccessGranted",
        (_B, _B, _B),
        ("address", _B, *_TERMS),
        f"digest participant consumer signer dataset {_TERM_NAMES}",
        signer_at=0,
    ),
    Event(_GRANTS, "AccessRevoked", (_B, _B), ("address", _B), "digest participant signer grant", signer_at=0),
    Event(
        _GRANTS,
        "GrantAttested",
        (_B, _B, _B),
        (_B, *("uint64",) * 5, _B),
        "digest participant consumer dataset validFrom validUntil grantedAt revokedAt retiredAt historyHead",
    ),
    Event(
        _SHARING,
        "AgreementProposed",
        (_B, _B, _B),
        ("address", _PROPOSAL),
        "digest agreement participant signer statement",
        signer_at=0,
    ),
    Event(
        _SHARING,
        "AgreementAccepted",
        (_B, _B, _B),
        ("address", _B),
        "digest agreement participant signer proposal",
        signer_at=0,
    ),
    Event(_SHARING, "AgreementActivated", (_B, _B), ("uint64",), "proposal agreement revision"),
    Event(
        _SHARING,
        "AgreementRejected",
        (_B, _B, _B),
        ("address", _B),
        "digest agreement participant signer proposal",
        signer_at=0,
    ),
    Event(
        _SHARING,
        "AgreementTerminated",
        (_B, _B, _B),
        ("address",),
        "digest agreement participant signer",
        signer_at=0,
    ),
    Event(
        _SHARING,
        "UsageConfirmed",
        (_B, _B, _B),
        ("address", "uint64", _B, "uint256"),
        "digest agreement participant signer sequence report total",
        signer_at=0,
    ),
    Event(
        _SHARING,
        "SettlementRecorded",
        (_B, _B, _B),
        ("address", "uint64", "uint256", _B),
        "digest agreement participant signer sequence total invoiceHash",
        signer_at=0,
    ),
    Event(
        _LOG,
        "LogOpened",
        (_B, _B, _B),
        ("string", "address", _B),
        "digest log participant origin publisher verifierKey",
    ),
    Event(_LOG, "LogRotated", (_B, _B), ("uint64", "address", _B), "digest log counter publisher verifierKey"),
    Event(_LOG, "LogClosed", (_B, _B), (_B,), "digest log successor"),
    Event(
        _LOG,
        "CheckpointPublished",
        (_B,),
        ("uint64", _B, "uint64", "uint64", _B, "uint64", _B),
        "log size root time previousSize previousRoot previousTime historyHead",
    ),
    Event(_LOG, "LogAttested", (_B,), ("uint64", _B, "uint64", _B), "log size root time historyHead"),
)

EVENTS: Final[dict[str, Event]] = {event.name: event for event in _ALL}
"""Every event by name."""

EFFECTS: Final[dict[str, tuple[str, ...]]] = {
    "ParticipantApplication": ("ApplicationFiled",),
    "KeyAddition": ("KeyAdded",),
    "KeyRevocation": ("KeyRevoked",),
    "ControlKeyRotation": ("ControlKeyRotated",),
    "ControlKeyClaim": ("ControlKeyClaimed",),
    "ProfileUpdate": ("ProfileUpdated",),
    "ParticipantRetirement": ("ParticipantRetired",),
    "GovernanceVote": ("VoteCast", "DecisionExecuted", "ProposalRejected"),
    "DatasetRegistration": ("DatasetRegistered",),
    "DatasetRetirement": ("DatasetRetired",),
    "AccessGrant": ("AccessGranted",),
    "AccessRevocation": ("AccessRevoked",),
    "AgreementProposal": ("AgreementProposed", "AgreementActivated"),
    "AgreementAcceptance": ("AgreementAccepted",),
    "AgreementRejection": ("AgreementRejected",),
    "AgreementTermination": ("AgreementTerminated",),
    "UsageConfirmation": ("UsageConfirmed",),
    "SettlementRecord": ("SettlementRecorded",),
    "LogOpening": ("LogOpened",),
    "LogRotation": ("LogRotated",),
    "LogClosing": ("LogClosed",),
}
"""By statement type, the events of its contract that show it took effect. Others may carry the digest and show nothing:
anyone has a grant attested. Types that only logs keep have none."""

SUBJECTS: Final[dict[str, str]] = {
    **{event: type_name for type_name, names in EFFECTS.items() for event in names},
    "GrantAttested": "AccessGrant",
    "RegistrationLifted": "DatasetRegistration",
}
"""By event, the type of the statement whose digest is its first member; the others are about no statement."""


@dataclass(frozen=True, slots=True)
class CheckpointPublished:
    """A checkpoint as `CheckpointLog` recorded it, with the one before; times are UTC seconds."""

    log: Bytes32
    size: int
    root: Bytes32
    time: int
    previous_size: int
    previous_root: Bytes32
    previous_time: int
    history_head: Bytes32


@dataclass(frozen=True, slots=True)
class LogKey:
    """A log's verifier key as `LogOpened` or `LogRotated` says; operator and origin stand in the first alone."""

    log: Bytes32
    public_key: Bytes32
    operator: Bytes32 | None = None
    origin: str | None = None


def parse_checkpoint_published(event: EventLog, contract: Address) -> CheckpointPublished:
    """Decode a `CheckpointPublished` that ``contract`` emitted.

    Raises:
        VerificationError: another contract's event, or another event.
        MalformedError: not of the event's layout.
    """
    expect_event(event, contract, (EVENTS["CheckpointPublished"],))
    size, root, time, previous_size, previous_root, previous_time, head = _words(event.data, 7)
    return CheckpointPublished(
        event.topics[1],
        _uint64(size),
        root,
        _uint64(time),
        _uint64(previous_size),
        previous_root,
        _uint64(previous_time),
        head,
    )


def parse_history_extended(event: EventLog) -> tuple[int, int, Bytes32, Bytes32, Bytes32]:
    """Decode index, kind, participant, detail and head of a `HistoryExtended`. Raises: MalformedError."""
    _expect_topics(event, EVENTS["HistoryExtended"])
    kind, detail, head = _words(event.data, 3)
    return _uint64(event.topics[1]), _uint64(kind), event.topics[2], detail, head


def parse_log_key(event: EventLog) -> LogKey | None:
    """Decode a `LogOpened` or `LogRotated`; None for another event. Raises: MalformedError."""
    if event.topics[:1] == (EVENTS["LogRotated"].topic,):
        _expect_topics(event, EVENTS["LogRotated"])
        return LogKey(event.topics[2], _words(event.data, 3)[2])
    if event.topics[:1] != (EVENTS["LogOpened"].topic,):
        return None
    _expect_topics(event, EVENTS["LogOpened"])
    offset, _, key, length = _words(event.data[: 4 * _WORD], 4)
    size = int.from_bytes(length, "big")
    if int.from_bytes(offset, "big") != 3 * _WORD or len(event.data) != (4 + -(-size // _WORD)) * _WORD:
        raise MalformedError("LogOpened is not of its layout")
    # The operator chose these bytes: what is not UTF-8 is kept as it is, for no name fits it.
    origin = event.data[4 * _WORD : 4 * _WORD + size].decode(errors="surrogateescape")
    return LogKey(event.topics[2], key, event.topics[3], origin)


def find_effect(event: EventLog, contract: Address, statement_type: StatementType, digest: Bytes32) -> Event:
    """Return which event shows that the statement with ``digest`` took effect in ``contract``.

    Raises:
        VerificationError: another contract's event, one that is no effect of this type, or of another statement.
        MalformedError: not of the event's layout.
    """
    effect = expect_event(event, contract, [EVENTS[name] for name in EFFECTS.get(statement_type.name, ())])
    if event.topics[1] != digest:
        raise VerificationError(
            f"{effect.name} is the effect of another statement", expected=str(digest), found=str(event.topics[1])
        )
    return effect


def parse_signer(event: EventLog, effect: Event) -> Address | None:
    """Return the key whose signature the contract checked; None: the event does not say. Raises: MalformedError."""
    if effect.signer_at is None:
        return None
    word = event.data[effect.signer_at * _WORD : (effect.signer_at + 1) * _WORD]
    if len(word) != _WORD or any(word[: _WORD - _ADDRESS_SIZE]):
        raise MalformedError(f"{effect.name} is not of its layout")
    return Address(word[-_ADDRESS_SIZE:])


def find_event(event: EventLog) -> Event | None:
    """Which event of the table this is; None: none of them. Raises: MalformedError: another count of topics."""
    found = next((each for each in _ALL if event.topics[:1] == (each.topic,)), None)
    if found is not None:
        _expect_topics(event, found)
    return found


def expect_event(event: EventLog, contract: Address, expected: Sequence[Event]) -> Event:
    """Return which of ``expected`` this is, emitted by ``contract``.

    Raises:
        VerificationError: another contract's event, or another event.
        MalformedError: another count of topics.
    """
    if event.address != contract:
        raise VerificationError(
            "the event is of another contract than the policy's", expected=str(contract), found=str(event.address)
        )
    for candidate in expected:
        if event.topics[:1] == (candidate.topic,):
            _expect_topics(event, candidate)
            return candidate
    names = " or ".join(candidate.name for candidate in expected) or "none"
    found = next((each.name for each in _ALL if event.topics[:1] == (each.topic,)), "unknown")
    raise VerificationError("the event is another one than belongs here", expected=names, found=found)


def _expect_topics(event: EventLog, expected: Event) -> None:
    if len(event.topics) != 1 + len(expected.indexed):
        raise MalformedError(f"{expected.name} has {len(expected.indexed)} indexed members")


def _words(data: bytes, count: int) -> list[Bytes32]:
    if len(data) != count * _WORD:
        raise MalformedError(f"the event's data have {len(data)} bytes instead of {count * _WORD}")
    return [Bytes32(data[at : at + _WORD]) for at in range(0, len(data), _WORD)]


def _uint64(word: bytes) -> int:
    value = int.from_bytes(word, "big")
    if value >> 64:
        raise MalformedError("an event's number is beyond 64 bits")
    return value
