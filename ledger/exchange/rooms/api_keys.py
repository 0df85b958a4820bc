"""API keys: hashed at rest, bound to a participant, with scopes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from typing import Final

from ledger.errors import MalformedError, NotFoundError
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.parts import Parts
from ledger.exchange.presenting import present_api_key
from ledger.store.rows import ApiKeyRow
from ledger.surface.views import ApiKeyView
from ledger.types import Bytes32

__all__ = ["ApiKeys"]

_TOKEN: Final = re.compile(r"ck_([0-9a-f]{16})_([0-9a-f]{64})\Z")
_REMEMBER_USE_AFTER: Final = timedelta(minutes=1)
_PAGE: Final = 200


class ApiKeys:
    """`gateway.api_keys`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def authenticate(self, token: str) -> Asker | None:
        """Who bears ``ck_<id>_<secret>``; None when unknown, expired or revoked."""
        match = _TOKEN.match(token)
        row = self._parts.store.api_keys.find(match[1]) if match else None
        # Compare also where there is no such key, so that time does not tell which ids there are.
        expected = row.secret_hash if row else bytes(32)
        found = hashlib.sha256(bytes.fromhex(match[2] if match else "")).digest()
        if not hmac.compare_digest(expected, found) or row is None:
            return None
        now = self._parts.now()
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
            return None
        if row.last_used_at is None or now - row.last_used_at >= _REMEMBER_USE_AFTER:
            self._parts.store.api_keys.mark_used(row.id, now)
        return Asker(row.participant, frozenset(Scope(scope) for scope in row.scopes), row.id)

    def create(
        self,
        asker: Asker,
        *,
        scopes: frozenset[Scope],
        participant: str | None = None,
        label: str = "",
        expires_at: datetime | None = None,
    ) -> tuple[ApiKeyView, str]:
        """A new key and its token, which is shown once.

        Scope operate creates any key; others create keys for their own participant with scopes that they have. None
        outlives the key that makes it: ``expires_at`` is that of its maker, where it is later or left out.

        Raises:
            ForbiddenError: the asker may not.
            ConflictError: the asker's key was revoked meanwhile (``api-key-ended``).
            MalformedError: no scope, or a participant is missing.
            NotFoundError: no such participant.
        """
        holder = None if participant is None else self._parts.directory.participant(participant)
        if not asker.may(Scope.OPERATE):
            holder = holder or asker.participant
            if holder is None or holder != asker.participant:
                raise ForbiddenError("a key for another participant needs the scope operate", code="not-yours")
            if not scopes <= asker.scopes:
                raise ForbiddenError("a key has no scopes that its maker lacks", code="missing-scope")
        if not scopes:
            raise MalformedError("name one scope at least: read, write, audit, operate or apply")
        if expires_at is not None and expires_at <= self._parts.now():
            raise MalformedError("expires_at lies in the past")
        maker = None if asker.api_key is None else self._parts.store.api_keys.find(asker.api_key)
        if maker is not None and maker.expires_at is not None:
            expires_at = min(expires_at or maker.expires_at, maker.expires_at)
        return self.draw(holder, scopes, label, expires_at, maker=asker.api_key)

    def draw(
        self,
        participant: Bytes32 | None,
        scopes: frozenset[Scope],
        label: str,
        expires_at: datetime | None = None,
        *,
        maker: str | None = None,
    ) -> tuple[ApiKeyView, str]:
        """A new key, asking nobody: for founding."""
        key_id, secret = secrets.token_hex(8), secrets.token_bytes(32)
        row = ApiKeyRow(
            id=key_id,
            secret_hash=hashlib.sha256(secret).digest(),
            participant=participant,
            scopes=frozenset(scope.value for scope in scopes),
            label=label[:200],
            created_at=self._parts.now(),
            expires_at=expires_at,
            maker=maker,
        )
        self._parts.store.api_keys.add(row)
        return present_api_key(row), f"ck_{key_id}_{secret.hex()}"

    def list(self, asker: Asker) -> tuple[ApiKeyView, ...]:
        """Keys of the asker's participant; all, with scope operate."""
        participant = None if asker.may(Scope.OPERATE) else asker.participant
        if participant is None and not asker.may(Scope.OPERATE):
            return ()
        found: list[ApiKeyView] = []
        cursor: str | None = None
        while True:
            page = self._parts.store.api_keys.list(participant=participant, limit=_PAGE, cursor=cursor)
            found += [present_api_key(row) for row in page.items]
            cursor = page.next
            if cursor is None:
                return tuple(found)

    def revoke(self, asker: Asker, key_id: str) -> None:
        """End a key, and those that it made for the same participant. Raises: NotFoundError: none of the asker's."""
        row = self._parts.store.api_keys.find(key_id)
        mine = row is not None and asker.participant is not None and row.participant == asker.participant
        if row is None or not (mine or asker.may(Scope.OPERATE)):
            raise NotFoundError(f"there is no API key {key_id[:40]} of yours")
        self._parts.store.api_keys.revoke(row.id, self._parts.now())
