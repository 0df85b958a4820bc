"""How fast the offline verifier is, and how soon: ``python -m bench.verifier [--seconds S]``.

Rates are for each second of CPU time of one core, so that a busy machine changes them less. The parts are what every
statement costs: its digest, its signer recovered, its leaf, its inclusion in a log of 2^20 entries, the log signature.
The files are vectors of this repository, verified whole, all twelve steps. Cold: a process for one file, files in the
system's cache.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from coincurve import PrivateKey, PublicKey

from bench.table import format_table
from bench.tree import KeptTree
from ledger.evidence import Verdict, Verifier, parse_policy
from ledger.log import Checkpoint, NoteSigner, TlogProof, VerifierKey, format_anchor_by, verify_receipt
from ledger.merkle import leaf_hash
from ledger.statements import (
    Domains,
    Entry,
    Statement,
    address_of,
    generate_private_key,
    sign_digest,
    verify_signature,
)
from ledger.statements.vocabulary import STATEMENT_TYPES
from ledger.types import Address, Bytes32

__all__ = ["Cold", "Stated", "main", "measure_cpu_rate"]

_ROOT: Final = Path(__file__).parents[1]
_VECTORS: Final = _ROOT / "tests" / "vectors" / "evidence"
_FILES: Final = ("good/registration.json", "good/derived.json", "good/revocation.json")
_ENTRIES: Final = 1 << 20
_SAMPLES: Final = 64
_STARTS: Final = 11
_RATE: Final = 1000
_COLD_S: Final = 0.4


def measure_cpu_rate(act: Callable[[], object], seconds: float) -> float:
    """How often ``act`` happens in a second of this process's CPU time."""
    count, started = 0, time.process_time()
    while (used := time.process_time() - started) < seconds or not count:
        act()
        count += 1
    return count / used


@dataclass(frozen=True)
class Stated:
    """A signed statement as JSON, with its receipt from a large log."""

    message: object
    signer: Address
    signature: bytes
    receipt: bytes

    def verify(self, domains: Domains, key: VerifierKey) -> None:
        """Check signature and receipt from the bytes on. Raises: MalformedError, VerificationError."""
        statement = Statement.parse("DatasetRegistration", self.message)  # type: ignore[arg-type]  # JSON
        digest = statement.digest(domains)
        verify_signature(digest, self.signature, self.signer)
        entry = Entry.of(digest, statement.participant, self.signature)
        verify_receipt(self.receipt, entry.to_bytes(), key)


def _draw() -> Bytes32:
    return Bytes32(secrets.token_bytes(32))


