"""Who calls from another gateway: a participant, by the signature of one of its keys on chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.chain import ParticipantStatus
from ledger.errors import MalformedError
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.parts import Parts
from ledger.surface.signed_requests import CLOCK_SKEW_S, SignedMessage, parse_authority
from ledger.types import Bytes32

__all__ = ["Caller", "Callers"]

_SCOPES: Final = frozenset({Scope.READ, Scope.WRITE})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and for which host the request was signed; None: it came with an API key of this gateway."""

    asker: Asker
    authority: str | None = None

    @property
    def participant(self) -> Bytes32:
        """The participant. Raises: ForbiddenError: the API key is nobody's."""
        if self.asker.participant is None:
            raise ForbiddenError("data are delivered to a participant: this key is bound to none", code="not-yours")
        return self.asker.participant


class Callers:
    """Tells who signed a request. What it refuses is refused for good: each nonce counts once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def authenticate(
        self, signed: SignedMessage, *, method: str, authority: str, path: str, query: str, body: bytes
    ) -> Caller:
        """Who sent a request that was signed for ``authority``, the host that it came to.

        Raises:
            MalformedError: the signature is not canonical.
            VerificationError: another request or body was signed, or it comes too late or too early.
            ForbiddenError: the key is not an active key of an active participant (``key-not-active``), or the request
                was brought before (``request-replayed``).
            UnavailableError: chain or database do not answer.
        """
        parts = self._parts
        claimed = signed.verify(method, authority, path, query, body)
        claimed.check_time(int(parts.clock()))
        status, is_active = parts.reader.signer_status(claimed.participant, claimed.key, parts.edge.head().number)
        if status is not ParticipantStatus.ACTIVE or not is_active:
            raise ForbiddenError(
                f"{claimed.key} is not an active key of an active participant {claimed.participant}",
                code="key-not-active",
                facts={"participant": str(claimed.participant), "signer": str(claimed.key)},
            )
        until = datetime.fromtimestamp(claimed.expires, UTC) + timedelta(seconds=2 * CLOCK_SKEW_S)
        if not parts.store.transfers.claim_nonce(claimed.key, claimed.nonce, until):
            raise ForbiddenError("this signed request was brought before: sign a new one", code="request-replayed")
        return Caller(Asker(claimed.participant, _SCOPES), authority.lower())

    def check_audience(self, caller: Caller, provider: Bytes32) -> None:
        """Check that a signed request was meant for the gateway that works for ``provider``.

        The host that was signed must be the one of the provider's own profile: a request that was signed for another
        gateway, and brought here by it, is refused.

        Raises:
            ForbiddenError: it was signed for another host, or the profile names none (``other-audience``).
        """
        if caller.authority is None:
            return
        row = self._parts.store.participants.find(provider)
        profile = row.profile if row is not None and isinstance(row.profile, dict) else {}
        endpoint = profile.get("endpoint")
        try:
            expected = parse_authority(endpoint) if isinstance(endpoint, str) else None
        except MalformedError:
            expected = None
        if caller.authority != expected:
            raise ForbiddenError(
                "the request was signed for another gateway than the one that the provider's profile names",
                code="other-audience",
                facts={"expected": expected, "signed": caller.authority},
            )
