"""A chain of one node in this process, with the JSON-RPC that auditors read it by."""

import sys

# py-evm raises Python's recursion limit to 100,000 when it is imported. Under that limit a request body of nested
# brackets overflows the C stack in json.loads and kills the process, so the limit is put back to CPython's own, whoever
# else raised it before (eth-keyfile does as well); a transaction whose calls nest too deep for it is refused
# (BlockBuilder.add).
_LIMIT = 1000
import eth  # noqa: E402, F401

sys.setrecursionlimit(_LIMIT)

from ledger.chain.embedded.chain import EmbeddedChain  # noqa: E402
from ledger.chain.embedded.provider import EmbeddedProvider  # noqa: E402
from ledger.chain.embedded.rpc import EmbeddedRpc  # noqa: E402

__all__ = ["EmbeddedChain", "EmbeddedProvider", "EmbeddedRpc"]
