"""The parts of the bulk path: lines cut out of bytes, processes that check them, streams that are limited."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Message

from api.statements.batch import _BatchResponse
from ledger.checking import MAX_LINE_BYTES, Checked, LineChecker, Record, Rejected
from ledger.client import LocalKey
from ledger.errors import MalformedError, NotFoundError, RefusedError, UnavailableError, VerificationError
from ledger.exchange.asker import Asker
from ledger.exchange.bulk import Answers, BulkIntake, BulkStream
from ledger.exchange.bulk import pool as pool_module
from ledger.exchange.bulk.answers import error_of
from ledger.exchange.bulk.appending import BulkAppender
from ledger.exchange.bulk.batch import Block
from ledger.exchange.bulk.lines import LineCutter
from ledger.exchange.bulk.pool import CheckingPool
from ledger.exchange.parts import Parts
from ledger.exchange.settings import GatewaySettings
from ledger.exchange.turns import Turns
from ledger.statements import Domains, generate_private_key
from ledger.types import Address
from tests.support.bulk import Sayer, word

CONTRACTS = ("ParticipantRegistry", "DatasetRegistry", "AccessGrants", "SharingAgreements", "CheckpointLog")
DOMAINS = Domains(4711, {name: Address(secrets.token_bytes(20)) for name in CONTRACTS})
SAYER = Sayer(word(), LocalKey(generate_private_key()), DOMAINS)


@pytest.fixture
def pool() -> Iterator[CheckingPool]:
    made = CheckingPool(DOMAINS, 1)
    yield made
    made.close()


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_lines_come_out_as_they_went_in(piece: int) -> None:
    data = b"one\ntwo\n\nthree\r\nfour"
    cutter = LineCutter(8, 2)
    blocks = [block for at in range(0, len(data), piece) for block in cutter.feed(data[at : at + piece])]
    blocks += cutter.finish()
    assert b"".join(blocks) == data + b"\n"
    assert all(block.endswith(b"\n") and block.count(b"\n") <= 2 for block in blocks)
    assert not cutter.has_lines
    assert cutter.finish() == []


@pytest.mark.parametrize("piece", [1, 3, 40])
def test_a_block_has_no_more_lines_than_are_taken(piece: int) -> None:
    data = b"1\n\n" * 20
    cutter = LineCutter(1 << 20, 7)
    blocks = [block for at in range(0, len(data), piece) for block in cutter.feed(data[at : at + piece])]
    assert blocks
    blocks += cutter.finish()
    assert b"".join(blocks) == data
    assert max(block.count(b"\n") for block in blocks) == 7


def test_of_a_line_that_is_too_long_no_more_is_kept_than_shows_it() -> None:
    cutter = LineCutter(1 << 30, 1000)
    for piece in (b"a\n", *([b"x" * 50_000] * 40), b"end\nb", b"c\n"):
        cutter.feed(piece)
    (block,) = cutter.flush()
    first, long, last = block.splitlines()
    assert (first, last) == (b"a", b"bc")
    assert len(long) == MAX_LINE_BYTES + 1


def test_a_process_checks_and_is_replaced_when_it_dies(pool: CheckingPool) -> None:
    assert not pool.pids
    (record,) = pool.check(SAYER.register().line).result(20)
    assert isinstance(record, Checked)
    (pid,) = pool.pids
    os.kill(pid, signal.SIGKILL)
    (record,) = pool.check(SAYER.register().line).result(20)
    assert isinstance(record, Checked)
    (other,) = pool.pids
    assert other != pid


# A checking process with a fault: some lines end it.
FAULTY = """
import os
from ledger.checking import worker
from ledger.checking.lines import LineChecker

class Faulty(LineChecker):
    def check(self, lines):
        return os._exit(3) if any(line.startswith(b"fatal") for line in lines) else super().check(lines)

