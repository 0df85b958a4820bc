"""Two gateway processes, of which the provider's keeps contents and sealings in a bucket of a real S3 server."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.client import datasets, statements
from ledger.surface.transfers import TransferState
from tests.support.fault_proxy import Asked, Fault, FaultProxy
from tests.support.fetching import CHUNK, Sale
from tests.support.two_gateways import running_two_gateways
from tests.support.versitygw import S3Server
from tests.support.waiting import eventually
from tests.support.world import WAIT_S

URL = "s3://contents/gateway/a"
SEALINGS = "gateway/a/sealings/"

pytestmark = pytest.mark.timeout(900)  # two services start, and a loaded machine is slow


def sealings(server: S3Server) -> set[str]:
    """Ids of the sealings of which something is in the bucket."""
    return {name.removeprefix(SEALINGS)[:64] for name in server.object_names() if name.startswith(SEALINGS)}


def test_a_version_is_sealed_delivered_sealed_anew_and_erased(
    server: S3Server, proxy: FaultProxy, tmp_path: Path
) -> None:
    with running_two_gateways(tmp_path / "two", {"CONCORD_CONTENT_URL": URL}) as gateways:
        sale = Sale(gateways, "power")
        stored = set(server.object_names())
        assert stored
        assert not [path for path in (gateways.a.home / "content").rglob("*") if path.is_file()]
        assert not [name for name in stored if name.startswith(SEALINGS)]

        first, _ = sale.grant(), sale.grant()
        faults = [Fault(status=503), Fault(response_bytes=CHUNK + 5000)]

        def fail(asked: Asked) -> Fault | None:  # the store's answers, while what is sealed is read
            return faults.pop() if faults and asked.method == "GET" and asked.target.endswith("/data") else None

        proxy.rule = fail
        delivered = sale.deliver(tmp_path / "first", grant=first)
        assert not faults, "the store failed in between"
        assert sale.told(delivered).state is TransferState.RELEASED
        [old] = sealings(server)
        assert f"{SEALINGS}{old}/data" in server.object_names()

        gateways.revoke(first)
        eventually(lambda: len(sealings(server)) == 1 and sealings(server) != {old})
        again = sale.deliver(tmp_path / "again")
        assert {str(sale.told(again).sealing.message["keyCommitment"])} == {f"0x{each}" for each in sealings(server)}
        assert sale.told(again).grant != first

        name = f"chamber/{sale.slug}"
        tombstone = gateways.chamber.run(datasets.erase(name, 1, "asked for", wait_s=WAIT_S))
        gateways.chamber.run(statements.wait(tombstone.digest))
        eventually(lambda: (server.object_names(), server.parts()) == ([], []))
        gateways.catch_up()
        error, view = sale.fail()
        assert (error.code, view.transfer) == ("version-erased", None)
