"""What only this gateway knows: statements beside its log, documents, contents, names, keys, the outbox."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from ledger.store.columns import AddressBytes, CanonicalJson, DigestBytes, Moment, Uint64
from ledger.store.schema.metadata import METADATA, digest_key, id_column

__all__ = [
    "API_KEYS",
    "CONTENTS",
    "CONTENT_FILES",
    "DATASET_SLUGS",
    "DOCUMENTS",
    "DOCUMENT_READERS",
    "DRAFTS",
    "FORMER_TRANSACTIONS",
    "IDENTITY",
    "IDEMPOTENCY",
    "OPENINGS",
    "OUTBOX",
    "PARTICIPANT_HANDLES",
    "SIGNED_CHECKPOINTS",
    "STATEMENTS",
    "STATEMENT_PARTIES",
    "SUBMISSIONS",
    "UPLOADS",
]


def _big_key(name: str) -> Column[Any]:
    # SQLite counts up only an INTEGER key.
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


IDENTITY: Final = Table(
    "identity",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("chain_id", String(78)),  # decimal; a uint256
    Column("registry", AddressBytes),
    Column("cursor_key", LargeBinary, nullable=False),
)

STATEMENTS: Final = Table(
    "statements",
    METADATA,
    _big_key("arrival"),
    Column("digest", DigestBytes, nullable=False, unique=True),
    Column("type", String(64), nullable=False),
    id_column("participant"),
    Column("message", CanonicalJson, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signer", AddressBytes, nullable=False),
    Column("cosignature", LargeBinary),
    Column("custodial", Boolean, nullable=False),
    Column("api_key", String(64)),
    Column("received_at", Moment, nullable=False),
    Column("executable", Boolean, nullable=False),
    Column("log", DigestBytes),
    Column("log_index", Uint64),
    Column("checkpoint_size", Uint64),
    Column("refusal", CanonicalJson),
    # What a DatasetRegistration says; null for others. It comes by the million: a table of its own would cost as much
    # again as the statement's row.
    Column("dataset", DigestBytes),
    Column("version", Uint64),
    Column("content_hash", DigestBytes),
    Column("metadata_hash", DigestBytes),
    Column("dataset_salt", DigestBytes),
    # What it is found by: ``ledger.store.version_keys``.
    Column("dataset_key", LargeBinary(8)),
    Column("version_key", Integer),
    UniqueConstraint("log", "log_index"),
    Index(None, "type", "arrival"),
    Index(None, "participant"),
    Index(None, "dataset_key", "version_key"),
)

STATEMENT_PARTIES: Final = Table(
    "statement_parties",  # whom a statement names besides its own participant
    METADATA,
    Column("digest", DigestBytes, ForeignKey("statements.digest", ondelete="CASCADE"), primary_key=True),
    Column("participant", DigestBytes, primary_key=True),
    Index(None, "participant"),
)

SUBMISSIONS: Final = Table(
    "submissions",  # accepted executable statements that wait for the outbox
    METADATA,
    Column("digest", DigestBytes, ForeignKey("statements.digest", ondelete="CASCADE"), primary_key=True),
)

SIGNED_CHECKPOINTS: Final = Table(
    "signed_checkpoints",  # every one that was signed, for the receipts under it; the largest is the log's last
    METADATA,
    Column("origin", Text, primary_key=True),
    Column("size", Uint64, primary_key=True),
    Column("previous_size", Uint64),  # null: the first
    Column("text", Text, nullable=False),
    UniqueConstraint("origin", "previous_size"),  # of two writers that extend the same checkpoint one wins
)

DOCUMENTS: Final = Table(
    "documents",
    METADATA,
    Column("hash", DigestBytes, primary_key=True),
    id_column("salt"),
    Column("body", LargeBinary, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("bound", Boolean, nullable=False),
    Column("search", Text, nullable=False),  # case-folded text of a profile or metadata
    Index(None, "bound", "created_at"),
)

DOCUMENT_READERS: Final = Table(
    "document_readers",
    METADATA,
    Column("hash", DigestBytes, ForeignKey("documents.hash", ondelete="CASCADE"), primary_key=True),
    Column("participant", DigestBytes, primary_key=True),
)

DRAFTS: Final = Table(
    "drafts",
    METADATA,
    digest_key(),
    Column("type", String(64), nullable=False),
    Column("message", CanonicalJson, nullable=False),
    Column("documents", CanonicalJson, nullable=False),
    Column("content_root", DigestBytes),
    Column("version_salt", DigestBytes),
    Column("notes", CanonicalJson),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)

CONTENTS: Final = Table(
    "contents",
    METADATA,
    Column("content_root", DigestBytes, primary_key=True),
    Column("manifest", LargeBinary, nullable=False),
    Column("chunks", LargeBinary),
    Column("file_count", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
)

CONTENT_FILES: Final = Table(
    "content_files",
    METADATA,
    Column("content_root", DigestBytes, ForeignKey("contents.content_root", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("path", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", DigestBytes, nullable=False, index=True),
    id_column("root"),
    UniqueConstraint("content_root", "path"),
)

OPENINGS: Final = Table(
    "openings",
    METADATA,
    Column("registration", DigestBytes, primary_key=True),
    Column("content_root", DigestBytes, ForeignKey("contents.content_root"), nullable=False, index=True),
    id_column("version_salt"),
)

UPLOADS: Final = Table(
    "uploads",
    METADATA,
    Column("registration", DigestBytes, ForeignKey("openings.registration"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("uploaded_at", Moment, nullable=False),
)

PARTICIPANT_HANDLES: Final = Table(
    "participant_handles",
    METADATA,
    Column("participant", DigestBytes, primary_key=True),
    Column("handle", String(64), nullable=False, unique=True),
)

DATASET_SLUGS: Final = Table(
    "dataset_slugs",
    METADATA,
    Column("dataset", DigestBytes, primary_key=True),
    id_column("provider"),
    Column("slug", String(64), nullable=False),
    id_column("dataset_salt"),
    UniqueConstraint("provider", "slug"),
)

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("subject", String(160), primary_key=True),
    Column("digest", DigestBytes, index=True),  # where the subject is a statement
    Column("relay", AddressBytes, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("hash", DigestBytes, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("noop", Boolean, nullable=False),
    Column("outcome", CanonicalJson),
    Column("block", BigInteger),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("relay", "nonce"),
    Index(None, "state", "relay", "nonce"),
)

FORMER_TRANSACTIONS: Final = Table(
    "former_transactions",  # that others took the place of in the outbox; a node may have them all the same
    METADATA,
    Column("hash", DigestBytes, primary_key=True),
    Column("subject", String(160), nullable=False),
    Column("relay", AddressBytes, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("noop", Boolean, nullable=False),
    Index(None, "relay", "nonce"),
)

API_KEYS: Final = Table(
    "api_keys",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("participant", DigestBytes, index=True),
    Column("scopes", CanonicalJson, nullable=False),
    Column("label", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
    Column("maker", String(64), index=True),  # the key that made it
)

IDEMPOTENCY: Final = Table(
    "idempotency",
    METADATA,
    Column("api_key", String(64), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("response", CanonicalJson),
    Column("created_at", Moment, nullable=False, index=True),
)
