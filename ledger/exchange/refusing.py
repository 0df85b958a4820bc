"""When what a contract refuses is refused for good: once the block by whose state it did so is final.

The newest block may go away, and with it what the contract refused by. So where blocks are not final at once the head
is noted when a statement is refused first; when that very block is final and the contract still refuses, that stands.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from ledger.chain import Call, Head, encode_statement
from ledger.errors import RefusedError
from ledger.exchange.nonces import Nonces
from ledger.exchange.parts import Parts
from ledger.exchange.reporting import refusal_json
from ledger.exchange.submittable import executable
from ledger.exchange.tracing import traces
from ledger.store.rows import StatementRow
from ledger.types import Bytes32

__all__ = ["Refusing", "simulate", "simulate_each"]

_logger = logging.getLogger(__name__)


def simulate_each(parts: Parts, calls: Sequence[Call]) -> list[bool | RefusedError]:
    """Of each by itself whether it would change anything (a repeat answers false), or why it is refused."""
    found = parts.edge.simulate_each(calls, parts.relay.address)
    return [each if isinstance(each, RefusedError) else any(each) for each in found]


def simulate(parts: Parts, row: StatementRow) -> bool | RefusedError:
    """Of one statement. Raises: UnavailableError."""
    [found] = simulate_each(parts, [encode_statement(parts.deployment.contracts, executable(row))])
    return found


class Refusing:
    """What is refused by a block that is not final yet; the submitter's thread alone calls it."""

    def __init__(self, parts: Parts, nonces: Nonces) -> None:
        self._parts = parts
        self._nonces = nonces
        self._seen: dict[Bytes32, Head] = {}
        self._standing: set[Bytes32] = set()

    def __len__(self) -> int:
        return len(self._seen)

    def is_waiting(self, digest: Bytes32) -> bool:
        """Whether it was refused by a block that is still there."""
        return digest in self._seen

    def look(self, among: Collection[Bytes32] | None = None) -> None:
        """Find out which of the blocks noted for ``among`` (None: all) are final, and forget what is noted of others.

        Raises:
            UnavailableError: the node does not answer.
        """
        self._standing = set()
        if among is not None:
            self._seen = {digest: self._seen[digest] for digest in among if digest in self._seen}
        if not self._seen:
            return
        final = self._parts.edge.final_head().number
        numbers = sorted({head.number for head in self._seen.values() if head.number <= final})
        headers = {number: self._parts.edge.header(number) for number in numbers}
        for digest, head in [(digest, head) for digest, head in self._seen.items() if head.number in headers]:
            header = headers[head.number]
            if header is not None and header.hash == head.hash:
                self._standing.add(digest)
            else:
                del self._seen[digest]  # it went away

    def stands(self, digest: Bytes32) -> bool:
        """Whether what refuses it now did so by a block that is final, too; else it is noted by which it does.

        Raises:
            UnavailableError: the node does not answer, or does not have what is indexed.
        """
        self._nonces.check_node()
        if self._parts.edge.settings.finality_blocks == 0 or digest in self._standing:
            return True
        if digest not in self._seen:
            self._seen[digest] = self._parts.edge.head()
        return False

    def forget(self, digest: Bytes32) -> None:
        """It is refused no more."""
        self._seen.pop(digest, None)

    def refuse(self, row: StatementRow, refusal: RefusedError) -> bool:
        """Record the refusal where it stands; whether it does. Raises: as `stands`."""
        if not self.stands(row.digest):
            return False
        if self._parts.store.chain.find_effect(row.digest) is None:
            _logger.info("the contract refuses %s %s: %s", row.type, row.digest, refusal.code)
            told = refusal_json(refusal.code, str(refusal), refusal.facts)
            self._parts.store.statements.refuse(row.digest, told)
            traces.moved(str(row.digest), "refused by the contract", code=refusal.code)
        self.forget(row.digest)
        return True
