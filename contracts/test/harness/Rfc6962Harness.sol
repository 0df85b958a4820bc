// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rfc6962} from "../../src/libraries/Rfc6962.sol";

// Lets tests, of forge and of Python, call the library.
contract Rfc6962Harness {
    function leafHash(bytes calldata entry) external pure returns (bytes32) {
        return Rfc6962.leafHash(entry);
    }

    function verifyInclusion(
        bytes32 leaf,
        uint64 index,
        uint64 size,
        bytes32[] calldata proof,
        bytes32 root
    ) external view {
        Rfc6962.verifyInclusion(leaf, index, size, proof, root);
    }

    function verifyConsistency(
        uint64 size1,
        uint64 size2,
        bytes32[] calldata proof,
        bytes32 root1,
        bytes32 root2
    ) external view {
        Rfc6962.verifyConsistency(size1, size2, proof, root1, root2);
    }
}
