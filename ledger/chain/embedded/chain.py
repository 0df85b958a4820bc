"""The embedded chain: a durable chain of one node inside the process, for evaluation and for one machine.

Every accepted transaction is in a block, on the disk, when ``submit`` returns. One operator's chain proves order and
integrity to those who pinned its block hashes; it has no validators whose seals a stranger could check.

Block times are UTC seconds of this machine's clock and never decrease; several blocks may share a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self, cast

from eth.abc import ReceiptAPI, SignedTransactionAPI
from eth.db.atomic import AtomicDB
from eth.exceptions import BlockNotFound, HeaderNotFound, TransactionNotFound
from eth_hash.auto import keccak as _evm_keccak

from ledger.chain.embedded.evm import (
    BLOCK_GAS_LIMIT,
    BlockBuilder,
    TransactionRefusedError,
    build_chain_class,
    decode_transaction,
    execute_call,
    found_chain,
)
from ledger.chain.embedded.folder import FolderLock
from ledger.chain.embedded.keyvalue import KeyValueFile
from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.keccak import keccak256
from ledger.types import Address, Bytes32

__all__ = ["EmbeddedChain"]

_FILE: Final = "chain.sqlite3"
_HEAD_KEY: Final = b"v1:canonical_head_hash"

_evm_keccak.hasher = cast("Any", keccak256)  # eth-hash would take the slower of the two libraries that are installed


class EmbeddedChain:
    """One chain, one process, one folder. Thread-safe: calls take turns."""

    def __init__(self, file: KeyValueFile, lock: FolderLock | None, chain_id: int, clock: Callable[[], float]) -> None:
        """Use ``open``."""
        self.chain_id: Final = chain_id
        self._file = file
        self._folder_lock = lock
        self._clock = clock
        self._turn = threading.RLock()
        self._chain: Any = build_chain_class(chain_id)(AtomicDB(file))

    @classmethod
    def open(
        cls,
        folder: Path | None,
        chain_id: int,
        genesis_accounts: Iterable[Address] = (),
        *,
        founds: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Open the chain in ``folder``, founding it where there is none if it ``founds``; without a folder, in memory.

        The genesis block is a function of ``chain_id`` and ``genesis_accounts`` (the relay accounts named when the
        consortium was founded, each with a balance; blocks ask no fee).

        Raises:
            ConflictError: another process holds the folder (``folder-in-use``), or it holds another chain
                (``other-chain``).
            NotFoundError: there is none, and none is to be founded; nothing was made.
            UnavailableError: the folder can not be written, or the file not be used.
        """
        if not 0 < chain_id < 1 << 64:
            raise ValueError("a chain id has 1 to 64 bits")
        with ExitStack() as opened:
            lock = None
            if folder is not None:
                if not founds and not _is_there(folder):
                    raise _missing(folder)
                lock = FolderLock(folder)
                opened.callback(lock.release)
            file = KeyValueFile(folder / _FILE if folder else None)
            opened.callback(file.close)
            if folder is not None and not founds and _HEAD_KEY not in file:
                raise _missing(folder)
            _found_or_check(file, folder, chain_id, sorted(set(genesis_accounts)))
            chain = cls(file, lock, chain_id, clock)
            opened.pop_all()
        return chain

    def close(self) -> None:
        """Close the file and let go of the folder."""
        with self._turn:
            self._file.close()
            if self._folder_lock:
                self._folder_lock.release()

    @cached_property
    def genesis_hash(self) -> Bytes32:
        """Hash of block 0."""
        with self._turn:
            return Bytes32(self._chain.get_canonical_block_header_by_number(0).hash)

    def submit(self, raw_transactions: Sequence[bytes]) -> list[Bytes32 | TransactionRefusedError]:
        """Mine signed transactions, in the order given, and return for each its hash or why no block takes it.

        They share a block as far as its gas limit allows. When it returns, all that was taken is durable.

        Raises:
            UnavailableError: the disk did not take a block: of the transactions, those of earlier blocks are kept.
        """
        with self._turn:
            outcomes: list[Bytes32 | TransactionRefusedError] = []
            queue: list[tuple[int, SignedTransactionAPI]] = []
            for index, raw in enumerate(raw_transactions):
                try:
                    transaction = decode_transaction(raw, self.chain_id)
                    outcomes.append(Bytes32(transaction.hash))
                    queue.append((index, transaction))
                except TransactionRefusedError as refusal:
                    outcomes.append(refusal)
            while queue:
                queue = self._mine(queue, outcomes)
            return outcomes

    def _mine(
        self, queue: list[tuple[int, SignedTransactionAPI]], outcomes: list[Bytes32 | TransactionRefusedError]
    ) -> list[tuple[int, SignedTransactionAPI]]:
        """Mine one block from the queue's front; what is left over."""
        parent = self._chain.get_canonical_head()
        builder = BlockBuilder(self._chain, parent, max(int(self._clock()), parent.timestamp))
        rest: list[tuple[int, SignedTransactionAPI]] = []
        for position, (index, transaction) in enumerate(queue):
            if not builder.has_room(transaction):
                rest = queue[position:]
                break
            if self._find(transaction.hash) is not None:
                outcomes[index] = TransactionRefusedError("already known")
                continue
            try:
                builder.add(transaction)
            except TransactionRefusedError as refusal:
                outcomes[index] = refusal
        if not builder.is_empty:
            with self._file.transaction():
                builder.seal()
        return rest

    def call(
        self,
        to: Address | None,
        data: bytes,
        *,
        sender: Address | None = None,
        gas: int = BLOCK_GAS_LIMIT,
        value: int = 0,
        number: int | None = None,
    ) -> bytes:
        """Execute a call after block ``number``; without one, as the next block would execute it now.

        Raises:
            CallFailedError: the EVM ended it.
            HeaderNotFound: no such block.
        """
        with self._turn:
            header = self.header(number)
            if number is None:
                now = max(int(self._clock()), header.timestamp)
                header = header.copy(block_number=header.block_number + 1, parent_hash=header.hash, timestamp=now)
            return execute_call(
                self._chain,
                header,
                sender=sender or Address(bytes(20)),
                to=to,
                data=data,
                gas=min(gas, BLOCK_GAS_LIMIT),
                value=value,
            )

    def header(self, number: int | None = None) -> Any:
        """The header of block ``number``, or of the head. Raises: HeaderNotFound."""
        with self._turn:
            if number is None:
                return self._chain.get_canonical_head()
            return self._chain.get_canonical_block_header_by_number(number)

    def block(self, number: int) -> tuple[Any, Sequence[ReceiptAPI]]:
        """A block and its receipts. Raises: HeaderNotFound."""
        with self._turn:
            block = self._chain.get_canonical_block_by_number(number)
            return block, block.get_receipts(self._chain.chaindb)

    def number_of(self, block_hash: bytes) -> int | None:
        """Number of the block with this hash, or None."""
        with self._turn:
            try:
                return int(self._chain.get_block_by_hash(bytes(block_hash)).number)
            except (HeaderNotFound, BlockNotFound):
                return None

    def find_transaction(self, transaction_hash: bytes) -> tuple[int, int] | None:
        """Block number and index of a mined transaction, or None."""
        with self._turn:
            return self._find(transaction_hash)

    def _find(self, transaction_hash: bytes) -> tuple[int, int] | None:
        try:
            number, index = self._chain.chaindb.get_transaction_index(
                bytes(transaction_hash)
            )  # its key is made of repr()
        except TransactionNotFound:
            return None
        return int(number), int(index)

    def account(self, address: Address, number: int | None = None) -> tuple[int, int, bytes]:
        """Balance in wei, nonce and code of an account after a block. Raises: HeaderNotFound."""
        with self._turn:
            state = self._chain.get_vm(self.header(number)).state
            raw = bytes(address)
            return state.get_balance(raw), state.get_nonce(raw), bytes(state.get_code(raw))

    def storage(self, address: Address, slot: int, number: int | None = None) -> int:
        """One storage slot of a contract after a block. Raises: HeaderNotFound."""
        with self._turn:
            return int(self._chain.get_vm(self.header(number)).state.get_storage(bytes(address), slot))


