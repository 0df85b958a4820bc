"""A consortium and statements signed ahead, made once and kept: signing a million takes longer than importing them.

What is kept below the cache folder are keys of a consortium that exists for the benchmark alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.resources import files
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import platformdirs

from bench.stated import found_parties
from ledger.chain import CONTRACT_NAMES
from ledger.client import LocalKey, parse_domains
from ledger.statements import Statement
from ledger.types import Bytes32
from scripts.demo.service import running

__all__ = ["Prepared", "cache_folder", "cut_lines", "prepare"]

_SEED: Final = "concord bulk benchmark"
_LASTS_S: Final = 30 * 24 * 3600
_STILL_GOOD_S: Final = 24 * 3600
_PARTS: Final = 64
_META: Final = "prepared.json"


@dataclass(frozen=True)
class Prepared:
    """What was prepared: ``home`` and ``file`` beside this description; ``entries`` lines are in the file."""

    entries: int
    deadline: int
    passphrase: str
    token: str
    participant: str
    signer: str
    folder: str
    contracts: str
    """Which contracts the consortium has: others need another one."""

    @property
    def file(self) -> Path:
        """The signed statements."""
        return Path(self.folder) / "signed.ndjson"

    def copy_home(self, place: Path) -> None:
        """A gateway's folder whose log holds nothing of the file."""
        shutil.copytree(Path(self.folder) / "home", place)


def cache_folder() -> Path:
    """Where the benchmarks keep what takes long to make; for the owner alone."""
    folder = Path(platformdirs.user_cache_dir("concord-bench"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def prepare(folder: Path, entries: int) -> Prepared:
    """What ``folder`` has from before if it is enough, or new. Raises: LedgerError."""
    kept, contracts = _load(folder), _hash_contracts()
    is_good = kept is not None and kept.deadline > time.time() + _STILL_GOOD_S and kept.contracts == contracts
    if kept is not None and is_good and kept.entries >= entries:
        return kept
    staged = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    try:
        made = _prepare(staged, folder, entries, contracts)
        shutil.rmtree(folder, ignore_errors=True)
        staged.rename(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return made


def _prepare(staged: Path, folder: Path, entries: int, contracts: str) -> Prepared:
    """Make all of it in ``staged``, to be moved to ``folder``."""
    staged.mkdir(mode=0o700, parents=True)
    passphrase, deadline = secrets.token_urlsafe(24), int(time.time()) + _LASTS_S
    founded = found_parties(staged, passphrase)
    with (staged / "service.log").open("w") as log, running(staged / "gateway", passphrase, log) as service:
        provider = founded.join_provider(service.url)
    (staged / "gateway").rename(staged / "home")
    _sign_all(staged, entries, _Task(str(provider.id), deadline, provider.signing, staged))
    signer = str(provider.signing.address)
    made = Prepared(entries, deadline, passphrase, provider.token, str(provider.id), signer, str(folder), contracts)
    (staged / _META).write_text(json.dumps(asdict(made)))
    return made


def _hash_contracts() -> str:
    folder = files("ledger.chain") / "artifacts"
    whole = b"".join((folder / f"{name}.json").read_bytes() for name in CONTRACT_NAMES)
    return hashlib.sha256(whole).hexdigest()


def _load(folder: Path) -> Prepared | None:
    try:
        return Prepared(**json.loads((folder / _META).read_bytes()))
    except (FileNotFoundError, TypeError, ValueError):
        return None


@dataclass(frozen=True)
class _Task:
    participant: str
    deadline: int
    key: LocalKey
    folder: Path


def _sign_all(folder: Path, entries: int, task: _Task) -> None:
    sizes = [entries // _PARTS + (part < entries % _PARTS) for part in range(_PARTS)]
    context = get_context("spawn")
    with (
        (folder / "signed.ndjson").open("wb") as out,
        ProcessPoolExecutor(os.cpu_count() or 1, mp_context=context) as pool,
    ):
        for lines in pool.map(_sign_part, range(_PARTS), sizes, [task] * _PARTS):
            out.write(lines)


def _sign_part(part: int, count: int, task: _Task) -> bytes:
    drawing = random.Random(f"{_SEED} {part}")
    domains = parse_domains(json.loads((task.folder / "home" / "consortium.json").read_bytes()))
    lines: list[bytes] = []
    for _ in range(count):
        statement = _registration(task, drawing)
        signature = task.key.sign(statement.digest(domains))
        lines.append(_line_of(statement, signature, str(task.key.address)))
    return b"".join(lines)


def _registration(task: _Task, drawing: random.Random) -> Statement:
    return Statement.build(
        "DatasetRegistration",
        participant=Bytes32.parse(task.participant),
        datasetSalt=Bytes32(drawing.randbytes(32)),
        version=1,
        contentHash=Bytes32(drawing.randbytes(32)),
        metadataHash=Bytes32(drawing.randbytes(32)),
        parents=(),
        deadline=task.deadline,
        salt=Bytes32(drawing.randbytes(32)),
    )


def _line_of(statement: Statement, signature: bytes, signer: str) -> bytes:
    submission: dict[str, Any] = {
        "type": statement.type.name,
        "message": statement.to_json(),
        "signature": "0x" + signature.hex(),
        "signer": signer,
    }
    return json.dumps(submission, separators=(",", ":")).encode() + b"\n"


def cut_lines(file: Path, lines: int, parts: int) -> list[tuple[int, int]]:
    """Offset and size of ``parts`` shares of the first ``lines`` lines, each of whole lines."""
    wanted = [lines * part // parts for part in range(parts + 1)]
    ends: list[int] = [0]
    offset = number = 0
    with file.open("rb") as source:
        for line in source:
            offset += len(line)
            number += 1
            while len(ends) <= parts and wanted[len(ends)] == number:
                ends.append(offset)
            if len(ends) > parts:
                break
    if len(ends) <= parts:
        raise ValueError(f"{file} has {number} lines, not {lines}")
    return [(first, end - first) for first, end in pairwise(ends)]
