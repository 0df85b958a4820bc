"""The embedded chain's disk fails and its process dies: what was acknowledged is kept, nothing is half kept."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain import ChainEdge, ChainSettings, EmbeddedChain, LocalSigner, RefusalKind
from ledger.chain.embedded.keyvalue import KeyValueFile
from ledger.chain.transactions import predict_contract_address, sign_transaction
from ledger.errors import NotFoundError, UnavailableError
from ledger.evidence.header import encode_header
from ledger.keccak import keccak256
from tests.support.chain import CHAIN_ID
from tests.support.chain_writer import BATCH, KEY

ROOT = Path(__file__).parents[2]
RELAY = LocalSigner(KEY)


def run_writer(folder: Path, kill_at: int, *, kill_after_s: float = 0) -> list[list[str]]:
    """Run the writer until it dies by SIGKILL; the batches that it saw acknowledged."""
    command = [sys.executable, "-m", "tests.support.chain_writer", str(folder), str(kill_at)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        if kill_after_s:
            assert child.stdout.readline() == "sending\n"
            threading.Timer(kill_after_s, child.kill).start()
        lines = child.stdout.read().split("\n")
        assert child.wait(60) == -signal.SIGKILL
    return [line.split() for line in lines if line and line != "sending" and line.count(" ") == BATCH + 1]


def open_and_check(folder: Path, acknowledged: list[list[str]]) -> int:
    """Everything acknowledged is there, everything there is whole, and the chain goes on; the head's number."""
    with ChainEdge.open(ChainSettings("embedded", CHAIN_ID, folder=folder)) as edge:
        for number, block_hash, *hashes in acknowledged:
            block = edge.block(int(number))
            assert block is not None
            assert str(block.hash) == block_hash
            assert [str(receipt.transaction_hash) for receipt in block.receipts] == hashes
        head = edge.head()
        for block in edge.blocks(1, head.number):
            assert keccak256(encode_header(block.header)) == block.hash
            assert len(block.receipts) == BATCH
        assert edge.nonce(RELAY.address) == head.number * BATCH
        assert edge.blocks(head.number + 1, head.number + 3) == []
        return head.number


@pytest.mark.parametrize("kill_at", [7, *(pytest.param(each, marks=pytest.mark.slow) for each in (1, 16, 40))])
def test_kill_in_the_middle_of_a_block(tmp_path: Path, kill_at: int) -> None:
    acknowledged = run_writer(tmp_path, kill_at)
    height = open_and_check(tmp_path, acknowledged)
    assert height == len(acknowledged)  # the block that it died in has left nothing
    again = run_writer(tmp_path, 60)
    assert open_and_check(tmp_path, acknowledged + again) > height


@pytest.mark.slow
def test_kill_at_any_moment_again_and_again(tmp_path: Path) -> None:
    acknowledged: list[list[str]] = []
    for round_number in range(3):
        acknowledged += run_writer(tmp_path, 0, kill_after_s=0.05 + 0.07 * round_number)
        open_and_check(tmp_path, acknowledged)
    assert acknowledged


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[ChainEdge]:
    with ChainEdge.open(ChainSettings("embedded", CHAIN_ID, folder=tmp_path)) as opened:
        yield opened


def test_full_disk_keeps_no_half_block_and_goes_on_when_there_is_room(edge: ChainEdge, tmp_path: Path) -> None:
    edge.send([edge.sign_noop(RELAY, 0)])
    before = edge.head()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_024, limits[1]))  # every write beyond fails, as on a full disk
    try:
        refusal = edge.send([edge.sign_noop(RELAY, 1)])[0]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert refusal is not None
    assert refusal.kind is RefusalKind.OTHER
    assert "Free space" in refusal.message
    assert edge.head() == before
    assert edge.send([edge.sign_noop(RELAY, 1)]) == [None]
    assert edge.head().number == before.number + 1


