"""A random run of faults on a real node: `make soak`, or `python -m tests.support.soak --seconds 600 --seed 7`.

Statements are handed in while node, wire, clock and service fail one after another, in an order that the seed decides;
every few faults all is healed and the property is checked. It ends with what it did, or with how to do it again.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final
from unittest.mock import patch

from ledger.errors import LedgerError, RefusedError
from ledger.exchange import Gateway, InForce
from ledger.surface.outcomes import SignedStatement
from ledger.types import Bytes32
from tests.support.bad_wire import (
    SEND,
    Fault,
    cut,
    lose_answer,
    pass_some,
    pretend_sent,
    refuse,
    send_twice,
    shift_nonce,
    wait,
)
from tests.support.dying import Dying, Trap, dying_gateways
from tests.support.edge_world import EdgeWorld, edge_world, settings_for

__all__ = ["Soak", "soak"]

_FINALITY: Final = 12
_SETTLED_S: Final = 120
_FAULTS_A_ROUND: Final = 3
_MOST_STATEMENTS: Final = 6
_SOON: Final = timedelta(seconds=0.3)
_TAKEN: Final = "dataset-registry-version-taken"
_OUTBOX: Final = "ledger.store.outbox:Outbox"
_STEPS: Final = (
    "ledger.log.sequencer:Sequencer.append",
    "ledger.store.statements:Statements.accept",
    "ledger.exchange.submitter:Submitter._store_signed",
    "ledger.store.outbox:_new_row",
    f"{_OUTBOX}.enqueue",
    "ledger.chain.edge:ChainEdge.send",
    f"{_OUTBOX}.mark_sent",
    "ledger.chain.edge:ChainEdge.receipts",
    f"{_OUTBOX}.mark_included",
    "ledger.store.projections.projections:Projections.fold_many",
    "ledger.exchange.submitter:Submitter.enqueue",
)


@dataclass
class _Clock:
    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@dataclass
class Soak:
    """One run. ``done`` counts what was done."""

    world: EdgeWorld
    dying: Dying
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    _digests: list[Bytes32] = field(default_factory=list)
    _unanswered: list[SignedStatement] = field(default_factory=list)
    _clock: _Clock = field(default_factory=_Clock)

    def run_until(self, deadline: float) -> None:
        """Rounds of faults until ``deadline`` (monotonic); each ends healed and checked."""
        while True:
            self._die()
            with Gateway.open(settings_for(self.world.home, finality_depth=_FINALITY), clock=self._clock) as gateway:
                for _ in range(self.chance.randint(1, _FAULTS_A_ROUND)):
                    self._hand_in(gateway)
                    self._fail(gateway)
                    self._hand_in(gateway)
                self._check(gateway)
            if time.monotonic() > deadline:
                return

    def _die(self) -> None:
        """A service is killed at some step, at most as many calls in as it comes to."""
        trap = Trap(self.chance.choice(_STEPS), self.chance.choice(("before", "after")))
        signed = self._sign()
        self._digests += self.dying.run(self.world.home, trap, signed, finality_depth=_FINALITY, batch_delay_s=0.05)
        self._unanswered += signed
        self.done["service killed"] += 1

    def _sign(self) -> list[SignedStatement]:
        return [self.world.signatory.register() for _ in range(self.chance.randint(1, _MOST_STATEMENTS))]

    def _hand_in(self, gateway: Gateway) -> None:
        """Hand in what nobody answered, and more; what is refused for now is handed in again later."""
        waiting, self._unanswered = self._unanswered + self._sign(), []
        for each in waiting:
            try:
                self._digests += self.world.accept(gateway, [each])
                self.done["accepted"] += 1
            except LedgerError:
                self._unanswered.append(each)
                self.done["come back later"] += 1

    def _fail(self, gateway: Gateway) -> None:
        name, act = self.chance.choice(self._acts())
        self.done[name] += 1
        act(gateway)

    def _acts(self) -> Sequence[tuple[str, Callable[[Gateway], None]]]:
        return (
            *((f"wire: {name}", self._break_wire(fault, *methods)) for name, fault, *methods in _WIRE_FAULTS),
            ("node restarted", self._restart_node),
            ("pool dropped", self._drop_pool),
            ("rolled back", lambda _: self._go_back("anvil_rollback")),
            ("reorganised", lambda _: self._go_back("anvil_reorg")),
            ("rival relayed", self._relay_rival),
            ("clock wrong", self._set_clock),
        )

    def _break_wire(self, fault: Fault, *methods: str) -> Callable[[Gateway], None]:
        times = self.chance.randint(1, 4)
        return lambda _: self.world.wire.break_with(fault, *methods, times=times)

    def _restart_node(self, gateway: Gateway) -> None:
        """Its blocks are kept and its pool is not."""
        self.world.anvil.ask("evm_setAutomine", False)
        self._hand_in(gateway)
        self.world.anvil.stop()
        time.sleep(self.chance.random() / 2)
        self.world.anvil.start()

    def _drop_pool(self, gateway: Gateway) -> None:
        self.world.anvil.ask("evm_setAutomine", False)
        self._hand_in(gateway)
        self.world.anvil.ask("anvil_dropAllTransactions")
        self.world.anvil.ask("evm_setAutomine", True)

    def _go_back(self, method: str) -> None:
        """Fewer blocks than finality, and none that the node has only read from its file."""
        depth = self.chance.randint(1, _FINALITY // 4)
        self.world.anvil.mine(1)
        if self.world.anvil.mined() > depth + 1:
            self.world.anvil.ask(method, depth, *([[]] if method == "anvil_reorg" else []))

    def _relay_rival(self, gateway: Gateway) -> None:
        """Somebody else's registration of the same data set reaches the chain first, or not."""
        first = self.world.signatory.register()
        self.world.wire.break_with(cut, SEND)
        try:
            self._digests += self.world.accept(gateway, [first])
        except LedgerError:
            self._unanswered.append(first)
        self.world.relay_elsewhere(self.world.signatory.register(first))
        self.world.wire.heal()

    def _set_clock(self, _gateway: Gateway) -> None:
        self._clock.ahead_s = self.chance.choice((0.0, -1800.0, 1800.0))

    def _check(self, gateway: Gateway) -> None:
        self._clock.ahead_s = 0.0
        self.world.wire.heal()
        waiting, self._unanswered = self._unanswered, []
        self._take_late(gateway, waiting)
        told = self.world.settle(gateway, self._digests, mines=True, timeout_s=_SETTLED_S)
        self.done["checked"] += 1
        self.done["refused"] = sum(each.in_force is InForce.REFUSED for each in told.values())

    def _take_late(self, gateway: Gateway, waiting: Sequence[SignedStatement]) -> None:
        """What was turned away is taken now; or its rival is in force, which its sender is told."""
        for each in waiting:
            end = time.monotonic() + 20
            while True:
                try:
                    self._digests += self.world.accept(gateway, [each])
                    break
                except LedgerError as error:
                    if isinstance(error, RefusedError) and error.code == _TAKEN:
                        break
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.05)


