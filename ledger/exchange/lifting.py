"""Lifting: a registration that only the log holds is brought into force, by its place in the log.

The contract is shown that the log holds the entry under a checkpoint that it keeps, and a signature of a key that is
active now: the stated one where its key still is, else one by another key of the same participant.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from ledger.chain import Call, Commitment, LoggedRegistration, encode_register_from_log
from ledger.chain import SignedStatement as ExecutableStatement
from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.exchange.allowance import Allowance
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.attempts import Attempts, Sends
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.parts import Parts
from ledger.exchange.reporting import parse_refusal
from ledger.exchange.signatures import check_signatures, check_standing, sign_statement
from ledger.exchange.turns import Turns
from ledger.statements import Entry, Statement
from ledger.store.rows import OutboxState, StatementRow, VersionRow
from ledger.surface.lifting import LiftState, LiftView
from ledger.surface.outcomes import SignedStatement
from ledger.types import Address, Bytes32

__all__ = ["Lifting"]

_RETRY_AFTER_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.05
_LIFTS_A_MINUTE: Final = 600


class Lifting:
    """`gateway.lifting`. Thread-safe."""

    def __init__(self, parts: Parts, sender: Sends, on_enqueued: Callable[[], None]) -> None:
        self._parts = parts
        self._attempts = Attempts("lift", parts, sender, on_enqueued)
        self._turns = Turns()
        self._allowance = Allowance("lifts", _LIFTS_A_MINUTE)

    def ask(
        self, asker: Asker, name: str, number: int, *, given: tuple[Address, bytes] | None = None, wait_s: float = 0.0
    ) -> LiftView:
        """Have a version lifted; one that is in force, or on its way, answers without another transaction.

        ``given`` is a key that is active now and its signature, where the one that stated it is not any more and the
        gateway holds none.

        Raises:
            ForbiddenError: the data set is another participant's, or the key may not write.
            NotFoundError: no such version, or this gateway's log does not hold it.
            ConflictError: what it rests on is not in force (``lift-first``), it is not anchored yet (``not-anchored``),
                its contract is asked anyway (``not-alone``), or no active key signed it (``no-active-key``).
            VerificationError, RefusedError: the signature given is no good, or the contract refuses.
            UnavailableError: too much is asked for, or the chain does not answer.
        """
        version = self._find_own(asker, name, number)
        self._allowance.spend(asker.participant)
        with self._turns.of(version.registration):
            known = self._find(version)
            if known is None or known.state is LiftState.FAILED:
                self._send(version, self._encode(version, given))
        return self._wait(version, wait_s)

    def newest(self, name: str, number: int) -> LiftView:
        """How far it is. Raises: NotFoundError: it is not in force and nobody asked for it here."""
        return self._present(self._find_version(name, number))

    def _find_version(self, name: str, number: int) -> VersionRow:
        dataset = self._parts.directory.dataset(name)
        row = self._parts.store.datasets.find_version(dataset.id, number)
        if row is None:
            raise NotFoundError(f"the dataset {name[:140]} has no version {number}")
        return row

    def _find_own(self, asker: Asker, name: str, number: int) -> VersionRow:
        version = self._find_version(name, number)
        if asker.participant != version.provider:
            raise ForbiddenError("only the provider has a dataset's versions lifted", code="not-yours")
        if not asker.may(Scope.WRITE):
            raise ForbiddenError("this key may not lift: it needs the scope write", code="missing-scope")
        return version

    # What the contract is shown

    def _encode(self, version: VersionRow, given: tuple[Address, bytes] | None) -> Call:
        row = self._find_logged(version.registration)
        self._check_first(version)
        signed = self._sign(row, given)
        return encode_register_from_log(self._parts.deployment.contracts, signed, self._prove(row))

    def _find_logged(self, digest: Bytes32) -> StatementRow:
        row = self._parts.store.statements.find(digest)
        if row is None or row.log_index is None or row.log != self._parts.log:
            raise NotFoundError("this gateway's log does not hold the registration: ask the gateway that took it")
        if row.executable:
            raise ConflictError(
                "the registration did not come in bulk and is on its way to its contract: wait until it is final",
                code="not-alone",
                retry_after_s=_RETRY_AFTER_S,
            )
        return row

    def _check_first(self, version: VersionRow) -> None:
        """The contract takes a version after the one before it and after its parents."""
        store = self._parts.store.datasets
        first: list[tuple[Bytes32, int]] = []
        if version.version > 1:
            before = store.find_version(version.dataset, version.version - 1)
            if before is None or not before.in_force:
                first.append((version.dataset, version.version - 1))
        for parent in version.parents:
            found = store.find_registration(parent.registration)
            if found is None or not found.in_force:
                first.append((parent.dataset, parent.version))
        if first:
            directory = self._parts.directory
            names = [f"{directory.name_of(dataset) or dataset}@{number}" for dataset, number in first]
            raise ConflictError(
                f"it rests on what is not in force on chain: lift first {', '.join(names)}",
                code="lift-first",
                facts={"first": [{"dataset": str(one), "version": str(number)} for one, number in first]},
            )

    def _sign(self, row: StatementRow, given: tuple[Address, bytes] | None) -> ExecutableStatement:
        """The stated signature while its key is active, else another by a key that is."""
        parts = self._parts
        statement = Statement.parse(row.type, dict(row.message))
        check_standing(parts.directory, statement)
        if given is not None:
            signer, signature = given
            check_signatures(parts.directory, parts.edge, SignedStatement(statement, signature, signer), row.digest)
            return ExecutableStatement(statement, signer, signature)
        active = parts.directory.signing_keys_of(row.participant)
        if row.signer in active:
            return ExecutableStatement(statement, row.signer, row.signature)
        for key in active:
            held = parts.keystore.find(row.participant, key)
            if held is not None:
                return ExecutableStatement(statement, key, sign_statement(held, statement, parts.domains))
        raise ConflictError(
            f"the key {row.signer} that signed the registration is not active any more, and the gateway holds none "
            f"that is: sign it with one of yours, as `concord dataset lift {row.digest} --key FILE` does",
            code="no-active-key",
        )

    def _prove(self, row: StatementRow) -> LoggedRegistration:
        parts = self._parts
        index, last = row.log_index or 0, parts.store.chain.last_checkpoint(parts.log)
        if last is None or last.size <= index:
            raise ConflictError(
                "no checkpoint on chain covers the registration yet: ask again soon",
                code="not-anchored",
                retry_after_s=_RETRY_AFTER_S,
            )
        reader = parts.sequencer.reader
        return LoggedRegistration(
            signature_hash=Entry.parse(reader.entry(index)).signature_hash,
            log=parts.log,
            checkpoint=Commitment(last.size, last.root, int(last.time.timestamp())),
            index=index,
            proof=[Bytes32(each) for each in reader.prove_inclusion(index, last.size)],
        )

    # On its way

    def _send(self, version: VersionRow, call: Call) -> None:
        if not any(self._attempts.simulate(call)):
            raise UnavailableError("it has just come into force: ask again", retry_after_s=0.5)
        self._attempts.send(str(version.registration), call)

    def _find(self, version: VersionRow) -> LiftView | None:
        store = self._parts.store
        with store.snapshot():
            effect = store.chain.find_effect(version.registration)
            row = self._attempts.newest(str(version.registration))
            cursor = store.projections.cursor()
        known = partial(
            LiftView,
            dataset=version.dataset,
            version=version.version,
            registration=version.registration,
            as_of_block=0 if cursor is None else cursor.block,
        )
        if effect is not None:
            is_final = cursor is not None and effect.block <= cursor.final
            state = LiftState.FINAL if is_final else LiftState.PENDING
            return known(state=state, transaction=effect.transaction, block=effect.block, refusal=None)
        if row is None:
            return None
        has_failed = row.state is OutboxState.FAILED
        state = LiftState.FAILED if has_failed else LiftState.PENDING
        refusal = parse_refusal(row.outcome) if has_failed and row.outcome is not None else None
        return known(state=state, transaction=row.hash, block=row.block, refusal=refusal)

    def _present(self, version: VersionRow) -> LiftView:
        found = self._find(version)
        if found is None:
            raise NotFoundError("the version is not in force on chain, and nobody asked for that here: POST asks")
        return found

    def _wait(self, version: VersionRow, wait_s: float) -> LiftView:
        end = time.monotonic() + wait_s
        view = self._present(version)
        while view.state is LiftState.PENDING and time.monotonic() < end:
            time.sleep(_LOOK_AGAIN_S)
            view = self._present(version)
        return view
