// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {StatementExecutor} from "./StatementExecutor.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";

// Adds the standing of the signer, which the registry knows. Base of every contract but the registry.
abstract contract ParticipantStatementExecutor is StatementExecutor {
    IParticipantRegistry public immutable registry;

    constructor(IParticipantRegistry registry_) {
        registry = registry_;
    }

    // A statement of an Active participant: deadline, signer, signature, in this order.
    function _checkStatement(
        bytes32 digest,
        bytes32 participant,
        uint64 deadline,
        address signer,
        bytes calldata signature
    ) internal view {
        _checkDeadline(digest, deadline);
        _checkActiveSigner(participant, signer);
        _checkSignature(digest, signer, signature);
    }

    // A revocation: Suspended is enough.
    function _checkRevocation(
        bytes32 digest,
        bytes32 participant,
        uint64 deadline,
        address signer,
        bytes calldata signature
    ) internal view {
        _checkDeadline(digest, deadline);
        _checkRevokingSigner(participant, signer);
        _checkSignature(digest, signer, signature);
    }

    function _checkActiveSigner(bytes32 participant, address signer) internal view {
        (IParticipantRegistry.Status status, bool keyActive) = registry.signerStatus(participant, signer);
        if (!keyActive || status != IParticipantRegistry.Status.Active) {
            revert StatementExecutorSignerNotActive(participant, signer, uint8(status), keyActive);
        }
    }

    function _checkRevokingSigner(bytes32 participant, address signer) internal view {
        (IParticipantRegistry.Status status, bool keyActive) = registry.signerStatus(participant, signer);
        // Whoever has an active key was admitted.
        if (!keyActive || status == IParticipantRegistry.Status.Retired) {
            revert StatementExecutorSignerNotActive(participant, signer, uint8(status), keyActive);
        }
    }
}
