"""Typed reads of the contracts' state, at the head or after a given block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ledger.chain.blocks import Reading
from ledger.chain.calls import Commitment
from ledger.chain.contracts import ContractName, load_artifact
from ledger.chain.edge import ChainEdge
from ledger.errors import MalformedError, UnavailableError
from ledger.statements import Custody, Decision, Statement
from ledger.types import Address, Bytes32

__all__ = [
    "AgreementRecord",
    "AgreementState",
    "ContractReader",
    "GrantRecord",
    "KeyRecord",
    "LogRecord",
    "ParticipantStatus",
    "PartyRecord",
]


class ParticipantStatus(IntEnum):
    """Where a participant stands."""

    NONE = 0
    ACTIVE = 1
    SUSPENDED = 2
    RETIRED = 3


class AgreementState(IntEnum):
    """Where an agreement stands."""

    NONE = 0
    PROPOSED = 1
    ACTIVE = 2
    REJECTED = 3
    TERMINATED = 4


@dataclass(frozen=True)
class KeyRecord:
    """A signing key of a participant, active from and until the blocks of these UTC seconds (0: open, or no key)."""

    active_from: int
    active_until: int
    custody: Custody


@dataclass(frozen=True)
class GrantRecord:
    """What the chain keeps of a grant, in UTC seconds; ``granted_at`` 0: not granted, ``revoked_at`` 0: not revoked."""

    valid_from: int
    valid_until: int
    granted_at: int
    revoked_at: int


@dataclass(frozen=True)
class LogRecord:
    """What the chain keeps of a log; ``time`` is that of its newest checkpoint, or of its opening."""

    participant: Bytes32
    publisher: Address
    verifier_key: Bytes32
    rotations: int
    checkpoints: int
    time: int
    is_closed: bool
    successor: Bytes32


@dataclass(frozen=True)
class AgreementRecord:
    """What the chain keeps of an agreement; quantities in units of 10^-decimals."""

    proposal: Bytes32
    revision: int
    valid_until: int
    state: AgreementState
    parties: int
    acceptances: int
    confirmations: int
    settlements: int
    quota: int
    confirmed: int
    settled: int


@dataclass(frozen=True)
class PartyRecord:
    """What a participant is to a revision of an agreement."""

    is_named: bool
    has_accepted: bool
    is_supplier: bool
    is_user: bool


class ContractReader:
    """Reads of one consortium's contracts. Every method takes the block number to read after; None: the head.

    Every method raises UnavailableError when the node does not answer or no longer has that state.
    """

    def __init__(self, edge: ChainEdge, contracts: Mapping[str, Address]) -> None:
        self._edge = edge
        self._contracts = contracts

    def _read(
        self, contract: ContractName, function: str, arguments: Mapping[str, object], number: int | None
    ) -> tuple[Any, ...]:
        artifact = load_artifact(contract)
        data = artifact.encode_call(function, arguments)
        found = self._edge.call(self._contracts[contract], data, number=number)
        try:
            return artifact.decode_result(function, found)
        except MalformedError as error:
            raise UnavailableError(
                f"no {contract} answers at {self._contracts[contract]} yet: check the consortium file and the block"
            ) from error

    # ParticipantRegistry

    def status_of(self, participant: Bytes32, number: int | None = None) -> ParticipantStatus:
        """Where a participant stands."""
        found = self._read("ParticipantRegistry", "statusOf", {"participant": participant}, number)
        return _parse_status(found[0])

    def signer_status(
        self, participant: Bytes32, key: Address, number: int | None = None
    ) -> tuple[ParticipantStatus, bool]:
        """Where a participant stands, and whether this signing key of it is active."""
        found = self._read("ParticipantRegistry", "signerStatus", {"participant": participant, "key": key}, number)
        return _parse_status(found[0]), bool(found[1])

    def key_of(self, participant: Bytes32, key: Address, number: int | None = None) -> KeyRecord:
        """A signing key's time and custody."""
        found = self._read("ParticipantRegistry", "keyOf", {"participant": participant, "key": key}, number)
        with Reading("signing key's custody"):
            return KeyRecord(int(found[0]), int(found[1]), Custody(found[2]))

    def control_key_of(self, participant: Bytes32, number: int | None = None) -> Address:
        """The control key; the zero address for nobody's."""
        return Address(self._read("ParticipantRegistry", "controlKeyOf", {"participant": participant}, number)[0])

    def participant_of(self, key: Address, number: int | None = None) -> Bytes32:
        """Whom an address serves or served; zero for nobody."""
        return Bytes32(self._read("ParticipantRegistry", "participantOf", {"key": key}, number)[0])

    def profile_of(self, participant: Bytes32, number: int | None = None) -> tuple[int, Bytes32]:
        """Version and hash of the profile."""
        found = self._read("ParticipantRegistry", "profileOf", {"participant": participant}, number)
        return int(found[0]), Bytes32(found[1])

    def is_governor(self, participant: Bytes32, number: int | None = None) -> bool:
        """Whether it votes."""
        return bool(self._read("ParticipantRegistry", "isGovernor", {"participant": participant}, number)[0])

    def governor_count(self, number: int | None = None) -> int:
        """How many vote."""
        return int(self._read("ParticipantRegistry", "governorCount", {}, number)[0])

    def threshold(self, number: int | None = None) -> int:
        """How many votes a decision takes."""
        return int(self._read("ParticipantRegistry", "threshold", {}, number)[0])

    def epoch(self, number: int | None = None) -> int:
        """The governors' epoch, which a vote names."""
        return int(self._read("ParticipantRegistry", "epoch", {}, number)[0])

    def counter_of(self, subject: Bytes32, number: int | None = None) -> int:
        """The subject's counter, which a vote names."""
        return int(self._read("ParticipantRegistry", "counterOf", {"subject": subject}, number)[0])

    def tally_of(
        self, decision: Decision, subject: Bytes32, argument: Bytes32, number: int | None = None
    ) -> tuple[int, int]:
        """Approvals and rejections of a proposal in its present epoch and counter."""
        arguments = {"decision": int(decision), "subject": subject, "argument": argument}
        found = self._read("ParticipantRegistry", "tallyOf", arguments, number)
        return int(found[0]), int(found[1])

    def history_head(self, number: int | None = None) -> Bytes32:
        """The hash chain over every change of participants, keys and governors."""
        return Bytes32(self._read("ParticipantRegistry", "historyHead", {}, number)[0])

    def history_length(self, number: int | None = None) -> int:
        """How many records the history has."""
        return int(self._read("ParticipantRegistry", "historyLength", {}, number)[0])

    # DatasetRegistry

    def registration_of(self, dataset: Bytes32, version: int, number: int | None = None) -> Bytes32:
        """Digest of the registration of a version; zero when it is not registered."""
        arguments = {"dataset": dataset, "version": version}
        return Bytes32(self._read("DatasetRegistry", "registrationOf", arguments, number)[0])

    def retired_at(self, dataset: Bytes32, number: int | None = None) -> int:
        """When a dataset was retired, in UTC seconds; 0 when it was not."""
        return int(self._read("DatasetRegistry", "retiredAt", {"dataset": dataset}, number)[0])

    # AccessGrants

    def is_permitted(self, grant: Statement, version: int, right: int, number: int | None = None) -> bool:
        """Whether an AccessGrant permits ``right`` (a bit of Right) on a version now."""
        arguments = {"statement": grant.message, "version": version, "right": right}
        return bool(self._read("AccessGrants", "isPermitted", arguments, number)[0])

    def grant_of(self, participant: Bytes32, digest: Bytes32, number: int | None = None) -> GrantRecord:
        """What the chain keeps of a provider's grant."""
        arguments = {"participant": participant, "digest": digest}
        kept = self._read("AccessGrants", "grantOf", arguments, number)[0]
        return GrantRecord(kept["validFrom"], kept["validUntil"], kept["grantedAt"], kept["revokedAt"])

    # SharingAgreements

    def agreement_of(self, agreement: Bytes32, number: int | None = None) -> AgreementRecord:
        """What the chain keeps of an agreement."""
        kept = self._read("SharingAgreements", "agreementOf", {"agreement": agreement}, number)[0]
        with Reading("agreement's state"):
            state = AgreementState(kept["state"])
        return AgreementRecord(
            proposal=kept["proposal"],
            revision=kept["revision"],
            valid_until=kept["validUntil"],
            state=state,
            parties=kept["parties"],
            acceptances=kept["acceptances"],
            confirmations=kept["confirmations"],
            settlements=kept["settlements"],
            quota=kept["quota"],
            confirmed=kept["confirmed"],
            settled=kept["settled"],
        )

    def party_of(self, proposal: Bytes32, participant: Bytes32, number: int | None = None) -> PartyRecord:
        """What a participant is to the revision with this proposal digest."""
        arguments = {"proposal": proposal, "participant": participant}
        party = self._read("SharingAgreements", "partyOf", arguments, number)[0]
        return PartyRecord(party["named"], party["accepted"], party["supplier"], party["user"])

    # CheckpointLog

    def log_of(self, log: Bytes32, number: int | None = None) -> LogRecord:
        """What the chain keeps of a log; the publisher is the zero address where there is none."""
        kept = self._read("CheckpointLog", "logOf", {"log": log}, number)[0]
        return LogRecord(
            participant=kept["participant"],
            publisher=kept["publisher"],
            verifier_key=kept["verifierKey"],
            rotations=kept["rotations"],
            checkpoints=kept["checkpoints"],
            time=kept["time"],
            is_closed=kept["closed"],
            successor=kept["successor"],
        )

    def is_kept(self, log: Bytes32, checkpoint: Commitment, number: int | None = None) -> bool:
        """Whether a checkpoint is among the last 64 of a log."""
        arguments = {"log": log, "checkpoint": checkpoint.to_abi()}
        return bool(self._read("CheckpointLog", "isKept", arguments, number)[0])

    def is_executed(self, contract: ContractName, digest: Bytes32, number: int | None = None) -> bool:
        """Whether ParticipantRegistry, CheckpointLog or SharingAgreements executed the statement with this digest."""
        return bool(self._read(contract, "isExecuted", {"digest": digest}, number)[0])


def _parse_status(number: int) -> ParticipantStatus:
    with Reading("participant's status"):
        return ParticipantStatus(number)
