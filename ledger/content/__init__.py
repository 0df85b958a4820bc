"""Data sets: manifests, chunk hashes, proofs of parts, and whether a folder matches: what the offline verifier needs.

The store that keeps the bytes is `ledger.content.store`, imported by name, because it alone needs obstore.
"""

from ledger.content.chunks import ChunkIndex, ChunkMismatchError, check_chunk, check_chunk_hashes, parse_chunks
from ledger.content.folder import FileFinding, FileState, FolderReport, verify_folder
from ledger.content.manifest import (
    CHUNK_SIZE_BYTES,
    MAX_FILE_SIZE_BYTES,
    MAX_FILES,
    FileEntry,
    Manifest,
    compute_content_hash,
    parse_manifest,
)
from ledger.content.paths import check_path, normalize_path
from ledger.content.proofs import FileProof, prove_chunk, prove_file, verify_chunk, verify_file_entry
from ledger.content.reading import hash_bytes
from ledger.content.scan import Progress, ProgressCallback, ScannedContent, scan_folder

__all__ = [
    "CHUNK_SIZE_BYTES",
    "MAX_FILES",
    "MAX_FILE_SIZE_BYTES",
    "ChunkIndex",
    "ChunkMismatchError",
    "FileEntry",
    "FileFinding",
    "FileProof",
    "FileState",
    "FolderReport",
    "Manifest",
    "Progress",
    "ProgressCallback",
    "ScannedContent",
    "check_chunk",
    "check_chunk_hashes",
    "check_path",
    "compute_content_hash",
    "hash_bytes",
    "normalize_path",
    "parse_chunks",
    "parse_manifest",
    "prove_chunk",
    "prove_file",
    "scan_folder",
    "verify_chunk",
    "verify_file_entry",
    "verify_folder",
]
