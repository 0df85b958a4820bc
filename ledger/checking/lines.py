"""One line of a bulk body: decoded, its digest computed, its signature checked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final, cast

from ledger.canonical import JsonValue, encode_canonical, parse_json
from ledger.checking.codec import BULK_TYPES, REGISTRATION, Codec, UnusualLineError
from ledger.checking.records import Checked, Record, Registered, Rejected
from ledger.checking.recovering import Recoverer
from ledger.errors import LedgerError, MalformedError, RefusedError, VerificationError
from ledger.statements import Domains, Entry, Statement, compute_dataset_id, verify_signature
from ledger.types import Address, Bytes32, parse_hex

__all__ = ["MAX_LINE_BYTES", "LineChecker"]

MAX_LINE_BYTES: Final = 64 << 10
_MEMBERS: Final = ("type", "message", "signature", "signer")
_BROKE: Final = "the short way broke over a line: the long one checks it"
_logger = logging.getLogger(__name__)


class LineChecker:
    """Checks lines of one consortium's statements; one thread uses it."""

    def __init__(self, domains: Domains) -> None:
        self._domains = domains
        self._codec = Codec(domains)
        self._recover = Recoverer().recover

    def check_block(self, block: bytes) -> list[Record]:
        """What becomes of each line of a block: as many records as the block has lines."""
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()  # what follows the last newline is no line
        return self.check(lines)

    def check(self, lines: Sequence[bytes]) -> list[Record]:
        """What becomes of each line, which nothing in it can break.

        All lines take one step after the other: recovery keeps the processor's caches for itself while it runs.
        """
        decoded = [self._decode(line) for line in lines]
        signers = [None if each is None else self._find_signer(each) for each in decoded]
        return [
            record if record is not None and record.signer == signer else self._check_at_length(line)
            for line, record, signer in zip(lines, decoded, signers, strict=True)
        ]

    def _decode(self, line: bytes) -> Checked | None:
        """The line, if it goes the short way; its signature is not looked at."""
        if len(line) > MAX_LINE_BYTES:
            return None
        try:
            return self._codec.decode(line)
        except UnusualLineError:
            return None
        except Exception:
            _logger.exception(_BROKE)
            return None

    def _find_signer(self, decoded: Checked) -> bytes | None:
        """Whose signature it is, if it is anybody's."""
        try:
            return self._recover(decoded.digest, decoded.signature)
        except Exception:
            _logger.exception(_BROKE)
            return None

    def _check_at_length(self, line: bytes) -> Record:
        """Check a line, which nothing in it can break."""
        try:
            return self._check_slowly(line)
        except Exception as error:  # a fault of ours: the line is refused, the others are checked all the same
            _logger.exception("a line could not be checked")
            return _reject(MalformedError(f"the line could not be read ({type(error).__name__})"), None)

    def _check_slowly(self, line: bytes) -> Record:
        """As the path of single statements does it, with its sentences."""
        if len(line) <= MAX_LINE_BYTES and not line.strip():
            return None
        digest: Bytes32 | None = None
        try:
            type_name, message, signature, signer = _read(line)
            statement = Statement.parse(type_name, message)
            digest = statement.digest(self._domains)
            if statement.type.name not in BULK_TYPES:
                raise RefusedError(
                    f"a contract executes a {statement.type.name}: send it alone, POST /v1/statements",
                    code="not-in-bulk",
                    facts={"statement_type": statement.type.name},
                )
            verify_signature(digest, signature, signer)
        except LedgerError as error:
            return _reject(error, digest)
        return Checked(
            Entry.of(digest, statement.participant, signature).to_bytes(),
            bytes(signer),
            signature,
            statement.deadline,
            statement.type.name,
            encode_canonical(statement.to_json()).decode(),
            _registered_of(statement) if statement.type.name == REGISTRATION else None,
        )


def _read(line: bytes) -> tuple[str, JsonValue, bytes, Address]:
    """The members of a signed statement. Raises: MalformedError."""
    if len(line) > MAX_LINE_BYTES:
        raise MalformedError(f"a line has at most {MAX_LINE_BYTES} bytes")
    value = parse_json(line)
    if not isinstance(value, dict):
        raise MalformedError("a line is one JSON object: type, message, signature, signer")
    missing = [name for name in _MEMBERS if name not in value]
    unknown = sorted(set(value) - {*_MEMBERS, "cosignature"})
    if missing or unknown:
        told = [f"missing: {', '.join(missing)}"] if missing else []
        told += [f"unknown: {', '.join(name[:80] for name in unknown[:20])}"] if unknown else []
        raise MalformedError("; ".join(told))
    type_name, message = value["type"], value["message"]
    if value.get("cosignature") is not None and isinstance(type_name, str) and type_name in BULK_TYPES:
        raise MalformedError(f"a {type_name} takes no co-signature")
    return cast("str", type_name), message, _hex(value, "signature"), Address(_hex(value, "signer"))


def _hex(value: dict[str, JsonValue], name: str) -> bytes:
    try:
        return parse_hex(cast("str", value[name]))
    except MalformedError as error:
        raise MalformedError(f"{name}: {error}") from error


def _reject(error: LedgerError, digest: Bytes32 | None) -> Rejected:
    facts: dict[str, object] = dict(error.facts) if isinstance(error, RefusedError) else {}
    if isinstance(error, VerificationError):
        facts = {"expected": error.expected, "found": error.found}
    code = error.code if isinstance(error, RefusedError) else None
    told = {name: _speakable(str(value)) for name, value in facts.items() if value is not None}
    return Rejected(type(error).__name__, _speakable(str(error)), digest, code, told)


def _speakable(text: str) -> str:
    """The text with its lone surrogates, which JSON can name and UTF-8 can not, written as escapes."""
    return text.encode(errors="backslashreplace").decode()


def _registered_of(statement: Statement) -> Registered:
    message: Any = statement.message
    salt = message["datasetSalt"]
    return Registered(
        compute_dataset_id(statement.participant, salt),
        salt,
        message["version"],
        message["contentHash"],
        message["metadataHash"],
        tuple((each["dataset"], each["version"], each["registration"]) for each in message["parents"]),
    )
