"""Two checkpoints compared: the auditor's program, from every place that a checkpoint may come from."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode_canonical, parse_canonical
from ledger.content import scan_folder
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence import Verdict, Verifier, parse_policy
from ledger.evidence.fork import Fork, SignedCheckpoint, compare_checkpoints, parse_fork, verify_fork
from ledger.evidence.policy import PinnedLog
from ledger.log import Checkpoint, NoteSigner, Sequencer, TileReader, build_receipt
from ledger.log.mirror import Mirror
from ledger.merkle import EMPTY_ROOT
from ledger.types import Bytes32
from scripts.check_consistency import main
from tests.support.evidence_node import answers_of, respond, serve
from tests.support.evidence_world import World, make_event
from tests.support.log import ANCHOR_BY, ORIGIN, SIGNER, MemoryCheckpointStore, entries_of, open_log

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_consistency.py"
VKEY = str(SIGNER.verifier_key)
KEYS = (SIGNER.verifier_key,)
TWIN = NoteSigner(ORIGIN, b"twin".ljust(32, b"\0"))
SIZES = (1, 200, 300, 700)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(honest: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(honest))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def build(folder: Path, label: str, sizes: tuple[int, ...] = SIZES, shared: int = 1) -> Path:
    """A log whose first ``shared`` entries every label shares; its checkpoints of all sizes lie beside it."""
    entries = entries_of("shared", shared) + entries_of(label, sizes[-1] - shared)
    with open_log(folder / "log", MemoryCheckpointStore()) as log:
        for size in sizes:
            batch = log.append(entries[log.size : size])
            (folder / f"{size}.txt").write_bytes(batch.note)
        (folder / "receipt.txt").write_bytes(build_receipt(log.reader, 2, log.note))
    return folder / "log"


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    return build(tmp_path / "honest", "honest")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The same key, another history."""
    return build(tmp_path / "other", "other")


