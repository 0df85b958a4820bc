"""The gateway: the one door through which api and scripts reach the ledger. Thread-safe, synchronous."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from ledger.exchange.asker import Asker, Scope
from ledger.exchange.intents import Intent
from ledger.exchange.settings import GatewaySettings
from ledger.surface.outcomes import Outcome, Page, Prepared, SaltedDocument, SignedStatement, Stamped, State
from ledger.surface.views import (
    AccessRequestView,
    AgreementView,
    ApiKeyView,
    ConsortiumView,
    DatasetView,
    Download,
    FileView,
    GrantView,
    HealthView,
    KeyView,
    LineageView,
    ParticipantView,
    ProfileView,
    ProposalView,
    SettlementView,
    StatementView,
    UsageView,
    VerdictView,
    VersionView,
)
from ledger.types import Bytes32

__all__ = ["Gateway", "Paging"]


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list: ``limit`` 1 to 200, ``cursor`` from the page before."""

    limit: int = 50
    cursor: str | None = None


class Statements:
    """`gateway.statements`: every write, and what became of it."""

    def prepare(self, asker: Asker, intent: Intent) -> Prepared:
        """Build the statement of ``intent``; keeps its documents for 24 h."""
        raise NotImplementedError

    def submit(self, asker: Asker, signed: SignedStatement) -> Outcome:
        """Take a signed statement: same digest, same outcome."""
        raise NotImplementedError

    def sign_and_submit(self, asker: Asker, intent: Intent) -> Outcome:
        """Prepare, sign with the participant's custodial key, submit."""
        raise NotImplementedError

    def outcome(self, digest: Bytes32) -> Outcome:
        """What became of a statement so far; says nothing of its text. Asks no permission: check with `get` first."""
        raise NotImplementedError

    def wait(self, digest: Bytes32, state: State = State.FINAL, timeout_s: float = 60.0) -> Outcome:
        """The outcome once ``state`` is reached or it is refused, or when time is up."""
        raise NotImplementedError

    def get(self, asker: Asker, digest: Bytes32) -> StatementView:
        """A statement with its text, signature and the documents that the asker may read."""
        raise NotImplementedError

    def list(
        self, asker: Asker, paging: Paging, *, type_name: str | None = None, since: datetime | None = None
    ) -> Page[StatementView]:
        """Statements that the asker signed or that name it; all, for scope audit."""
        raise NotImplementedError

    def receipt(self, asker: Asker, digest: Bytes32) -> str:
        """The receipt: a C2SP tlog-proof."""
        raise NotImplementedError

    def evidence(
        self, asker: Asker, digest: Bytes32, *, first: int = 0, last: int | None = None, chunks: bool = True
    ) -> bytes:
        """Canonical JSON of its evidence, under the pinned block range. ConflictError not-final before it is final."""
        raise NotImplementedError

    def document(self, asker: Asker, document_hash: Bytes32) -> Stamped[SaltedDocument]:
        """A document by its salted hash."""
        raise NotImplementedError


class Participants:
    """`gateway.participants`: members, applicants, proposals."""

    def list(
        self, asker: Asker, paging: Paging, *, status: str | None = None, text: str | None = None
    ) -> Page[ParticipantView]:
        raise NotImplementedError

    def get(self, asker: Asker, name: str) -> Stamped[ParticipantView]:
        raise NotImplementedError

    def profile(self, asker: Asker, name: str) -> Stamped[ProfileView]:
        raise NotImplementedError

    def keys(self, asker: Asker, name: str) -> Stamped[tuple[KeyView, ...]]:
        raise NotImplementedError

    def proposals(self, asker: Asker, paging: Paging, *, state: str | None = None) -> Page[ProposalView]:
        raise NotImplementedError

    def proposal(self, asker: Asker, proposal: Bytes32) -> Stamped[ProposalView]:
        raise NotImplementedError


class Datasets:
    """`gateway.datasets`: what is registered. Manifests, chunks and files: the provider, who may download, auditors."""

    def list(
        self,
        asker: Asker,
        paging: Paging,
        *,
        role: str | None = None,
        provider: str | None = None,
        state: str | None = None,
        text: str | None = None,
        since: datetime | None = None,
    ) -> Page[DatasetView]:
        raise NotImplementedError

    def get(self, asker: Asker, name: str) -> Stamped[DatasetView]:
        raise NotImplementedError

    def versions(self, asker: Asker, name: str, paging: Paging) -> Page[VersionView]:
        raise NotImplementedError

    def version(self, asker: Asker, name: str, version: int) -> Stamped[VersionView]:
        raise NotImplementedError

    def lineage(self, asker: Asker, name: str, version: int) -> Stamped[LineageView]:
        raise NotImplementedError

    def manifest(self, asker: Asker, name: str, version: int) -> Stamped[bytes]:
        """The manifest's canonical JSON."""
        raise NotImplementedError

    def chunks(self, asker: Asker, name: str, version: int) -> Stamped[bytes]:
        """The chunk hashes' canonical JSON."""
        raise NotImplementedError

    def files(self, asker: Asker, name: str, version: int) -> Stamped[tuple[FileView, ...]]:
        raise NotImplementedError

    async def upload(
        self, asker: Asker, name: str, version: int, path: str, stream: AsyncIterable[bytes]
    ) -> Stamped[FileView]:
        """Take a file's bytes (pieces of any size), checked against the manifest as they arrive."""
        raise NotImplementedError

    async def download(
        self,
        asker: Asker,
        name: str,
        version: int,
        path: str,
        *,
        first: int = 0,
        last: int | None = None,
        grant: Bytes32 | None = None,
    ) -> Download:
        """A file or bytes ``first`` to ``last`` of it. RefusedError with http.md's codes (403)."""
        raise NotImplementedError

    def verify(self, asker: Asker, sha256: Bytes32) -> Stamped[VerdictView]:
        """Whether bytes with this SHA-256 are registered in a version that the asker may know of."""
        raise NotImplementedError