_WIRE_FAULTS: Final[tuple[tuple[str, Fault, *tuple[str, ...]], ...]] = (
    ("answer lost", lose_answer, SEND),
    ("any answer lost", lose_answer),
    ("sent twice", send_twice, SEND),
    ("half a batch", pass_some(2), SEND),
    ("forgotten", pretend_sent({0}), SEND),
    ("cut", cut, SEND),
    ("all cut", cut),
    ("pool full", refuse(-32000, "txpool is full"), SEND),
    ("wrong chain", refuse(-32000, "Wrong chainId"), SEND),
    ("nonces counted wrongly", shift_nonce(2), "eth_getTransactionCount"),
    ("slow", wait(0.3), SEND, "eth_getTransactionReceipt"),
)


def soak(folder: Path, seconds: float, seed: int) -> Counter[str]:
    """Run for so long; what was done. Raises: AssertionError: the property does not hold."""
    with ExitStack() as stack:
        stack.enter_context(patch("ledger.exchange.submitter._RESEND_AFTER", _SOON))
        worlds = stack.enter_context(edge_world(folder))
        dying = stack.enter_context(dying_gateways())
        run = Soak(next(worlds), dying, random.Random(seed))
        run.run_until(time.monotonic() + seconds)
        return run.done


def main() -> int:
    """Soak, say what was done; 1 when the property does not hold."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    told = parser.parse_args()
    again = f"python -m tests.support.soak --seconds {told.seconds:g} --seed {told.seed}"
    sys.stdout.write(f"again: {again}\n")
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = soak(Path(folder), told.seconds, told.seed)
        except AssertionError as error:
            sys.stdout.write(f"FAILED: {error}\nagain: {again}\n")
            return 1
    for name, count in sorted(done.items()):
        sys.stdout.write(f"{count:6} {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
