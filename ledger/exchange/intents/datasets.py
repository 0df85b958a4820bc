"""Which bytes, in which version, derived from what: intents of the dataset registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from ledger.canonical import JsonValue, encode_canonical
from ledger.content import Manifest, compute_content_hash, parse_chunks, parse_manifest
from ledger.errors import ConflictError, MalformedError, RefusedError
from ledger.exchange.intents.draft import Draft, PreparedContent, draw_salt
from ledger.exchange.intents.intent import Intent
from ledger.exchange.intents.participants import HANDLE_PATTERN
from ledger.statements import Statement
from ledger.surface.codec import MOST_IN_LIST
from ledger.types import Bytes32

__all__ = [
    "DatasetRegistrationIntent",
    "DatasetRetirementIntent",
    "ErasureIntent",
    "ParentName",
    "build_dataset_retirement",
    "build_erasure",
    "build_registration",
    "check_metadata",
]

_REQUIRED_TEXTS = ("title", "description", "licence", "contact")
_METADATA_MEMBERS = frozenset({*_REQUIRED_TEXTS, "keywords", "schema"})


@dataclass(frozen=True, slots=True)
class ParentName:
    """A version that another is derived from: ``ParentName("utility/power", 2)``; None means the latest."""

    dataset: str
    version: int | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetRegistrationIntent(Intent):
    """Register the next version of the asker's dataset ``slug``.

    ``manifest`` and ``chunks`` are the JSON documents of docs/spec/manifest.md (chunks None: every file has at most
    one chunk); ``metadata`` has title, description, licence, contact, keywords and may have a schema; ``version`` is
    the expected number, None means the next.
    """

    TYPE: ClassVar[str] = "DatasetRegistration"

    slug: str
    metadata: Mapping[str, JsonValue]
    manifest: JsonValue
    chunks: JsonValue | None = None
    parents: Annotated[tuple[ParentName, ...], Field(max_length=MOST_IN_LIST)] = ()
    version: int | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetRetirementIntent(Intent):
    """No further versions; its grants end."""

    TYPE: ClassVar[str] = "DatasetRetirement"

    dataset: str


@dataclass(frozen=True, kw_only=True)
class ErasureIntent(Intent):
    """Destroy a version's data for good. ``registration``, where it is given, must be that version's."""

    TYPE: ClassVar[str] = "Erasure"

    dataset: str
    version: int
    reason: str
    registration: Bytes32 | None = None


def build_registration(draft: Draft, intent: DatasetRegistrationIntent) -> Statement:
    """The next version of a dataset, the first one with a fresh dataset salt."""
    if not HANDLE_PATTERN.match(intent.slug):
        raise MalformedError("a slug has 1 to 63 of a-z, 0-9 and -, not a dash in front")
    metadata = check_metadata(intent.metadata)
    manifest, chunks = _read_content(intent)
    known = draft.directory.find_dataset(draft.participant, intent.slug)
    version = 1 if known is None else known.latest_version + 1
    _check_version(intent, version, is_retired=known is not None and known.is_retired)
    salt = draw_salt()
    draft.content = PreparedContent(manifest, chunks, salt)
    draft.notes["slug"] = intent.slug
    names: dict[str, JsonValue] = {"provider": draft.directory.handle_of(draft.participant), "slug": intent.slug}
    return draft.build(
        intent,
        datasetSalt=draw_salt() if known is None else known.salt,
        version=version,
        contentHash=compute_content_hash(salt, manifest.content_root),
        metadataHash=draft.attach({**metadata, **names}),
        parents=_resolve_parents(draft, intent.parents),
    )


def _read_content(intent: DatasetRegistrationIntent) -> tuple[Manifest, bytes | None]:
    manifest = parse_manifest(encode_canonical(intent.manifest))
    if intent.chunks is not None:
        return manifest, parse_chunks(encode_canonical(intent.chunks), manifest).to_bytes()
    large = next((entry.path for entry in manifest.files if entry.chunk_count > 1), None)
    if large is not None:
        raise MalformedError(f"{large} has more than one chunk: send the chunk hashes with the manifest")
    return manifest, None


def _check_version(intent: DatasetRegistrationIntent, version: int, *, is_retired: bool) -> None:
    if is_retired:
        raise ConflictError(f"the dataset {intent.slug} is retired: take another slug", code="dataset-retired")
    if intent.version is not None and intent.version != version:
        raise ConflictError(
            f"the next version of {intent.slug} is {version}, not {intent.version}: read it again",
            code="version-conflict",
            facts={"expected": version, "given": intent.version},
        )


def check_metadata(metadata: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Check what a provider says of a version. Raises: MalformedError."""
    document = dict(metadata)
    unknown = sorted(document.keys() - _METADATA_MEMBERS)
    if unknown:
        raise MalformedError(f"metadata has no member {', '.join(unknown[:20])}")
    for member in _REQUIRED_TEXTS:
        if not isinstance(document.get(member), str):
            raise MalformedError(f"metadata needs {member}, a text")
    keywords = document.get("keywords", [])
    if not isinstance(keywords, list) or not all(isinstance(word, str) for word in keywords):
        raise MalformedError("metadata's keywords are a list of texts")
    if len(keywords) > MOST_IN_LIST:
        raise MalformedError(f"metadata has {len(keywords)} keywords, more than {MOST_IN_LIST}")
    return document


def _resolve_parents(draft: Draft, parents: tuple[ParentName, ...]) -> list[dict[str, object]]:
    named: dict[tuple[Bytes32, int], Bytes32] = {}
    for parent in parents:
        dataset = draft.directory.dataset(parent.dataset)
        version = dataset.latest_version if parent.version is None else parent.version
        if (dataset.id, version) in named:
            raise MalformedError(f"{parent.dataset}@{version} is named as a parent twice")
        named[dataset.id, version] = draft.directory.registration(dataset.id, version)
    return [
        {"dataset": dataset, "version": version, "registration": digest}
        for (dataset, version), digest in sorted(named.items())
    ]


def build_dataset_retirement(draft: Draft, intent: DatasetRetirementIntent) -> Statement:
    """No further versions."""
    return draft.build(intent, datasetSalt=draft.dataset_salt(intent.dataset))


def build_erasure(draft: Draft, intent: ErasureIntent) -> Statement:
    """The tombstone of a version."""
    dataset = draft.directory.dataset(intent.dataset)
    if dataset.provider != draft.participant:
        raise RefusedError(
            "the dataset is another provider's", code="not-provider", facts={"provider": str(dataset.provider)}
        )
    registration = draft.directory.registration(dataset.id, intent.version)
    if intent.registration is not None and intent.registration != registration:
        raise RefusedError(
            "that version holds another registration",
            code="other-registration",
            facts={"registration": str(registration)},
        )
    reason = draft.attach({"reason": intent.reason})
    return draft.build(intent, dataset=dataset.id, version=intent.version, registration=registration, reasonHash=reason)
