// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rfc6962} from "../src/libraries/Rfc6962.sol";
import {Rfc6962Harness} from "./harness/Rfc6962Harness.sol";
import {Cheats} from "./support/Cheats.sol";
import {Tree} from "./support/Tree.sol";

// Against trees built from the definition.
contract Rfc6962Test is Cheats {
    uint64 private constant _LARGEST = 20;

    Rfc6962Harness private _library = new Rfc6962Harness();

    function test_takesEveryInclusionProofOfSmallTrees() external view {
        for (uint64 size = 1; size <= _LARGEST; ++size) {
            bytes32[] memory leaves = _leaves(size);
            bytes32 root = Tree.rootOf(leaves);
            for (uint64 index = 0; index < size; ++index) {
                _library.verifyInclusion(leaves[index], index, size, Tree.inclusionProof(leaves, index), root);
            }
        }
    }

    function test_takesEveryConsistencyProofOfSmallTrees() external view {
        for (uint64 size2 = 1; size2 <= _LARGEST; ++size2) {
            bytes32[] memory leaves = _leaves(size2);
            for (uint64 size1 = 1; size1 <= size2; ++size1) {
                _library.verifyConsistency(
                    size1,
                    size2,
                    Tree.consistencyProof(leaves, size1),
                    Tree.rootOf(_leaves(size1)),
                    Tree.rootOf(leaves)
                );
            }
        }
    }

    function test_theEmptyRootIsTheHashOfNothing() external pure {
        vm.assertEq(Rfc6962.EMPTY_ROOT, sha256(""), "empty root");
    }

    function test_leafHashIsDomainSeparated(bytes calldata entry) external view {
        vm.assertEq(_library.leafHash(entry), sha256(bytes.concat(hex"00", entry)), "leaf hash");
    }

    // A root does not commit to the size: a proof for 6 of 7 also verifies as 3 of 4, which is why size, root and
    // origin are recorded together.
    function test_aRootDoesNotCommitToTheSize() external view {
        bytes32[] memory leaves = _leaves(7);
        bytes32[] memory proof = Tree.inclusionProof(leaves, 6);
        _library.verifyInclusion(leaves[6], 3, 4, proof, Tree.rootOf(leaves));
    }

    function test_refusesInclusionInTheEmptyTree(bytes32 leaf, uint64 index) external {
        _refuses(
            abi.encodeCall(_library.verifyInclusion, (leaf, index, 0, new bytes32[](0), sha256(""))),
            abi.encodeWithSelector(Rfc6962.Rfc6962SizeZero.selector)
        );
    }

    function test_refusesAnIndexOutOfRange(uint64 index, uint64 size) external {
        size = uint64(_bound(size, 1, type(uint64).max));
        index = uint64(_bound(index, size, type(uint64).max));
        _refuses(
            abi.encodeCall(_library.verifyInclusion, (0, index, size, new bytes32[](0), 0)),
            abi.encodeWithSelector(Rfc6962.Rfc6962IndexOutOfRange.selector, index, size)
        );
    }

    function test_refusesInclusionProofsOfAnotherLength(uint64 size, uint64 index, uint256 length) external {
        size = uint64(_bound(size, 1, _LARGEST));
        index = uint64(_bound(index, 0, size - 1));
        bytes32[] memory leaves = _leaves(size);
        uint256 expected = Tree.inclusionProof(leaves, index).length;
        length = _bound(length, 0, 70);
        vm.assume(length != expected);
        _refuses(
            abi.encodeCall(
                _library.verifyInclusion,
                (leaves[index], index, size, new bytes32[](length), Tree.rootOf(leaves))
            ),
            abi.encodeWithSelector(Rfc6962.Rfc6962ProofLength.selector, expected, length)
        );
    }

    function test_refusesAnyBitFlippedInAnInclusion(uint64 size, uint64 index, uint256 place, uint8 bit) external {
        size = uint64(_bound(size, 2, _LARGEST));
        index = uint64(_bound(index, 0, size - 1));
        bytes32[] memory leaves = _leaves(size);
        bytes32[] memory proof = Tree.inclusionProof(leaves, index);
        proof[place % proof.length] ^= bytes32(uint256(1) << bit);
        bytes32 root = Tree.rootOf(leaves);
        _refusesRoot(abi.encodeCall(_library.verifyInclusion, (leaves[index], index, size, proof, root)));
    }

    function test_refusesAnotherLeaf(uint64 size, uint64 index, bytes32 leaf) external {
        size = uint64(_bound(size, 1, _LARGEST));
        index = uint64(_bound(index, 0, size - 1));
        bytes32[] memory leaves = _leaves(size);
        vm.assume(leaf != leaves[index]);
        bytes32[] memory proof = Tree.inclusionProof(leaves, index);
        _refusesRoot(
            abi.encodeCall(_library.verifyInclusion, (leaf, index, size, proof, Tree.rootOf(leaves)))
        );
    }

    function test_refusesConsistencyFromTheEmptyTree(uint64 size) external {
        _refuses(
            abi.encodeCall(_library.verifyConsistency, (0, size, new bytes32[](0), sha256(""), 0)),
            abi.encodeWithSelector(Rfc6962.Rfc6962SizeZero.selector)
        );
    }

    function test_refusesSizesOutOfOrder(uint64 size1, uint64 size2) external {
        size1 = uint64(_bound(size1, 1, type(uint64).max));
        size2 = uint64(_bound(size2, 0, size1 - 1));
        _refuses(
            abi.encodeCall(_library.verifyConsistency, (size1, size2, new bytes32[](0), 0, 0)),
            abi.encodeWithSelector(Rfc6962.Rfc6962SizesOutOfOrder.selector, size1, size2)
        );
    }

    function test_equalSizesTakeNoProofAndOneRoot(uint64 size, bytes32 root, bytes32 other) external {
        size = uint64(_bound(size, 1, type(uint64).max));
        vm.assume(root != other);
        _library.verifyConsistency(size, size, new bytes32[](0), root, root);
        _refusesRoot(abi.encodeCall(_library.verifyConsistency, (size, size, new bytes32[](0), root, other)));
        _refuses(
            abi.encodeCall(_library.verifyConsistency, (size, size, new bytes32[](1), root, root)),
            abi.encodeWithSelector(Rfc6962.Rfc6962ProofLength.selector, 0, 1)
        );
    }

    function test_refusesConsistencyProofsOfAnotherLength(uint64 size1, uint64 size2, uint256 length) external {
        size2 = uint64(_bound(size2, 2, _LARGEST));
        size1 = uint64(_bound(size1, 1, size2 - 1));
        bytes32[] memory leaves = _leaves(size2);
        uint256 expected = Tree.consistencyProof(leaves, size1).length;
        length = _bound(length, 0, 70);
        vm.assume(length != expected);
        bytes32[] memory proof = new bytes32[](length);
        bytes32 root1 = Tree.rootOf(_leaves(size1));
        _refuses(
            abi.encodeCall(_library.verifyConsistency, (size1, size2, proof, root1, Tree.rootOf(leaves))),
            abi.encodeWithSelector(Rfc6962.Rfc6962ProofLength.selector, expected, length)
        );
    }

    function test_refusesAnyBitFlippedInAConsistencyProof(
        uint64 size1,
        uint64 size2,
        uint256 place,
        uint8 bit
    ) external {
        size2 = uint64(_bound(size2, 2, _LARGEST));
        size1 = uint64(_bound(size1, 1, size2 - 1));
        bytes32[] memory leaves = _leaves(size2);
        bytes32[] memory proof = Tree.consistencyProof(leaves, size1);
        (bytes32 root1, bytes32 root2) = (Tree.rootOf(_leaves(size1)), Tree.rootOf(leaves));
        bytes32 flip = bytes32(uint256(1) << bit);
        _refusesRoot(abi.encodeCall(_library.verifyConsistency, (size1, size2, proof, root1 ^ flip, root2)));
        _refusesRoot(abi.encodeCall(_library.verifyConsistency, (size1, size2, proof, root1, root2 ^ flip)));
        proof[place % proof.length] ^= flip;
        _refusesRoot(abi.encodeCall(_library.verifyConsistency, (size1, size2, proof, root1, root2)));
    }

    // A hash that could not be paid for is never taken for one that was computed.
    function test_refusesWhenTheGasRunsOut() external {
        bytes32[] memory leaves = _leaves(_LARGEST);
        (bytes32 root1, bytes32 root2) = (Tree.rootOf(_leaves(7)), Tree.rootOf(leaves));
        bytes32[] memory proof = Tree.consistencyProof(leaves, 7);
        _refusesAtAnyGas(
            abi.encodeCall(_library.verifyConsistency, (7, _LARGEST, proof, root1, ~root2))
        );
        proof = Tree.inclusionProof(leaves, 7);
        _refusesAtAnyGas(abi.encodeCall(_library.verifyInclusion, (leaves[7], 7, _LARGEST, proof, ~root2)));
    }

    function _refusesAtAnyGas(bytes memory call) private {
        for (uint256 gas = 100; gas < 12_000; gas += 7) {
            (bool success, ) = address(_library).call{gas: gas}(call);
            vm.assertFalse(success, "refused");
        }
    }

    function _refuses(bytes memory call, bytes memory refusal) private {
        (bool success, bytes memory answer) = address(_library).call(call);
        vm.assertEq(answer, refusal, "the refusal");
        vm.assertFalse(success, "refused");
    }

    function _refusesRoot(bytes memory call) private {
        (bool success, bytes memory answer) = address(_library).call(call);
        vm.assertFalse(success, "refused");
        vm.assertTrue(bytes4(answer) == Rfc6962.Rfc6962RootMismatch.selector, "for its root");
    }

    function _leaves(uint256 count) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) leaves[i] = keccak256(abi.encode(i));
    }
}
