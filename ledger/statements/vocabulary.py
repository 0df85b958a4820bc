"""The vocabulary: every statement type that Concord knows, defined here once.

Solidity's structs and type hashes (``contracts/src/types/``), the Python encoder and docs/spec/statements.md are
all made from this table; ``scripts/build_contracts.py`` writes the generated files and a test compares them.

Each statement begins with ``participant`` (the id of who states) and ends with ``deadline`` (UTC seconds, after
which no log takes it and no contract executes it) and ``salt`` (random; makes the digest unguessable and, where an
id is derived from it, unique). Types follow EIP-712; numbers are unsigned.

A table, hence longer than a module of code would be.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final, Literal, Self

from ledger.errors import MalformedError

__all__ = [
    "DOMAIN_NAME",
    "DOMAIN_VERSION",
    "PARENT",
    "STATEMENT_TYPES",
    "Choice",
    "Contract",
    "Custody",
    "Decision",
    "Field",
    "HistoryKind",
    "Resource",
    "Right",
    "StatementType",
]

DOMAIN_NAME: Final = "Concord"
DOMAIN_VERSION: Final = "1"

Contract = Literal["ParticipantRegistry", "DatasetRegistry", "AccessGrants", "SharingAgreements", "CheckpointLog"]
KeyRole = Literal["signing", "control"]


class _Worded(IntEnum):
    """A number on chain, a kebab-case word in JSON: ``Decision.APPOINT_GOVERNOR`` is ``appoint-governor``."""

    @property
    def word(self) -> str:
        """Its kebab-case word."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def parse_word(cls, word: str) -> Self:
        """Read it from its word. Raises: MalformedError."""
        for each in cls:
            if each.word == word:
                return each
        raise MalformedError(f"expected one of {', '.join(each.word for each in cls)}")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> object:
        """Tell pydantic, where it is installed, the JSON form."""
        from pydantic_core import PydanticCustomError, core_schema  # noqa: PLC0415 - the verifier has no pydantic

        def read(value: Any) -> _Worded:
            try:
                return value if isinstance(value, cls) else cls.parse_word(value)
            except MalformedError as error:
                raise PydanticCustomError("word", "{reason}", {"reason": str(error)}) from error

        return core_schema.no_info_plain_validator_function(
            read,
            json_schema_input_schema=core_schema.literal_schema([each.word for each in cls]),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.word),
        )


class Custody(_Worded):
    """Who holds a signing key."""

    OWN = 0
    CUSTODIAL = 1


class Decision(_Worded):
    """What governors vote on. ``subject`` is a participant id (zero for SET_THRESHOLD); ``argument`` as named."""

    ADMIT = 1  # argument: digest of the ParticipantApplication that was filed
    SUSPEND = 2  # argument: zero
    REINSTATE = 3  # argument: zero
    RETIRE = 4  # argument: zero
    APPOINT_GOVERNOR = 5  # argument: zero
    DISMISS_GOVERNOR = 6  # argument: zero
    SET_THRESHOLD = 7  # argument: the new threshold
    RECOVER_CONTROL_KEY = 8  # argument: digest of the ControlKeyClaim that was filed
    REVOKE_KEY = 9  # argument: the signing key's address, left-padded with zeros


class Choice(_Worded):
    """How a governor votes. A proposal is rejected, and its subject's counter moves, once approval is out of reach."""

    APPROVE = 1
    REJECT = 2


class HistoryKind(IntEnum):
    """Kinds of record in the registry's history; ``detail`` as named."""

    ADMITTED = 1  # detail: profile hash
    SUSPENDED = 2  # detail: zero
    REINSTATED = 3  # detail: zero
    RETIRED = 4  # detail: zero
    CONTROL_KEY_SET = 5  # detail: address, left-padded
    KEY_ADDED = 6  # detail: custody << 160 | address
    KEY_REVOKED = 7  # detail: address, left-padded
    PROFILE_UPDATED = 8  # detail: profile hash
    GOVERNOR_APPOINTED = 9  # detail: zero
    GOVERNOR_DISMISSED = 10  # detail: zero
    THRESHOLD_SET = 11  # participant: zero; detail: the threshold


class Right(IntFlag):
    """Bits of ``rights``; each stands for the ODRL action of its name. No contract enumerates them."""

    READ = 1 << 0  # odrl:read
    DERIVE = 1 << 1  # odrl:derive
    AGGREGATE = 1 << 2  # odrl:aggregate
    ANONYMIZE = 1 << 3  # odrl:anonymize
    REPRODUCE = 1 << 4  # odrl:reproduce
    DISTRIBUTE = 1 << 5  # odrl:distribute
    PRESENT = 1 << 6  # odrl:present
    ARCHIVE = 1 << 7  # odrl:archive