def _is_there(folder: Path) -> bool:
    try:
        return (folder / _FILE).is_file()
    except OSError as error:
        raise UnavailableError(f"the folder {folder} can not be read: {error.strerror}") from error


def _missing(folder: Path) -> NotFoundError:
    return NotFoundError(
        f"the embedded chain is gone: {folder / _FILE} is not there, or holds no block. No other one is founded in its "
        "place: put that very file back"
    )


def _found_or_check(file: KeyValueFile, folder: Path | None, chain_id: int, accounts: Sequence[Address]) -> None:
    chain_class = build_chain_class(chain_id)
    if _HEAD_KEY not in file:
        found_chain(chain_class, file, accounts)
        return
    scratch = KeyValueFile(None)
    found_chain(chain_class, scratch, accounts)
    expected = chain_class(AtomicDB(scratch)).get_canonical_block_header_by_number(0).hash
    scratch.close()
    found = chain_class(AtomicDB(file)).get_canonical_block_header_by_number(0)
    if found.hash != expected:
        kept_id = int.from_bytes(found.extra_data[7:], "big")
        reason = (
            f"chain id {kept_id}, not {chain_id}"
            if kept_id != chain_id
            else "the same chain id and other genesis accounts"
        )
        raise ConflictError(
            f"the folder {folder} holds an embedded chain with {reason}: give the settings that founded it, or another "
            "folder",
            code="other-chain",
        )
