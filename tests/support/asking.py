"""Asking a served gateway in raw HTTP, and telling a clear refusal that left nothing half done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from ledger.client import Identity
from ledger.content import Manifest, hash_bytes
from ledger.statements import Domains, Statement
from ledger.types import Address
from tests.support.world import World, serving

__all__ = ["LISTS", "METADATA", "Asking", "asking", "assert_problem", "manifest_of", "registration", "soon"]

METADATA: Final = {
    "title": "Power",
    "description": "Generation",
    "licence": "CC0-1.0",
    "contact": "data@utility.example",
}
LISTS: Final = (
    "participants", "proposals", "datasets", "access-requests", "grants", "agreements", "usage", "settlements",
    "statements",
)  # fmt: skip


def soon(**delta: float) -> str:
    """A moment from now, as JSON says it."""
    return (datetime.now(UTC) + timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


def manifest_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The manifest as a client sends it."""
    entries = [hash_bytes(path, data)[0] for path, data in sorted(files.items())]
    document: dict[str, Any] = json.loads(Manifest(tuple(entries)).to_bytes())
    return document


def registration(slug: str, files: Mapping[str, bytes], **members: Any) -> dict[str, Any]:
    """The intent that registers files of at most one chunk each."""
    return {"slug": slug, "metadata": METADATA, "manifest": manifest_of(files), **members}


@dataclass
class Asking:
    """The served consortium and who asks it: ``none``, ``audit``, a founder or a member by handle."""

    world: World
    http: httpx.Client
    audit: str

    def headers(self, who: str) -> dict[str, str]:
        """The asker's authorization."""
        if who == "none":
            return {}
        member = self.world.members.get(who)
        token = self.audit if who == "audit" else member.token if member else self.world.founded.api_keys[who]
        return {"Authorization": f"Bearer {token}"}

    def get(self, who: str, path: str, **headers: str) -> httpx.Response:
        """GET."""
        return self.http.get(path, headers=self.headers(who) | headers)

    def post(self, who: str, path: str, body: object, **headers: str) -> httpx.Response:
        """POST JSON, or bytes as they are; header names come with ``_`` for ``-``."""
        named = self.headers(who) | {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, bytes):
            return self.http.post(path, content=body, headers=named | {"Content-Type": "application/json"})
        return self.http.post(path, json=body, headers=named)

    def prepare(self, who: str, type_name: str, intent: Mapping[str, object]) -> dict[str, Any]:
        """The message that the gateway prepares of an intent."""
        answer = self.post(who, "/v1/statements:prepare", {"type": type_name, "intent": intent})
        assert answer.status_code == 200, answer.text
        message: dict[str, Any] = answer.json()["message"]
        return message

    def signed(
        self, identity: Identity, type_name: str, message: Mapping[str, Any], *, domains: Domains | None = None
    ) -> dict[str, Any]:
        """The body that submits ``message``, signed by ``identity`` (under other ``domains``)."""
        digest = Statement.parse(type_name, dict(message)).digest(domains or identity.domains)
        signature = "0x" + identity.signer.sign(digest).hex()
        signer = str(identity.signer.address)
        return {"type": type_name, "message": dict(message), "signature": signature, "signer": signer}

    def state(self, who: str, type_name: str, intent: Mapping[str, object], **headers: str) -> httpx.Response:
        """Prepare, sign with the member's own signing key, submit."""
        message = self.prepare(who, type_name, intent)
        body = self.signed(self.world.members[who].identity, type_name, message)
        return self.post(who, "/v1/statements", body, **headers)

    def final(self, answer: httpx.Response) -> dict[str, Any]:
        """What became of an accepted statement once it is final."""
        assert answer.status_code in (201, 202), answer.text
        followed = self.get("audit", answer.json()["links"]["self"] + "?wait=30").json()
        assert followed["state"] == "final", followed
        return dict(followed)

    def snapshot(self) -> dict[str, object]:
        """The log's size, which tells of statements, and every other list as an auditor sees it."""
        names = [name for name in LISTS if name != "statements"]
        lists = {name: self.get("audit", f"/v1/{name}?limit=200").json()["items"] for name in names}
        identities = {
            name: sorted(str(item.get("digest") or item.get("id")) for item in items) for name, items in lists.items()
        }
        return {"log": self.world.gateway.parts.sequencer.size, **identities}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing that is asked in the block leaves a trace in the log or a list."""
        before = self.snapshot()
        yield
        assert self.snapshot() == before


def assert_problem(answer: httpx.Response, status: int, code: str, *words: str) -> dict[str, Any]:
    """A problem document of that status and code, whose sentence has these words; its members."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    assert len(problem["detail"]) > 10
    for word in words:
        assert word in problem["detail"], problem
    return problem


@contextmanager
def asking(
    folder: Path, *members: str, relay_accounts: tuple[Address, ...] = (), batch_delay_s: float = 0.0
) -> Iterator[Asking]:
    """A consortium that is served, with these members, each holding its own keys."""
    serve = serving(folder, relay_accounts=relay_accounts, batch_delay_s=batch_delay_s)
    with serve as world, httpx.Client(base_url=world.url, timeout=60) as http:
        for handle in members:
            world.enroll(handle)
        yield Asking(world, http, world.api_key("audit"))
