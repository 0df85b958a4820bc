"""Who pulls from whom, and what is offered, compared with what is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.client.described import expect_same
from ledger.client.identity import Signatory
from ledger.client.offered_sealing import SigningKeys, check_sealing_key
from ledger.statements import Statement, compute_transfer_id, recover_signer
from ledger.surface.transfers import StatedView, TransferView
from ledger.surface.views import VersionView
from ledger.types import Bytes32, parse_hex

__all__ = ["Consumer", "check_offer", "check_stated"]


@dataclass(frozen=True)
class Consumer:
    """Who pulls, from whom; ``identity`` signs the receipt, without one the gateway does with the custodial key.

    ``provider_keys`` are the provider's signing keys, as the consumer's own gateway tells (`signing_keys`): one of them
    must have signed the sealing, and it must be in a log, before it is receipted; and one of them the key's release.
    None: that is not looked at.
    """

    participant: Bytes32
    provider: Bytes32
    identity: Signatory | None = None
    provider_keys: SigningKeys | None = None


def check_offer(view: TransferView, version: VersionView, consumer: Consumer, salt: Bytes32) -> None:
    """Check that what is offered is what is registered. Raises: VerificationError: it is something else."""
    expected = (
        compute_transfer_id(consumer.participant, salt), consumer.provider, version.dataset, version.version,
        version.registration, version.content_hash, consumer.participant,
    )  # fmt: skip
    found = (
        view.id, view.provider, view.dataset, view.version, view.registration, view.content_hash, view.consumer,
    )  # fmt: skip
    names = ("transfer", "provider", "dataset", "version", "registration", "content hash", "consumer")
    for name, wanted, given in zip(names, expected, found, strict=True):
        expect_same(f"the provider offers another {name}", wanted, given)
    sealing = check_stated(view.sealing, "Sealing", consumer.identity)
    if consumer.provider_keys is not None:
        check_sealing_key(view.sealing, consumer.provider_keys)
    message: Any = sealing.message
    stated = (sealing.participant, message["dataset"], message["version"], message["registration"])
    expect_same("the sealing is of something else", (view.provider, *expected[2:5]), stated)


def check_stated(stated: StatedView, type_name: str, identity: Signatory | None) -> Statement:
    """The statement, and, where the consortium's domains are known, that digest and signature are its."""
    statement = Statement.parse(type_name, dict(stated.message))
    if identity is not None:
        digest = statement.digest(identity.domains)
        expect_same(f"the digest of the {type_name} is another's", digest, stated.digest)
        expect_same(
            f"the {type_name} is signed by another key",
            stated.signer,
            recover_signer(digest, parse_hex(stated.signature)),
        )
    return statement
