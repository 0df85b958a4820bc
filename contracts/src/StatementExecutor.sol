// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IStatementExecutor} from "./interfaces/IStatementExecutor.sol";

// The domain, the deadline and the signature: what every contract checks of a statement.
abstract contract StatementExecutor is IStatementExecutor, EIP712 {
    uint256 private constant _SIGNATURE_BYTES = 65;

    // Of the two values of s that sign the same, the one up to half the order of secp256k1's group is canonical.
    uint256 private constant _HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    constructor() EIP712("Concord", "1") {}

    function _digestOf(bytes32 structHash) internal view returns (bytes32) {
        return _hashTypedDataV4(structHash);
    }

    function _checkDeadline(bytes32 digest, uint64 deadline) internal view {
        if (block.timestamp > deadline) {
            revert StatementExecutorDeadlinePassed(digest, deadline, uint64(block.timestamp));
        }
    }

    // Recovers first: a key without code then costs no look at its code.
    function _checkSignature(bytes32 digest, address signer, bytes calldata signature) internal view {
        if (signature.length == _SIGNATURE_BYTES) {
            (bytes32 r, bytes32 s, uint8 v) = (0, 0, 0);
            assembly ("memory-safe") {
                r := calldataload(signature.offset)
                s := calldataload(add(signature.offset, 0x20))
                v := byte(0, calldataload(add(signature.offset, 0x40)))
            }
            if (uint256(s) <= _HALF_ORDER && signer != address(0) && ecrecover(digest, v, r, s) == signer) return;
        }
        _checkContractSignature(digest, signer, signature);
    }

    // The same for a constructor, which has no calldata.
    function _checkSignatureInMemory(bytes32 digest, address signer, bytes memory signature) internal view {
        (address recovered, ECDSA.RecoverError failure, ) = ECDSA.tryRecover(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && recovered == signer) return;
        _checkContractSignature(digest, signer, signature);
    }

    function _checkContractSignature(bytes32 digest, address signer, bytes memory signature) private view {
        if (signer.code.length == 0 || !SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature)) {
            revert StatementExecutorSignatureInvalid(digest, signer);
        }
    }
}
