"""The machine below one of two gateway processes fails while one fetches from the other: a full disk, a wrong clock."""

from __future__ import annotations

import errno
import hashlib
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.client import deliveries
from ledger.keyfiles import write_key_file
from ledger.surface.transfers import TransferState
from tests.support.fault_proxy import Asked, Fault, Hold
from tests.support.fetching import CHUNK, Sale
from tests.support.served import ROOT, environment
from tests.support.two_gateways import GatewayProcess, TwoGateways, gateways
from tests.support.world import PASSPHRASE

__all__ = ["gateways"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # services are started again and again

SIZE = 16 << 20
SMALL_DISK = 'mount -t tmpfs -o size="$1" concord "$2" && shift 2 && exec "$@"'
UNSHARE = (shutil.which("unshare") or "unshare", "-Urm", "sh", "-c", SMALL_DISK, "sh")


@pytest.fixture(scope="module")
def sold(gateways: TwoGateways) -> Sale:
    """A version that the analyst may have."""
    sale = Sale(gateways, "power", SIZE)
    sale.grant()
    return sale


@pytest.fixture(autouse=True)
def healed(gateways: TwoGateways) -> Iterator[None]:
    """The way between both is whole again, and B has forgotten what it fetched."""
    yield
    gateways.proxy.rule = None
    for each in gateways.analyst.run(deliveries.list_all()):
        gateways.analyst.run(deliveries.cancel(each.id))


@pytest.fixture
def small_disks(tmp_path: Path) -> None:
    """Skip where no small disk of one's own can be mounted."""
    try:
        subprocess.run([*UNSHARE, "1m", str(tmp_path), "true"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("this system lets no user mount a small disk of its own")


@contextmanager
def limited(process: GatewayProcess) -> Iterator[None]:
    """No file of the process grows much until the block ends, as on a disk that has no room for more."""
    largest = max(each.stat().st_size for each in process.home.rglob("*") if each.is_file() and each.suffix != ".bin")
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (min(largest, 1 << 20) + (4 << 20), before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)


def test_a_provider_whose_disk_is_full_seals_nothing_and_says_so(sold: Sale, tmp_path: Path) -> None:
    with limited(sold.gateways.a):
        view = sold.see_wait(sold.start())
        assert view.error is not None
        assert (view.error.code, "disk is full" in view.error.detail) == ("unavailable", True)
        assert view.transfer is None
        assert not [*(sold.gateways.a.home / "content" / "sealings").rglob("data")]
    assert "unavailable" in sold.problems()
    sold.deliver(tmp_path)


def test_a_consumers_gateway_whose_files_can_not_grow_keeps_what_it_has(sold: Sale, tmp_path: Path) -> None:
    with limited(sold.gateways.b):
        error, view = sold.fail()
    assert (error.code, "disk" in str(error)) == ("disk-failed", True)
    assert (sold.told(view).state, "key" in sold.given(view)) == (TransferState.OPEN, False)
    assert 0 < view.received_bytes < SIZE
    assert sold.deliver(tmp_path).transfer == view.transfer


@pytest.mark.usefixtures("small_disks")
def test_a_consumers_gateway_whose_disk_fills_up_in_the_middle(sold: Sale, tmp_path: Path) -> None:
    b = sold.gateways.b
    place = b.home / "deliveries"
    place.mkdir(mode=0o700, exist_ok=True)
    b.stop()
    b.before = (*UNSHARE, "140m", str(place))
    b.start()
    ballast = Path(f"/proc/{b.pid}/root{place}/ballast")  # as that process sees it
    try:
        hold = Hold(CHUNK + 4096, lambda: fill(ballast))
        faults = iter([Fault(hold=hold)])

        def rule(asked: Asked) -> Fault | None:
            return next(faults, None) if asked.target.endswith("/data") else None

        sold.gateways.proxy.rule = rule
        error, view = sold.fail()
        assert hold.is_over
        assert (error.code, "is full" in str(error)) == ("disk-full", True)
        left = {path.name for path in ballast.parent.rglob("*") if path.is_file() and path.parent.name != "described"}
        assert left == {"state.json", "sealed", "ballast"}
        assert (sold.told(view).state, "key" in sold.given(view)) == (TransferState.OPEN, False)
        ballast.unlink()
        assert sold.deliver(tmp_path).transfer == view.transfer
    finally:
        b.stop()
        b.before = ()
        b.start()


def fill(ballast: Path) -> None:
    """Take all that is left of a disk."""
    with ballast.open("wb", buffering=0) as taking:
        for block in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    taking.write(bytes(block))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


PULL_TWICE = """
concord="$1 -m scripts.concord dataset pull $3 --to $2"
$concord; echo "ended: $?"
find "$2" -type f -printf "left: %f\\n"
mount -o remount,size=64m "$2"
$concord >/dev/null; echo "ended: $?"
cd "$2" && find . -type f | LC_ALL=C sort | xargs sha256sum
"""


@pytest.mark.usefixtures("small_disks")
def test_the_command_on_a_full_disk_says_so_and_goes_on_when_there_is_room(sold: Sale, tmp_path: Path) -> None:
    gateways = sold.gateways
    sold.gateways.catch_up()
    write_key_file(tmp_path / "own.key", gateways.signing._private_key, PASSPHRASE, kdf_cost=2)
    target = tmp_path / "in"
    target.mkdir()
    shutil.copyfile(gateways.a.home / "consortium.json", tmp_path / "consortium.json")
    told = {
        "CONCORD_URL": gateways.b.url,
        "CONCORD_API_KEY": gateways.joined.api_key,
        "CONCORD_KEY": str(tmp_path / "own.key"),
        "CONCORD_CONSORTIUM": str(tmp_path / "consortium.json"),
    }
    shell = ["sh", "-c", PULL_TWICE, "sh", sys.executable, str(target), f"{sold.made.dataset}@1"]
    ran = subprocess.run(
        [*UNSHARE, "8m", str(target), *shell], cwd=ROOT, env=environment() | told, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    lines = ran.stdout.splitlines()
    assert lines[0] == "ended: 2", ran
    assert f"can not be written to {target}: No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr
    left = {line.removeprefix("left: ") for line in lines if line.startswith("left: ")}
    assert {"state.json", "sealed"} <= left
    assert not left & {Path(name).name for name in sold.files}
    hashes = sorted(f"{hashlib.sha256(data).hexdigest()}  ./{name}" for name, data in sold.files.items())
    assert sorted(lines[lines.index("ended: 0") + 1 :]) == hashes


@pytest.mark.parametrize(("ahead_s", "words"), [(3600, "signed in the future"), (-3600, "has expired")])
def test_a_consumers_gateway_whose_clock_is_an_hour_off_is_told_so(
    sold: Sale, tmp_path: Path, ahead_s: int, words: str
) -> None:
    b = sold.gateways.b
    b.stop()
    b.program = ("tests.support.ahead", str(ahead_s), "scripts.concord")
    b.start()
    try:
        error, view = sold.fail()
        assert (error.code, view.transfer) == ("unauthorized", None)
        assert words in str(error)
        assert "compare both clocks" in str(error)
        assert sold.problems()[-1] == "unauthorized"
    finally:
        b.stop()
        b.program = ("scripts.concord",)
        b.start()
    sold.deliver(tmp_path)