class Resource(_Worded):
    """What an agreement shares."""

    DATA = 1
    EQUIPMENT = 2
    PEOPLE = 3
    TECHNOLOGY = 4
    CAPACITY = 5
    MARKET_INFORMATION = 6


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a typed struct: EIP-712 name and type, and what it means.

    ``party`` marks participant ids: whom the statement names, and who may therefore read it.
    """

    name: str
    type: str
    doc: str
    party: bool = False


@dataclass(frozen=True, slots=True)
class StatementType:
    """One statement type.

    Attributes:
        name: the EIP-712 primary type.
        contract: the contract whose address stands in the domain (it executes the type, or, for a type that only
            logs keep, ``CheckpointLog``).
        function: the contract function that executes it, or None for a type that only logs keep.
        signed_by: the role of the participant's key that signs.
        cosigned_by: the field that holds the address of a new key, which signs the same digest to admit itself.
        fields: all members in order, ``participant`` first, ``deadline`` and ``salt`` last.
    """

    name: str
    contract: Contract
    function: str | None
    signed_by: KeyRole
    fields: tuple[Field, ...]
    doc: str
    cosigned_by: str | None = None


_PARTICIPANT = Field("participant", "bytes32", "id of the participant that states this", party=True)
_TAIL = (
    Field("deadline", "uint64", "UTC seconds after which no log takes it and no contract executes it"),
    Field("salt", "bytes32", "random"),
)

PARENT: Final = (
    Field("dataset", "bytes32", "id of the dataset derived from"),
    Field("version", "uint64", "its version"),
    Field("registration", "bytes32", "digest of that version's DatasetRegistration"),
)
"""Members of the struct ``Parent``, the one struct nested in a statement."""


def _type(
    name: str,
    contract: Contract,
    function: str | None,
    doc: str,
    *fields: Field,
    signed_by: KeyRole = "signing",
    cosigned_by: str | None = None,
) -> StatementType:
    return StatementType(name, contract, function, signed_by, (_PARTICIPANT, *fields, *_TAIL), doc, cosigned_by)


_DATASET_SALT = Field("datasetSalt", "bytes32", "the dataset's id is keccak256(abi.encode(participant, datasetSalt))")
_TERMS = (
    Field("firstVersion", "uint64", "first version covered, from 1"),
    Field("lastVersion", "uint64", "last version covered; 0: later ones too"),
    Field("purpose", "bytes32", "keccak256 of the purpose's IRI"),
    Field("rights", "uint256", "bit mask of Right"),
    Field("validFrom", "uint64", "UTC seconds, inclusive"),
    Field("validUntil", "uint64", "UTC seconds, exclusive"),
    Field("policyHash", "bytes32", "SHA-256(salt || RFC 8785 form of the ODRL policy)"),
)

_ALL: Final = (
    # ParticipantRegistry: who belongs, and by which keys it speaks.
    _type(
        "ParticipantApplication", "ParticipantRegistry", "applyForAdmission",
        "An enterprise asks to be admitted. Its id is keccak256(abi.encode(controlKey, salt)).",
        Field("controlKey", "address", "the key that adds and removes signing keys; no gateway holds it"),
        Field("signingKey", "address", "its first signing key"),
        Field("custody", "uint8", "who holds the signing key: Custody"),
        Field("profileHash", "bytes32", "SHA-256(salt || RFC 8785 form of the profile)"),
        signed_by="control", cosigned_by="signingKey",
    ),
    _type(
        "KeyAddition", "ParticipantRegistry", "addKey", "A further signing key.",
        Field("key", "address", "the new signing key"),
        Field("custody", "uint8", "who holds it: Custody"),
        signed_by="control", cosigned_by="key",
    ),
    _type(
        "KeyRevocation", "ParticipantRegistry", "revokeKey", "A signing key ends, for ever.",
        Field("key", "address", "the signing key"),
        signed_by="control",
    ),
    _type(
        "ControlKeyRotation", "ParticipantRegistry", "rotateControlKey", "The control key is replaced by its holder.",
        Field("newKey", "address", "the new control key"),
        signed_by="control", cosigned_by="newKey",
    ),
    _type(
        "ControlKeyClaim", "ParticipantRegistry", "claimControlKey",
        "After a loss: a new control key, without effect until the governors vote RECOVER_CONTROL_KEY for its digest.",
        Field("newKey", "address", "the new control key, which signs this claim"),
        signed_by="control",
    ),
    _type(
        "ProfileUpdate", "ParticipantRegistry", "updateProfile", "A new profile document.",
        Field("version", "uint64", "one more than the profile's present version; the admitted profile is version 1"),
        Field("profileHash", "bytes32", "SHA-256(salt || RFC 8785 form of the profile)"),
    ),
    _type(
        "ParticipantRetirement", "ParticipantRegistry", "retire", "The participant leaves, for ever.",
        signed_by="control",
    ),
    _type(
        "GovernanceVote", "ParticipantRegistry", "vote",
        "A governor's vote. Lapses when the governors' epoch or the subject's counter moves.",
        Field("decision", "uint8", "what is decided: Decision"),
        Field("subject", "bytes32", "the participant decided on; zero for SET_THRESHOLD", party=True),
        Field("argument", "bytes32", "what the decision takes: see Decision"),
        Field("choice", "uint8", "approve or reject: Choice"),
        Field("epoch", "uint64", "the governors' epoch: moves when their set or threshold changes"),
        Field("counter", "uint64", "the subject's counter: moves when a decision on it is executed"),
        signed_by="control",
    ),
    # DatasetRegistry: which bytes, in which version, derived from what.
    _type(
        "DatasetRegistration", "DatasetRegistry", "register", "A version of a dataset.",
        _DATASET_SALT,
        Field("version", "uint64", "from 1, consecutive"),
        Field("contentHash", "bytes32", "SHA-256(version salt || content root)"),
        Field("metadataHash", "bytes32", "SHA-256(salt || RFC 8785 form of the metadata)"),
        Field("parents", "Parent[]", "the versions it is derived from, each once, sorted by (dataset, version)"),
    ),
    _type(
        "DatasetRetirement", "DatasetRegistry", "retire", "No further versions; its grants end.",
        _DATASET_SALT,
    ),
    # AccessGrants: who may have it.
    _type(
        "AccessGrant", "AccessGrants", "grant", "The provider permits a consumer.",
        _DATASET_SALT,
        Field("consumer", "bytes32", "who is permitted", party=True),
        *_TERMS,
    ),
    _type(
        "AccessRevocation", "AccessGrants", "revoke", "The provider ends one of its grants, seen by the chain or not.",
        Field("grant", "bytes32", "digest of the AccessGrant"),
    ),
    # SharingAgreements: what was agreed, used and settled.
    _type(
        "AgreementProposal", "SharingAgreements", "propose",
        "A revision of an agreement; proposing it accepts it. The agreement's id is keccak256(abi.encode(participant, "
        "salt)) of revision 1; any party of the present revision may propose the next.",
        Field("agreement", "bytes32", "the agreement's id"),
        Field("revision", "uint64", "from 1, consecutive"),
        Field("parties", "bytes32[]", "2 to 16 participant ids, ascending, the proposer among them", party=True),
        Field("supplier", "bytes32", "the party that reports usage and records settlement"),
        Field("user", "bytes32", "the party that confirms or disputes usage; another than the supplier"),
        Field("resource", "uint8", "what is shared: Resource"),
        Field("termsHash", "bytes32", "SHA-256(salt || RFC 8785 form of the terms)"),
        Field("validFrom", "uint64", "UTC seconds, inclusive"),
        Field("validUntil", "uint64", "UTC seconds, exclusive"),
        Field("quota", "uint256", "most that may be confirmed, in units of 10^-decimals"),
        Field("decimals", "uint8", "decimal places of quantities, at most 18"),
        Field("unit", "bytes32", "UCUM code in ASCII, zero-padded on the right"),
    ),
    _type(
        "AgreementAcceptance", "SharingAgreements", "accept", "A party accepts a revision.",
        Field("agreement", "bytes32", "the agreement's id"),
        Field("proposal", "bytes32", "digest of the AgreementProposal"),
    ),
    _type(
        "AgreementRejection", "SharingAgreements", "reject", "A party rejects a revision, which ends the proposal.",
        Field("agreement", "bytes32", "the agreement's id"),
        Field("proposal", "bytes32", "digest of the AgreementProposal"),
    ),
    _type(
        "AgreementTermination", "SharingAgreements", "terminate", "A party ends an active agreement.",
        Field("agreement", "bytes32", "the agreement's id"),
    ),
    _type(
        "UsageConfirmation", "SharingAgreements", "confirmUsage", "The user confirms a usage report.",
        Field("agreement", "bytes32", "the agreement's id"),
        Field("sequence", "uint64", "from 1, consecutive for each agreement"),
        Field("report", "bytes32", "digest of the UsageReport"),
        Field("total", "uint256", "confirmed so far, this report included, in units of 10^-decimals"),
    ),
    _type(
        "SettlementRecord", "SharingAgreements", "recordSettlement", "The supplier records what was settled.",
        Field("agreement", "bytes32", "the agreement's id"),
        Field("sequence", "uint64", "from 1, consecutive for each agreement"),
        Field("total", "uint256", "settled so far, this record included, in units of 10^-decimals"),
        Field("invoiceHash", "bytes32", "SHA-256(salt || RFC 8785 form of the invoice)"),
    ),
    # CheckpointLog: which logs there are.
    _type(
        "LogOpening", "CheckpointLog", "open",
        "A gateway's log. Its id is keccak256(abi.encode(participant, keccak256(bytes(origin)))).",
        Field("origin", "string", "the log's origin: a C2SP note key name, at most 255 bytes"),
        Field("publisher", "address", "the account that may publish its checkpoints"),
        Field("verifierKey", "bytes32", "Ed25519 public key that checks its checkpoints"),
    ),
    _type(
        "LogRotation", "CheckpointLog", "rotate", "A log's publisher or verifier key is replaced.",
        Field("log", "bytes32", "the log's id"),
        Field("counter", "uint64", "one more than the rotations so far"),
        Field("publisher", "address", "the account that may publish from now on"),
        Field("verifierKey", "bytes32", "Ed25519 public key from now on"),
    ),
    _type(
        "LogClosing", "CheckpointLog", "close", "A log ends.",
        Field("log", "bytes32", "the log's id"),
        Field("successor", "bytes32", "id of the log that follows, or zero"),
    ),
    # Kept by logs alone.
    _type(
        "AccessRequest", "CheckpointLog", None, "A consumer asks a provider for access.",
        Field("provider", "bytes32", "who is asked", party=True),
        Field("dataset", "bytes32", "id of the dataset"),
        *_TERMS,
    ),
    _type(
        "AccessDenial", "CheckpointLog", None, "A provider denies a request.",
        Field("consumer", "bytes32", "who asked", party=True),
        Field("request", "bytes32", "digest of the AccessRequest"),
        Field("reasonHash", "bytes32", "SHA-256(salt || RFC 8785 form of the reason)"),
    ),
    _type(
        "UsageReport", "CheckpointLog", None, "The supplier reports usage under an agreement.",
        Field("user", "bytes32", "the party that confirms or disputes it", party=True),
        Field("agreement", "bytes32", "the agreement's id"),
        Field("quantity", "uint256", "used in this period, in units of 10^-decimals"),
        Field("periodFrom", "uint64", "UTC seconds, inclusive"),
        Field("periodUntil", "uint64", "UTC seconds, exclusive"),
        Field("detailHash", "bytes32", "SHA-256(salt || RFC 8785 form of the meter readings or other detail)"),
    ),
    _type(
        "UsageDispute", "CheckpointLog", None, "The user disputes a usage report.",
        Field("supplier", "bytes32", "who reported", party=True),
        Field("agreement", "bytes32", "the agreement's id"),
        Field("report", "bytes32", "digest of the UsageReport"),
        Field("reasonHash", "bytes32", "SHA-256(salt || RFC 8785 form of the reason)"),
    ),
    _type(
        "Sealing", "CheckpointLog", None, "A version, encrypted under a fresh key.",
        Field("dataset", "bytes32", "id of the dataset"),
        Field("version", "uint64", "its version"),
        Field("registration", "bytes32", "digest of that version's DatasetRegistration"),
        Field("keyCommitment", "bytes32", "commitment to the sealing's key"),
        Field("ciphertextRoot", "bytes32", "RFC 6962 root over the ciphertext's chunks"),
        Field("ciphertextSize", "uint64", "bytes"),
    ),
    _type(
        "TransferReceipt", "CheckpointLog", None,
        "A consumer has the ciphertext. The transfer's id is keccak256(abi.encode(participant, transferSalt)).",
        Field("provider", "bytes32", "who delivered", party=True),
        Field("transferSalt", "bytes32", "random, fresh for each transfer"),
        Field("grant", "bytes32", "digest of the AccessGrant"),
        Field("sealing", "bytes32", "digest of the Sealing"),
        Field("ciphertextRoot", "bytes32", "the root that the received bytes have"),
        Field("recipientKey", "bytes", "fresh HPKE public key (RFC 9180) to which the sealing's key is wrapped"),
    ),
    _type(
        "KeyRelease", "CheckpointLog", None, "The sealing's key, wrapped to the transfer's public key.",
        Field("consumer", "bytes32", "who receives it", party=True),
        Field("transfer", "bytes32", "the transfer's id"),
        Field("grant", "bytes32", "digest of the AccessGrant"),
        Field("receipt", "bytes32", "digest of the TransferReceipt"),
        Field("wrappedKey", "bytes", "HPKE encapsulated key and ciphertext (RFC 9180)"),
    ),
    _type(
        "Erasure", "CheckpointLog", None, "A provider destroyed its copy of a version, with its keys and salts.",
        Field("dataset", "bytes32", "id of the dataset"),
        Field("version", "uint64", "its version"),
        Field("registration", "bytes32", "digest of that version's DatasetRegistration"),
        Field("reasonHash", "bytes32", "SHA-256(salt || RFC 8785 form of the reason)"),
    ),
)

STATEMENT_TYPES: Final[dict[str, StatementType]] = {each.name: each for each in _ALL}
"""Every statement type by name, in the order in which the docs list them."""
