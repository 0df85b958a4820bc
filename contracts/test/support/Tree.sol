// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// RFC 6962 trees by their definition: slow, recursive, for tests alone.
library Tree {
    function rootOf(bytes32[] memory leaves) internal pure returns (bytes32) {
        return _root(leaves, 0, leaves.length);
    }

    function inclusionProof(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory) {
        return _path(leaves, 0, leaves.length, index);
    }

    // From the first `size` leaves, at least one, to all.
    function consistencyProof(bytes32[] memory leaves, uint256 size) internal pure returns (bytes32[] memory) {
        return _subproof(leaves, 0, leaves.length, size, true);
    }

    function _root(bytes32[] memory leaves, uint256 from, uint256 until) private pure returns (bytes32) {
        if (until == from) return sha256("");
        if (until - from == 1) return leaves[from];
        uint256 middle = from + _split(until - from);
        return sha256(abi.encodePacked(bytes1(0x01), _root(leaves, from, middle), _root(leaves, middle, until)));
    }

    function _path(
        bytes32[] memory leaves,
        uint256 from,
        uint256 until,
        uint256 index
    ) private pure returns (bytes32[] memory) {
        if (until - from == 1) return new bytes32[](0);
        uint256 middle = from + _split(until - from);
        return
            index < middle
                ? _append(_path(leaves, from, middle, index), _root(leaves, middle, until))
                : _append(_path(leaves, middle, until, index), _root(leaves, from, middle));
    }

    function _subproof(
        bytes32[] memory leaves,
        uint256 from,
        uint256 until,
        uint256 size,
        bool whole
    ) private pure returns (bytes32[] memory) {
        if (size == until - from) {
            bytes32[] memory none = new bytes32[](0);
            return whole ? none : _append(none, _root(leaves, from, until));
        }
        uint256 split = _split(until - from);
        uint256 middle = from + split;
        return
            size <= split
                ? _append(_subproof(leaves, from, middle, size, whole), _root(leaves, middle, until))
                : _append(_subproof(leaves, middle, until, size - split, false), _root(leaves, from, middle));
    }

    // The largest power of two below `count`.
    function _split(uint256 count) private pure returns (uint256 power) {
        power = 1;
        while (power * 2 < count) power *= 2;
    }

    function _append(bytes32[] memory path, bytes32 hash) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) longer[i] = path[i];
        longer[path.length] = hash;
    }
}
