"""A version that some were granted, for tests of what becomes of it while it is delivered."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from itertools import count

from ledger.content.release import RecipientKey, ReleaseTerms, open_key
from ledger.content.sealing import SealingKey
from ledger.exchange.intents import AccessGrantIntent, AccessRevocationIntent
from ledger.exchange.sealed_version import SealedVersion
from ledger.exchange.transfers import Caller
from ledger.surface.transfers import CustodialReceipt, TransferRequest, TransferView
from ledger.types import Bytes32
from tests.support.exchange import Consortium, registration, soon, upload

__all__ = ["Buyer", "Sold"]

_NUMBERS = count()


@dataclass
class Sold:
    """A version of the utility's."""

    consortium: Consortium
    files: dict[str, bytes] = field(default_factory=lambda: {"a.csv": b"hour,mwh\n0,12.5\n"})
    name: str = field(default_factory=lambda: f"utility/for-sale-{next(_NUMBERS)}")
    registration: Bytes32 = field(init=False)

    def __post_init__(self) -> None:
        self.registration = self.consortium.state("utility", registration(self.name.split("/")[1], self.files)).digest
        for path, data in self.files.items():
            upload(self.consortium, "utility", self.name, 1, path, data)

    def to(self, consumer: str) -> Buyer:
        """Grant it."""
        return Buyer(self, consumer)

    @property
    def current(self) -> SealedVersion | None:
        """The sealing under which it is delivered."""
        return self.consortium.gateway.sealings.current(self.registration)


@dataclass
class Buyer:
    """A consumer, its grant, and one transfer at a time."""

    sold: Sold
    consumer: str
    grant: Bytes32 = field(init=False)
    salt: Bytes32 = field(default_factory=lambda: Bytes32(secrets.token_bytes(32)))
    recipient: RecipientKey = field(default_factory=RecipientKey.generate)

    def __post_init__(self) -> None:
        self.permit()

    @property
    def caller(self) -> Caller:
        return Caller(self.sold.consortium.asker(self.consumer))

    def permit(self) -> None:
        """Grant it (again)."""
        intent = AccessGrantIntent(
            dataset=self.sold.name, consumer=self.consumer, purpose="ResearchAndDevelopment", rights=("read",),
            valid_until=soon(hours=1),
        )  # fmt: skip
        self.grant = self.sold.consortium.state("utility", intent).digest

    def revoke(self) -> None:
        self.sold.consortium.state("utility", AccessRevocationIntent(grant=self.grant))

    def open(self, *, anew: bool = False) -> TransferView:
        if anew:
            self.salt = Bytes32(secrets.token_bytes(32))
        request = TransferRequest(dataset=self.sold.name, transfer_salt=self.salt)
        return asyncio.run(self.sold.consortium.gateway.transfers.open(self.caller, request))

    def read(self, view: TransferView) -> bytes:
        """All sealed bytes."""

        async def collect() -> bytes:
            got = await self.sold.consortium.gateway.transfers.data(self.caller, view.id)
            return b"".join([piece async for piece in got.pieces])

        return asyncio.run(collect())

    def receive(self, view: TransferView) -> TransferView:
        """Give the receipt, get the key."""
        root = Bytes32.parse(str(view.sealing.message["ciphertextRoot"]))
        receipt = CustodialReceipt(
            transfer_salt=self.salt, recipient_key="0x" + self.recipient.public.hex(), ciphertext_root=root
        )
        return self.sold.consortium.gateway.transfers.receive(self.caller, view.id, receipt)

    def open_key(self, view: TransferView) -> SealingKey:
        """The key that was released."""
        assert view.release is not None
        terms = ReleaseTerms(view.id, view.grant, view.sealing.digest, view.consumer)
        wrapped = bytes.fromhex(str(view.release.message["wrappedKey"])[2:])
        commitment = Bytes32.parse(str(view.sealing.message["keyCommitment"]))
        return SealingKey.opened(open_key(wrapped, self.recipient, terms), commitment)
