"""Who founds a consortium: their applications, signed, and how many votes a decision takes.

The founding file is canonical JSON (RFC 8785)::

    {"chain_id": "8412659912734650123", "format": "concord-founding/1", "founders": [{"application": {…},
     "control_signature": "0x…", "key_signature": "0x…"}], "threshold": "2"}

An application is a ParticipantApplication in its JSON form. It is signed under the address that the registry will have,
which the deployer's account decides: another deployer needs new signatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, cast

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.errors import MalformedError
from ledger.statements import Domains, Statement, verify_signature
from ledger.types import Address, parse_hex

__all__ = ["Founding", "FoundingFile", "check_foundings"]

_FORMAT: Final = "concord-founding/1"
_MAX_SIZE_BYTES: Final = 65_536
_MAX_FOUNDERS: Final = 16


@dataclass(frozen=True)
class Founding:
    """A founder's ParticipantApplication with the signatures of its control key and of its first signing key."""

    application: Statement
    control_signature: bytes
    key_signature: bytes


@dataclass(frozen=True)
class FoundingFile:
    """The founding of one consortium."""

    chain_id: int
    foundings: tuple[Founding, ...]
    threshold: int

    def to_bytes(self) -> bytes:
        """The file."""
        founders: list[JsonValue] = [
            {
                "application": founding.application.to_json(),
                "control_signature": "0x" + founding.control_signature.hex(),
                "key_signature": "0x" + founding.key_signature.hex(),
            }
            for founding in self.foundings
        ]
        return encode_canonical(
            {
                "format": _FORMAT,
                "chain_id": str(self.chain_id),
                "founders": founders,
                "threshold": str(self.threshold),
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a founding file, strictly; one trailing newline is allowed.

        Raises:
            MalformedError: not such a file.
        """
        form = parse_canonical(raw.removesuffix(b"\n"), max_size_bytes=_MAX_SIZE_BYTES)
        members = {"chain_id", "format", "founders", "threshold"}
        if not isinstance(form, dict) or set(form) != members or form["format"] != _FORMAT:
            raise MalformedError(f"not a founding file: expected {_FORMAT} with {', '.join(sorted(members))}")
        founders = form["founders"]
        if not isinstance(founders, list):
            raise MalformedError("founders is a list")
        foundings = tuple(_parse_founding(each) for each in founders)
        return cls(_parse_number(form["chain_id"]), foundings, _parse_number(form["threshold"]))


def check_foundings(domains: Domains, foundings: Sequence[Founding], threshold: int) -> None:
    """Check what the registry's constructor will check, before a nonce is spent.

    Raises:
        MalformedError: no founder, more than 16, a threshold out of range, not an application, or a signature that is
            not canonical.
        VerificationError: a signature of another key, or under another chain or deployer.
    """
    if not 1 <= len(foundings) <= _MAX_FOUNDERS:
        raise MalformedError(f"a consortium has 1 to {_MAX_FOUNDERS} founders, found {len(foundings)}")
    if not 1 <= threshold <= len(foundings):
        raise MalformedError(f"the threshold is 1 to the number of founders ({len(foundings)}), found {threshold}")
    for founding in foundings:
        application = founding.application
        if application.type.name != "ParticipantApplication":
            raise MalformedError(f"a founder brings a ParticipantApplication, found {application.type.name}")
        digest = application.digest(domains)
        verify_signature(digest, founding.control_signature, cast("Address", application.message["controlKey"]))
        verify_signature(digest, founding.key_signature, cast("Address", application.message["signingKey"]))


def _parse_founding(form: JsonValue) -> Founding:
    if not isinstance(form, dict) or set(form) != {"application", "control_signature", "key_signature"}:
        raise MalformedError("a founder has application, control_signature and key_signature")
    return Founding(
        Statement.parse("ParticipantApplication", form["application"]),
        parse_hex(cast("str", form["control_signature"]), 65),
        parse_hex(cast("str", form["key_signature"]), 65),
    )


def _parse_number(form: JsonValue) -> int:
    if not isinstance(form, str) or not (form.isascii() and form.isdigit()) or form != str(int(form)) or len(form) > 20:
        raise MalformedError("expected a decimal number as a string")
    return int(form)