@pytest.mark.parametrize("broken_write", [0, 3, 9])
def test_write_that_fails_leaves_the_block_before(
    edge: ChainEdge, monkeypatch: pytest.MonkeyPatch, broken_write: int
) -> None:
    edge.send([edge.sign_noop(RELAY, 0)])
    before, count, write = edge.head(), 0, KeyValueFile.__setitem__

    def failing(self: KeyValueFile, key: bytes, value: bytes) -> None:
        nonlocal count
        count += 1
        if count > broken_write:
            raise sqlite3.OperationalError("disk I/O error")
        write(self, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(KeyValueFile, "__setitem__", failing)
        refusals = edge.send([edge.sign_noop(RELAY, nonce) for nonce in (1, 2)])
    assert all(refusal is not None and "disk I/O error" in refusal.message for refusal in refusals)
    assert edge.head() == before
    assert edge.send([edge.sign_noop(RELAY, nonce) for nonce in (1, 2)]) == [None, None]


def test_calls_that_nest_too_deep_are_refused_and_hurt_nobody_else(edge: ChainEdge) -> None:
    # CALLs itself with all gas: PUSH1 0 five times, ADDRESS, GAS, CALL, STOP
    runtime = bytes.fromhex("6000600060006000600030" + "5af100")
    creation = bytes.fromhex(f"60{len(runtime):02x}80600b6000396000f3") + runtime
    nested = predict_contract_address(RELAY.address, 0)
    edge.send([edge.sign_creation(RELAY, creation, 0, 200_000)])
    assert sys.getrecursionlimit() < 10_000
    deep = sign_transaction(
        LocalSigner(b"\x0c" * 32),
        chain_id=CHAIN_ID,
        nonce=0,
        gas_limit=50_000_000,
        gas_price_wei=0,
        to=nested,
        data=b"",
    )
    outcomes = edge.send([edge.sign_noop(RELAY, 1), deep, edge.sign_noop(RELAY, 2)])
    assert outcomes[0] is None
    assert outcomes[2] is None
    assert outcomes[1] is not None
    assert outcomes[1].kind is RefusalKind.INVALID
    assert edge.head().number == 2
    assert edge.nonce(deep.sender) == 0


def test_threads_take_turns(edge: ChainEdge) -> None:
    relays = [LocalSigner(bytes([index + 1]) * 32) for index in range(4)]
    failures: list[BaseException] = []

    def work(relay: LocalSigner) -> None:
        try:
            for nonce in range(15):
                assert edge.send([edge.sign_noop(relay, nonce)]) == [None]
                edge.head()
                edge.call(relay.address, b"")
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(relay,)) for relay in relays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert [edge.nonce(relay.address) for relay in relays] == [15] * 4
    assert edge.head().number == 60


def test_import_leaves_the_recursion_limit_alone() -> None:
    program = (
        "import sys\nbefore = sys.getrecursionlimit()\nimport ledger.chain\nprint(sys.getrecursionlimit() - before)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "0\n"


def test_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "chain.sqlite3").write_bytes(b"no database" * 1_000)
    with pytest.raises(UnavailableError, match="Put back a backup"):
        EmbeddedChain.open(tmp_path, CHAIN_ID)
    with pytest.raises(UnavailableError, match="can not be written"):
        EmbeddedChain.open(tmp_path / "chain.sqlite3" / "below", CHAIN_ID)


def test_file_that_is_damaged_while_open_is_unavailable(tmp_path: Path) -> None:
    with ChainEdge.open(ChainSettings("embedded", CHAIN_ID, folder=tmp_path)) as edge:
        edge.send([edge.sign_noop(RELAY, nonce) for nonce in range(50)])
    size = (tmp_path / "chain.sqlite3").stat().st_size
    with (tmp_path / "chain.sqlite3").open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * (size - 4_096))
    with pytest.raises(UnavailableError, match="could not read"):
        EmbeddedChain.open(tmp_path, CHAIN_ID)


def test_a_chain_that_is_gone_is_missed_and_no_other_is_founded(tmp_path: Path) -> None:
    settings = ChainSettings("embedded", CHAIN_ID, folder=tmp_path / "chain", founds=False)
    with pytest.raises(NotFoundError, match=r"chain\.sqlite3 is not there, or holds no block"):
        ChainEdge.open(settings)
    assert not (tmp_path / "chain").exists()
    (tmp_path / "chain").mkdir()
    (tmp_path / "chain" / "chain.sqlite3").touch()
    with pytest.raises(NotFoundError, match="is not there, or holds no block"):
        ChainEdge.open(settings)
    ChainEdge.open(replace(settings, founds=True)).close()
    ChainEdge.open(settings).close()


def test_a_folder_that_can_not_be_looked_into_is_unavailable(tmp_path: Path) -> None:
    settings = ChainSettings("embedded", CHAIN_ID, folder=tmp_path / ("x" * 300), founds=False)
    with pytest.raises(UnavailableError, match="can not be read"):
        ChainEdge.open(settings)


def test_a_file_that_can_not_be_opened_says_whose_right_is_missing(tmp_path: Path) -> None:
    (tmp_path / "chain.sqlite3").mkdir()
    with pytest.raises(UnavailableError, match="Let this user write the file and its folder"):
        EmbeddedChain.open(tmp_path, CHAIN_ID)
