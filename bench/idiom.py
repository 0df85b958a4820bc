"""web3.py as its documentation shows it: registrations sent by ``transact``, and pipelined; ``python -m bench.idiom``.

A process of its own, because eth-account chooses its cryptography when it is imported: pure Python where coincurve is
not installed, as ``pip install web3`` leaves it, which ECC_BACKEND_CLASS brings about where it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.middleware import SignAndSendRawMiddlewareBuilder

from ledger.chain import SignedStatement
from ledger.errors import UnavailableError

__all__ = ["IdiomRates", "Registrations", "measure_idiom"]

_LIMIT_S: Final = 300.0
_LOOK_AGAIN_S: Final = 0.01
_GAS: Final = 800_000
_PURE_PYTHON: Final = {"ECC_BACKEND_CLASS": "eth_keys.backends.NativeECCBackend"}


@dataclass(frozen=True)
class Registrations:
    """Signed registrations for a contract, as they travel to the other process."""

    url: str
    chain_id: int
    contract: str
    abi: list[Any]
    calls: list[dict[str, Any]]

    @classmethod
    def of(
        cls, url: str, chain_id: int, contract: str, abi: list[Any], signed: Sequence[SignedStatement]
    ) -> Registrations:
        """What a registry at ``contract`` is to execute."""
        calls = [
            {"message": each.statement.to_json(), "signer": str(each.signer), "signature": "0x" + each.signature.hex()}
            for each in signed
        ]
        return cls(url, chain_id, contract, abi, calls)


@dataclass(frozen=True)
class IdiomRates:
    """Registrations executed in a second: each waited for, and all sent before the first is waited for."""

    transact: float
    pipelined: float


def measure_idiom(folder: Path, registrations: Registrations, one_by_one: int, *, pure_python: bool) -> IdiomRates:
    """Run the first ``one_by_one`` with `transact`, the others pipelined.

    Raises:
        UnavailableError: it failed, or took too long.
    """
    path = folder / "registrations.json"
    path.write_text(json.dumps(asdict(registrations)))
    command = [sys.executable, "-m", "bench.idiom", str(path), str(one_by_one)]
    environment = os.environ | (_PURE_PYTHON if pure_python else {})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"web3.py is not through after {_LIMIT_S:.0f} s: give it less") from error
    if done.returncode != 0:
        raise UnavailableError(f"web3.py failed: {done.stderr.strip()[-1000:]}")
    return IdiomRates(**json.loads(done.stdout))


class _Idiom:
    def __init__(self, registrations: Registrations) -> None:
        self._given = registrations
        self._w3 = Web3(HTTPProvider(registrations.url))
        self._account = Account.create()
        self._w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(self._account), layer=0)
        address = Web3.to_checksum_address(registrations.contract)
        self._contract: Any = self._w3.eth.contract(address=address, abi=registrations.abi)
        self._calls = [self._prepare(each) for each in registrations.calls]

    def _prepare(self, call: dict[str, Any]) -> Any:
        message = {**call["message"], "version": int(call["message"]["version"])}
        message["deadline"] = int(message["deadline"])
        return self._contract.functions.register(message, Web3.to_checksum_address(call["signer"]), call["signature"])

    def transact(self, count: int) -> None:
        """Each with gas estimated and nonce asked for, waited for before the next; no fee, for this chain has none."""
        for call in self._calls[:count]:
            self._check(call.transact({"from": self._account.address, "gasPrice": 0}))

    def pipeline(self, first: int) -> None:
        """Gas given and nonce counted up; signed and sent one after the other, then all waited for."""
        nonce = self._w3.eth.get_transaction_count(self._account.address)
        given = {"gas": _GAS, "gasPrice": 0, "chainId": self._given.chain_id}
        hashes = []
        for place, call in enumerate(self._calls[first:]):
            transaction = call.build_transaction({**given, "nonce": nonce + place})
            signed = self._account.sign_transaction(transaction)
            hashes.append(self._w3.eth.send_raw_transaction(signed.raw_transaction))
        for each in hashes:
            self._check(each)

    def _check(self, transaction_hash: Any) -> None:
        receipt = self._w3.eth.wait_for_transaction_receipt(transaction_hash, poll_latency=_LOOK_AGAIN_S)
        if receipt["status"] != 1:
            raise RuntimeError("a registration was reverted")


def _measure(act: Callable[[int], None], argument: int, count: int) -> float:
    started = time.perf_counter()
    act(argument)
    return count / (time.perf_counter() - started)


def _main() -> None:
    registrations = Registrations(**json.loads(Path(sys.argv[1]).read_bytes()))
    one_by_one, idiom = int(sys.argv[2]), _Idiom(registrations)
    rates = IdiomRates(
        transact=_measure(idiom.transact, one_by_one, one_by_one),
        pipelined=_measure(idiom.pipeline, one_by_one, len(registrations.calls) - one_by_one),
    )
    print(json.dumps(asdict(rates)))


if __name__ == "__main__":
    _main()
