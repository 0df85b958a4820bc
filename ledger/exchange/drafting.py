"""Preparing statements: an intent becomes a statement, its documents are kept until it is submitted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from ledger.canonical import encode_canonical
from ledger.errors import ConflictError, NotFoundError, RefusedError
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.intents import ControlKeyClaimIntent, Intent
from ledger.exchange.intents.building import build_statement
from ledger.exchange.intents.draft import Draft
from ledger.exchange.parts import Parts
from ledger.exchange.signatures import check_standing
from ledger.statements import STATEMENT_TYPES, Statement
from ledger.store.rows import DocumentRow, DraftRow
from ledger.surface.outcomes import Prepared, SaltedDocument
from ledger.surface.terms import read_time
from ledger.types import Bytes32

__all__ = ["Drafting", "check_custodial", "check_may_state", "document_row"]

_KEPT_FOR: Final = timedelta(hours=24)
_NOBODY: Final = Bytes32(bytes(32))
_LET_BY_CONTRACTS: Final = frozenset({"KeyRelease", "UsageReport", "AccessDenial"})
"""what only a log keeps, unless what is on its way to a contract has ended the right to state it"""
_APPLYING: Final = frozenset({"ParticipantApplication", "ControlKeyClaim"})


class Drafting:
    """Builds statements of intents. ``settle`` waits, for a moment, until nothing is on its way to the chain."""

    def __init__(self, parts: Parts, settle: Callable[[], bool]) -> None:
        self._parts = parts
        self._settle = settle

    def prepare(self, asker: Asker, intent: Intent) -> Prepared:
        """The statement of an intent, ready to be signed; documents are kept for 24 hours.

        Raises:
            ForbiddenError: the asker's key may not state it.
            RefusedError: the participant is not admitted, suspended or retired.
            MalformedError, NotFoundError, ConflictError: as the builders.
        """
        participant = _stating(asker, intent.statement_type)
        draft, statement = self._draft(asker, participant, intent)
        digest = statement.digest(self._parts.domains)
        expires = min(self._parts.now() + _KEPT_FOR, read_time(statement.deadline))
        self._keep(draft, statement, digest)
        return Prepared(
            statement=statement,
            digest=digest,
            typed_data=statement.typed_data(self._parts.domains),
            documents=tuple(draft.documents),
            expires=expires,
            version_salt=None if draft.content is None else draft.content.version_salt,
        )

    def _draft(self, asker: Asker, participant: Bytes32, intent: Intent) -> tuple[Draft, Statement]:
        """A contract meets versions and counters of all that went before: wait for that; a log meets none."""
        kind = STATEMENT_TYPES.get(intent.statement_type)  # the builders refuse what is none
        if kind is not None and kind.function is None and kind.name not in _LET_BY_CONTRACTS:
            try:
                return self._build(asker, participant, intent)
            except (ConflictError, NotFoundError, RefusedError):
                self._settle()  # what it speaks of may be on its way
                return self._build(asker, participant, intent)
        self._settle()
        return self._build(asker, participant, intent)

    def _build(self, asker: Asker, participant: Bytes32, intent: Intent) -> tuple[Draft, Statement]:
        drawer = asker.api_key or str(asker.participant)
        draft = Draft(
            participant,
            self._parts.directory,
            int(self._parts.now().timestamp()),
            lambda: self._parts.keystore.draw_pending(drawer),
        )
        statement = build_statement(draft, intent)
        if not isinstance(intent, ControlKeyClaimIntent):
            check_may_state(asker, statement)
        check_standing(self._parts.directory, statement)
        return draft, statement

    def _keep(self, draft: Draft, statement: Statement, digest: Bytes32) -> None:
        store, now, content = self._parts.store, self._parts.now(), draft.content
        kind = statement.type.name
        with store.transaction():
            store.documents.add([document_row(each, statement, now=now) for each in draft.documents])
            if content is not None:
                store.contents.add(content.manifest, content.chunks, now)
            store.drafts.add(
                DraftRow(
                    digest=digest,
                    type=kind,
                    message=statement.to_json(),
                    documents=tuple(each.hash for each in draft.documents),
                    created_at=now,
                    expires_at=now + _KEPT_FOR,
                    content_root=None if content is None else content.manifest.content_root,
                    version_salt=None if content is None else content.version_salt,
                    notes=draft.notes,
                )
            )


def document_row(document: SaltedDocument, statement: Statement, *, now: datetime) -> DocumentRow:
    kind = next(
        (name.removesuffix("Hash") for name, value in statement.message.items() if value == document.hash), "document"
    )
    return DocumentRow(document.hash, document.salt, encode_canonical(document.document), kind, now)


def _stating(asker: Asker, type_name: str) -> Bytes32:
    """Whose statement it will be; of an application the id follows later."""
    if type_name in _APPLYING:
        if asker.scopes & {Scope.APPLY, Scope.OPERATE, Scope.WRITE}:
            return asker.participant or _NOBODY
        raise ForbiddenError("this key may not file an application: it needs the scope apply", code="missing-scope")
    if asker.participant is None:
        raise ForbiddenError("this key is bound to no participant: it states nothing", code="not-yours")
    if not asker.may(Scope.WRITE):
        raise ForbiddenError("this key may not state anything: it needs the scope write", code="missing-scope")
    return asker.participant


def check_may_state(asker: Asker, statement: Statement) -> None:
    """Check that the asker may bring this statement. Raises: ForbiddenError."""
    participant = _stating(asker, statement.type.name)
    if statement.type.name not in _APPLYING and statement.participant != participant:
        raise ForbiddenError("this key is another participant's", code="not-yours")


def check_custodial(type_name: str) -> None:
    """Check that a signing key signs this type. Raises: ConflictError: a control key does, which no gateway holds."""
    kind = STATEMENT_TYPES.get(type_name)
    if kind is not None and kind.signed_by == "control":
        raise ConflictError(
            f"a {type_name} is signed by the control key, which no gateway holds: prepare it, sign, submit",
            code="control-key-needed",
        )
