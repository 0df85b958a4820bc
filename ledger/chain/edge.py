"""The chain edge: all that the ledger asks of a chain, whichever engine runs it.

One code path over JSON-RPC; the embedded chain answers the same requests inside the process. Every failure to reach or
understand the node is ``UnavailableError``; what a contract refuses is ``RefusedError`` with the contract's facts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, Self

from ledger.chain.answers import is_too_much, require, to_bytes, to_int, to_outcome, to_result
from ledger.chain.blocks import (
    Block,
    EventRef,
    Head,
    Reading,
    Receipt,
    at_number,
    parse_moment,
    parse_quantity,
    until_none,
)
from ledger.chain.calls import Call
from ledger.chain.embedded import EmbeddedChain, EmbeddedProvider, EmbeddedRpc
from ledger.chain.http import open_session
from ledger.chain.node import NodeConnection, Provider, RpcError, connect_http
from ledger.chain.refusals import Refusal, decode_call_error
from ledger.chain.settings import ChainSettings
from ledger.chain.transactions import SignedTransaction, Signer, sign_again, sign_transaction
from ledger.content.paths import printable
from ledger.errors import ConflictError, RefusedError, UnavailableError
from ledger.keccak import keccak256
from ledger.types import Address, Bytes32

__all__ = ["ChainEdge"]

_LOG_SPAN: Final = 5_000
_METHOD_NOT_FOUND: Final = -32601


class ChainEdge:
    """One chain. Thread-safe.

    Attributes:
        settings: how it is reached.
        rpc: the embedded chain's JSON-RPC, to be mounted for auditors; None where a node has its own.
    """

    def __init__(
        self,
        provider: Provider,
        settings: ChainSettings,
        *,
        rpc: EmbeddedRpc | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """Use ``open``, unless a test brings a provider."""
        self.settings: Final = settings
        self.rpc: Final = rpc
        self._node = NodeConnection(provider, settings.batch_size)
        self._on_close = on_close
        self._has_block_receipts = True

    @classmethod
    def open(cls, settings: ChainSettings, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the chain that the settings name; ``clock`` is the embedded chain's.

        Raises:
            ConflictError: the folder is another process's or another chain's.
            NotFoundError: the embedded chain is gone, and the settings do not found one.
            UnavailableError: its file or folder can not be used.
        """
        if settings.rpc_url is not None:
            session = open_session()
            provider = connect_http(settings.rpc_url, settings.timeout_s, session)
            return cls(provider, settings, on_close=session.close)
        chain = EmbeddedChain.open(
            settings.folder, settings.chain_id, settings.genesis_accounts, founds=settings.founds, clock=clock
        )
        rpc = EmbeddedRpc(chain)
        return cls(EmbeddedProvider(rpc), settings, rpc=rpc, on_close=chain.close)

    def close(self) -> None:
        """Let go of the chain."""
        if self._on_close is not None:
            self._on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Which chain

    def check_chain_id(self) -> None:
        """Check that the chain is the one that the settings name.

        Raises:
            ConflictError: another chain id (``wrong-chain``).
            UnavailableError: the node does not answer.
        """
        found = to_int(self._node.ask("eth_chainId"))
        if found != self.settings.chain_id:
            raise ConflictError(
                f"the node runs chain {found}, this consortium's chain id is {self.settings.chain_id}: correct the "
                "node's URL",
                code="wrong-chain",
            )

    @cached_property
    def genesis_hash(self) -> Bytes32:
        """Hash of block 0. Raises: UnavailableError."""
        return at_number(0, self._head("0x0")).hash

    def client_version(self) -> str:
        """What the node calls itself. Raises: UnavailableError."""
        return printable(str(self._node.ask("web3_clientVersion")))

    # Reading blocks

    def head(self) -> Head:
        """The newest block. Raises: UnavailableError."""
        return self._head("latest")

    def final_head(self) -> Head:
        """The newest final block; the genesis block while none is. Raises: UnavailableError."""
        head = self.head()
        if self.settings.finality_blocks == 0:
            return head
        number = max(0, head.number - self.settings.finality_blocks)
        return at_number(number, self._head(hex(number)))

    def pending_time_s(self) -> int | None:
        """The date of the block that the node would make now, in UTC seconds; None: it tells none.

        Raises:
            UnavailableError: the node does not answer.
        """
        try:
            form = self._node.ask("eth_getBlockByNumber", "pending", False)
        except RpcError:
            return None
        with Reading("block"):
            return None if form is None or form.get("timestamp") is None else parse_moment(form["timestamp"])

    def header(self, number: int) -> Head | None:
        """The place of block ``number``, or None when there is none yet. Raises: UnavailableError."""
        form = self._node.ask("eth_getBlockByNumber", hex(number), False)
        return None if form is None else at_number(number, Head.parse(form))

    def headers(self, first: int, last: int) -> list[Head]:
        """Like ``header``, of the blocks ``first`` to ``last`` as far as there are any. Raises: UnavailableError."""
        numbers = range(first, last + 1)
        forms = self._results([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
        return [at_number(number, Head.parse(form)) for number, form in zip(numbers, until_none(forms), strict=False)]

    def _head(self, tag: str) -> Head:
        form = self._node.ask("eth_getBlockByNumber", tag, False)
        if form is None:
            raise UnavailableError(f"the node has no block {tag}", retry_after_s=1.0)
        return Head.parse(form)

    def block(self, number: int) -> Block | None:
        """A block with its transactions and receipts, or None when there is none yet.

        Raises:
            UnavailableError: the node does not answer, or its head moved meanwhile.
        """
        blocks = self.blocks(number, number)
        return blocks[0] if blocks else None

    def blocks(self, first: int, last: int, *, whole: bool = True) -> list[Block]:
        """The blocks from ``first`` to ``last``, as far as there are any, each with its receipts; none is left out.

        Who is not out for transactions asks for no ``whole`` blocks: they may hold megabytes.

        Raises:
            UnavailableError: the node does not answer, or its head moved meanwhile.
        """
        forms = self._results([("eth_getBlockByNumber", [hex(number), whole]) for number in range(first, last + 1)])
        forms = until_none(forms)
        with Reading("block"):
            all_receipts = self._receipts_of(forms, whole)
        return [
            at_number(number, Block.parse(form, receipts))
            for number, (form, receipts) in enumerate(zip(forms, all_receipts, strict=True), first)
        ]

    def _receipts_of(self, forms: Sequence[Any], whole: bool) -> list[Any]:
        if self._has_block_receipts:
            wanted = [form for form in forms if form["transactions"]]
            answers = self._node.ask_each([("eth_getBlockReceipts", [form["number"]]) for form in wanted])
            if not any(isinstance(each, RpcError) and each.code == _METHOD_NOT_FOUND for each in answers):
                found = {form["number"]: require(each) or [] for form, each in zip(wanted, answers, strict=True)}
                return [found.get(form["number"], []) for form in forms]
            self._has_block_receipts = False
        requests = [
            ("eth_getTransactionReceipt", [transaction["hash"] if whole else transaction])
            for form in forms
            for transaction in form["transactions"]
        ]
        receipts = iter(self._results(requests))
        return [[next(receipts) for _ in form["transactions"]] for form in forms]

    def _results(self, requests: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        return [require(each) for each in self._node.ask_each(requests)]

    def receipt(self, transaction_hash: Bytes32) -> Receipt | None:
        """The receipt of a transaction, or None while it is in no block. Raises: UnavailableError."""
        form = self._node.ask("eth_getTransactionReceipt", str(transaction_hash))
        return Receipt.parse_of(transaction_hash, form)

    def receipts(self, transaction_hashes: Sequence[Bytes32]) -> list[Receipt | None]:
        """Like ``receipt``, of several, in batches. Raises: UnavailableError."""
        forms = self._results([("eth_getTransactionReceipt", [str(each)]) for each in transaction_hashes])
        return [Receipt.parse_of(each, form) for each, form in zip(transaction_hashes, forms, strict=True)]

    def find_events(
        self, address: Address, topics: Sequence[Sequence[Bytes32]], first: int, last: int
    ) -> list[EventRef]:
        """The events of a contract in a range of blocks, whose topics are, in order, among ``topics`` (none: any).

        Raises:
            UnavailableError: the node does not answer, or refuses even a single block.
        """
        wanted = {"address": str(address), "topics": [[str(topic) for topic in each] or None for each in topics]}
        spans = [(start, min(start + _LOG_SPAN - 1, last)) for start in range(first, last + 1, _LOG_SPAN)]
        return self._find_in_spans(wanted, spans)

    def _find_in_spans(self, wanted: dict[str, Any], spans: Sequence[tuple[int, int]]) -> list[EventRef]:
        """The events in each span of blocks; one that is too much for the node is asked for in two halves."""
        requests = [("eth_getLogs", [wanted | {"fromBlock": hex(start), "toBlock": hex(end)}]) for start, end in spans]
        found: list[EventRef] = []
        for (start, end), answer in zip(spans, self._node.ask_each(requests), strict=True):
            if start < end and isinstance(answer, RpcError) and is_too_much(answer):
                middle = (start + end) // 2
                found += self._find_in_spans(wanted, [(start, middle), (middle + 1, end)])
                continue
            with Reading("list of events"):
                found += [EventRef.parse(form) for form in require(answer)]
        return found

    def is_transaction_known(self, transaction_hash: Bytes32) -> bool:
        """Whether the node has it, pooled or in a block. Raises: UnavailableError."""
        return bool(self.known_transactions([transaction_hash]))

    def known_transactions(self, transaction_hashes: Sequence[Bytes32]) -> set[Bytes32]:
        """Those that `is_transaction_known` says yes of, asked for in batches. Raises: UnavailableError."""
        forms = self._results([("eth_getTransactionByHash", [str(each)]) for each in transaction_hashes])
        found = [each for each, form in zip(transaction_hashes, forms, strict=True) if form is not None]
        with Reading("transaction"):
            named = [Bytes32.parse(form["hash"]) for form in forms if form is not None]
        if named != found:
            raise UnavailableError("the node answered other transactions than were asked for", retry_after_s=1.0)
        return set(found)

    # Reading state

    def nonce(self, address: Address, *, pending: bool = False) -> int:
        """The next nonce of an account, after its blocks or its pooled transactions too. Raises: UnavailableError."""
        return to_int(self._node.ask("eth_getTransactionCount", str(address), "pending" if pending else "latest"))

    def nonces(self, addresses: Sequence[Address]) -> list[int]:
        """Like ``nonce`` after the blocks, of several accounts, in batches. Raises: UnavailableError."""
        requests = [("eth_getTransactionCount", [str(each), "latest"]) for each in addresses]
        return [to_int(each) for each in self._results(requests)]

    def balance_wei(self, address: Address) -> int:
        """What an account holds. Raises: UnavailableError."""
        found = self._node.ask("eth_getBalance", str(address), "latest")
        if found is None:  # Besu, for a state that it no longer has
            raise UnavailableError("the node no longer has that state", retry_after_s=1.0)
        with Reading("number"):
            return parse_quantity(found, end=1 << 256)

    def code(self, address: Address, number: int | None = None) -> bytes:
        """The code at an address, empty where no contract is. Raises: UnavailableError."""
        found = self._node.ask("eth_getCode", str(address), "latest" if number is None else hex(number))
        return to_bytes(found)

    def code_hash(self, address: Address) -> Bytes32:
        """Keccak-256 of the code at an address. Raises: UnavailableError."""
        return Bytes32(keccak256(self.code(address)))

    def call(
        self,
        to: Address | None,
        data: bytes,
        *,
        sender: Address | None = None,
        number: int | None = None,
        gas_limit: int | None = None,
    ) -> bytes:
        """Execute a call, keeping nothing, at the head or after block ``number``; without ``to``, a creation.

        Raises:
            RefusedError: the contract's rules say no; facts are the Solidity error's arguments.
            UnavailableError: the node does not answer, or no longer has that state.
        """
        method, form = _form_call(to, data, sender=sender, number=number, gas_limit=gas_limit)
        try:
            result = self._node.ask(method, *form)
        except RpcError as error:
            refusal = decode_call_error(error)
            if refusal is None:
                raise
            raise refusal from error
        return to_bytes(result)

    def simulate(self, call: Call, sender: Address) -> bytes:
        """Execute a call as ``sender`` would, keeping nothing, before a nonce is spent on it; what it returns.

        Raises:
            RefusedError: the contract's rules say no.
            UnavailableError: the node does not answer.
        """
        return self.call(call.to, call.data, sender=sender, gas_limit=call.gas_limit)

    def simulate_each(self, calls: Sequence[Call], sender: Address) -> list[bytes | RefusedError]:
        """Like ``simulate``, of several, each by itself on the present state, in batches; refusals stand in the list.

        Raises:
            UnavailableError: the node does not answer.
        """
        asked = [_form_call(each.to, each.data, sender=sender, gas_limit=each.gas_limit) for each in calls]
        return [to_result(answer) for answer in self._node.ask_each(asked)]

    # Writing

    def sign_transaction(self, signer: Signer, call: Call, nonce: int) -> SignedTransaction:
        """Sign a call as a transaction of this chain: gas, price, nonce and chain id are set here.

        Raises:
            UnavailableError: the signer can not be reached.
        """
        return self._sign(signer, call.to, call.data, nonce, call.gas_limit)

    def sign_noop(self, signer: Signer, nonce: int) -> SignedTransaction:
        """Sign a transaction that does nothing but take its nonce. Raises: UnavailableError."""
        return self._sign(signer, signer.address, b"", nonce, 21_000)

    def sign_again(self, signer: Signer, raw: bytes, nonce: int) -> SignedTransaction:
        """Sign what one of this chain's transactions does once more, with another nonce. Raises: UnavailableError."""
        price = self.settings.gas_price_wei
        return sign_again(signer, raw, chain_id=self.settings.chain_id, nonce=nonce, gas_price_wei=price)

    def sign_creation(self, signer: Signer, creation_code: bytes, nonce: int, gas_limit: int) -> SignedTransaction:
        """Sign a transaction that creates a contract. Raises: UnavailableError."""
        return self._sign(signer, None, creation_code, nonce, gas_limit)

    def _sign(self, signer: Signer, to: Address | None, data: bytes, nonce: int, gas_limit: int) -> SignedTransaction:
        return sign_transaction(
            signer,
            chain_id=self.settings.chain_id,
            nonce=nonce,
            gas_limit=gas_limit,
            gas_price_wei=self.settings.gas_price_wei,
            to=to,
            data=data,
        )

    def send(self, transactions: Sequence[SignedTransaction]) -> list[Refusal | None]:
        """Send signed transactions, in order, in batches; for each None when the node took it, else its refusal.

        Sending the same bytes again is always safe.

        Raises:
            UnavailableError: no answer; the node may have taken some or all.
        """
        answers = self._node.ask_each([("eth_sendRawTransaction", ["0x" + each.raw.hex()]) for each in transactions])
        return [to_outcome(each, answer) for each, answer in zip(transactions, answers, strict=True)]


def _form_call(
    to: Address | None,
    data: bytes,
    *,
    sender: Address | None,
    number: int | None = None,
    gas_limit: int | None = None,
) -> tuple[str, list[Any]]:
    form = {"data": "0x" + data.hex()}
    form |= {"to": str(to)} if to is not None else {}
    form |= {"from": str(sender)} if sender is not None else {}
    form |= {"gas": hex(gas_limit)} if gas_limit is not None else {}
    return "eth_call", [form, "latest" if number is None else hex(number)]
