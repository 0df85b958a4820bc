"""The JSON form of a receipt that a consumer brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.statements import Statement
from ledger.surface.outcomes import SignedStatement
from ledger.surface.transfers import CustodialReceipt
from ledger.types import Address, parse_hex

__all__ = ["TransferReceiptForm"]


@dataclass(frozen=True, kw_only=True)
class TransferReceiptForm:
    """A signed ``TransferReceipt`` (message, signature, signer), or what the gateway signs in its place (custodial)."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    message: Mapping[str, JsonValue] | None = None
    signature: str | None = None
    signer: Address | None = None
    custodial: CustodialReceipt | None = None

    def read(self) -> SignedStatement | CustodialReceipt:
        """The receipt. Raises: MalformedError: neither of the two, or both."""
        signed = (self.message, self.signature, self.signer)
        if self.custodial is not None and signed == (None, None, None):
            return self.custodial
        if self.custodial is not None or self.message is None or self.signature is None or self.signer is None:
            raise MalformedError("a receipt has message, signature and signer, or custodial and nothing else")
        statement = Statement.parse("TransferReceipt", dict(self.message))
        return SignedStatement(statement, parse_hex(self.signature), self.signer)
