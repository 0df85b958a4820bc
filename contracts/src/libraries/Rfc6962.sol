// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// Verification of RFC 6962 Merkle proofs with SHA-256: RFC 9162, sections 2.1.3.2 and 2.1.4.2. Agrees with
// `ledger.merkle` case by case: RootMismatch is its VerificationError, every other error its MalformedError.
library Rfc6962 {
    // A tree of size 0 has no proofs.
    error Rfc6962SizeZero();

    error Rfc6962IndexOutOfRange(uint64 index, uint64 size);

    error Rfc6962SizesOutOfOrder(uint64 size1, uint64 size2);

    // The proof has surplus hashes, or some are missing.
    error Rfc6962ProofLength(uint256 expected, uint256 length);

    error Rfc6962RootMismatch(bytes32 expected, bytes32 found);

    // SHA-256 of the empty string.
    bytes32 internal constant EMPTY_ROOT = 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;

    function leafHash(bytes memory entry) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), entry));
    }

    function verifyInclusion(
        bytes32 leaf,
        uint64 index,
        uint64 size,
        bytes32[] calldata proof,
        bytes32 root
    ) internal view {
        if (size == 0) revert Rfc6962SizeZero();
        if (index >= size) revert Rfc6962IndexOutOfRange(index, size);
        bytes32 found = _foldInclusion(leaf, index, size - 1, proof);
        if (found != root) revert Rfc6962RootMismatch(root, found);
    }

    // Equal sizes take an empty proof and equal roots.
    function verifyConsistency(
        uint64 size1,
        uint64 size2,
        bytes32[] calldata proof,
        bytes32 root1,
        bytes32 root2
    ) internal view {
        if (size1 == 0) revert Rfc6962SizeZero();
        if (size1 > size2) revert Rfc6962SizesOutOfOrder(size1, size2);
        if (size1 == size2) {
            if (proof.length != 0) revert Rfc6962ProofLength(0, proof.length);
            if (root1 != root2) revert Rfc6962RootMismatch(root1, root2);
            return;
        }
        (bytes32 found1, bytes32 found2, uint256 used) = _foldConsistency(size1, size2, proof, root1);
        if (used != proof.length) revert Rfc6962ProofLength(used, proof.length);
        if (found1 != root1) revert Rfc6962RootMismatch(root1, found1);
        if (found2 != root2) revert Rfc6962RootMismatch(root2, found2);
    }

    // Section 2.1.3.2, steps 2 to 4: `fn` is the node's place on its level, `sn` that of the level's last node. Where
    // they meet, the node is the last one; from there on every set bit of its place is a left sibling.
    function _foldInclusion(
        bytes32 leaf,
        uint256 fn,
        uint256 sn,
        bytes32[] calldata proof
    ) private view returns (bytes32 r) {
        uint256 used = 0;
        r = leaf;
        for (; fn != sn; (fn, sn) = (fn >> 1, sn >> 1)) {
            bytes32 p = _at(proof, used++);
            r = fn & 1 == 1 ? _nodeHash(p, r) : _nodeHash(r, p);
        }
        for (; fn != 0; fn &= fn - 1) r = _nodeHash(_at(proof, used++), r);
        if (used != proof.length) revert Rfc6962ProofLength(used, proof.length);
    }

    // Section 2.1.4.2, steps 1 to 6, for 0 < size1 < size2. In assembly: a checkpoint pays for up to forty hashes.
    // Two inputs of 0x01 || left || right, one for each root; every answer lands in its own right half, where it is
    // wanted next. Instead of shifting the two places down, `bit` walks up: it is the number of leaves below a node
    // of the level. A call of the precompile fails only for want of gas, and what is left then ends the transaction.
    function _foldConsistency(
        uint256 size1,
        uint256 size2,
        bytes32[] calldata proof,
        bytes32 root1
    ) private view returns (bytes32 fr, bytes32 sr, uint256 used) {
        assembly ("memory-safe") {
            let first := mload(0x40)
            let second := add(first, 0x60)
            let firstRight := add(first, 0x21)
            let secondRight := add(second, 0x21)
            let end := proof.offset
            // The last complete subtree of the first tree; if that is all of it, its root is not in the proof.
            let bit := and(size1, sub(0, size1))
            sr := root1
            if xor(bit, size1) {
                sr := calldataload(end)
                end := add(end, 0x20)
            }
            mstore8(first, 0x01)
            mstore8(second, 0x01)
            mstore(firstRight, sr)
            mstore(secondRight, sr)
            let fn := sub(size1, 1)
            let differing := xor(fn, sub(size2, 1))
            for {} 1 {} {
                // The node is a right child: its left sibling is in both trees.
                for {} and(fn, bit) { bit := shl(1, bit) } {
                    mstore(add(first, 0x01), calldataload(end))
                    mstore(add(second, 0x01), calldataload(end))
                    pop(staticcall(gas(), 0x02, first, 0x41, firstRight, 0x20))
                    pop(staticcall(gas(), 0x02, second, 0x41, secondRight, 0x20))
                    end := add(end, 0x20)
                }
                if gt(bit, differing) {
                    break
                }
                // The node is a left child: its right sibling is in the second tree alone.
                mstore(add(second, 0x01), mload(secondRight))
                mstore(secondRight, calldataload(end))
                pop(staticcall(gas(), 0x02, second, 0x41, secondRight, 0x20))
                end := add(end, 0x20)
                bit := shl(1, bit)
            }
            // Above, both trees have the same nodes to the left: one for each set bit.
            for { fn := and(fn, sub(0, bit)) } fn { fn := and(fn, sub(fn, 1)) } {
                mstore(add(first, 0x01), calldataload(end))
                mstore(add(second, 0x01), calldataload(end))
                pop(staticcall(gas(), 0x02, first, 0x41, firstRight, 0x20))
                pop(staticcall(gas(), 0x02, second, 0x41, secondRight, 0x20))
                end := add(end, 0x20)
            }
            fr := mload(firstRight)
            sr := mload(secondRight)
            used := shr(5, sub(end, proof.offset))
        }
    }

    // Without a look at the length, which is checked at the end: whatever is read past it is then thrown away.
    function _at(bytes32[] calldata proof, uint256 place) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            hash := calldataload(add(proof.offset, shl(5, place)))
        }
    }

    // SHA-256(0x01 || left || right), in memory that nobody owns, so that a long proof allocates none.
    function _nodeHash(bytes32 left, bytes32 right) private view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore8(input, 0x01)
            mstore(add(input, 0x01), left)
            mstore(add(input, 0x21), right)
            if iszero(staticcall(gas(), 0x02, input, 0x41, 0x00, 0x20)) {
                revert(0x00, 0x00)
            }
            hash := mload(0x00)
        }
    }
}