class Access:
    """`gateway.access`: requests and grants, for consumer, provider and auditors."""

    def requests(
        self,
        asker: Asker,
        paging: Paging,
        *,
        role: str | None = None,
        state: str | None = None,
        dataset: str | None = None,
        since: datetime | None = None,
        text: str | None = None,
    ) -> Page[AccessRequestView]:
        raise NotImplementedError

    def request(self, asker: Asker, digest: Bytes32) -> Stamped[AccessRequestView]:
        raise NotImplementedError

    def grants(
        self,
        asker: Asker,
        paging: Paging,
        *,
        role: str | None = None,
        state: str | None = None,
        dataset: str | None = None,
        since: datetime | None = None,
    ) -> Page[GrantView]:
        raise NotImplementedError

    def grant(self, asker: Asker, digest: Bytes32) -> Stamped[GrantView]:
        raise NotImplementedError


class Agreements:
    """`gateway.agreements`: agreements, usage and settlement, for their parties and auditors."""

    def list(
        self,
        asker: Asker,
        paging: Paging,
        *,
        role: str | None = None,
        state: str | None = None,
        since: datetime | None = None,
    ) -> Page[AgreementView]:
        raise NotImplementedError

    def get(self, asker: Asker, agreement: Bytes32) -> Stamped[AgreementView]:
        raise NotImplementedError

    def usage(
        self, asker: Asker, paging: Paging, *, agreement: Bytes32 | None = None, state: str | None = None
    ) -> Page[UsageView]:
        raise NotImplementedError

    def settlements(self, asker: Asker, paging: Paging, *, agreement: Bytes32 | None = None) -> Page[SettlementView]:
        raise NotImplementedError


class PublicLog:
    """`gateway.log`: the log as C2SP lays it out, and proofs. Public."""

    def checkpoint(self) -> bytes:
        """The latest signed checkpoint."""
        raise NotImplementedError

    def tile(self, path: str) -> bytes:
        """A tile or entry bundle by its C2SP path (``tile/0/000.p/3``). NotFoundError."""
        raise NotImplementedError

    def entry(self, index: int) -> bytes:
        """One entry, 97 bytes."""
        raise NotImplementedError

    def prove_inclusion(self, index: int, size: int | None = None) -> tuple[int, tuple[bytes, ...]]:
        """The size proved for (None: the latest checkpoint's), and the hashes."""
        raise NotImplementedError

    def prove_consistency(self, first: int, second: int | None = None) -> tuple[int, tuple[bytes, ...]]:
        """The second size (None: the latest checkpoint's), and the hashes."""
        raise NotImplementedError


class ApiKeys:
    """`gateway.api_keys`."""

    def authenticate(self, token: str) -> Asker | None:
        """Who bears ``ck_<id>_<secret>``; None when unknown, expired or revoked."""
        raise NotImplementedError

    def create(
        self,
        asker: Asker,
        *,
        scopes: frozenset[Scope],
        participant: str | None = None,
        label: str = "",
        expires_at: datetime | None = None,
    ) -> tuple[ApiKeyView, str]:
        """A new key and its token, which is shown once. Raises: ForbiddenError."""
        raise NotImplementedError

    def list(self, asker: Asker) -> tuple[ApiKeyView, ...]:
        raise NotImplementedError

    def revoke(self, asker: Asker, key_id: str) -> None:
        raise NotImplementedError


class Gateway:
    """A running gateway: ``with Gateway.open(settings) as gateway: ...`` opens, starts workers, closes."""

    statements: Statements
    participants: Participants
    datasets: Datasets
    access: Access
    agreements: Agreements
    log: PublicLog
    api_keys: ApiKeys

    @classmethod
    def open(cls, settings: GatewaySettings) -> Self:
        """Open chain, store, log, content and keystore in the home folder."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the workers."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the workers, finish what is being written, close everything."""
        raise NotImplementedError

    def health(self) -> HealthView:
        """Whether it can do its work."""
        raise NotImplementedError

    def idempotent(self, asker: Asker, key: str | None, body: bytes, act: Callable[[], Outcome]) -> Outcome:
        """Run ``act`` once for each (API key, Idempotency-Key); a repeat gets the present outcome of the same digest.

        ``key`` None: just ``act``. Raises: MalformedError-like RefusedError `idempotency-key-reused` (422) for another body.
        """
        raise NotImplementedError

    def consortium(self) -> ConsortiumView:
        """What joiners and auditors import."""
        raise NotImplementedError

    def rpc(self, body: bytes) -> bytes:
        """Answer a read-only JSON-RPC request about the chain."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
