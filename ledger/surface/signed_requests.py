"""Requests between gateways, signed by a participant: HTTP message signatures (RFC 9421) in one strict form.

    Content-Digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBdb7kLTgVTk=:
    Signature-Input: concord=("@method" "@authority" "@path" "@query" "content-digest");created=1795247000
        ;expires=1795247060;nonce="kV0u...";keyid="0x<participant>/0x<key>";tag="concord/1"         (on one line)
    Signature: concord=:<65 bytes in base64>:

The key is one of the participant's signing keys on chain. What it signs is the signature base as an Ethereum message
(EIP-191, version 0x45), which no statement and no transaction can be, and which wallets and remote signers sign, too.
Whatever is not of this very form is refused: a signature has one spelling.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ledger.errors import MalformedError, VerificationError
from ledger.keccak import keccak256
from ledger.statements import recover_signer
from ledger.types import Address, Bytes32

__all__ = [
    "CLOCK_SKEW_S",
    "LIFETIME_S",
    "MessageToSign",
    "RequestSignature",
    "SignedMessage",
    "compute_content_digest",
    "format_signature_base",
    "parse_authority",
    "prepare_request",
]

LIFETIME_S: Final = 60
"""How long a signed request may be brought."""
CLOCK_SKEW_S: Final = 30
"""By how much the clocks of both sides may differ."""
_LABEL: Final = "concord"
_TAG: Final = "concord/1"
_COMPONENTS: Final = ("@method", "@authority", "@path", "@query", "content-digest")
_COVERED: Final = " ".join(f'"{name}"' for name in _COMPONENTS)
_INPUT: Final = re.compile(
    _LABEL
    + r"=(?P<params>"
    + re.escape(f"({_COVERED})")
    + r";created=(?P<created>[1-9][0-9]{9,11});expires=(?P<expires>[1-9][0-9]{9,11})"
    r';nonce="(?P<nonce>[A-Za-z0-9_-]{22,64})"'
    r';keyid="(?P<participant>0x[0-9a-f]{64})/(?P<key>0x[0-9a-f]{40})"'
    r';tag="' + re.escape(_TAG) + r'")\Z',
    re.ASCII,
)
_SIGNATURE: Final = re.compile(_LABEL + r"=:([A-Za-z0-9+/]{87}=):\Z", re.ASCII)
_DIGEST: Final = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):\Z", re.ASCII)
_HEADERS: Final = frozenset({"signature-input", "signature", "content-digest"})
_PLAIN: Final = re.compile(r"[!-~]*\Z", re.ASCII)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SIZE: Final = 65


@dataclass(frozen=True, slots=True)
class MessageToSign:
    """What of a request is signed: the method in capitals, the authority in small letters, path and query as sent."""

    method: str
    authority: str
    path: str
    query: str
    content_digest: str

    def components(self) -> list[tuple[str, str]]:
        """The covered components with their values (RFC 9421, section 2.2). Raises: MalformedError: not plain ASCII."""
        values = (self.method, self.authority, self.path or "/", f"?{self.query}", self.content_digest)
        if not all(_PLAIN.match(value) for value in values[:4]):
            raise MalformedError("a signed request has method, host, path and query in printable ASCII without spaces")
        return list(zip(_COMPONENTS, values, strict=True))


@dataclass(frozen=True, slots=True)
class RequestSignature:
    """Who signed a request, for which moments, and what must not come twice."""

    participant: Bytes32
    key: Address
    created: int
    expires: int
    nonce: str

    def to_params(self) -> str:
        """The signature's parameters as they are signed."""
        return (
            f'({_COVERED});created={self.created};expires={self.expires};nonce="{self.nonce}"'
            f';keyid="{self.participant}/{self.key}";tag="{_TAG}"'
        )

    def compute_payload(self, message: MessageToSign) -> bytes:
        """The bytes whose Keccak-256 is signed."""
        base = format_signature_base(message.components(), self.to_params())
        return b"\x19Ethereum Signed Message:\n" + str(len(base)).encode() + base

    def compute_digest(self, message: MessageToSign) -> Bytes32:
        """What is signed. Raises: MalformedError."""
        return Bytes32(keccak256(self.compute_payload(message)))

    def to_headers(self, message: MessageToSign, signature: bytes) -> dict[str, str]:
        """The headers that the request gets."""
        return {
            "Content-Digest": message.content_digest,
            "Signature-Input": f"{_LABEL}={self.to_params()}",
            "Signature": f"{_LABEL}=:{base64.b64encode(signature).decode()}:",
        }

    def check_time(self, now_s: int) -> None:
        """Check that the request is brought in time, clocks aside. Raises: VerificationError: too late or too early."""
        if not 0 < self.expires - self.created <= LIFETIME_S:
            raise VerificationError(
                f"the request's signature is not for at most {LIFETIME_S} seconds",
                expected=LIFETIME_S,
                found=self.expires - self.created,
            )
        if self.created > now_s + CLOCK_SKEW_S:
            raise VerificationError(
                "the request was signed in the future: compare both clocks", expected=now_s, found=self.created
            )
        if self.expires < now_s - CLOCK_SKEW_S:
            raise VerificationError(
                "the request's signature has expired: sign it again, and compare both clocks",
                expected=now_s,
                found=self.expires,
            )


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """The signature that came with a request."""

    claimed: RequestSignature
    signature: bytes
    content_digest: bytes

    @classmethod
    def parse(cls, headers: Iterable[tuple[str, str]]) -> SignedMessage:
        """Read the three headers, strictly. Raises: MalformedError: one is missing, twice there or of another form."""
        found = _read_headers(headers)
        given = _match(_INPUT, found["signature-input"], "Signature-Input")
        signature = _decode(_match(_SIGNATURE, found["signature"], "Signature").group(1), _SIZE)
        digest = _decode(_match(_DIGEST, found["content-digest"], "Content-Digest").group(1), 32)
        claimed = RequestSignature(
            Bytes32.parse(given["participant"]),
            Address.parse(given["key"]),
            int(given["created"]),
            int(given["expires"]),
            given["nonce"],
        )
        return cls(claimed, signature, digest)

    def verify(self, method: str, authority: str, path: str, query: str, body: bytes) -> RequestSignature:
        """Check that the named key signed this request with this body; whose key it is now, the chain says.

        Raises:
            MalformedError: the signature is not canonical, or the request is none that can be signed.
            VerificationError: another body, or another key or request was signed.
        """
        found = hashlib.sha256(body).digest()
        if found != self.content_digest:
            raise VerificationError(
                "the body is not the one that Content-Digest names", expected=self.content_digest, found=found
            )
        message = MessageToSign(method, authority.lower(), path, query, compute_content_digest(body))
        signer = recover_signer(self.claimed.compute_digest(message), self.signature)
        if signer != self.claimed.key:
            raise VerificationError(
                "the signature is not that of its keyid over this request: was it signed for another host or path?",
                expected=str(self.claimed.key),
                found=str(signer),
            )
        return self.claimed


