"""What gateway B fetches from gateway A (``tests.support.two_gateways``), and what is left where that fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.client import deliveries, transfers
from ledger.client.datasets import Registration
from ledger.errors import RefusedError
from ledger.surface.deliveries import DeliveryState, DeliveryView
from ledger.surface.transfers import TransferView
from ledger.types import Bytes32
from tests.support.content import make_bytes
from tests.support.fault_proxy import Asked, Fault
from tests.support.two_gateways import TwoGateways
from tests.support.waiting import eventually

__all__ = ["CHUNK", "Sale", "on"]

CHUNK: Final = (1 << 20) + 16
"""A sealed one, as the large file's but its last."""
_SAMPLE_BYTES: Final = 64


def on(part: str, *faults: Fault | None) -> Callable[[Asked], Fault | None]:
    """Spoils the first requests whose path ends so, each in its own way."""
    left = iter(faults)
    return lambda asked: next(left, None) if asked.target.endswith(part) else None


def files_of(slug: str, size_bytes: int) -> dict[str, bytes]:
    """Files that nobody else has: what of them is found in the clear came from them."""
    meter = hashlib.sha256(slug.encode()).hexdigest()  # of one length, as the sizes of all versions are
    text = "meter,hour,mwh\n" + "".join(f"{meter},{hour},12.5\n" for hour in range(9))
    return {"a.csv": text.encode(), "deep/empty": b"", "large.bin": make_bytes(slug, size_bytes)}


@dataclass
class Sale:
    """A version of the chamber's that the analyst's gateway fetches, or tries to."""

    gateways: TwoGateways
    slug: str
    size_bytes: int = (3 << 20) + 5
    """of the large file: three chunks and a bit"""
    content: str = ""
    """what tells its files from those of another version"""
    files: dict[str, bytes] = field(init=False)
    made: Registration = field(init=False)

    def __post_init__(self) -> None:
        self.files = files_of(self.slug + self.content, self.size_bytes)
        self.made = self.gateways.register(self.slug, self.files)

    def grant(self, **terms: Any) -> Bytes32:
        """Permit it; known at both."""
        digest = self.gateways.grant(self.slug, **terms)
        self.gateways.catch_up()
        return digest

    def start(self, **more: Any) -> DeliveryView:
        """Let B begin, or go on."""
        return self.gateways.analyst.run(deliveries.start(str(self.made.dataset), self.made.version, **more))

    def show(self, delivery: DeliveryView) -> DeliveryView:
        """How far it is."""
        return self.gateways.analyst.run(deliveries.show(delivery.id))

    def wait(self, delivery: DeliveryView) -> DeliveryView:
        """It, once it is delivered. Raises: RefusedError: it failed."""
        return self.gateways.analyst.run(deliveries.wait(delivery.id))

    def fail(self, **more: Any) -> tuple[RefusedError, DeliveryView]:
        """Let B begin, or go on, and fail; nothing is left in the clear."""
        return self.see_fail(self.start(**more))

    def see_fail(self, delivery: DeliveryView) -> tuple[RefusedError, DeliveryView]:
        """Wait until it has failed; nothing is left in the clear."""
        with pytest.raises(RefusedError) as caught:
            self.wait(delivery)
        self.check_sealed()
        view = self.show(delivery)
        assert view.state is DeliveryState.FAILED
        return caught.value, view

    def see_wait(self, delivery: DeliveryView) -> DeliveryView:
        """Wait until it says what it waits for; nothing is left in the clear."""
        eventually(lambda: self.show(delivery).state is DeliveryState.WAITING)
        self.check_sealed()
        return self.show(delivery)

    def deliver(self, folder: Path, **more: Any) -> DeliveryView:
        """Have it delivered, take the files into ``folder`` and let B forget them."""
        view = self.wait(self.start(**more))
        self.gateways.analyst.run(deliveries.download(view.id, folder))
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert found == self.files
        self.forget(view)
        return view

    def forget(self, delivery: DeliveryView) -> None:
        """Let B remove it, and what it has of it."""
        self.gateways.analyst.run(deliveries.cancel(delivery.id))
        eventually(lambda: not self.folder_of(delivery).exists())

    def folder_of(self, delivery: DeliveryView) -> Path:
        """Where B keeps it."""
        return self.gateways.b.home / "deliveries" / delivery.id.hex()

    def check_sealed(self) -> None:
        """Nothing of the files is in the clear anywhere in B's home, temporary files included."""
        places = [(data, at) for data in self.files.values() if data for at in (0, len(data) // 2, len(data))]
        samples = [data[max(at - _SAMPLE_BYTES, 0) : at] or data[:_SAMPLE_BYTES] for data, at in places]
        for path in self.gateways.b.home.rglob("*"):
            if path.is_file():
                raw = path.read_bytes()
                assert not [sample for sample in samples if sample in raw], path

    # What the provider says

    def given(self, delivery: DeliveryView) -> list[str]:
        """What A's log of accesses says that it gave, the oldest first."""
        assert delivery.transfer is not None
        kept = self.gateways.chamber.run(transfers.accesses(delivery.transfer))
        return [each.what for each in reversed(kept)]

    def told(self, delivery: DeliveryView) -> TransferView:
        """What A, as ``concord transfer show``, says of it."""
        assert delivery.transfer is not None
        return self.gateways.chamber.run(transfers.show(delivery.transfer))

    def problems(self) -> list[str]:
        """The codes of what A refused to other gateways, the oldest first, as its log says."""
        return [str(each["problem"]) for each in self.gateways.a.requests("/v1/transfers") if "problem" in each]

    # What the provider keeps

    def begin(self) -> DeliveryView:
        """A delivery for which A has sealed the version, and of which no data have travelled yet."""
        self.gateways.proxy.rule = lambda asked: Fault(503) if asked.target.endswith("/data") else None
        return self.see_wait(self.start())

    def sealed_folder(self, delivery: DeliveryView) -> Path:
        """Where A keeps what it sends."""
        sealing = str(self.told(delivery).sealing.message["keyCommitment"]).removeprefix("0x")
        return self.gateways.a.home / "content" / "sealings" / sealing

    @contextmanager
    def spoilt(
        self, delivery: DeliveryView, spoil: Callable[[bytearray], object], name: str = "data"
    ) -> Iterator[None]:
        """A's stored object of the sealing, changed on its disk until the block ends."""
        place = self.sealed_folder(delivery) / name
        right = place.read_bytes()
        wrong = bytearray(right)
        spoil(wrong)
        place.write_bytes(wrong)
        try:
            yield
        finally:
            place.write_bytes(right)

    def statements(self, delivery: DeliveryView) -> dict[str, Any]:
        """What was stated about a delivery that is done."""
        kept: dict[str, Any] = json.loads(self.gateways.analyst.run(deliveries.statements(delivery.id)))
        return kept
