// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What every contract that executes signed statements refuses alike.
/// @notice A statement is an EIP-712 struct signed by a key of the participant that it names. Whoever sends the
/// transaction is of no account: the signature counts. Checks come in one order: a repeat is a no-op that returns
/// false, then the deadline, the signer's standing, the signature, and the contract's own rules. Each contract's
/// EIP-712 domain is Concord, 1, the chain's id and its own address.
interface IStatementExecutor {
    /// @notice The statement's deadline has passed.
    error StatementExecutorDeadlinePassed(bytes32 digest, uint64 deadline, uint64 time);

    /// @notice The signature is not `signer`'s over `digest`: neither a canonical secp256k1 signature (65 bytes, low s)
    /// nor accepted by an ERC-1271 contract at that address.
    error StatementExecutorSignatureInvalid(bytes32 digest, address signer);

    /// @notice `signer` is not an active signing key of `participant`, or the participant's status (an
    /// `IParticipantRegistry.Status`) does not let it act.
    error StatementExecutorSignerNotActive(bytes32 participant, address signer, uint8 status, bool keyActive);
}