def prepare_request(
    method: str, url: str, body: bytes, participant: Bytes32, key: Address, now_s: int
) -> tuple[MessageToSign, RequestSignature]:
    """What ``key`` has to sign so that ``participant`` may send a request; ``url`` is as it will be sent.

    Raises:
        MalformedError: the URL is none that can be signed.
    """
    parts = urlsplit(url)
    message = MessageToSign(method, parse_authority(url), parts.path or "/", parts.query, compute_content_digest(body))
    message.components()
    nonce = secrets.token_urlsafe(24)
    return message, RequestSignature(participant, key, now_s, now_s + LIFETIME_S, nonce)


def compute_content_digest(body: bytes) -> str:
    """The ``Content-Digest`` of a body (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def parse_authority(url: str) -> str:
    """Host and port of a URL as they are signed: in small letters, without the scheme's own port.

    Raises:
        MalformedError: no such URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise MalformedError("this is no URL of a gateway: check the host and the port") from error
    if parts.scheme not in _DEFAULT_PORTS or not host or parts.username is not None:
        raise MalformedError("a gateway's URL is http:// or https:// with a host, as https://data.example.org")
    name = f"[{host}]" if ":" in host else host
    return name if port is None or port == _DEFAULT_PORTS[parts.scheme] else f"{name}:{port}"


def format_signature_base(components: Iterable[tuple[str, str]], params: str) -> bytes:
    """The signature base (RFC 9421, section 2.5) of components that have no parameters."""
    lines = [f'"{name}": {value}' for name, value in components]
    return "\n".join([*lines, f'"@signature-params": {params}']).encode("ascii")


def _read_headers(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in found:
            raise MalformedError(f"the request has the header {lower} twice")
        if lower in _HEADERS:
            found[lower] = value
    missing = _HEADERS - set(found)
    if missing:
        raise MalformedError(f"a signed request has the headers Signature-Input, Signature and Content-Digest, not "
                             f"{', '.join(sorted(missing))}: it is missing")  # fmt: skip
    return found


def _match(pattern: re.Pattern[str], text: str, name: str) -> re.Match[str]:
    match = pattern.match(text)
    if match is None:
        raise MalformedError(f"{name} is not of the one form that is taken: see docs/spec/delivery.md")
    return match


def _decode(text: str, size: int) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise MalformedError("not base64") from error
    if len(raw) != size or base64.b64encode(raw).decode() != text:
        raise MalformedError(f"expected {size} bytes in canonical base64")
    return raw
