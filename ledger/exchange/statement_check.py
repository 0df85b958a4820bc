"""Stored statements checked again: the entry that each makes, and whose signature it bears."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.checking import Checked, LineChecker
from ledger.errors import LedgerError, MalformedError
from ledger.statements import Domains, Entry, Statement, UnknownStatementTypeError, compute_dataset_id, verify_signature
from ledger.statements.vocabulary import STATEMENT_TYPES
from ledger.store.scanning import ScannedStatement
from ledger.types import Address, Bytes32

__all__ = ["FoundStatement", "StatementCheck"]

_REGISTRATION: Final = "DatasetRegistration"
# Whoever signs these need not be anybody's key yet.
_SELF_PROVING: Final = frozenset({"ParticipantApplication", "ControlKeyClaim"})
_MOST_KEPT: Final = 10_000
_MOST_BRACKETS: Final = 4_096
"""No statement has nearly as many; what nests deeper than the stack would end the process."""

Key = tuple[str, Address]
"""A role (signing, control) and an address"""


@dataclass(frozen=True, slots=True)
class FoundStatement:
    """What a stored statement makes: ``entry`` is None where it can not be read.

    ``wrong`` says what is wrong with its signature, or (``kind``) as what it is stored. ``registered`` are dataset,
    version and content hash of a registration.
    """

    entry: bytes | None
    wrong: str | None = None
    registered: tuple[bytes, int, bytes] | None = None
    kind: str = "signature"


class StatementCheck:
    """Checks statements of one consortium; ``keys_of`` gives every key that a participant ever had on chain."""

    def __init__(self, domains: Domains, keys_of: Callable[[Bytes32], frozenset[Key]]) -> None:
        self._domains = domains
        self._lines = LineChecker(domains)
        self._keys_of = keys_of
        self._known: dict[Bytes32, frozenset[Key]] = {}
        self.signatures = 0
        """How many signatures were recovered, and are of the key that is stored with them"""
        self.by_contract = 0
        """How many are left to the contract that executed or refused the statement (ERC-1271)"""

    def check(self, row: ScannedStatement) -> FoundStatement:
        """Compute entry and signer of one statement again; raises nothing, whatever is stored."""
        found = self._check_quickly(row) or self._check_slowly(row)
        if found.entry is None or found.wrong is not None:
            return found
        if Entry.of(row.digest, row.participant, row.signature).to_bytes() != found.entry:
            wrong = (
                f"it is stored as {row.digest} of {row.participant}, and its text makes another digest or participant"
            )
            return FoundStatement(found.entry, wrong, found.registered, kind="statement")
        if row.type in _SELF_PROVING:
            return found
        keys = self._keys(row.participant)
        statement_type = STATEMENT_TYPES.get(row.type)
        if keys and statement_type is not None and (statement_type.signed_by, row.signer) not in keys:
            wrong = f"{row.signer} never was a {statement_type.signed_by} key of {row.participant} on chain"
            return FoundStatement(found.entry, wrong, found.registered)
        return found

    def _check_quickly(self, row: ScannedStatement) -> FoundStatement | None:
        """As the bulk path does it; None: it is no statement of the usual form."""
        statement_type = STATEMENT_TYPES.get(row.type)
        if statement_type is None or row.executable or row.cosignature is not None:
            return None
        head = f'{{"type":"{row.type}","message":{row.message},'
        line = f'{head}"signature":"0x{row.signature.hex()}","signer":"{row.signer}"}}'
        (record,) = self._lines.check([line.encode(errors="replace")])  # what UTF-8 has not is no statement's
        if not isinstance(record, Checked) or record.message != row.message or record.signature != row.signature:
            return None
        self.signatures += 1
        said = record.registered
        return FoundStatement(
            record.entry, registered=None if said is None else (said.dataset, said.version, said.content_hash)
        )

    def _check_slowly(self, row: ScannedStatement) -> FoundStatement:
        if row.message.count("[") + row.message.count("{") > _MOST_BRACKETS:
            return FoundStatement(None)
        try:
            statement = Statement.parse(row.type, json.loads(row.message))
        except UnknownStatementTypeError:
            entry = Entry.of(row.digest, row.participant, row.signature).to_bytes()
            wrong = f"this version knows no type {row.type!r}, and can not check its text"
            return FoundStatement(entry, wrong, kind="statement")
        except (MalformedError, ValueError, RecursionError):
            return FoundStatement(None)
        digest = statement.digest(self._domains)
        return FoundStatement(
            Entry.of(digest, statement.participant, row.signature).to_bytes(),
            self._check_signatures(row, statement, digest),
            _registered(statement),
        )

    def _check_signatures(self, row: ScannedStatement, statement: Statement, digest: Bytes32) -> str | None:
        message: Any = statement.message
        try:
            verify_signature(digest, row.signature, row.signer)
            self.signatures += 1
        except LedgerError as error:
            if not row.executable:
                return str(error)
            # It may be a contract's, which only that contract can check; a changed text shows by its entry.
            self.by_contract += digest == row.digest
        member = statement.type.cosigned_by
        try:
            if member is not None:
                verify_signature(digest, row.cosignature or b"", message[member])
        except LedgerError as error:
            return f"co-signature: {error}"
        return None

    def _keys(self, participant: Bytes32) -> frozenset[Key]:
        found = self._known.get(participant)
        if found is None:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            found = self._known[participant] = self._keys_of(participant)
        return found


def _registered(statement: Statement) -> tuple[bytes, int, bytes] | None:
    if statement.type.name != _REGISTRATION:
        return None
    message: Any = statement.message
    dataset = compute_dataset_id(statement.participant, message["datasetSalt"])
    return dataset, message["version"], message["contentHash"]
