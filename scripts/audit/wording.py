"""What each statement says, in a few words for a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ledger.evidence.signing import format_time
from ledger.statements import Choice, Custody, Decision, Resource
from ledger.types import Bytes32
from scripts.audit.grants import name_rights
from scripts.audit.names import Names, brief
from scripts.audit.pieces import Piece

__all__ = ["describe"]

_HASH: Final = re.compile("0x[0-9a-f]{64}")
_Message = Mapping[str, Any]
_Describe = Callable[[_Message, Names, Piece], str]


def describe(piece: Piece, names: Names) -> str:
    """Say in words what a piece states; the empty string where no more is known than its type."""
    if piece.statement is None:
        return _describe_unstated(piece)
    words = _WORDS.get(piece.statement.type.name)
    return words(piece.statement.message, names, piece) if words else ""


def _describe_unstated(piece: Piece) -> str:
    """What stands in evidence that shows no statement."""
    if piece.report.claim is not None:
        return piece.report.claim.sentence
    if piece.report.shown is None:
        return "what stands in it could not be read"
    return ", ".join(f"{name} {_short(value)}" for name, value in piece.report.shown.members.items())


def _short(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return brief(bytes.fromhex(text[2:])) if _HASH.fullmatch(text) else text


def _dataset(names: Names, piece: Piece) -> str:
    return names.dataset(piece.dataset) if piece.dataset else "a data set that the evidence here does not name"


def _registration(message: _Message, names: Names, piece: Piece) -> str:
    parents = [f"{names.dataset(each['dataset'])}@{each['version']}" for each in message["parents"]]
    derived = f", derived from {_list(parents)}" if parents else ""
    return f"{_dataset(names, piece)}, version {message['version']}{derived}"


def _terms(message: _Message, names: Names, piece: Piece) -> str:
    last = message["lastVersion"]
    versions = f"version {message['firstVersion']}" + ("" if last == message["firstVersion"] else f" to {last}")
    if last == 0:
        versions = f"version {message['firstVersion']} and later ones"
    window = f"{format_time(message['validFrom'])} until {format_time(message['validUntil'])}"
    return f"{_dataset(names, piece)}, {versions}: {name_rights(message['rights'])}; {window}"


def _grant(message: _Message, names: Names, piece: Piece) -> str:
    return f"to {names.participant(message['consumer'])}: {_terms(message, names, piece)}"


def _request(message: _Message, names: Names, piece: Piece) -> str:
    return f"of {names.participant(message['provider'])}: {_terms(message, names, piece)}"


def _revocation(message: _Message, names: Names, piece: Piece) -> str:
    return f"the grant {brief(message['grant'])} of {_dataset(names, piece)}"


def _vote(message: _Message, names: Names, _piece: Piece) -> str:
    decision, choice = _word(Decision, message["decision"]), _word(Choice, message["choice"])
    subject = f" {names.participant(message['subject'])}" if any(message["subject"]) else ""
    return f"{choice}: {decision}{subject}"


def _proposal(message: _Message, names: Names, _piece: Piece) -> str:
    parties = _list([names.participant(each) for each in message["parties"]])
    resource = _word(Resource, message["resource"])
    quota = _quantity(message["quota"], message["decimals"], message["unit"])
    window = f"{format_time(message['validFrom'])} until {format_time(message['validUntil'])}"
    return f"{_agreement(message)}, revision {message['revision']}: {resource} between {parties}; {quota}; {window}"


def _quantity(value: int, decimals: int, unit: Bytes32) -> str:
    whole, part = divmod(value, 10**decimals)
    fraction = f".{part:0{decimals}d}".rstrip("0").rstrip(".") if decimals else ""
    return f"up to {whole:,}{fraction} {unit.rstrip(bytes(1)).decode('ascii', errors='backslashreplace')}"


def _agreement(message: _Message) -> str:
    return f"agreement {brief(message['agreement'])}"


def _numbered(message: _Message, _names: Names, _piece: Piece) -> str:
    return f"{_agreement(message)}, number {message['sequence']}, {message['total']:,} units in all"


def _report(message: _Message, _names: Names, _piece: Piece) -> str:
    window = f"{format_time(message['periodFrom'])} until {format_time(message['periodUntil'])}"
    return f"{_agreement(message)}, {message['quantity']:,} units; {window}"


def _word(kind: type[Custody | Decision | Choice | Resource], value: int) -> str:
    try:
        return kind(value).word.replace("-", " ")
    except ValueError:
        return f"number {value}"


def _list(parts: list[str], most: int = 4) -> str:
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")


_WORDS: Final[dict[str, _Describe]] = {
    "ParticipantApplication": lambda message, _names, _piece: (
        f"with a key of {_word(Custody, message['custody'])} custody"
    ),
    "KeyAddition": lambda message, _names, _piece: f"{message['key']}, {_word(Custody, message['custody'])} custody",
    "KeyRevocation": lambda message, _names, _piece: str(message["key"]),
    "ControlKeyRotation": lambda message, _names, _piece: f"to {message['newKey']}",
    "ControlKeyClaim": lambda message, _names, _piece: f"for {message['newKey']}",
    "ProfileUpdate": lambda message, _names, _piece: f"profile version {message['version']}",
    "GovernanceVote": _vote,
    "DatasetRegistration": _registration,
    "DatasetRetirement": lambda _message, names, piece: _dataset(names, piece),
    "AccessGrant": _grant,
    "AccessRevocation": _revocation,
    "AccessRequest": _request,
    "AccessDenial": lambda message, names, piece: (
        f"to {names.participant(message['consumer'])}, about {_dataset(names, piece)}"
    ),
    "AgreementProposal": _proposal,
    "AgreementAcceptance": lambda message, _names, _piece: _agreement(message),
    "AgreementRejection": lambda message, _names, _piece: _agreement(message),
    "AgreementTermination": lambda message, _names, _piece: _agreement(message),
    "UsageReport": _report,
    "UsageDispute": lambda message, _names, _piece: f"{_agreement(message)}, report {brief(message['report'])}",
    "UsageConfirmation": _numbered,
    "SettlementRecord": _numbered,
    "LogOpening": lambda message, _names, _piece: message["origin"],
    "Sealing": lambda message, names, piece: f"{_dataset(names, piece)}, version {message['version']}",
    "TransferReceipt": lambda _message, names, piece: _dataset(names, piece),
    "KeyRelease": lambda message, names, piece: (
        f"to {names.participant(message['consumer'])}, {_dataset(names, piece)}"
    ),
    "Erasure": lambda message, names, piece: f"{_dataset(names, piece)}, version {message['version']}",
}