worker.LineChecker = Faulty
worker.main()
"""


@pytest.fixture
def faulty(pool: CheckingPool, monkeypatch: pytest.MonkeyPatch) -> CheckingPool:
    monkeypatch.setattr(pool_module, "_COMMAND", (sys.executable, "-c", FAULTY))
    return pool


def test_a_line_that_ends_two_processes_is_found_and_refused_alone(faulty: CheckingPool) -> None:
    good = [SAYER.register() for _ in range(4)]
    lines = [good[0].line, b"fatal\n", good[1].line, b"\n", good[2].line, b"fatal too\n", good[3].line]
    records = faulty.check(b"".join(lines)).result(60)
    kinds = [Checked, Rejected, Checked, type(None), Checked, Rejected, Checked]
    assert [type(each) for each in records] == kinds
    assert [each.digest for each in records if isinstance(each, Checked)] == [each.digest for each in good]
    assert len(faulty.pids) == 1


def test_where_nothing_can_be_checked_no_line_is_blamed(pool: CheckingPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_COMMAND", ("true",))
    for lines in (b"x\n", b"x\ny\n"):
        with pytest.raises(UnavailableError, match="no process could check"):
            pool.check(lines).result(20)


def test_a_block_of_many_such_lines_is_given_up(faulty: CheckingPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_MOST_PIECES", 1)
    with pytest.raises(UnavailableError, match="no process could check"):
        faulty.check(b"fatal\n" * 8).result(60)
    assert len(faulty.check(b"x\n").result(20)) == 1


def test_a_pool_ends_its_processes_and_takes_nothing_more(pool: CheckingPool) -> None:
    pool.check(b"x\n").result(20)
    (pid,) = pool.pids
    pool.close()
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(UnavailableError, match="closing"):
        pool.check(b"x\n").result(1)


def test_blocks_that_wait_when_it_closes_fail(pool: CheckingPool) -> None:
    futures = [pool.check(SAYER.register().line * 200) for _ in range(30)]
    closing = threading.Thread(target=pool.close)
    closing.start()
    errors = [future.exception(30) for future in futures]
    closing.join(90)
    assert isinstance(errors[-1], UnavailableError)


def test_what_nobody_waits_for_any_more_is_not_checked(pool: CheckingPool) -> None:
    first, second = pool.check(SAYER.register().line * 500), pool.check(b"x\n")
    assert second.cancel()
    assert len(first.result(30)) == 500


def test_errors_keep_their_kind() -> None:
    assert type(error_of(Rejected("MalformedError", "a"))) is MalformedError
    assert isinstance(error_of(Rejected("UnknownStatementTypeError", "a")), NotFoundError)
    error = error_of(Rejected("VerificationError", "a", None, None, {"expected": "x", "found": "y"}))
    assert isinstance(error, VerificationError)
    assert (error.expected, error.found) == ("x", "y")
    refused = error_of(Rejected("RefusedError", "a", None, "not-in-bulk", {"statement_type": "AccessGrant"}))
    assert isinstance(refused, RefusedError)
    assert refused.code == "not-in-bulk"


def test_a_turn_is_held_without_waiting() -> None:
    turns = Turns()
    assert turns.hold_if_free("a")
    assert not turns.hold_if_free("a")
    entered = threading.Event()

    def take() -> None:
        with turns.of("a"):
            entered.set()

    thread = threading.Thread(target=take)
    thread.start()
    assert not entered.wait(0.05)
    turns.let_go("a")
    thread.join(60)
    assert entered.is_set()
    assert turns.hold_if_free("a")
    turns.let_go("a")


class InOneProcess(CheckingPool):
    """Checks lines where it stands."""

    def check(self, block: bytes) -> Future[list[Record]]:
        done: Future[list[Record]] = Future()
        done.set_result(LineChecker(DOMAINS).check_block(block))
        return done


class NoLog(BulkAppender):
    """Answers blocks of which no line may enter."""

    def __init__(self) -> None:
        pass

    def put(self, block: Block) -> None:
        block.finish()

    def hurry(self) -> None:
        pass

    def share(self, streams: int) -> None:
        pass


def test_a_batch_waits_for_company_but_leaves_something_to_check() -> None:
    settings = GatewaySettings(
        Path("nowhere"), "", bulk_window=4, bulk_batch_size=3, bulk_delay_s=1000, bulk_longest_s=5000
    )
    appender = BulkAppender(cast("Parts", SimpleNamespace(settings=settings)), Turns(), lambda: None)
    records = LineChecker(DOMAINS).check([SAYER.register().line.strip()])

    def put(lines: int) -> float:
        appender.put(Block("a stream", Asker(SAYER.participant), 1, records * lines))
        due_in_s = appender.due_in_s()
        assert due_in_s is not None
        return due_in_s

    assert appender.due_in_s() is None
    assert 500 < put(0) <= 1000
    assert put(0) == 0.0  # half of what one stream may have on its way
    appender.share(2)
    assert 500 < put(2) <= 1000
    appender.share(9)
    assert put(1) == 0.0  # as many lines as a batch has
    appender.fail(UnavailableError("stopped"))
    assert appender.due_in_s() is None


def open_intake(**settings: Any) -> BulkIntake:
    made = GatewaySettings(Path("nowhere"), "", **settings)
    return BulkIntake(made, InOneProcess(DOMAINS), NoLog(), lambda: None)


def run(stream: BulkStream, body: AsyncIterator[bytes], answered: list[int]) -> None:
    """Keep the numbers of the lines that were answered. Raises: what ended the stream."""

    async def keep(answers: Answers) -> None:
        answered.extend(each.line for each in answers.lines)

    async def go() -> None:
        async with asyncio.timeout(20):
            await stream.run(body, keep)

    asyncio.run(go())


async def drip(first: bytes, pieces: Sequence[bytes], pause_s: float) -> AsyncIterator[bytes]:
    yield first
    for piece in itertools.cycle(pieces):
        await asyncio.sleep(pause_s)
        yield piece


@pytest.mark.parametrize("pause_s", [0.01, 0.1, 100])
def test_a_stream_that_brings_no_line_ends(pause_s: float) -> None:
    stream = open_intake(bulk_idle_s=0.3).open(Asker(word()))
    answered: list[int] = []
    with pytest.raises(UnavailableError, match="no whole line came for"):
        run(stream, drip(b"x\ny\nz", [b"z"], pause_s), answered)
    assert answered == [1, 2]


def test_a_stream_that_brings_lines_slowly_goes_on() -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.4)
            yield b"x\n"

    answered: list[int] = []
    run(open_intake(bulk_idle_s=2).open(Asker(word())), body(), answered)
    assert answered == [1, 2, 3, 4, 5, 6]


def test_one_participant_does_not_hold_all_streams() -> None:
    intake = open_intake(bulk_streams=3, bulk_streams_each=2)
    one, other = Asker(word(), api_key="a"), Asker(word())
    first, _ = intake.open(one), intake.open(one)
    with pytest.raises(UnavailableError, match="2 bulk streams of yours") as refused:
        intake.open(Asker(one.participant, api_key="b"))
    assert refused.value.retry_after_s
    intake.open(other)
    with pytest.raises(UnavailableError, match="3 bulk streams are open"):
        intake.open(other)
    first.close()
    intake.open(one)


def test_whoever_has_fewer_streams_takes_over_one_of_whoever_has_most() -> None:
    intake = open_intake(bulk_streams=4, bulk_streams_each=2)
    participants = [Asker(word()) for _ in range(5)]
    held = [intake.open(asker) for asker in (participants[0], participants[0], participants[1], participants[1])]
    intake.open(participants[2])
    intake.open(participants[3])
    stopped = [stream for stream in held if stream.is_stopping]
    assert {stream.asker for stream in stopped} == set(participants[:2])
    with pytest.raises(UnavailableError, match="bulk streams are open, the most"):
        intake.open(participants[4])  # all others have one by now
    with pytest.raises(UnavailableError, match="this one was given to them: send the whole file again") as ended:
        run(stopped[0], drip(b"x\n", [b"y\n"], 0.01), [])
    assert ended.value.retry_after_s


def test_streams_that_were_told_to_end_and_do_not_are_limited_too() -> None:
    intake = open_intake(bulk_streams=2, bulk_streams_each=2)
    one, other = Asker(word()), Asker(word())
    intake.open(one)
    for _ in range(2):
        intake.open(one)
        intake.open(other).close()
    intake.open(one)
    with pytest.raises(UnavailableError, match="4 bulk streams are open"):
        intake.open(other)


def test_a_stream_whose_answers_nobody_reads_ends() -> None:
    intake = open_intake(bulk_idle_s=0.1)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x\n", "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def go() -> None:
        async with asyncio.timeout(20):
            await _BatchResponse(intake.open(Asker(word())))({}, receive, send)

    asyncio.run(go())
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert intake.open_streams == 0
