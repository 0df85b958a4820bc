"""Whose signature a statement needs, and whether it has it, as of what is indexed."""

from __future__ import annotations

from typing import Final, cast

from ledger.chain import ChainEdge, Signer
from ledger.errors import MalformedError, RefusedError, VerificationError
from ledger.exchange.directory import Directory
from ledger.exchange.keystore import KeyStore
from ledger.statements import Domains, Statement, verify_signature
from ledger.surface.outcomes import SignedStatement
from ledger.types import Address, Bytes32

__all__ = [
    "check_authentic",
    "check_signatures",
    "check_signing_key",
    "check_standing",
    "check_status",
    "find_custodial",
    "sign_statement",
]

_BY_SUSPENDED: Final = frozenset({"AccessRevocation", "KeyRevocation"})
_BY_STRANGER: Final = frozenset({"ParticipantApplication"})
_MAX_CONTRACT_SIGNATURE_BYTES: Final = 4096


def sign_statement(signer: Signer, statement: Statement, domains: Domains) -> bytes:
    """Sign a statement: the signer hashes 0x1901 || domain || struct itself. Raises: UnavailableError."""
    return signer.sign(statement.payload(domains))


def find_custodial(directory: Directory, keystore: KeyStore, participant: Bytes32) -> tuple[Address, Signer] | None:
    """The newest active signing key of the participant that this gateway holds; None: it holds none."""
    held = ((key, keystore.find(participant, key)) for key in directory.signing_keys_of(participant))
    return next(((key, signer) for key, signer in held if signer is not None), None)


def check_standing(directory: Directory, statement: Statement) -> None:
    """Check that the participant may act at all. Raises: RefusedError: code ``participant-...``."""
    check_status(directory, statement.type.name, statement.participant)


def check_status(directory: Directory, kind: str, participant: Bytes32) -> None:
    """Check that the participant may state a ``kind``. Raises: RefusedError: code ``participant-...``."""
    status = directory.status_of(participant)
    if kind in _BY_STRANGER or status == "active" or (status == "suspended" and kind in _BY_SUSPENDED):
        return
    if kind == "ControlKeyClaim" and status == "suspended":
        return
    told = {None: "not-admitted", "applied": "not-admitted"}.get(status, status)
    raise RefusedError(
        f"the participant {participant} is {str(told).replace('-', ' ')}: it can not state a {kind} now",
        code=f"participant-{told}",
        facts={"participant": str(participant)},
    )


def check_signatures(directory: Directory, edge: ChainEdge, signed: SignedStatement, digest: Bytes32) -> None:
    """Check signature and co-signature, and that they are of the keys that the type asks for.

    A contract's signature (ERC-1271) is left to the contract that executes the statement.

    Raises:
        MalformedError: a signature is not canonical, or a co-signature is missing or surplus.
        VerificationError: a signature of another key.
        RefusedError: the key is not the participant's, or not any more (``key-not-active``, ``not-control-key``).
    """
    if not _is_of_key(signed, digest) and not _may_be_contract(edge, signed):
        verify_signature(digest, signed.signature, signed.signer)
    _check_role(directory, signed)
    _check_cosignature(signed, digest)


def check_authentic(directory: Directory, edge: ChainEdge, signed: SignedStatement, digest: Bytes32) -> None:
    """Check the signatures of what the log took already: a key that has ended since then signed it all the same.

    Raises: as `check_signatures`; RefusedError: of a contract's signature alone, which nobody else can check.
    """
    if _is_of_key(signed, digest):
        _check_cosignature(signed, digest)
    else:
        check_signatures(directory, edge, signed, digest)


def _is_of_key(signed: SignedStatement, digest: Bytes32) -> bool:
    try:
        verify_signature(digest, signed.signature, signed.signer)
    except (MalformedError, VerificationError):
        return False
    return True


def _check_cosignature(signed: SignedStatement, digest: Bytes32) -> None:
    statement = signed.statement
    cosigner = statement.type.cosigned_by
    if (cosigner is None) != (signed.cosignature is None):
        rule = "takes no co-signature" if cosigner is None else f"needs the co-signature of its {cosigner}"
        raise MalformedError(f"a {statement.type.name} {rule}")
    if cosigner is not None and signed.cosignature is not None:
        verify_signature(digest, signed.cosignature, cast("Address", statement.message[cosigner]))


def _may_be_contract(edge: ChainEdge, signed: SignedStatement) -> bool:
    if signed.statement.type.function is None or len(signed.signature) > _MAX_CONTRACT_SIGNATURE_BYTES:
        return False
    return bool(edge.code(signed.signer))


def check_signing_key(directory: Directory, participant: Bytes32, signer: Address) -> None:
    """Check that ``signer`` is an active signing key. Raises: RefusedError: code ``key-not-active``."""
    if signer not in directory.signing_keys_of(participant):
        raise RefusedError(
            f"{signer} is not an active signing key of {participant}",
            code="key-not-active",
            facts={"participant": str(participant), "signer": str(signer)},
        )


def _check_role(directory: Directory, signed: SignedStatement) -> None:
    statement = signed.statement
    if statement.type.signed_by == "signing":
        check_signing_key(directory, statement.participant, signed.signer)
        return
    claimed = {"ParticipantApplication": "controlKey", "ControlKeyClaim": "newKey"}.get(statement.type.name)
    expected = statement.message[claimed] if claimed else directory.control_key_of(statement.participant)
    if signed.signer != expected:
        raise RefusedError(
            f"{signed.signer} is not the control key of {statement.participant}",
            code="not-control-key",
            facts={"expected": str(expected), "signer": str(signed.signer)},
        )
