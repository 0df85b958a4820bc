"""web3's provider port over the embedded chain: the same JSON-RPC as over HTTP, without the network."""

from __future__ import annotations

from typing import cast

from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from ledger.chain.embedded.rpc import EmbeddedRpc

__all__ = ["EmbeddedProvider"]


class EmbeddedProvider(JSONBaseProvider):
    """Hands requests to the chain in this process; every sender is allowed."""

    def __init__(self, rpc: EmbeddedRpc) -> None:
        super().__init__()
        self._rpc = rpc

    def make_request(self, method: RPCEndpoint, params: object) -> RPCResponse:
        """Answer one request."""
        return self.make_batch_request([(method, params)])[0]

    def make_batch_request(self, requests: list[tuple[RPCEndpoint, object]]) -> list[RPCResponse]:
        """Answer requests in order."""
        forms = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": params}
            for index, (method, params) in enumerate(requests)
        ]
        return cast("list[RPCResponse]", self._rpc.answer(forms, None))
