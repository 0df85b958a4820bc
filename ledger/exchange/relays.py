"""The relay accounts: which of them sends which statement, so that what depends on order keeps it.

The first is the log's publisher; further ones, where settings ask for them, only relay. Of one account the chain
executes transactions in the order of their nonces, of several in any order. So statements of one participant go by one
account while any of them is on its way; registrations of different datasets alone may part. One that is derived from
another, or that names what another participant stated, is given a transaction once that is in a block; should the chain
lose this block and execute the two the other way round, it goes again (`ledger.exchange.reverted`).
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from ledger.chain import Signer
from ledger.exchange.parts import Parts
from ledger.exchange.settings import Home
from ledger.statements import compute_dataset_id
from ledger.store.rows import StatementRow
from ledger.types import Address, Bytes32

__all__ = ["MOST_IN_FLIGHT", "Lanes", "Relays"]

MOST_IN_FLIGHT: Final = 64
"""transactions of one relay account without an outcome"""
_PARTS: Final = 3
"""of what may be on its way: one is executed, one handed to the node, one made ready"""
_REGISTRATION: Final = "DatasetRegistration"
_logger = logging.getLogger(__name__)


class Relays:
    """The signers of the relay accounts; key files are read when they are first needed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._others: tuple[Signer, ...] | None = None
        self._active = 0

    def all(self) -> tuple[Signer, ...]:
        """Every account whose transactions are followed, also one that sends nothing new since settings ask for fewer.

        Raises:
            MalformedError, VerificationError: as a key file.
            UnavailableError: the chain does not say what an account holds.
        """
        if self._others is None:
            self._others = self._load()
        return self._parts.relay, *self._others

    def active(self) -> tuple[Signer, ...]:
        """Those that new statements are given to. Raises: as `all`."""
        return self.all()[: 1 + self._active]

    def find(self, account: Address) -> Signer:
        """The signer of an account. Raises: as `all`; LookupError: there is none."""
        for each in self.all():
            if each.address == account:
                return each
        raise LookupError(f"no key in the keystore is of the relay account {account}")

    def adopt_next(self, number: int) -> Signer:
        """Let the keystore's next account follow the one of this number, of which nothing is on its way.

        Raises:
            MalformedError, VerificationError: as a key file.
        """
        signer = self._parts.keystore.adopt_next_relay(number)
        if number == 1:
            self._parts.relay = signer
        else:
            self._others = None  # which of them can pay is looked at again
        return signer

    def _load(self) -> tuple[Signer, ...]:
        # The embedded chain executes at once what it is sent: more accounts would gain nothing there.
        wanted = 1 if self._parts.edge.rpc is not None else self._parts.settings.relay_signers
        folder, others = Home(self._parts.settings.home).keys_folder, list[Signer]()
        for number in count(2):
            if number > wanted and not (folder / f"relay-{number}.json").exists():
                break
            others.append(self._parts.keystore.ensure(f"relay-{number}"))
        self._active = sum(1 for _ in self._take_funded(others[: wanted - 1]))
        return tuple(others)

    def _take_funded(self, signers: Sequence[Signer]) -> Iterator[Signer]:
        edge = self._parts.edge
        for signer in signers:
            if edge.settings.gas_price_wei and not edge.balance_wei(signer.address):
                _logger.warning(
                    "the network asks for fees and the relay account %s holds nothing: it and those after it send "
                    "nothing until it is funded and the service started anew",
                    signer.address,
                )
                return
            yield signer


@dataclass(frozen=True)
class _Lane:
    """What decides which account a statement may go by."""

    participant: Bytes32
    dataset: Bytes32 | None
    """of a registration; None: everything else, which keeps its place among all that the participant states"""

    @classmethod
    def of(cls, row: StatementRow) -> _Lane:
        salt = row.message.get("datasetSalt") if row.type == _REGISTRATION else None
        if salt is None:
            return cls(row.participant, None)
        return cls(row.participant, compute_dataset_id(row.participant, Bytes32.parse(str(salt))))


class Lanes:
    """Which accounts the statements that are on their way go by, and which one the next is to go by."""

    def __init__(self, accounts: Sequence[Address]) -> None:
        """``accounts`` are those that new statements may be given to."""
        self._accounts = accounts
        self._load = Counter[Address]()
        self._of_participant: defaultdict[Bytes32, set[Address]] = defaultdict(set)
        self._of_ordered: dict[Bytes32, Address] = {}
        self._of_dataset: dict[Bytes32, Address] = {}
        self._waiting: set[Bytes32] = set()
        self._held: set[Bytes32] = set()

    def occupy(self, account: Address, row: StatementRow | None) -> None:
        """Count what is on its way by ``account``; ``row`` is None for what is no statement."""
        self._load[account] += 1
        if row is None:
            return
        lane = _Lane.of(row)
        self._of_participant[lane.participant].add(account)
        if lane.dataset is None:
            self._of_ordered[lane.participant] = account
        else:
            self._of_dataset[lane.dataset] = account

    @property
    def room(self) -> int:
        """How many more may be on their way."""
        return sum(max(0, MOST_IN_FLIGHT - self._load[each]) for each in self._accounts)

    @property
    def part(self) -> int:
        """How many to give transactions at once, so that something is on its way and something made ready."""
        return -(-MOST_IN_FLIGHT * len(self._accounts) // _PARTS)

    def hold(self, row: StatementRow) -> None:
        """Let a statement wait that may yet be refused, and what keeps its place behind it."""
        lane = _Lane.of(row)
        if lane.dataset is None:
            self._waiting.add(lane.participant)
        else:
            self._held.add(lane.dataset)

    def place(self, row: StatementRow) -> Address | None:
        """The account that the next statement goes by, and occupies thereby; None: it waits, and what follows it."""
        lane = _Lane.of(row)
        if lane.participant in self._waiting or lane.dataset in self._held:
            return None
        account = self._choose(lane)
        if account is None or account not in self._accounts or self._load[account] >= MOST_IN_FLIGHT:
            self._waiting.add(lane.participant)
            return None
        self.occupy(account, row)
        return account

    def _choose(self, lane: _Lane) -> Address | None:
        used = self._of_participant[lane.participant]
        if lane.dataset is None and len(used) > 1:
            return None  # its registrations are on several ways: they come first
        if used and (lane.dataset is None or len(self._accounts) == 1):
            return next(iter(used))
        bound = self._of_ordered.get(lane.participant)
        if bound is None and lane.dataset is not None:
            bound = self._of_dataset.get(lane.dataset)
        return bound or min(self._accounts, key=lambda each: self._load[each])
