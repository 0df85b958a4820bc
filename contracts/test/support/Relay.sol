// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cheats} from "./Cheats.sol";

// Digests, signatures and relayed calls, written out apart from the contracts' own code.
abstract contract Relay is Cheats {
    uint256 private _salts;

    // --- Signatures --------------------------------------------------------------------------------------------------

    // The EIP-712 digest, written out here apart from the contracts' own.
    function _typed(address executor, bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Concord"),
                keccak256("1"),
                block.chainid,
                executor
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    // The same signature with the other s, which ecrecover alone would take.
    function _malleated(bytes memory signature) internal pure returns (bytes memory) {
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        (bytes32 r, uint256 s, uint8 v) = (0, 0, uint8(signature[64]));
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
        }
        return abi.encodePacked(r, order - s, v == 27 ? uint8(28) : uint8(27));
    }

    function _salt() internal returns (bytes32) {
        return keccak256(abi.encode("salt", ++_salts));
    }

    // --- Calls -------------------------------------------------------------------------------------------------------

    // Relays a call from a stranger and asserts what it answers: whether the statement took effect.
    function _assertExecutes(address executor, bytes memory call, bool executed) internal {
        vm.prank(address(uint160(uint256(_salt()))));
        (bool success, bytes memory answer) = executor.call(call);
        vm.assertEq(answer, abi.encode(executed), "the answer");
        vm.assertTrue(success, "executes");
    }

    function _assertRefused(address executor, bytes memory call, bytes memory refusal) internal {
        vm.prank(address(uint160(uint256(_salt()))));
        (bool success, bytes memory answer) = executor.call(call);
        vm.assertEq(answer, refusal, "the refusal");
        vm.assertFalse(success, "refused");
    }
}
