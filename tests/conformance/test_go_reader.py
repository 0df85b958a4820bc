"""A Go program that knows golang.org/x/mod/sumdb and nothing of ours reads our log, from its folder and over HTTP."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from ledger.exchange.rooms import PublicLog
from ledger.log import Checkpoint, TileReader
from tests.support.log import SIGNER, MemoryCheckpointStore, entries_of, open_log
from tests.support.world import serving

SOURCE: Final = Path(__file__).parent / "go"
GO: Final = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
SIZES: Final = (1, 255, 256, 257, 1000, 256 * 256 + 5000)

pytestmark = pytest.mark.skipif(
    GO is None,
    reason="GO IS MISSING: nobody but ourselves has read the log. Install Go 1.24 or newer (https://go.dev/dl)",
)


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built from its pinned dependency."""
    program = tmp_path_factory.mktemp("go") / "reader"
    command = [str(GO), "build", "-mod=readonly", "-o", str(program), "."]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False, timeout=300)
    if "proxy" in done.stderr or "dial tcp" in done.stderr:
        pytest.skip(
            f"GO'S MODULE PROXY DOES NOT ANSWER, and golang.org/x/mod is not in its cache: {done.stderr[-200:]}"
        )
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log three levels of tiles high, each with a partial tile, as a bulk import makes it."""
    folder = tmp_path_factory.mktemp("log") / "log"
    entries = entries_of("entry", SIZES[-1])
    with open_log(folder, MemoryCheckpointStore()) as writer:
        for size in SIZES:
            writer.append(entries[writer.size : size])
            shutil.copytree(folder, folder.parent / str(size), ignore=shutil.ignore_patterns(".*"))
    return folder


def read(reader: Path, location: str, vkey: str) -> tuple[int, str, str]:
    command = [str(reader), "-vkey", vkey, location]
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("size", SIZES)
def test_the_folder(reader: Path, log: Path, size: int) -> None:
    folder = log.parent / str(size)
    code, out, err = read(reader, str(folder), str(SIGNER.verifier_key))
    root = (folder / "checkpoint").read_text().splitlines()[2]
    assert (code, out, err) == (0, f"{size} entries, root {root}\n", "")


def test_the_service(reader: Path, tmp_path: Path) -> None:
    with serving(tmp_path) as world:
        vkey = world.gateway.parts.log_signer.verifier_key
        size = world.gateway.parts.sequencer.size
        code, out, err = read(reader, f"{world.url}/v1/log", str(vkey))
    assert (code, err) == (0, "")
    assert out.startswith(f"{size} entries, root ")


@pytest.mark.slow
def test_the_service_of_a_large_log(reader: Path, log: Path, tmp_path: Path) -> None:
    """The production routes over the large log, in place of the gateway's own."""
    store = MemoryCheckpointStore()
    store.row = Checkpoint(SIGNER.name, SIZES[-1], TileReader(log).root(SIZES[-1]))
    with serving(tmp_path) as world, open_log(log, store) as sequencer:
        world.gateway.log = PublicLog(replace(world.gateway.parts, sequencer=sequencer))
        code, out, err = read(reader, f"{world.url}/v1/log", str(SIGNER.verifier_key))
    assert (code, err) == (0, "")
    assert out.startswith(f"{SIZES[-1]} entries, root ")


@pytest.mark.parametrize("path", ["checkpoint", "tile/entries/000", "tile/0/003.p/232", "tile/1/000.p/3"])
def test_it_does_find_what_is_wrong(reader: Path, log: Path, tmp_path: Path, path: str) -> None:
    folder = tmp_path / "log"
    shutil.copytree(log.parent / "1000", folder)
    raw = bytearray((folder / path).read_bytes())
    raw[40] ^= 1
    (folder / path).write_bytes(bytes(raw))
    code, _, err = read(reader, str(folder), str(SIGNER.verifier_key))
    assert code == 1
    assert err.startswith("reader: ")
