"""The embedded chain: what it takes, keeps and refuses."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ledger.chain import EmbeddedChain, LocalSigner
from ledger.chain.embedded.evm import BLOCK_GAS_LIMIT, CallFailedError, TransactionRefusedError, decode_transaction
from ledger.chain.embedded.keyvalue import KeyValueFile
from ledger.chain.transactions import predict_contract_address, sign_transaction
from ledger.errors import ConflictError, UnavailableError
from ledger.evidence.rlp import encode_int, encode_rlp, expect_bytes, parse_rlp
from ledger.types import Address, Bytes32

CHAIN_ID = 2**63 + 12345
SIGNER = LocalSigner(b"\x01" * 32)
OTHER = LocalSigner(b"\x02" * 32)
NOWHERE = Address(b"\x11" * 20)
# PUSH1 0; MSTORE of CHAINID; PUSH1 32; PUSH1 0; RETURN - behind a constructor that returns it
ANSWERS_CHAIN_ID = bytes.fromhex("600980600b6000396000f3" + "4660005260206000f3")
ANSWERS_TIME = bytes.fromhex("600980600b6000396000f3" + "4260005260206000f3")
REVERTS = bytes.fromhex("600a80600b6000396000f3" + "60aa60005260206000fd")
STOPS = bytes.fromhex("600180600b6000396000f3" + "fe")


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def transfer(
    nonce: int, *, signer: LocalSigner = SIGNER, chain_id: int = CHAIN_ID, gas: int = 50_000, price: int = 0
) -> bytes:
    return sign_transaction(
        signer, chain_id=chain_id, nonce=nonce, gas_limit=gas, gas_price_wei=price, to=NOWHERE, data=b""
    ).raw


def create(chain: EmbeddedChain, code: bytes, nonce: int) -> Address:
    transaction = sign_transaction(
        SIGNER, chain_id=CHAIN_ID, nonce=nonce, gas_limit=200_000, gas_price_wei=0, to=None, data=code
    )
    assert chain.submit([transaction.raw]) == [transaction.hash]
    return predict_contract_address(SIGNER.address, nonce)


@pytest.fixture
def chain() -> Iterator[EmbeddedChain]:
    opened = EmbeddedChain.open(None, CHAIN_ID, [SIGNER.address])
    yield opened
    opened.close()


def refusals_of(chain: EmbeddedChain, *raws: bytes) -> list[str]:
    return [str(each) for each in chain.submit(raws) if isinstance(each, TransactionRefusedError)]


def test_genesis_is_a_function_of_chain_id_and_accounts() -> None:
    hashes = []
    for chain_id, accounts in (
        (CHAIN_ID, [SIGNER.address, OTHER.address]),
        (CHAIN_ID, [OTHER.address, SIGNER.address, SIGNER.address]),
        (CHAIN_ID, []),
        (CHAIN_ID + 1, [SIGNER.address, OTHER.address]),
    ):
        chain = EmbeddedChain.open(None, chain_id, accounts)
        hashes.append(chain.genesis_hash)
        chain.close()
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_several_transactions_of_one_sender_share_a_block(chain: EmbeddedChain) -> None:
    outcomes = chain.submit([transfer(nonce) for nonce in range(20)])
    assert all(isinstance(each, Bytes32) for each in outcomes)
    assert chain.header().block_number == 1
    assert chain.account(SIGNER.address)[1] == 20
    assert [chain.find_transaction(each) for each in outcomes if isinstance(each, Bytes32)] == [
        (1, index) for index in range(20)
    ]


def test_blocks_are_split_by_their_gas_limit(chain: EmbeddedChain) -> None:
    outcomes = chain.submit([transfer(nonce, gas=BLOCK_GAS_LIMIT) for nonce in range(3)])
    assert all(isinstance(each, Bytes32) for each in outcomes)
    assert chain.header().block_number == 3


def test_opcode_answers_the_drawn_chain_id(chain: EmbeddedChain) -> None:
    contract = create(chain, ANSWERS_CHAIN_ID, 0)
    assert int.from_bytes(chain.call(contract, b""), "big") == CHAIN_ID


def test_refusals_say_what_geth_says_and_touch_nobody_else(chain: EmbeddedChain) -> None:
    first = transfer(0)
    outcomes = chain.submit(
        [
            first,
            first,
            transfer(0, gas=60_000),
            transfer(5),
            transfer(1, chain_id=7),
            transfer(1, gas=20_000),
            transfer(1, gas=BLOCK_GAS_LIMIT + 1),
            transfer(0, signer=OTHER, price=1),
            b"\x00\x01",
            b"",
            b"\x7f\x00",
            transfer(1),
        ]
    )
    texts = [str(each) if isinstance(each, TransactionRefusedError) else "taken" for each in outcomes]
    for text, expected in zip(
        texts,
        [
            "taken",
            "nonce too low",
            "nonce too low",
            "nonce too high",
            "invalid chain id",
            "intrinsic gas too low",
            "exceeds block gas limit",
            "insufficient funds",
            "failed to decode",
            "failed to decode",
            "failed to decode",
            "taken",
        ],
        strict=True,
    ):
        assert expected in text
    assert chain.header().block_number == 1
    assert refusals_of(chain, first) == ["already known"]
    assert chain.header().block_number == 1


def test_transaction_without_chain_id_is_refused(chain: EmbeddedChain) -> None:
    # Signed over six fields alone, as before EIP-155.
    fields = [b"", b"", encode_int(50_000), bytes(NOWHERE), b"", b""]
    signature = SIGNER.sign(encode_rlp(list(fields)))
    raw = encode_rlp([*fields, signature[64:], *(part.lstrip(b"\0") for part in (signature[:32], signature[32:64]))])
    assert "replay-protected" in refusals_of(chain, raw)[0]


def test_high_s_transaction_is_refused(chain: EmbeddedChain) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    fields = parse_rlp(transfer(0))
    assert isinstance(fields, list)
    v, s = (int.from_bytes(expect_bytes(fields[index]), "big") for index in (6, 8))
    flipped = v - 1 if v % 2 == CHAIN_ID * 2 % 2 else v + 1  # EIP-155: 35 + 2 chain id is odd, its other form even
    raw = encode_rlp([*fields[:6], encode_int(flipped), fields[7], encode_int(order - s)])
    assert "failed to decode" in refusals_of(chain, raw)[0]
    assert chain.header().block_number == 0


def test_no_damaged_transaction_escapes_as_another_error(chain: EmbeddedChain) -> None:
    chance = random.Random(3)
    for _ in range(300):
        raw = bytearray(transfer(0))
        for _ in range(chance.randint(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        raw = raw[: chance.randrange(len(raw))] if chance.random() < 0.3 else raw
        raw = bytearray([chance.randrange(4)]) + raw if chance.random() < 0.2 else raw
        with suppress(TransactionRefusedError):
            decode_transaction(bytes(raw), CHAIN_ID)
        chain.submit([bytes(raw)])


def test_block_time_is_the_clock_and_never_decreases() -> None:
    clock = Clock(1_800_000_000.7)
    chain = EmbeddedChain.open(None, CHAIN_ID, clock=clock)
    chain.submit([transfer(0)])
    chain.submit([transfer(1)])
    clock.now -= 100
    chain.submit([transfer(2)])
    clock.now += 200
    chain.submit([transfer(3)])
    assert [chain.header(number).timestamp for number in range(1, 5)] == [1_800_000_000] * 3 + [1_800_000_100]
    chain.close()


def test_call_at_the_head_sees_the_present_time_and_at_a_block_that_block() -> None:
    clock = Clock(1_800_000_000)
    chain = EmbeddedChain.open(None, CHAIN_ID, clock=clock)
    contract = create(chain, ANSWERS_TIME, 0)
    clock.now += 60
    assert int.from_bytes(chain.call(contract, b""), "big") == 1_800_000_060
    assert int.from_bytes(chain.call(contract, b"", number=1), "big") == 1_800_000_000
    assert chain.call(contract, b"", number=0) == b""  # it was not there yet
    chain.close()


def test_call_that_reverts_brings_its_data_and_changes_nothing(chain: EmbeddedChain) -> None:
    reverting, stopping = create(chain, REVERTS, 0), create(chain, STOPS, 1)
    with pytest.raises(CallFailedError, match="execution reverted") as caught:
        chain.call(reverting, b"")
    assert caught.value.data == (0xAA).to_bytes(32, "big")
    with pytest.raises(CallFailedError, match="InvalidInstruction") as caught:
        chain.call(stopping, b"")
    assert caught.value.data is None
    with pytest.raises(CallFailedError):
        chain.call(stopping, b"", value=10**30)
    assert chain.header().block_number == 2


def test_storage_and_accounts_of_old_blocks(chain: EmbeddedChain) -> None:
    contract = create(chain, ANSWERS_CHAIN_ID, 0)
    assert chain.account(contract, 0) == (0, 0, b"")
    assert chain.account(contract)[2] == ANSWERS_CHAIN_ID[11:]
    assert chain.storage(contract, 0) == 0
    assert chain.account(SIGNER.address, 0)[0] == 10**24


def test_reopened_chain_is_the_same(tmp_path: Path) -> None:
    chain = EmbeddedChain.open(tmp_path / "chain", CHAIN_ID, [SIGNER.address])
    chain.submit([transfer(nonce) for nonce in range(3)])
    chain.submit([transfer(3)])
    head = chain.header().hash
    chain.close()
    chain = EmbeddedChain.open(tmp_path / "chain", CHAIN_ID, [SIGNER.address])
    assert chain.header().hash == head
    assert len(chain.block(1)[1]) == 3
    assert chain.submit([transfer(4)])[0] == chain.block(3)[0].transactions[0].hash
    chain.close()


@pytest.mark.parametrize(
    ("chain_id", "accounts", "says"),
    [(CHAIN_ID + 1, [SIGNER.address], f"chain id {CHAIN_ID}, not"), (CHAIN_ID, [], "other genesis accounts")],
)
def test_folder_of_another_chain_is_refused(tmp_path: Path, chain_id: int, accounts: list[Address], says: str) -> None:
    EmbeddedChain.open(tmp_path, CHAIN_ID, [SIGNER.address]).close()
    with pytest.raises(ConflictError, match=says) as caught:
        EmbeddedChain.open(tmp_path, chain_id, accounts)
    assert caught.value.code == "other-chain"
    EmbeddedChain.open(tmp_path, CHAIN_ID, [SIGNER.address]).close()  # the refused attempt let go of the folder


def test_second_process_on_the_folder_is_refused(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom ledger.chain import EmbeddedChain\n"
        f"chain = EmbeddedChain.open(pathlib.Path(sys.argv[1]), {CHAIN_ID})\n"
        "print('open', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with pytest.raises(ConflictError, match=f"pid {child.pid}.*stop it, or give") as caught:
            EmbeddedChain.open(tmp_path, CHAIN_ID)
        assert caught.value.code == "folder-in-use"
        child.kill()
    EmbeddedChain.open(tmp_path, CHAIN_ID).close()


def test_a_start_costs_little_more_than_loading_the_libraries(tmp_path: Path) -> None:
    """A chain of a hundred blocks is opened, not executed again: half a second of CPU at most, most of it spare."""
    chain = EmbeddedChain.open(tmp_path, CHAIN_ID)
    for nonce in range(100):
        chain.submit([transfer(nonce)])
    chain.close()
    loading = "import sys, pathlib\nfrom ledger.chain import ChainEdge, ChainSettings\n"
    opening = (
        f"edge = ChainEdge.open(ChainSettings('embedded', {CHAIN_ID}, folder=pathlib.Path(sys.argv[1])))\n"
        "assert edge.head().number == 100\nedge.close()\n"
    )
    for _ in range(5):
        if _cpu_seconds(loading + opening, tmp_path) - _cpu_seconds(loading, tmp_path) < 0.5:
            return
    raise AssertionError("opening the chain takes half a second of CPU and more, five times")


def _cpu_seconds(program: str, folder: Path) -> float:
    """Its own time, because the machine may be shared; and not the coverage's, which follows child processes."""
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, timeout=60, env=unmeasured)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("chain_id", [0, -1, 2**64])
def test_chain_id_has_64_bits(chain_id: int) -> None:
    with pytest.raises(ValueError, match="1 to 64 bits"):
        EmbeddedChain.open(None, chain_id)


def _delete(file: KeyValueFile, *keys: bytes) -> None:
    file[b"b"] = b"2"
    for key in keys:
        del file[key]


def test_key_value_file_keeps_a_transaction_whole(tmp_path: Path) -> None:
    file = KeyValueFile(tmp_path / "kv")
    with file.transaction():
        file[b"a"] = b"1"
    with pytest.raises(KeyError), file.transaction():
        _delete(file, b"a", b"none")
    assert b"b" not in file
    assert file[b"a"] == b"1"
    with pytest.raises(RuntimeError, match="inside a transaction"):
        file[b"c"] = b"3"
    with pytest.raises(KeyError):
        file[b"c"]
    with pytest.raises(UnavailableError, match="could not write"), file.transaction(), file.transaction():
        pass
    file.close()


def test_whoever_raised_the_recursion_limit_before_it_is_python_s_own() -> None:
    program = "import eth_keyfile.keyfile, ledger.chain, sys; print(sys.getrecursionlimit())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "1000\n"
