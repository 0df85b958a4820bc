"""A registration's content: whether manifest and metadata are the registered ones, and the data are the manifest's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ledger.canonical import encode_canonical, hash_document
from ledger.content import (
    ChunkIndex,
    FileFinding,
    FileState,
    Manifest,
    compute_content_hash,
    parse_chunks,
    parse_manifest,
    verify_folder,
)
from ledger.errors import NotFoundError, UnavailableError, VerificationError
from ledger.evidence.evidence import Content
from ledger.statements import Statement

__all__ = ["describe_dataset", "verify_content", "verify_data"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z", re.ASCII)
_SHOWN: Final = 10


def verify_content(statement: Statement, content: Content) -> tuple[Manifest, ChunkIndex | None]:
    """Check that manifest and metadata are those that the registration commits to.

    Raises:
        MalformedError: manifest or chunk hashes are not of their format.
        VerificationError: another content or metadata hash, or chunk hashes that do not belong to the manifest.
    """
    manifest = parse_manifest(encode_canonical(content.manifest))
    chunks = None if content.chunks is None else parse_chunks(encode_canonical(content.chunks), manifest)
    found = compute_content_hash(content.version_salt, manifest.content_root)
    if found != statement.message["contentHash"]:
        raise VerificationError(
            "the manifest is not the registered one", expected=str(statement.message["contentHash"]), found=str(found)
        )
    if content.metadata is not None:
        found = hash_document(content.metadata.salt, content.metadata.document)
        if found != statement.message["metadataHash"]:
            raise VerificationError(
                "the metadata are not the registered ones",
                expected=str(statement.message["metadataHash"]),
                found=str(found),
            )
    return manifest, chunks


def verify_data(folder: Path, manifest: Manifest, chunks: ChunkIndex | None) -> str:
    """Check the files below ``folder``; return what was found, in words.

    Raises:
        VerificationError: a file differs; it is named, with the chunk where that is known.
        UnavailableError: a file is missing or can not be read.
    """
    try:
        report = verify_folder(folder, manifest, chunks)
    except NotFoundError as error:
        raise UnavailableError(f"the data are not there: {error}") from error
    surplus = f"; surplus: {_shorten(report.surplus)}" if report.surplus else ""
    changed = report.in_state(FileState.CHANGED)
    absent = report.in_state(FileState.MISSING) + report.in_state(FileState.UNREADABLE)
    if changed:
        raise VerificationError(_describe(changed) + surplus)
    if absent:
        raise UnavailableError(_describe(absent) + surplus)
    return f"{len(report.findings)} files match it{surplus}"


def describe_dataset(statement: Statement, content: Content | None) -> tuple[str, str] | None:
    """Provider handle and ``slug@version``, where the metadata document has them; None where not."""
    if content is None or content.metadata is None:
        return None
    provider, slug = (content.metadata.document.get(name) for name in ("provider", "slug"))
    if not isinstance(provider, str) or not isinstance(slug, str) or not _NAME.match(provider) or not _NAME.match(slug):
        return None
    return provider, f"{slug}@{statement.message['version']!s}"


def _describe(findings: tuple[FileFinding, ...]) -> str:
    counting = ", counted from 0" if any(finding.chunk is not None for finding in findings) else ""
    return _shorten([f"{finding.path} {finding.detail}" for finding in findings]) + counting


def _shorten(items: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
