// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessGrant, AccessRevocation} from "../types/AccessGrantsTypes.sol";
import {IStatementExecutor} from "./IStatementExecutor.sol";

/// @title Who may have a dataset, for how long
/// @notice A grant is one slot, keyed by provider and digest; whoever asks brings its terms. Grants coexist; a
/// revocation names one, also one that was not seen yet, and reaches only its signer's.
/// @custom:invariant INV-1 Only a key of an Active participant, valid at block time, acts in its name; a Suspended one
/// may revoke, and nothing else.
/// @custom:invariant INV-4 A revoked, expired or retired grant is never permitted again; a suspension masks, for as
/// long as it lasts.
/// @custom:invariant INV-8 A statement takes effect at most once, whoever relays it and however often.
interface IAccessGrants is IStatementExecutor {
    /// @notice What is kept of a grant; times are UTC seconds.
    /// @param validFrom start of the window, inclusive; zero while not granted
    /// @param validUntil end of the window, exclusive; zero while not granted
    /// @param grantedAt when the grant took effect; zero: it did not
    /// @param revokedAt when it was revoked; zero: it was not
    struct Grant {
        uint64 validFrom;
        uint64 validUntil;
        uint64 grantedAt;
        uint64 revokedAt;
    }

    /// @notice A provider permitted a consumer.
    /// @param digest the grant's EIP-712 digest
    /// @param participant the provider
    /// @param consumer who is permitted
    /// @param signer the provider's key whose signature was checked
    /// @param dataset the dataset's id
    /// @param firstVersion first version covered
    /// @param lastVersion last version covered; zero: later ones too
    /// @param purpose keccak256 of the purpose's IRI
    /// @param rights bit mask
    /// @param validFrom start of the window, inclusive
    /// @param validUntil end of the window, exclusive
    /// @param policyHash SHA-256(salt || policy)
    event AccessGranted(
        bytes32 indexed digest,
        bytes32 indexed participant,
        bytes32 indexed consumer,
        address signer,
        bytes32 dataset,
        uint64 firstVersion,
        uint64 lastVersion,
        bytes32 purpose,
        uint256 rights,
        uint64 validFrom,
        uint64 validUntil,
        bytes32 policyHash
    );

    /// @notice A provider ended one of its grants.
    /// @param digest the revocation's EIP-712 digest
    /// @param participant the provider
    /// @param signer the provider's key whose signature was checked
    /// @param grant digest of the grant
    event AccessRevoked(bytes32 indexed digest, bytes32 indexed participant, address signer, bytes32 grant);

    /// @notice Someone had a grant's state recorded. With the registry's history up to `historyHead` anyone tells
    /// offline whether the grant was permitted at any moment up to this block's time.
    /// @param digest the grant's EIP-712 digest
    /// @param participant the provider
    /// @param consumer who is permitted
    /// @param dataset the dataset's id
    /// @param validFrom start of the window, inclusive; zero while not granted
    /// @param validUntil end of the window, exclusive; zero while not granted
    /// @param grantedAt when the grant took effect; zero: it did not
    /// @param revokedAt when it was revoked; zero: it was not
    /// @param retiredAt when the dataset was retired; zero: it was not
    /// @param historyHead head of the registry's history
    event GrantAttested(
        bytes32 indexed digest,
        bytes32 indexed participant,
        bytes32 indexed consumer,
        bytes32 dataset,
        uint64 validFrom,
        uint64 validUntil,
        uint64 grantedAt,
        uint64 revokedAt,
        uint64 retiredAt,
        bytes32 historyHead
    );

    /// @notice A provider grants nothing to itself.
    error AccessGrantsToProvider(bytes32 participant);

    /// @notice The consumer is not an Active participant.
    error AccessGrantsConsumerNotActive(bytes32 consumer, uint8 status);

    /// @notice The window is empty, or over.
    error AccessGrantsWindowClosed(uint64 validFrom, uint64 validUntil, uint64 time);

    /// @notice Versions count from 1, and the last (unless zero) is not before the first.
    error AccessGrantsVersionsInvalid(uint64 firstVersion, uint64 lastVersion);

    /// @notice The grant gives no right.
    error AccessGrantsNoRights(bytes32 digest);

    /// @notice The dataset was retired.
    error AccessGrantsRetired(bytes32 dataset, uint64 retiredAt);

    /// @notice The grant was revoked before the chain saw it.
    error AccessGrantsRevoked(bytes32 digest, uint64 revokedAt);

    /// @notice Permits a consumer. Anyone may relay it.
    /// @param statement the grant
    /// @param signer the provider's signing key, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when this very grant took effect before (it may be revoked since): changes nothing
    function grant(AccessGrant calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice Ends a grant of the signer's, for ever; one that the chain has not seen can no longer take effect.
    /// Anyone may relay it.
    /// @param statement the revocation
    /// @param signer the provider's signing key, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when the grant was revoked before, by this revocation or another: changes nothing
    function revoke(AccessRevocation calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice Records a grant's state as an event. Anyone may ask for it; a grant that the chain has not seen is
    /// attested as such.
    /// @param statement the grant
    function attest(AccessGrant calldata statement) external;

    /// @notice Whether a use is permitted now: granted, within its window, not revoked, both sides Active, dataset not
    /// retired, version and right covered.
    /// @param statement the grant
    /// @param version the dataset's version, from 1
    /// @param right the bits asked for, at least one
    /// @return permitted whether it is
    function isPermitted(AccessGrant calldata statement, uint64 version, uint256 right)
        external
        view
        returns (bool permitted);

    /// @notice What is kept of a grant.
    /// @param participant the provider
    /// @param digest the grant's EIP-712 digest
    /// @return kept its slot
    function grantOf(bytes32 participant, bytes32 digest) external view returns (Grant memory kept);
}