def run(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    code = main([*map(str, arguments), "--vkey", VKEY, "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


def test_consistent_from_everywhere(honest: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    beside = honest.parent
    for first, second in (
        (beside / "200.txt", beside / "receipt.txt"),
        (beside / "300.txt", beside / "200.txt"),
        (beside / "1.txt", beside / "1.txt"),
    ):
        code, answer = run(first, second, "--tiles", honest, capsys=capsys)
        assert (code, answer["verdict"]) == (0, "consistent")
    for place in (url, f"{url}/", honest):
        code, answer = run(beside / "200.txt", place, capsys=capsys)
        assert (code, answer["verdict"]) == (0, "consistent")
        assert answer["larger"] == {
            "size": 700,
            "root": (honest / "checkpoint").read_text().splitlines()[2],
        }


def test_of_two_places_the_larger_ones_tiles_decide(
    honest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smaller, forked = build(tmp_path / "smaller", "honest", SIZES[:-1]), build(tmp_path / "forked", "other", (1, 800))
    for places, expected in (((honest, smaller), 0), ((honest, forked), 1), ((smaller, forked), 1)):
        for first, second in (places, places[::-1]):
            code, answer = run(first, second, "--fork", tmp_path / "fork.json", capsys=capsys)
            assert code == expected, answer


def test_a_fork_is_kept_and_checked_again(
    honest: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    pairs = (
        (honest.parent / "200.txt", other.parent / "200.txt", honest),  # the sizes alone decide
        (honest.parent / "200.txt", other.parent / "700.txt", other),  # the larger one's tiles
        (honest.parent / "200.txt", other.parent / "300.txt", honest),  # the mirror's own checkpoint decides
    )
    for number, (first, second, tiles) in enumerate(pairs, 1):
        code, answer = run(first, second, "--tiles", tiles, "--fork", kept, capsys=capsys)
        assert (code, answer["verdict"]) == (1, "fork")
        evidence = tmp_path / ("kept.json" if number == 1 else f"kept-{number}.json")
        assert answer["evidence"] == str(evidence)
        fork = parse_fork(evidence.read_bytes())
        assert fork.to_bytes() == evidence.read_bytes()
        smaller, larger = verify_fork(fork, KEYS)
        assert smaller.size <= larger.size
        code, again = run(evidence, capsys=capsys)
        assert (code, again) == (1, answer)
    assert main([str(kept), "--vkey", VKEY]) == 1
    assert capsys.readouterr().out.startswith("verdict: FORK\norigin: gateway.example/log\nsmaller: size 200 root ")


def test_what_can_not_be_found_out(
    honest: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = honest.parent / "200.txt", honest.parent / "700.txt"
    short = build(tmp_path / "short", "honest", (200,))
    unsigned = build(tmp_path / "unsigned", "unsigned")
    (unsigned / "checkpoint").unlink()
    foreign = tmp_path / "foreign.txt"
    foreign.write_bytes(NoteSigner(ORIGIN, bytes(32)).sign(Checkpoint(ORIGIN, 700, bytes(32)).text).to_bytes())
    closed = "http://127.0.0.1:9/log"
    for arguments, words in (
        ((old, new), "name them"),
        ((old, new, "--tiles", short), "the tiles hold 200 entries"),
        ((old, new, "--tiles", unsigned), "hash to neither"),
        ((old, foreign), "none of the log's keys"),
        ((old, closed), "does not answer"),
        ((old, new, "--tiles", closed), "does not answer"),
        ((old, tmp_path), "no checkpoint"),
    ):
        code, answer = run(*arguments, capsys=capsys)
        assert (code, answer["verdict"]) == (2, "undetermined"), arguments
        assert words in str(answer["reason"])
    (other / "tile/entries/000").unlink()
    (other / "tile/0/000").unlink()
    code, answer = run(other.parent / "200.txt", other, capsys=capsys)
    assert code == 2
    assert "has no tile/0/000" in str(answer["reason"])
    (honest / "checkpoint").unlink()
    assert run(old, new, "--tiles", honest, capsys=capsys)[0] == 0  # the larger checkpoint's own tiles need no other


def test_usage(honest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = honest.parent / "200.txt"
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk")
    another = NoteSigner("other/log", bytes(32))
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_bytes(another.sign(Checkpoint("other/log", 1, bytes(32)).text).to_bytes())
    unwritable = tmp_path / "nowhere" / "fork.json"
    assert build(tmp_path / "third", "third")
    for arguments in (
        (note, junk),
        (note, tmp_path / "missing"),
        (note, "ftp://example.org/log"),
        (junk,),
        (note, note, note),
        (note, elsewhere, "--vkey", another.verifier_key),
        (note, tmp_path / "third" / "200.txt", "--fork", unwritable),
    ):
        assert run(*arguments, capsys=capsys)[0] == 3, arguments
    assert main([str(note), str(note), "--vkey", "junk"]) == 3
    assert main([str(note), str(note), "--policy", str(junk)]) == 3
    with pytest.raises(SystemExit) as refused:
        main([str(note), str(note)])
    assert refused.value.code == 3
    assert "Traceback" not in capsys.readouterr().err


def test_evidence_under_a_policy_as_a_process(tmp_path: Path) -> None:
    world = World()
    (tmp_path / "a.csv").write_bytes(b"1")
    stated = world.register("gateway", 1, scan_folder(tmp_path).manifest)
    world.publish()
    files = {"evidence.json": world.prove_stated(stated).to_bytes(), "policy.json": world.policy().to_bytes()}
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    evidence, policy = tmp_path / "evidence.json", tmp_path / "policy.json"
    command = [
        sys.executable,
        "-I",
        "-X",
        "importtime",
        str(SCRIPT),
        str(evidence),
        str(evidence),
        "--policy",
        str(policy),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert loaded.isdisjoint({"web3", "eth", "sqlalchemy", "fastapi", "httpx", "obstore", "pydantic", "typer", "rich"})
    command[command.index("-X") : command.index("-X") + 2] = []
    piped = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert piped.stdout is not None
    piped.stdout.close()  # the reader goes away
    assert piped.wait(90) == 0
    assert piped.stderr is not None
    assert piped.stderr.read() == ""
    piped.stderr.close()
    assert done.stdout.startswith("verdict: CONSISTENT\n")
    foreign = tmp_path / "foreign.txt"
    foreign.write_bytes(SIGNER.sign(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text).to_bytes())
    assert main([str(foreign), str(foreign), "--policy", str(policy)]) == 2


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """A policy with the logs of two operators, both of one origin: `CheckpointLog` gives each an id of its own."""
    policy = World().policy()
    logs = [
        PinnedLog(Bytes32(bytes([number]) * 32), ORIGIN, (signer.verifier_key,))
        for number, signer in enumerate((SIGNER, TWIN), start=1)
    ]
    (tmp_path / "twins.json").write_bytes(replace(policy, logs=tuple(logs)).to_bytes())
    return tmp_path / "twins.json"


def run_with_policy(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_two_logs_of_one_origin_are_not_one(
    honest: Path, twins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = TileReader(honest)
    first, second, small = tmp_path / "first.txt", tmp_path / "second.txt", tmp_path / "small.txt"
    first.write_bytes(signed(200, own.root(200)).note)
    second.write_bytes(signed(200, bytes(32), TWIN).note)
    small.write_bytes(signed(100, bytes(32), TWIN).note)
    kept = tmp_path / "fork.json"
    code, answer = run_with_policy(first, second, "--policy", twins, "--fork", kept, capsys=capsys)
    assert (code, kept.exists()) == (2, False)
    assert "none of them signed all 2 checkpoints" in answer["reason"]
    fork = Fork(first.read_bytes(), second.read_bytes(), bytes(32), ())
    kept.write_bytes(fork.to_bytes())
    assert run_with_policy(kept, "--policy", twins, capsys=capsys)[0] == 2
    assert run_with_policy(second, second, "--policy", twins, capsys=capsys)[0] == 0
    forked = tmp_path / "forked.txt"
    forked.write_bytes(signed(200, b"\1" * 32, TWIN).note)
    kept.unlink()
    assert run_with_policy(second, forked, "--policy", twins, "--fork", kept, capsys=capsys)[0] == 1
    assert run_with_policy(kept, "--policy", twins, capsys=capsys)[0] == 1
    with serve(lambda _: (500, b"")) as url:
        arguments = ("chain", second, "--policy", twins, "--rpc", url)
        assert run_with_policy(*arguments, capsys=capsys)[0] == 2  # the log is known, the node fails


def test_one_key_for_two_logs_of_one_origin_tells_neither(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = parse_policy(twins.read_bytes())
    logs = tuple(replace(each, keys=(SIGNER.verifier_key,)) for each in policy.logs)
    twins.write_bytes(replace(policy, logs=logs).to_bytes())
    note = twins.with_name("note.txt")
    note.write_bytes(signed(200, bytes(32)).note)
    code, answer = run_with_policy(note, note, "--policy", twins, capsys=capsys)
    assert code == 2
    assert "more than one of them has the key" in answer["reason"]


def test_what_an_older_key_signed_is_no_fork_of_the_log(
    twins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = parse_policy(twins.read_bytes())
    log = replace(policy.logs[0], keys=(SIGNER.verifier_key, TWIN.verifier_key))
    twins.write_bytes(replace(policy, logs=(log,)).to_bytes())
    old, new, kept = tmp_path / "old.txt", tmp_path / "new.txt", tmp_path / "kept.json"
    old.write_bytes(signed(200, bytes(32)).note)
    new.write_bytes(signed(200, b"\1" * 32, TWIN).note)
    code, answer = run_with_policy(old, new, "--policy", twins, "--fork", kept, capsys=capsys)
    assert (code, answer["verdict"], answer["evidence"]) == (2, "undetermined", str(kept))
    assert "an older key of the log" in answer["reason"]
    assert run_with_policy(kept, "--policy", twins, capsys=capsys)[0] == 2
    keys = [part for key in log.keys for part in ("--vkey", str(key))]
    assert run_with_policy(kept, *keys, capsys=capsys)[0] == 2


def signed(size: int, root: bytes, signer: NoteSigner = SIGNER) -> SignedCheckpoint:
    checkpoint = Checkpoint(signer.name, size, root)
    return SignedCheckpoint(checkpoint, signer.sign(checkpoint.text).to_bytes())


def test_comparing(honest: Path) -> None:
    reader = TileReader(honest)
    empty, one = signed(0, EMPTY_ROOT), signed(1, reader.root(1))
    assert compare_checkpoints(empty, one) is None
    assert compare_checkpoints(one, one) is None
    with pytest.raises(UnavailableError):
        compare_checkpoints(one, signed(2, reader.root(2)))
    with pytest.raises(VerificationError, match="two logs"):
        compare_checkpoints(one, signed(1, bytes(32), NoteSigner("other/log", bytes(32))))


def test_what_is_no_fork(honest: Path) -> None:
    reader = TileReader(honest)
    small, large = signed(200, reader.root(200)), signed(700, reader.root(700))
    proof = tuple(reader.prove_consistency(200, 700))
    for fork in (
        Fork(small.note, large.note, reader.root(200), proof),
        Fork(large.note, small.note, reader.root(200), proof),
        Fork(signed(200, bytes(32)).note, large.note, bytes(32), proof),
    ):
        with pytest.raises(VerificationError):
            verify_fork(fork, KEYS)
    assert verify_fork(Fork(signed(200, bytes(32)).note, large.note, reader.root(200), proof), KEYS)
    document = parse_canonical(Fork(small.note, large.note, bytes(32), proof).to_bytes())
    assert isinstance(document, dict)
    for changed in (document | {"format": "x"}, document | {"more": "x"}, document | {"root": "AAAA"}):
        with pytest.raises(MalformedError):
            parse_fork(encode_canonical(changed))


def test_mirrors_cut_partial_tiles_out_of_full_ones(honest: Path, url: str) -> None:
    for mirror in (Mirror(str(honest)), Mirror(url)):
        reader = mirror.reader(100)  # the partial tiles of this size never were there
        assert reader.entries(0, 100) == TileReader(honest).entries(0, 100)
        assert reader.root(100) == TileReader(honest).root(100)
        assert reader.resource("checkpoint") == (honest / "checkpoint").read_bytes()
        assert mirror.fetch("tile/0/999") is None
        with pytest.raises(UnavailableError):
            mirror.reader(1000).root(1000)
    (honest / "tile/entries/000").write_bytes(b"\xff\xff")
    with pytest.raises(UnavailableError):
        Mirror(str(honest)).reader(100).entries(0, 100)
    with pytest.raises(UnavailableError):
        Mirror(str(honest)).fetch("tile")  # a folder
    for wrong in ("file:///log", "http://", "http://[::1/log", "http://a:b/"):
        with pytest.raises(MalformedError):
            Mirror(wrong)


class OnChain:
    """A world with two checkpoints on chain and its log in a folder; its node tells receipts, too."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.world = folder, World()
        self.log, self.policy = folder / "log", folder / "policy.json"
        with Sequencer.open(self.log, self.world.signer, MemoryCheckpointStore(), anchor_by=lambda: ANCHOR_BY) as log:
            for entry in entries_of("entry", 2):
                self.world.entries.append(entry)
                (folder / f"{len(self.world.entries)}.txt").write_bytes(log.append([entry]).note)
                self.world.publish(before=[make_event("LogAttested", [self.world.log_id], bytes(128))])
        with Sequencer.open(
            folder / "forked", self.world.signer, MemoryCheckpointStore(), anchor_by=lambda: ANCHOR_BY
        ) as log:
            log.append(entries_of("forked", 3))
        self.policy.write_bytes(self.world.policy().to_bytes())

    @contextmanager
    def node(self, receipts: bool = True) -> Iterator[str]:
        honest = answers_of(self.world)

        def answer(method: str, params: list[Any]) -> Any:
            if method == "eth_getBlockReceipts":
                return self.world.blocks[int(params[0], 16)].receipts if receipts else "none"
            if method == "eth_getLogs":
                return [*self._find(params[0])]
            return honest(method, params)

        with serve(lambda body: (200, json.dumps(respond(answer, body)).encode())) as url:
            yield url

    def _find(self, wanted: Any) -> Iterator[object]:
        for block in self.world.blocks:
            events: list[Any] = [log for receipt in block.receipts for log in receipt["logs"]]  # type: ignore[attr-defined]  # a list of events
            for place, log in enumerate(events):
                if log["topics"][:2] == wanted["topics"] and log["address"] == wanted["address"]:
                    yield log | {"blockNumber": hex(block.number), "logIndex": hex(place)}

    def run(self, *arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
        fork = self.folder / "fork.json"
        code = main([*map(str, arguments), "--policy", str(self.policy), "--fork", str(fork), "--json"])
        out = capsys.readouterr().out
        return code, json.loads(out) if out else {}


@pytest.fixture
def on_chain(tmp_path: Path) -> OnChain:
    return OnChain(tmp_path)


def test_the_chain_holds_the_same_history(on_chain: OnChain, capsys: pytest.CaptureFixture[str]) -> None:
    with on_chain.node() as rpc:
        for first, second, sizes in (
            (on_chain.folder / "1.txt", "chain", (1, 2)),
            ("chain:1", on_chain.folder / "2.txt", (1, 2)),
            ("chain:1", "chain", (1, 2)),
            ("chain", on_chain.log, (2, 2)),
        ):
            code, answer = on_chain.run(first, second, "--tiles", on_chain.log, "--rpc", rpc, capsys=capsys)
            assert (code, answer["verdict"]) == (0, "consistent")
            assert (answer["smaller"]["size"], answer["larger"]["size"]) == sizes
        code, answer = on_chain.run("chain:5", on_chain.log, "--rpc", rpc, capsys=capsys)
        assert (code, answer["verdict"]) == (2, "undetermined")
        assert "no checkpoint of size 5" in answer["reason"]


def test_a_checkpoint_against_the_chain_is_kept_as_a_breach(
    on_chain: OnChain, capsys: pytest.CaptureFixture[str]
) -> None:
    verifier = Verifier(on_chain.world.policy())
    with on_chain.node() as rpc:
        for first in ("chain", "chain:1"):
            code, answer = on_chain.run(first, on_chain.folder / "forked", "--rpc", rpc, capsys=capsys)
            assert (code, answer["verdict"], answer["larger"]["size"]) == (1, "fork", 3)
            report = verifier.verify(Path(answer["evidence"]).read_bytes())
            assert report.verdict is Verdict.VERIFIED, report
            assert report.claim is not None
        code, answer = on_chain.run(
            "chain:1", "chain", "--tiles", on_chain.folder / "forked", "--rpc", rpc, capsys=capsys
        )
        assert (code, answer["verdict"]) == (2, "undetermined")
        # The evidence is a place where a checkpoint may come from, too.
        code, answer = on_chain.run(on_chain.folder / "fork.json", on_chain.folder / "forked", capsys=capsys)
        assert (code, answer["verdict"]) == (0, "consistent")
    on_chain.policy.write_bytes(on_chain.world.policy(last=2).to_bytes())
    with on_chain.node() as rpc:  # a policy that does not reach so far yet: the proof is left for one that does
        code, answer = on_chain.run("chain", on_chain.folder / "forked", "--rpc", rpc, capsys=capsys)
        assert code == 1
        later = Verifier(on_chain.world.policy()).verify(Path(answer["evidence"]).read_bytes())
        assert later.verdict is Verdict.UNDETERMINED
    with on_chain.node(receipts=False) as rpc:
        code, answer = on_chain.run("chain", on_chain.folder / "forked", "--rpc", rpc, capsys=capsys)
        assert (code, answer["verdict"]) == (2, "undetermined")


def test_usage_of_the_chain(on_chain: OnChain, capsys: pytest.CaptureFixture[str]) -> None:
    with on_chain.node() as rpc:
        for arguments in (
            ("chain", on_chain.log),
            ("chain:x", on_chain.log, "--rpc", rpc),
            ("chain", on_chain.log, "--rpc", "ftp://node"),
        ):
            assert on_chain.run(*arguments, capsys=capsys) == (3, {}), arguments
    assert main(["chain", str(on_chain.log), "--vkey", str(on_chain.world.signer.verifier_key)]) == 3
    world, handle = on_chain.world, on_chain.world.members["gateway"].id
    other = PinnedLog(handle, "other/log", (NoteSigner("other/log", bytes(32)).verifier_key,))
    logs = tuple(sorted([*world.policy().logs, other], key=lambda each: (each.operator, each.origin)))
    on_chain.policy.write_bytes(replace(world.policy(), logs=logs).to_bytes())
    assert on_chain.run("chain", "chain:1", "--rpc", "http://127.0.0.1:9", capsys=capsys) == (3, {})
    assert on_chain.run("chain", on_chain.log, "--rpc", "http://127.0.0.1:9", capsys=capsys)[0] == 2
