"""Evidence beyond a statement's own: contract events, attestations, bundles, and links to later checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Final

from ledger.canonical import JsonValue
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.evidence import build_bundle
from ledger.exchange.allowance import Allowance
from ledger.exchange.asker import Asker
from ledger.exchange.evidence import Attestations, EventAssembly, EventProver, EvidenceAssembly, Pin
from ledger.exchange.evidence.attesting import AttestedPlace
from ledger.exchange.evidence.bundling import Bundling, LeftOut
from ledger.exchange.evidence.proving import Pins
from ledger.exchange.parts import Parts
from ledger.exchange.rooms.visibility import may_see, party_of, require_party
from ledger.statements import Statement
from ledger.surface.attestations import AttestationState, AttestationView
from ledger.types import Bytes32

__all__ = ["EvidenceRoom"]

_LOOK_AGAIN_S: Final = 0.05
_ATTESTATIONS_A_MINUTE: Final = 60


class EvidenceRoom:
    """`gateway.evidence`."""

    def __init__(self, parts: Parts, prover: EventProver, attestations: Attestations) -> None:
        self._parts = parts
        self._prover = prover
        self._attestations = attestations
        self._events = EventAssembly(parts, prover)
        self._statements = EvidenceAssembly(parts, prover)
        self._allowance = Allowance("attestations", _ATTESTATIONS_A_MINUTE)

    def event(self, asker: Asker, digest: Bytes32, *, name: str | None = None, pins: Sequence[Pin] = ()) -> bytes:
        """Evidence of the contract's event that shows a statement's effect; the statement with it for its parties.

        ``name`` chooses another event of the same transaction: AgreementActivated, DecisionExecuted, HistoryExtended.

        Raises:
            NotFoundError: no contract executed it here or elsewhere.
            ConflictError: not final yet, or outside the pins.
            UnavailableError: the chain does not answer.
        """
        place = self._events.find_place(digest, name)
        return self._events.build(
            place, self._prover.open_pins(pins), find_statement=lambda named: self._find_visible(asker, named)
        ).to_bytes()

    # Attestations

    def attest_grant(
        self,
        asker: Asker,
        digest: Bytes32,
        *,
        message: Mapping[str, JsonValue] | None = None,
        after: datetime | None = None,
        wait_s: float = 0.0,
    ) -> AttestationView:
        """Have the chain attest a grant; parties of it and auditors may ask.

        ``message`` is the grant's text, needed where it never came through here: the chain must have granted it then.
        An attestation later than ``after``, or one on its way, answers without another transaction.

        Raises:
            NotFoundError: no grant that the asker may know of, or its text is not known here.
            MalformedError: the text is not the grant's, or ``after`` lies in the future.
            UnavailableError: the asker asks too often, or the chain does not answer.
        """
        grant = self._find_grant(asker, digest, message)
        with self._allowance.spending(_who(asker)):
            self._attestations.ask_grant(grant, digest, after=after)
        return self._wait("grant", digest, wait_s)

    def attest_log(self, asker: Asker, *, after: datetime | None = None, wait_s: float = 0.0) -> AttestationView:
        """Have the chain attest this gateway's log. Raises: as `attest_grant`."""
        with self._allowance.spending(_who(asker)):
            self._attestations.ask_log(after=after)
        return self._wait("log", self._parts.log, wait_s)

    def grant_attestation(self, asker: Asker, digest: Bytes32) -> AttestationView:
        """The newest attestation of a grant that was asked for here. Raises: NotFoundError."""
        self._require_party_of_grant(asker, digest)
        return self._attestations.newest("grant", digest)

    def log_attestation(self) -> AttestationView:
        """The newest attestation of the log that was asked for here. Raises: NotFoundError."""
        return self._attestations.newest("log", self._parts.log)

    def grant_attestation_evidence(self, asker: Asker, digest: Bytes32, *, pins: Sequence[Pin] = ()) -> bytes:
        """Evidence of the newest final attestation of a grant within the pins, with its terms if they are known here.

        Raises:
            NotFoundError: there is none that the asker may know of.
            ConflictError: outside the pins.
            UnavailableError: the chain does not answer.
        """
        self._require_party_of_grant(asker, digest)
        opened = self._prover.open_pins(pins)
        place = self._place("grant", digest, opened)
        return self._events.build(place, opened, find_statement=lambda _: self._find_visible(asker, digest)).to_bytes()

    def log_attestation_evidence(self, *, pins: Sequence[Pin] = ()) -> bytes:
        """As `grant_attestation_evidence`, of the log."""
        opened = self._prover.open_pins(pins)
        return self._events.build(self._place("log", self._parts.log, opened), opened).to_bytes()

    def _place(self, kind: str, subject: Bytes32, pins: Pins) -> AttestedPlace:
        """The newest final attestation within the pins, else the newest, of which is said that they do not hold it."""
        try:
            return self._attestations.place(kind, subject, is_fit=pins.hold)
        except NotFoundError:
            return self._attestations.place(kind, subject)

    # Bundles

    def bundle(
        self,
        asker: Asker,
        name: str,
        version: int,
        *,
        pins: Sequence[Pin] = (),
        chunks: bool = True,
        grants: bool = True,
        tell: Callable[[LeftOut], None] = lambda _: None,
    ) -> bytes:
        """All evidence about a dataset up to a version, and its ancestors, in one file; tells what had to be left out.

        Raises:
            NotFoundError: no such version, or no evidence of it that the asker may see.
            ConflictError: as `Bundling.collect`.
            UnavailableError: the chain does not answer.
        """
        dataset = self._parts.directory.dataset(name)
        row = self._parts.store.datasets.find_version(dataset.id, version)
        if row is None:
            raise NotFoundError(f"the dataset {name[:140]} has no version {version}")
        bundling = Bundling(
            self._parts,
            self._statements,
            self._events,
            self._attestations,
            may_see=lambda digest: self._may_see(asker, digest),
            participant=party_of(asker),
            tell=tell,
        )
        opened = self._prover.open_pins(pins)
        return build_bundle(bundling.collect(row, opened, with_chunks=chunks, with_grants=grants))

    # Who may see what

    def _may_see(self, asker: Asker, digest: Bytes32) -> bool:
        return may_see(asker, self._parts.store.statements.parties(digest))

    def _find_visible(self, asker: Asker, digest: Bytes32) -> Statement | None:
        row = self._parts.store.statements.find(digest)
        if row is None or row.log_index is None or not self._may_see(asker, digest):
            return None
        return Statement.parse(row.type, dict(row.message))

    def _require_party_of_grant(self, asker: Asker, digest: Bytes32) -> None:
        row = self._parts.directory.grant(digest)
        require_party(asker, frozenset({row.provider, row.consumer}), "grant")

    def _find_grant(self, asker: Asker, digest: Bytes32, message: Mapping[str, JsonValue] | None) -> Statement:
        if message is None:
            self._require_party_of_grant(asker, digest)
            row = self._parts.store.statements.find(digest)
            if row is None or row.type != "AccessGrant":
                raise ConflictError(
                    "the grant came past this gateway, which has not its text: send it as `message`",
                    code="grant-text-needed",
                )
            return Statement.parse(row.type, dict(row.message))
        grant = Statement.parse("AccessGrant", dict(message))
        if grant.digest(self._parts.domains) != digest:
            raise MalformedError("message: is the text of another grant than the one in the path")
        consumer = grant.message["consumer"]
        parties = {grant.participant, consumer} if isinstance(consumer, Bytes32) else {grant.participant}
        require_party(asker, frozenset(parties), "grant")
        self._require_known(digest)
        return grant

    def _require_known(self, digest: Bytes32) -> None:
        """Anyone can invent a grant that names them: what neither log nor chain knows is not worth a transaction."""
        row = self._parts.store.statements.find(digest)
        if row is None or row.log_index is None:
            self._parts.directory.grant(digest)

    def _wait(self, kind: str, subject: Bytes32, wait_s: float) -> AttestationView:
        end = time.monotonic() + wait_s
        view = self._attestations.newest(kind, subject)
        while view.state is AttestationState.PENDING and time.monotonic() < end:
            time.sleep(_LOOK_AGAIN_S)
            view = self._attestations.newest(kind, subject)
        return view


def _who(asker: Asker) -> Hashable:
    return asker.participant or asker.api_key
