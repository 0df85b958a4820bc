// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

// A contract that signs for a participant: it takes any signature that was approved beforehand.
contract Erc1271Wallet is IERC1271 {
    mapping(bytes32 digestAndSignature => bool) private _approved;

    function approve(bytes32 digest, bytes calldata signature) external {
        _approved[keccak256(abi.encode(digest, signature))] = true;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return _approved[keccak256(abi.encode(digest, signature))] ? this.isValidSignature.selector : bytes4(0);
    }
}
