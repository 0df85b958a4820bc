"""Which gateways this one asks: those that its operator listed, and the one that a provider's own profile names.

Whoever may start a delivery makes the gateway send requests. So it sends none to an address that a participant made
up: a URL is listed (``CONCORD_PEERS``), or it stands in the profile whose hash the provider stated on chain; and what
only a profile names is asked at public addresses alone, so that no participant reaches into the operator's network.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ledger.canonical import JsonValue, hash_document
from ledger.errors import MalformedError, UnavailableError
from ledger.exchange.parts import Parts
from ledger.surface.signed_requests import parse_authority
from ledger.types import Bytes32

__all__ = ["Peer", "Peers", "UnknownPeerError", "endpoint_of", "parse_endpoint", "parse_peers"]

_MOST_CHARS: Final = 2048
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*\Z", re.ASCII)
_LIST_IT: Final = "the operator can list it in CONCORD_PEERS"


class UnknownPeerError(MalformedError):
    """The gateway fetches from no such URL (422). The sentence says which ones it does."""

    code = "unknown-peer"


def parse_endpoint(url: str) -> str:
    """A gateway's URL in one spelling: small letters, no port that goes without saying, no slash at the end.

    Raises:
        MalformedError: it is none, or has more than host and path.
    """
    if len(url) > _MOST_CHARS:
        raise MalformedError(f"a gateway's URL has at most {_MOST_CHARS} characters")
    authority, parts = parse_authority(url), urlsplit(url)
    path = parts.path.rstrip("/")
    if parts.query or parts.fragment or parts.password is not None or not _PATH.match(path) or not authority.isascii():
        raise MalformedError(f"{url[:200]!r} is no gateway's URL: it has a host and maybe a path, and nothing else")
    return f"{parts.scheme}://{authority}{path}"


def parse_peers(text: str) -> frozenset[str]:
    """The endpoints of a list with commas. Raises: MalformedError: one of them is none."""
    try:
        return frozenset(parse_endpoint(each.strip()) for each in text.split(",") if each.strip())
    except MalformedError as error:
        raise MalformedError(f"CONCORD_PEERS lists what is no gateway's URL: {error}") from error


def endpoint_of(profile: JsonValue) -> str | None:
    """The endpoint that a profile names; None: it names none that is one."""
    endpoint = profile.get("endpoint") if isinstance(profile, dict) else None
    try:
        return parse_endpoint(endpoint) if isinstance(endpoint, str) else None
    except MalformedError:
        return None


@dataclass(frozen=True, slots=True)
class Peer:
    """A gateway that may be asked; ``check_address`` is told which address it answers from, None: any will do."""

    endpoint: str
    check_address: Callable[[str], None] | None


class Peers:
    """Tells which gateway serves a provider."""

    def __init__(self, parts: Parts, listed: frozenset[str]) -> None:
        self._parts = parts
        self._listed = listed

    def choose(self, provider: Bytes32, wanted: str | None) -> Peer:
        """The gateway at ``wanted``, or else at the endpoint of the provider's profile.

        Raises:
            UnknownPeerError: it is neither listed nor the profile's, or the profile's is at no public address.
            MalformedError: ``wanted`` is no gateway's URL.
            UnavailableError: its name can not be looked up now.
        """
        named = self.find_named(provider)
        endpoint = named if wanted is None else parse_endpoint(wanted)
        if endpoint is None:
            raise UnknownPeerError(
                f"where {provider} serves its data is not known here: no profile of it that names an endpoint is. "
                f"Name the URL of its gateway; {_LIST_IT}"
            )
        if endpoint in self._listed:
            return Peer(endpoint, None)
        if endpoint != named:
            raise UnknownPeerError(
                f"this gateway fetches nothing from {endpoint}: the profile of {provider} does not name it, and the "
                f"operator did not list it. Take the endpoint that the profile names, or else {_LIST_IT}"
            )
        self._look_up(endpoint)
        return Peer(endpoint, lambda address: _check_public(endpoint, address))

    def listed(self) -> tuple[Peer, ...]:
        """The gateways that the operator listed."""
        return tuple(Peer(endpoint, None) for endpoint in sorted(self._listed))

    def find_named(self, provider: Bytes32) -> str | None:
        """The endpoint that a provider's present profile names: that of the hash on chain. None: not known here."""
        row = self._parts.store.participants.find(provider)
        if row is None:
            return None
        kept = self._parts.store.documents.find_stated([row.profile_hash], provider, kind="profile")
        found = kept.get(row.profile_hash)
        if found is None or hash_document(found.salt, found.document) != row.profile_hash:
            return None
        return endpoint_of(found.document)

    def _look_up(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or parts.scheme, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UnavailableError(f"the name of {endpoint} can not be looked up now: is it right?") from error
        for *_, address in found:
            _check_public(endpoint, str(address[0]))


def _check_public(endpoint: str, address: str) -> None:
    """Raise UnknownPeerError unless everybody can reach the address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    if not ip.is_global or ip.is_multicast:
        raise UnknownPeerError(
            f"{endpoint} is named by the provider's profile and not listed by the operator, and leads into a private "
            f"network: {_LIST_IT}"
        )
