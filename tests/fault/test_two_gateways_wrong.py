"""What goes wrong between two gateway processes while one fetches from the other.

Each ends with the right error at the consumer, nothing in the clear on its disk, and the provider's records telling
what happened. What is broken or killed: `tests/integration/test_two_gateways.py`; disks, clocks and keys:
`tests/fault/test_two_gateways_machine.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.chain import ChainEdge, SignedStatement, encode_statement
from ledger.client import Client, Flow, access, deliveries, releasing, sealing, statements, transfers
from ledger.client.flow import Request
from ledger.client.sealed_files import load_state
from ledger.client.sealing_keys import SealingKeyFiles
from ledger.client.signed import signed
from ledger.client.transfers import Consumer, Pulled, pull
from ledger.content import scan_folder
from ledger.content.release import RecipientKey, ReleaseTerms, wrap_key
from ledger.errors import MalformedError, RefusedError
from ledger.statements import Statement
from ledger.surface.codec import dump_value
from ledger.surface.deliveries import DeliveryView
from ledger.surface.transfers import TransferState, TransferView
from tests.support.content import write_files
from tests.support.fault_proxy import Asked, Fault
from tests.support.fetching import CHUNK, Sale, on
from tests.support.two_gateways import TwoGateways, gateways
from tests.support.waiting import eventually
from tests.support.world import METADATA, PASSPHRASE

__all__ = ["gateways"]

pytestmark = pytest.mark.timeout(900)  # two services start, and a loaded machine is slow


@pytest.fixture(scope="module")
def sold(gateways: TwoGateways) -> Sale:
    """A version that the analyst may have."""
    sale = Sale(gateways, "power")
    sale.grant()
    return sale


@pytest.fixture(autouse=True)
def healed(gateways: TwoGateways) -> Iterator[None]:
    """The way between both is whole again, and B has forgotten what it fetched."""
    yield
    gateways.proxy.rule = gateways.elsewhere.rule = None
    for each in gateways.analyst.run(deliveries.list_all()):
        gateways.analyst.run(deliveries.cancel(each.id))


def flip(data: bytearray) -> None:
    data[-CHUNK] ^= 1


def swap(data: bytearray) -> None:
    first = len(data) - 3 * CHUNK - 21  # of the large file, whose last chunk has 5 bytes
    second = first + CHUNK
    data[first:second], data[second : second + CHUNK] = data[second : second + CHUNK], data[first:second]


@pytest.mark.parametrize(("spoil", "good"), [(flip, 4), (swap, 2)])
def test_a_stored_chunk_that_was_changed_or_swapped_is_refused(
    sold: Sale, tmp_path: Path, spoil: Callable[[bytearray], None], good: int
) -> None:
    begun = sold.begin()
    with sold.spoilt(begun, spoil):
        sold.gateways.proxy.rule = None
        error, view = sold.fail()
    assert error.code == "verification-failed"
    assert f"sealed chunk {good}" in str(error)
    assert sold.given(view)[-1] == "data", "and no key"
    assert sold.told(view).state is TransferState.OPEN
    assert sold.told(view).receipt is None
    assert view.received_bytes == sum(sealed_sizes(sold)[:good]), "the good ones stay"
    assert sold.deliver(tmp_path).transfer == view.transfer


def sealed_sizes(sale: Sale) -> list[int]:
    return [len(sale.files["a.csv"]) + 16, 16, CHUNK, CHUNK, CHUNK, 5 + 16]


def test_what_is_cut_off_at_the_end_is_never_taken_for_all(sold: Sale, tmp_path: Path) -> None:
    begun = sold.begin()
    with sold.spoilt(begun, lambda data: data.__delitem__(slice(-7, None))):
        sold.gateways.proxy.rule = None
        eventually(lambda: "stored-sealing-damaged" in sold.problems())
        view = sold.see_wait(begun)
    assert view.error is not None
    assert "seal the version again" in view.error.detail
    assert "data" not in sold.given(view)

    def shorten(asked: Asked) -> Fault | None:  # an answer that is whole, and too short
        return Fault(rewrite=lambda body: body[:-7]) if asked.target.endswith("/data") else None

    sold.gateways.proxy.rule = shorten
    before = len(sold.gateways.proxy.asked)
    sold.start()
    eventually(lambda: "sent less than bytes" in str(sold.show(begun).error))
    view = sold.see_wait(begun)
    assert view.received_bytes == sum(sealed_sizes(sold)[:-1]), "all but the last chunk"
    assert [each.target for each in sold.gateways.proxy.asked[before:] if each.target.endswith("/receipt")] == []
    assert sold.told(view).receipt is None
    sold.gateways.proxy.rule = None
    assert sold.deliver(tmp_path).transfer == view.transfer


# The wrong version


@pytest.fixture(scope="module")
def versions(gateways: TwoGateways) -> tuple[Sale, DeliveryView, Sale]:
    """A version, how the analyst got it, and the version after it."""
    first = Sale(gateways, "versions")
    first.grant()
    delivery = first.wait(first.start())
    return first, delivery, Sale(gateways, "versions", content=", corrected")


def test_the_objects_of_another_version_are_refused(versions: tuple[Sale, DeliveryView, Sale]) -> None:
    first, delivery, second = versions
    second.gateways.catch_up()
    other = (first.sealed_folder(delivery) / "data").read_bytes()
    begun = second.begin()
    with second.spoilt(begun, lambda data: data.__setitem__(slice(None), other)):
        second.gateways.proxy.rule = None
        error, view = second.fail()
    assert (error.code, "sealed chunk 0" in str(error)) == ("verification-failed", True)
    assert (view.received_bytes, second.told(view).receipt) == (0, None)


def offer(**changed: Any) -> Callable[[bytes], bytes]:
    return lambda body: json.dumps(json.loads(body) | changed).encode()


def test_another_version_in_the_offer_is_refused_before_any_data_travel(
    versions: tuple[Sale, DeliveryView, Sale],
) -> None:
    first, delivery, second = versions
    second.gateways.catch_up()
    old: Any = dump_value(first.told(delivery))
    message = {**old["sealing"]["message"], "version": "2", "registration": str(second.made.digest)}
    lies = {
        "offers another version": offer(version=1),
        "offers another registration": offer(registration=str(first.made.digest)),
        "the sealing is of something else": offer(sealing=old["sealing"]),
        "the digest of the Sealing is another's": offer(sealing={**old["sealing"], "message": message}),
    }
    for words, rewrite in lies.items():
        second.gateways.proxy.rule = on("/v1/transfers", Fault(rewrite=rewrite))
        error, view = second.fail()
        assert (error.code, words in str(error)) == ("verification-failed", True), (words, error)
        assert view.received_bytes == 0
    assert second.gateways.proxy.asked[-1].target == "/v1/transfers", "nothing was asked for after it"


def test_the_manifest_of_another_version_is_refused(versions: tuple[Sale, DeliveryView, Sale]) -> None:
    first, _, second = versions
    second.gateways.catch_up()
    manifest = scan_folder(write_files(second.gateways.folder / "again", first.files)).manifest.to_bytes()
    second.gateways.proxy.rule = on("/manifest", Fault(rewrite=lambda _: manifest))
    error, view = second.fail()
    assert error.code == "verification-failed"
    assert (view.received_bytes, second.told(view).receipt) == (0, None)
    assert "data" not in second.given(view)


# The wrong key


@pytest.mark.parametrize("wrong", ["key", "recipient"])
def test_a_key_that_does_not_open_what_was_receipted_is_shown(
    gateways: TwoGateways, tmp_path: Path, wrong: str
) -> None:
    """The chamber seals on its own machine, so that it may release what it likes."""
    sale = Sale(gateways, f"wrong-{wrong}")
    keys = SealingKeyFiles(tmp_path / "keys", PASSPHRASE, kdf_cost=2)
    folder = gateways.folder / "staged" / sale.slug
    push = sealing.push(folder, scan_folder(folder), "chamber", sale.slug, METADATA, keys, None, if_changed=True)
    pushed = gateways.chamber.run(push)
    assert (pushed.was_sealed, pushed.registration.version) == (True, 1)
    sale.grant()
    waiting = sale.see_wait(sale.start())
    assert waiting.error is not None
    assert "released no key yet" in waiting.error.detail
    [owed] = gateways.chamber.run(releasing.waiting())
    key = bytes(32) if wrong == "key" else keys.load(pushed.sealing.id).to_bytes()
    gateways.chamber.run(release(owed, key, RecipientKey.generate().public if wrong == "recipient" else None))
    error, view = sale.fail()
    assert error.code == "verification-failed"
    assert "released a wrong key" in str(error)
    told = sale.told(view)
    assert (told.state, "key" in sale.given(view)) == (TransferState.RELEASED, True)
    assert told.release is not None
    kept = json.loads(gateways.analyst.run(deliveries.private_state(view.id)))
    assert kept["transfer"] == str(view.transfer), "what evidence of it is made from"


def release(owed: TransferView, key: bytes, recipient: bytes | None) -> Flow[None]:
    stated = yield from statements.fetch(owed.receipt or owed.id)
    receipt: Any = Statement.parse("TransferReceipt", stated["message"]).message
    terms = ReleaseTerms(owed.id, owed.grant, owed.sealing.digest, owed.consumer)
    wrapped = wrap_key(key, recipient or receipt["recipientKey"], terms)
    yield Request("POST", f"/v1/transfers/{owed.id}/release", json={"wrapped_key": "0x" + wrapped.hex()})


def test_a_recipient_key_to_which_nothing_can_be_wrapped_is_refused(sold: Sale, tmp_path: Path) -> None:
    """The consumer states it: no receipt is logged, and no key released."""
    gateways = sold.gateways
    party = Consumer(gateways.consumer, gateways.provider, gateways.identity)
    flow = with_recipient(pull(gateways.version(sold.made), tmp_path, party), bytes(32), gateways)
    with Client(gateways.endpoint) as client, pytest.raises(MalformedError, match="recipient's key"):
        client.run(signed(flow, gateways.endpoint, gateways.consumer, gateways.signing))
    check_no_plaintext(tmp_path)
    told = gateways.chamber.run(transfers.show(load_state(next(tmp_path.rglob("state.json"))).transfer))
    assert (told.state, told.receipt, told.release) == (TransferState.OPEN, None, None)
    assert sold.problems()[-1] == "malformed"


def with_recipient(flow: Flow[Pulled], recipient: bytes, gateways: TwoGateways) -> Flow[Pulled]:
    request = next(flow)
    while True:
        if request.path.endswith("/receipt"):
            given: Any = request.json
            message = {**given["message"], "recipientKey": "0x" + recipient.hex()}
            digest = Statement.parse("TransferReceipt", message)
            signature = gateways.signing.sign_payload(digest.payload(gateways.domains))
            request = replace(request, json={**given, "message": message, "signature": "0x" + signature.hex()})
        request = flow.send((yield request))


def check_no_plaintext(folder: Path) -> None:
    left = {path.name for path in folder.rglob("*") if path.is_file() and path.parent.name != "described"}
    assert left == {"state.json", "sealed"}


# The wrong grant


def test_a_grant_by_somebody_who_does_not_own_the_data_permits_nothing(gateways: TwoGateways) -> None:
    sale = Sale(gateways, "not-granted")
    gateways.catch_up()
    terms: dict[str, Any] = {"purpose": "ResearchAndDevelopment", "rights": ["read"], "valid_until": soon(3600)}
    flow = access.grant(str(sale.made.dataset), "analyst", gateways.identity, **terms)
    with pytest.raises(RefusedError) as refused:
        gateways.analyst.run(flow)
    assert refused.value.code == "not-provider"
    # Signed all the same, it is of a data set of the signer's own that has the same salt, and there is none.
    real: Any = gateways.chamber.run(statements.fetch(sale.gateways.grant("power")))["message"]
    registered: Any = gateways.chamber.run(statements.fetch(sale.made.digest))["message"]
    changed = {**real, "participant": str(gateways.consumer), "datasetSalt": registered["datasetSalt"]}
    stated = Statement.parse("AccessGrant", changed)
    with pytest.raises(RefusedError) as refused:
        gateways.analyst.run(statements.submit(stated, gateways.identity))
    assert refused.value.code == "access-grants-to-provider"
    signature = gateways.signing.sign_payload(stated.payload(gateways.domains))
    call = encode_statement(gateways.founded.contracts, SignedStatement(stated, gateways.signing.address, signature))
    with ChainEdge.open(gateways.node) as edge, pytest.raises(RefusedError, match="needs no grant"):
        edge.simulate(call, gateways.signing.address)
    assert gateways.analyst.run(access.grants(dataset=str(sale.made.dataset))) == ()
    error, view = sale.fail()
    assert (error.code, view.transfer) == ("no-grant", None)
    assert sale.problems()[-1] == "no-grant"


def test_a_grant_of_another_version_and_one_of_another_time_permit_nothing(
    versions: tuple[Sale, DeliveryView, Sale],
) -> None:
    first, _, second = versions
    early = first.grant(valid_from=soon(3600), valid_until=soon(7200))
    narrow = first.grant(last_version=1)
    for grant, code in ((narrow, "right-not-granted"), (early, "grant-not-yet-valid")):
        error, view = second.fail(grant=grant)
        assert (error.code, view.transfer, second.problems()[-1]) == (code, None, code)


# The wrong request


def test_a_request_that_somebody_brings_twice_counts_once(sold: Sale, tmp_path: Path) -> None:
    for part in ("/v1/transfers", "/data", "/receipt"):
        sold.gateways.proxy.rule = on(part, Fault(twice=True))
        error, view = sold.fail()
        assert (error.code, sold.problems()[-1]) == ("request-replayed", "request-replayed"), part
    sold.gateways.proxy.rule = None
    assert sold.deliver(tmp_path).transfer == view.transfer
    given = sold.given(view)
    assert (given.count("offer"), given.count("key")) == (1, 1)


@pytest.mark.parametrize(("is_hidden", "code"), [(False, "other-audience"), (True, "unauthorized")])
def test_a_request_that_was_signed_for_another_gateway_is_refused(sold: Sale, is_hidden: bool, code: str) -> None:
    """B asks a gateway, and that one brings its requests to A."""
    gateways = sold.gateways
    host = f"127.0.0.1:{gateways.proxy.port}" if is_hidden else None
    gateways.elsewhere.rule = lambda _: Fault(host=host)
    error, view = sold.fail(source=f"http://127.0.0.1:{gateways.elsewhere.port}")
    assert (error.code, view.transfer, sold.problems()[-1]) == (code, None, code)


@pytest.mark.parametrize("ahead_s", [-300, 300])
def test_a_consumer_whose_clock_is_wrong_is_told_so(sold: Sale, tmp_path: Path, ahead_s: int) -> None:
    gateways = sold.gateways
    flow = pull(
        gateways.version(sold.made), tmp_path, Consumer(gateways.consumer, gateways.provider, gateways.identity)
    )
    flow = signed(flow, gateways.endpoint, gateways.consumer, gateways.signing, lambda: time.time() + ahead_s)
    with Client(gateways.endpoint) as client, pytest.raises(RefusedError, match="compare both clocks"):
        client.run(flow)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sold.problems()[-1] == "unauthorized"


def soon(seconds: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
