"""Ids derived from who states and a random salt, as the contracts derive them: keccak256(abi.encode(a, b))."""

from __future__ import annotations

from ledger.keccak import keccak256
from ledger.types import Address, Bytes32

__all__ = [
    "compute_agreement_id",
    "compute_dataset_id",
    "compute_log_id",
    "compute_participant_id",
    "compute_transfer_id",
]


def compute_participant_id(control_key: Address, salt: Bytes32) -> Bytes32:
    """Id of a participant, from the control key and salt of its ParticipantApplication."""
    return Bytes32(keccak256(bytes(12) + control_key + salt))


def compute_dataset_id(provider: Bytes32, dataset_salt: Bytes32) -> Bytes32:
    """Id of a dataset, from its provider's id and the dataset salt."""
    return Bytes32(keccak256(provider + dataset_salt))


def compute_agreement_id(proposer: Bytes32, salt: Bytes32) -> Bytes32:
    """Id of an agreement, from the participant and salt of its first AgreementProposal."""
    return Bytes32(keccak256(proposer + salt))


def compute_log_id(operator: Bytes32, origin: str) -> Bytes32:
    """Id of a log, from its operator's id and its origin."""
    return Bytes32(keccak256(operator + keccak256(origin.encode())))


def compute_transfer_id(consumer: Bytes32, transfer_salt: Bytes32) -> Bytes32:
    """Id of a transfer, from its consumer's id and the transfer salt."""
    return Bytes32(keccak256(consumer + transfer_salt))
