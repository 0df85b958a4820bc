"""A chain of one node in this process, with the JSON-RPC that auditors read it by."""

from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.provider import EmbeddedProvider
from ledger.chain.embedded.rpc import EmbeddedRpc

__all__ = ["EmbeddedChain", "EmbeddedProvider", "EmbeddedRpc"]
