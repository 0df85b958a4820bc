"""Every write, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ledger.chain import Signer
from ledger.errors import ConflictError, NotFoundError
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.drafting import Drafting, check_custodial, check_may_state
from ledger.exchange.evidence import EventProver, EvidenceAssembly, Pin
from ledger.exchange.intake import Announce, Intake
from ledger.exchange.intents import Intent
from ledger.exchange.paging import Paging, present_page
from ledger.exchange.parts import Parts
from ledger.exchange.reporting import describe_outcome
from ledger.exchange.rooms.visibility import party_of, require_party
from ledger.exchange.signatures import find_custodial, sign_statement
from ledger.statements import Statement
from ledger.store.rows import StatementRow, StatementState
from ledger.surface.outcomes import Outcome, Page, Prepared, SaltedDocument, SignedStatement, Stamped, State
from ledger.surface.views import StatementView
from ledger.types import Address, Bytes32

__all__ = ["Statements"]

_LOOK_AGAIN_S: Final = 0.02
_ORDER: Final = tuple(StatementState)


class Statements:
    """`gateway.statements`."""

    def __init__(self, parts: Parts, drafting: Drafting, intake: Intake, prover: EventProver) -> None:
        self._parts = parts
        self._drafting = drafting
        self._intake = intake
        self._prover = prover
        self._evidence = EvidenceAssembly(parts, prover)

    def prepare(self, asker: Asker, intent: Intent) -> Prepared:
        """Build the statement of ``intent``; keeps its documents for 24 h. Raises: as `Drafting.prepare`."""
        return self._drafting.prepare(asker, intent)

    def submit(self, asker: Asker, signed: SignedStatement) -> Outcome:
        """Take a signed statement: same digest, same outcome.

        Raises:
            ForbiddenError: the asker may not bring it.
            Others as `Intake.take`.
        """
        statement = signed.statement
        check_may_state(asker, statement)
        outcome = self._intake.take(
            self._cosigned(signed), api_key=asker.api_key, announce=lambda _: self._adopt(statement)
        )
        self._bind_key(asker, outcome)
        return outcome

    def _bind_key(self, asker: Asker, outcome: Outcome) -> None:
        """A key that may only apply becomes the applicant's, when it is the one that brought the application here.

        Everybody may read an application's text and signatures on chain: to bring them again gives no right.
        """
        is_application = outcome.type == "ParticipantApplication"
        is_applicants = asker.participant is None and asker.may(Scope.APPLY) and not asker.may(Scope.OPERATE)
        if asker.api_key is not None and outcome.api_key == asker.api_key and is_application and is_applicants:
            scopes = frozenset({Scope.APPLY.value, Scope.READ.value, Scope.WRITE.value})
            self._parts.store.api_keys.bind(asker.api_key, outcome.participant, scopes)

    def _cosigned(self, signed: SignedStatement) -> SignedStatement:
        """With the co-signature of a new custodial key, where the gateway drew it."""
        statement = signed.statement
        member = statement.type.cosigned_by
        if member is None or signed.cosignature is not None:
            return signed
        key = statement.message[member]
        signer = self._find_drawn(statement, key) if isinstance(key, Address) else None
        if signer is None:
            return signed
        cosignature = sign_statement(signer, statement, self._parts.domains)
        return SignedStatement(statement, signed.signature, signed.signer, cosignature)

    def _find_drawn(self, statement: Statement, key: Address) -> Signer | None:
        """A key of the participant's, or the one that waits for this statement since it was prepared here."""
        keystore = self._parts.keystore
        signer = keystore.find(statement.participant, key)
        if signer is None and self._parts.store.drafts.find(statement.digest(self._parts.domains)) is not None:
            signer = keystore.find_pending(key)
        return signer

    def _adopt(self, statement: Statement) -> None:
        """The key that the statement brings is its participant's before anybody is told that the log has it."""
        member = statement.type.cosigned_by
        key = None if member is None else statement.message[member]
        if isinstance(key, Address):
            self._parts.keystore.adopt(statement.participant, key)

    def sign_and_submit(
        self, asker: Asker, intent: Intent, announce: Announce | None = None, *, of_transfer: bool = False
    ) -> Outcome:
        """Prepare, sign with the participant's custodial key, submit; ``announce`` is told what enters the log.

        ``of_transfer`` as `Intake.take`.

        Raises:
            ConflictError: the gateway holds no active key of the participant (``no-custodial-key``), or its control
                key signs this type (``control-key-needed``).
            Others as `prepare` and `submit`.
        """
        check_custodial(intent.statement_type)
        parts, statement = self._parts, self._drafting.prepare(asker, intent).statement
        held = find_custodial(parts.directory, parts.keystore, statement.participant)
        if held is None:
            raise ConflictError(
                "the gateway holds no active key of yours: POST /v1/statements:prepare, sign, POST /v1/statements",
                code="no-custodial-key",
            )
        key, signer = held
        signed = SignedStatement(statement, sign_statement(signer, statement, parts.domains), key)
        return self._intake.take(
            signed, custodial=True, api_key=asker.api_key, announce=announce, of_transfer=of_transfer
        )

    def outcome(self, digest: Bytes32) -> Outcome:
        """What became of a statement so far. Asks no permission. Raises: NotFoundError."""
        with self._parts.store.snapshot():
            return describe_outcome(self._parts, self._find(digest))

    def wait(self, digest: Bytes32, state: State = State.FINAL, timeout_s: float = 60.0) -> Outcome:
        """The outcome once ``state`` is reached, or when time is up. Raises: NotFoundError."""
        wanted, end = _ORDER.index(StatementState(state.value)), time.monotonic() + timeout_s
        while _ORDER.index(self._find(digest).state) < wanted and time.monotonic() < end:
            time.sleep(_LOOK_AGAIN_S)
        return self.outcome(digest)

    def get(self, asker: Asker, digest: Bytes32) -> StatementView:
        """A statement with its text and documents. Raises: NotFoundError: none that the asker may know of."""
        with self._parts.store.snapshot():
            return self._present(self._find_visible(asker, digest), asker)

    def list(
        self, asker: Asker, paging: Paging, *, type_name: str | None = None, since: datetime | None = None
    ) -> Page[StatementView]:
        """Statements that the asker signed or that name it; all, for auditors. Raises: MalformedError."""
        with self._parts.store.snapshot():
            rows = self._parts.store.statements.list(
                participant=party_of(asker), type_name=type_name, since=since, limit=paging.limit, cursor=paging.cursor
            )
            return present_page(rows, lambda row: self._present(row, asker))

    def receipt(self, asker: Asker, digest: Bytes32) -> str:
        """The receipt: a C2SP tlog-proof. Raises: NotFoundError."""
        with self._parts.store.snapshot():
            return describe_outcome(self._parts, self._find_visible(asker, digest)).receipt

    def evidence(
        self,
        asker: Asker,
        digest: Bytes32,
        *,
        first: int = 0,
        last: int | None = None,
        pins: Sequence[Pin] = (),
        chunks: bool = True,
        upgrade: bool = False,
    ) -> bytes:
        """Canonical JSON of its evidence, each block under one of ``pins`` (none: the blocks ``first`` to ``last``).

        ``upgrade`` links its checkpoint to the newest one that is anchored within the pins.

        Raises:
            NotFoundError: none that the asker may know of.
            MalformedError: a pin is no range of final blocks.
            Others as `EvidenceAssembly.assemble`.
        """
        self._find_visible(asker, digest)
        opened = self._prover.open_pins(pins or (Pin(first, last),))
        evidence = self._evidence.assemble(digest, opened, with_chunks=chunks)
        return (self._evidence.link_later(evidence, opened) if upgrade else evidence).to_bytes()

    def document(self, asker: Asker, document_hash: Bytes32) -> Stamped[SaltedDocument]:
        """A document by its salted hash. Raises: NotFoundError: none that the asker may know of."""
        documents = self._parts.store.documents
        with self._parts.store.snapshot():
            row = documents.find(document_hash)
            if row is None:
                raise NotFoundError("there is no document that you may know of")
            if not documents.is_public(document_hash):
                require_party(asker, documents.parties(document_hash), "document")
            return Stamped(SaltedDocument(row.hash, row.salt, row.document), self._parts.store.chain.as_of_block())

    def _find(self, digest: Bytes32) -> StatementRow:
        row = self._parts.store.statements.find(digest)
        if row is None or row.log_index is None:
            raise NotFoundError("there is no statement that you may know of")
        return row

    def _find_visible(self, asker: Asker, digest: Bytes32) -> StatementRow:
        row = self._find(digest)
        require_party(asker, self._parts.store.statements.parties(digest), "statement")
        return row

    def _present(self, row: StatementRow, asker: Asker) -> StatementView:
        statement = Statement.parse(row.type, dict(row.message))
        hashes = [value for name, value in statement.message.items() if name.endswith("Hash")]
        found = self._parts.store.documents.find_stated(
            [each for each in hashes if isinstance(each, Bytes32)], row.participant, asker=party_of(asker)
        )
        return StatementView(
            outcome=describe_outcome(self._parts, row),
            message=dict(row.message),
            signer=row.signer,
            signature=row.signature,
            cosignature=row.cosignature,
            documents=tuple(SaltedDocument(each.hash, each.salt, each.document) for each in found.values()),
        )
