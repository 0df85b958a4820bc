"""RFC 6962 Merkle trees with SHA-256: hashes, roots, proofs and their verification (RFC 9162, section 2.1).

Pure: no I/O and no clock. A root does not commit to the size of its tree (a proof for index 6 of 7 also verifies as
index 3 of 4), so callers take the size from a signed checkpoint and nowhere else.
"""

from ledger.merkle.hashing import EMPTY_ROOT, HASH_SIZE_BYTES, begin_leaf_hash, compute_root, leaf_hash, node_hash
from ledger.merkle.proving import prove_consistency, prove_inclusion
from ledger.merkle.subtrees import complete_subtrees, consistency_subtrees, inclusion_subtrees
from ledger.merkle.verification import compute_root_from_inclusion, verify_consistency, verify_inclusion

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE_BYTES",
    "begin_leaf_hash",
    "complete_subtrees",
    "compute_root",
    "compute_root_from_inclusion",
    "consistency_subtrees",
    "inclusion_subtrees",
    "leaf_hash",
    "node_hash",
    "prove_consistency",
    "prove_inclusion",
    "verify_consistency",
    "verify_inclusion",
]
