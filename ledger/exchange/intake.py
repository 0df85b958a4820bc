"""The one path of every statement: checked, simulated, logged, receipted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.chain import SignedStatement as ExecutableStatement
from ledger.chain import encode_statement
from ledger.errors import MalformedError, RefusedError
from ledger.exchange.log_writer import LogWriter
from ledger.exchange.parts import Parts
from ledger.exchange.reporting import find_outcome
from ledger.exchange.rules import check_route, check_rules, contended_by
from ledger.exchange.signatures import check_authentic, check_signatures, check_standing
from ledger.exchange.tracing import traces
from ledger.exchange.turns import Turns
from ledger.statements import Entry, Statement, compute_dataset_id, verify_signature
from ledger.store.rows import NewStatement
from ledger.surface.outcomes import Outcome, SignedStatement
from ledger.types import Bytes32

__all__ = ["Announce", "Intake", "check_deadline", "claim_names"]

Announce = Callable[[Bytes32], None]
"""Told the digest of a statement that is about to enter the log, before it does."""

_MOST_AHEAD_S: Final = 31 * 24 * 3600


class Intake:
    """Takes signed statements. ``settle`` waits, for a moment, until nothing is on its way to the chain."""

    def __init__(self, parts: Parts, writer: LogWriter, settle: Callable[[], bool], on_accepted: Callable[[], None]):
        self._parts = parts
        self._writer = writer
        self._settle = settle
        self._on_accepted = on_accepted
        self.turns = Turns()

    def take(
        self,
        signed: SignedStatement,
        *,
        custodial: bool = False,
        api_key: str | None = None,
        announce: Announce | None = None,
        of_transfer: bool = False,
    ) -> Outcome:
        """Take a statement that its asker may state (``of_transfer``: by its transfer's route); a repeat does nothing.

        Raises:
            MalformedError: a signature is not canonical, or a value can not be.
            VerificationError: signed by another key than it names, or under another consortium's domain.
            RefusedError: key, participant or a contract's rules say no; nothing was logged.
            ConflictError, NotFoundError: it does not fit what is known here.
            UnavailableError: chain, disk or database did not answer, or too much is in flight.
        """
        statement = signed.statement
        digest = statement.digest(self._parts.domains)
        if self._parts.lost:
            self._bring_back(signed, digest, custodial=custodial, api_key=api_key)
        known = find_outcome(self._parts, digest)
        if known is not None:
            self._check_repeat(signed, digest)
            return known
        if not of_transfer:
            check_route(statement.type.name)
        with self.turns.of(contended_by(statement)):
            self._check(signed, digest)
            claim_names(self._parts, statement, digest)
            if announce is not None:
                announce(digest)
            traces.expect(str(digest))
            self._writer.append(self._describe(signed, digest, custodial=custodial, api_key=api_key))
        outcome = self._report(digest)
        traces.accepted(str(digest), outcome.type, outcome.index)
        self._on_accepted()
        return outcome

    def _bring_back(self, signed: SignedStatement, digest: Bytes32, *, custodial: bool, api_key: str | None) -> None:
        """A text that the database lost takes its old place in the log, whatever the rules say by now."""
        parts = self._parts
        entry = Entry.of(digest, signed.statement.participant, signed.signature).to_bytes()
        if parts.lost.place_of(entry) is None:
            return
        check_authentic(parts.directory, parts.edge, signed, digest)
        described = self._describe(signed, digest, custodial=custodial, api_key=api_key)
        size = parts.sequencer.size
        parts.lost.bring_back(
            parts.store,
            [(entry, described)],
            lambda placed: parts.store.statements.accept_at(parts.log, placed, size),
        )
        self._on_accepted()

    def _describe(
        self, signed: SignedStatement, digest: Bytes32, *, custodial: bool, api_key: str | None
    ) -> NewStatement:
        return NewStatement(
            digest=digest,
            statement=signed.statement,
            signature=signed.signature,
            signer=signed.signer,
            received_at=self._parts.now(),
            executable=signed.statement.type.function is not None,
            cosignature=signed.cosignature,
            custodial=custodial,
            api_key=api_key,
        )

    def _report(self, digest: Bytes32) -> Outcome:
        outcome = find_outcome(self._parts, digest)
        if outcome is None:
            raise RuntimeError(f"the statement {digest} was appended and is not there")
        return outcome

    def _check_repeat(self, signed: SignedStatement, digest: Bytes32) -> None:
        """That it is known excuses nobody from signing: what was kept comes again, or what its keys sign now."""
        row = self._parts.store.statements.find(digest)
        given = (signed.signer, signed.signature, signed.cosignature)
        if row is None or given != (row.signer, row.signature, row.cosignature):
            verify_signature(digest, signed.signature, signed.signer)
            check_signatures(self._parts.directory, self._parts.edge, signed, digest)

    def _check(self, signed: SignedStatement, digest: Bytes32) -> None:
        """Deadline, standing, signatures, then rules. What is on its way may change the rules' answer: ask twice."""
        now_s = int(self._parts.clock())
        check_deadline(signed.statement.deadline, now_s)
        check_standing(self._parts.directory, signed.statement)
        check_signatures(self._parts.directory, self._parts.edge, signed, digest)
        try:
            self._check_once(signed, now_s)
        except RefusedError:
            if not self._settle():
                raise
            self._check_once(signed, now_s)

    def _check_once(self, signed: SignedStatement, now_s: int) -> None:
        statement = signed.statement
        check_rules(self._parts.directory, statement, now_s)
        if statement.type.function is not None:
            executable = ExecutableStatement(statement, signed.signer, signed.signature, signed.cosignature)
            call = encode_statement(self._parts.deployment.contracts, executable)
            self._parts.edge.simulate(call, self._parts.relay.address)


def claim_names(parts: Parts, statement: Statement, digest: Bytes32) -> None:
    """Give a participant its handle and a dataset its slug, when they were prepared here. Raises: ConflictError."""
    draft = parts.store.drafts.find(digest)
    notes = {} if draft is None or draft.notes is None else draft.notes
    handle, slug = notes.get("handle"), notes.get("slug")
    if isinstance(handle, str):
        parts.store.names.claim_handle(statement.participant, handle)
    salt = statement.message.get("datasetSalt")
    if isinstance(slug, str) and isinstance(salt, Bytes32):
        dataset = compute_dataset_id(statement.participant, salt)
        parts.store.names.claim_slug(statement.participant, slug, dataset, salt)


def check_deadline(deadline: int, now_s: int) -> None:
    """Check that a deadline has not passed and is not too far. Raises: RefusedError, MalformedError."""
    if deadline < now_s:
        raise RefusedError(
            "the statement's deadline has passed: prepare and sign it again",
            code="deadline-passed",
            facts={"deadline": deadline, "now": now_s},
        )
    if deadline > now_s + _MOST_AHEAD_S:
        raise MalformedError("a deadline lies at most 31 days ahead")
