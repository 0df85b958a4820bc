// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// RFC 6962 trees whose leaves are all alike, so that those of a million leaves cost a few hashes.
library UniformTree {
    bytes32 internal constant LEAF = keccak256("leaf");

    function rootOf(uint256 size) internal pure returns (bytes32) {
        if (size == 1) return LEAF;
        uint256 left = split(size);
        return _node(_complete(left), rootOf(size - left));
    }

    function inclusionProof(uint256 index, uint256 size) internal pure returns (bytes32[] memory) {
        return _path(index, size, 0);
    }

    function consistencyProof(uint256 size1, uint256 size2) internal pure returns (bytes32[] memory) {
        return _subproof(size1, size2, true, 0);
    }

    // The largest power of two below `size`.
    function split(uint256 size) internal pure returns (uint256 power) {
        power = 1;
        while (power * 2 < size) power *= 2;
    }

    // Each call knows how many hashes its callers will append, so the proof is allocated once.
    function _path(uint256 index, uint256 size, uint256 above) private pure returns (bytes32[] memory proof) {
        if (size == 1) return new bytes32[](above);
        uint256 left = split(size);
        bool inLeft = index < left;
        proof = inLeft ? _path(index, left, above + 1) : _path(index - left, size - left, above + 1);
        proof[proof.length - above - 1] = rootOf(inLeft ? size - left : left);
    }

    function _subproof(
        uint256 size1,
        uint256 size2,
        bool whole,
        uint256 above
    ) private pure returns (bytes32[] memory proof) {
        if (size1 == size2) {
            proof = new bytes32[](whole ? above : above + 1);
            if (!whole) proof[0] = rootOf(size2);
            return proof;
        }
        uint256 left = split(size2);
        if (size1 <= left) {
            proof = _subproof(size1, left, whole, above + 1);
            proof[proof.length - above - 1] = rootOf(size2 - left);
        } else {
            proof = _subproof(size1 - left, size2 - left, false, above + 1);
            proof[proof.length - above - 1] = _complete(left);
        }
    }

    function _complete(uint256 size) private pure returns (bytes32 hash) {
        hash = LEAF;
        for (; size > 1; size /= 2) hash = _node(hash, hash);
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }
}