def _state_all(count: int, entries: int) -> tuple[Domains, VerifierKey, list[Stated]]:
    """``count`` statements in a log of ``entries``."""
    private_key, signer = generate_private_key(), NoteSigner.generate("log.example/bench")
    names = {statement_type.contract for statement_type in STATEMENT_TYPES.values()}
    domains = Domains(77, {name: Address(secrets.token_bytes(20)) for name in names})
    statements = [_registration() for _ in range(count)]
    signatures = [sign_digest(private_key, each.digest(domains)) for each in statements]
    leaves = [leaf_hash(index.to_bytes(8, "big")) for index in range(entries)]
    places = [place * entries // count for place in range(count)]
    for place, statement, signature in zip(places, statements, signatures, strict=True):
        leaves[place] = leaf_hash(Entry.of(statement.digest(domains), statement.participant, signature).to_bytes())
    tree = KeptTree(leaves)
    text = Checkpoint(signer.name, entries, tree.root(entries), (format_anchor_by(datetime.now(UTC)),)).text
    note, address = signer.sign(text), address_of(private_key)
    receipts = [TlogProof(place, tuple(tree.prove_inclusion(place, entries)), note).to_bytes() for place in places]
    stated = [
        Stated(statement.to_json(), address, signature, receipt)
        for statement, signature, receipt in zip(statements, signatures, receipts, strict=True)
    ]
    return domains, signer.verifier_key, stated


def _registration() -> Statement:
    return Statement.build(
        "DatasetRegistration",
        participant=_draw(),
        datasetSalt=_draw(),
        version=1,
        contentHash=_draw(),
        metadataHash=_draw(),
        parents=(),
        deadline=int(time.time()) + 3600,
        salt=_draw(),
    )


def measure_parts(seconds: float, entries: int = _ENTRIES) -> float:
    """Statements a second whose signature and receipt are checked."""
    domains, key, all_stated = _state_all(min(_SAMPLES, entries), entries)

    def verify_all() -> None:
        for each in all_stated:
            each.verify(domains, key)

    return measure_cpu_rate(verify_all, seconds) * len(all_stated)


def measure_files(seconds: float) -> dict[str, float]:
    """Whole evidence files a second, by name. Raises: RuntimeError: one does not verify."""
    verifier = Verifier(parse_policy((_VECTORS / "policy.json").read_bytes()))
    rates: dict[str, float] = {}
    for name in _FILES:
        raw = (_VECTORS / name).read_bytes()
        if verifier.verify(raw).verdict is not Verdict.VERIFIED:
            raise RuntimeError(f"{name} does not verify")
        rates[name] = measure_cpu_rate(lambda raw=raw: verifier.verify(raw), seconds)  # type: ignore[misc]  # a default
    return rates


def measure_recoveries(seconds: float) -> float:
    """Signers recovered in a second, nothing else."""
    digest = secrets.token_bytes(32)
    signature = PrivateKey().sign_recoverable(digest, hasher=None)
    return measure_cpu_rate(lambda: PublicKey.from_signature_and_message(signature, digest, hasher=None), seconds)


@dataclass(frozen=True)
class Cold:
    """How long a process takes from start to end: of the clock, and of CPU time."""

    elapsed_s: float
    cpu_s: float

    @classmethod
    def measure(cls, arguments: Sequence[str], starts: int = _STARTS) -> Cold:
        """Medians of several, after one to fill the system's cache. Raises: subprocess.CalledProcessError."""
        figures: list[tuple[float, float]] = []
        for _ in range(starts + 1):
            before, started = os.times(), time.perf_counter()
            subprocess.run([sys.executable, *arguments], cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)
            elapsed_s, after = time.perf_counter() - started, os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            figures.append((elapsed_s, used))
        return cls(median(each for each, _ in figures[1:]), median(each for _, each in figures[1:]))


def _cold_rows() -> list[tuple[str, str, str]]:
    script = "scripts/verify_provenance.py"
    check = [script, "--policy", str(_VECTORS / "policy.json"), str(_VECTORS / _FILES[0])]
    nothing, checked, told = (Cold.measure(each) for each in (["-c", "pass"], check, [script, "--help"]))
    rows = [
        ("cold: python -c pass", nothing, ""),
        ("cold: a file verified", checked, f"{_COLD_S * 1e3:.0f}"),
        ("cold: --help", told, f"{_COLD_S * 1e3:.0f}"),
    ]
    table = [(f"{what}, ms", f"{cold.elapsed_s * 1e3:,.0f}", target) for what, cold, target in rows]
    table.append(("cold: a file verified, CPU ms", f"{checked.cpu_s * 1e3:,.0f}", ""))
    return [*table, ("a file verified / python -c pass", f"{checked.elapsed_s / nothing.elapsed_s:.1f}", "")]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast the offline verifier is, and how soon.")
    parser.add_argument("--seconds", type=float, default=2.0, help="of CPU time for each rate")
    parser.add_argument("--entries", type=int, default=_ENTRIES, help="in the log whose inclusion proofs are checked")
    given = parser.parse_args(arguments)
    recoveries, parts = measure_recoveries(given.seconds), measure_parts(given.seconds, given.entries)
    rows = [
        ("signers recovered alone, in a second of one core", f"{recoveries:,.0f}", ""),
        (f"signature and Merkle parts, {given.entries:,} entries", f"{parts:,.0f}", f"{_RATE:,}"),
        ("  as a share of recovery alone", f"{parts / recoveries:.3f}", ""),
    ]
    for name, rate in measure_files(given.seconds).items():
        rows.append((f"whole file, twelve steps: {Path(name).stem}", f"{rate:,.0f}", ""))
    print(format_table(("", "measured", "target"), [*rows, *_cold_rows()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
