"""Gateways that are killed by SIGKILL at a step that a test names: `python -m tests.support.dying` and its other end.

One process imports everything and forks for each gateway, so that a death costs no start of Python. The forked child
opens the gateway, puts a trap before or after the named step, takes statements and never gets further than the trap.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ledger.errors import LedgerError
from ledger.exchange import Gateway
from ledger.statements import Statement
from ledger.surface.outcomes import SignedStatement
from ledger.types import Address, Bytes32
from tests.support.edge_world import settings_for

__all__ = ["Dying", "Trap", "dying_gateways"]

_LIVES_S: Final = 90
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Trap:
    """Where a gateway dies: ``module:Class.step``, ``before`` or ``after``, at which of its calls."""

    step: str
    when: str
    call: int = 1
    early: bool = False
    """set before the gateway is opened, not after it has started"""

    def __str__(self) -> str:
        return f"{self.when} {self.step.rpartition(':')[2]} {self.call}{' early' if self.early else ''}"

    def set(self) -> None:
        """From now on the step is deadly."""
        module_name, _, path = self.step.partition(":")
        *owners, name = path.split(".")
        owner: Any = importlib.import_module(module_name)
        for each in owners:
            owner = getattr(owner, each)
        setattr(owner, name, self._deadly(getattr(owner, name)))

    def _deadly(self, step: Callable[..., Any]) -> Callable[..., Any]:
        calls = 0

        def deadly(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if (self.when, self.call) == ("before", calls):
                _die()
            result = step(*args, **options)
            if (self.when, self.call) == ("after", calls):
                _die()
            return result

        return deadly


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Dying:
    """The process that forks."""

    process: subprocess.Popen[str]

    def run(
        self,
        home: Path,
        trap: Trap,
        signed: Sequence[SignedStatement],
        on_accepted: Callable[[int], None] = lambda _count: None,
        **settings: object,
    ) -> list[Bytes32]:
        """Let a gateway take statements and die in the trap; the digests of those that it said it had taken.

        ``on_accepted`` is told how many they are, each time that there is one more.
        """
        task = {
            "home": str(home),
            "trap": asdict(trap),
            "signed": [_to_json(each) for each in signed],
            "with": settings,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        accepted: list[Bytes32] = []
        while (words := self.process.stdout.readline().split())[:1] != ["ended"]:
            assert words, "the process that forks is gone"
            accepted.append(Bytes32.parse(words[1]))
            on_accepted(len(accepted))
        assert words[1] == str(-signal.SIGKILL), f"the gateway did not die {trap}: {words}"
        return accepted


@contextmanager
def dying_gateways() -> Iterator[Dying]:
    """The process that forks, until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.dying"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Dying(process)
        finally:
            process.kill()


def _to_json(signed: SignedStatement) -> dict[str, Any]:
    return {
        "type": signed.statement.type.name,
        "message": signed.statement.to_json(),
        "signature": signed.signature.hex(),
        "signer": str(signed.signer),
    }


def _parse(form: dict[str, Any]) -> SignedStatement:
    statement = Statement.parse(form["type"], form["message"])
    return SignedStatement(statement, bytes.fromhex(form["signature"]), Address.parse(form["signer"]))


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def _live(task: dict[str, Any]) -> None:
    """Take the statements and wait for death; a child that outlives its trap ends with 3."""
    trap = Trap(**task["trap"])
    if trap.early:
        trap.set()
    gateway = Gateway.open(settings_for(Path(task["home"]), **task["with"]))
    gateway.start()
    if not trap.early:
        trap.set()
    signed = [_parse(each) for each in task["signed"]]
    with ThreadPoolExecutor(max(1, len(signed))) as pool:
        pool.map(lambda each: _take(gateway, each), signed)
        time.sleep(_LIVES_S)


def _take(gateway: Gateway, signed: SignedStatement) -> None:
    try:
        _say("accepted", gateway.take(signed).digest)
    except LedgerError as error:
        sys.stderr.write(f"{error}\n")


def main() -> None:
    """Fork for each task that comes on standard input."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                _live(json.loads(line))
            finally:
                os._exit(3)
        _, status = os.waitpid(child, 0)
        _say("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
