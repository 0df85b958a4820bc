"""Deliveries inside one gateway: offer, sealed data under the live grant, receipt, then the key; what is refused."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from ledger.content import parse_chunks, parse_manifest
from ledger.content.release import LEAST_TERM_S, RecipientKey, ReleaseTerms, open_key
from ledger.content.sealing import SEALED_CHUNK_SIZE_BYTES, SealedFile, SealingKey, parse_sealing
from ledger.content.sealing_files import FileOpener, open_chunks
from ledger.content.sealing_store import StoredSealingError
from ledger.errors import ConflictError, LedgerError, MalformedError, NotFoundError, RefusedError, VerificationError
from ledger.exchange import Asker, ForbiddenError, NoSuchRangeError, Scope
from ledger.exchange.intents import AccessGrantIntent, AccessRevocationIntent
from ledger.exchange.paging import Paging
from ledger.exchange.sealing_work import SealingUnderWayError
from ledger.exchange.transfers import Caller, SealedDownload, TransferReceiptForm, watching
from ledger.keyfiles import read_key_file
from ledger.merkle import leaf_hash
from ledger.statements import Statement, address_of, compute_transfer_id, sign_digest
from ledger.surface.outcomes import SignedStatement
from ledger.surface.signed_requests import SignedMessage, prepare_request
from ledger.surface.transfers import CustodialReceipt, TransferRequest, TransferState, TransferView
from ledger.types import Bytes32
from tests.support.content import make_bytes
from tests.support.exchange import PASSPHRASE, Consortium, found_in, open_gateway, registration, soon, upload

FILES = {"a.csv": b"hour,mwh\n0,12.5\n", "empty": b"", "large.bin": make_bytes("large", (1 << 20) + 5)}
NUMBERS = count()


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("transfers") / "home"
    with open_gateway(home, found_in(home)) as opened:
        yield opened


class Delivery:
    """A version that one consumer was granted."""

    def __init__(self, consortium: Consortium, consumer: str = "manufacturer", files: dict[str, bytes] = FILES) -> None:
        self.consortium = consortium
        self.transfers = consortium.gateway.transfers
        self.name = f"utility/sold-{next(NUMBERS)}"
        self.consumer = consumer
        self.caller = Caller(consortium.asker(consumer))
        self.registration = consortium.state("utility", registration(self.name.partition("/")[2], files)).digest
        for path, data in files.items():
            upload(consortium, "utility", self.name, 1, path, data)
        self.grant = self.permit()
        self.salt = Bytes32(secrets.token_bytes(32))
        self.recipient = RecipientKey.generate()

    def permit(self) -> Bytes32:
        intent = AccessGrantIntent(
            dataset=self.name, consumer=self.consumer, purpose="ResearchAndDevelopment", rights=("read",),
            valid_until=soon(hours=1),
        )  # fmt: skip
        return self.consortium.state("utility", intent).digest

    def revoke(self) -> None:
        self.consortium.state("utility", AccessRevocationIntent(grant=self.grant))

    def open(self, **members: Any) -> TransferView:
        given = {"dataset": self.name, "transfer_salt": self.salt} | members
        return asyncio.run(self.transfers.open(self.caller, TransferRequest(**given)))

    def read(self, transfer: Bytes32, first: int = 0, last: int | None = None) -> bytes:
        async def collect() -> bytes:
            got = await self.transfers.data(self.caller, transfer, first, last)
            return b"".join([piece async for piece in got.pieces])

        return asyncio.run(collect())

    def receipt(self, view: TransferView, **members: Any) -> CustodialReceipt:
        given = {
            "transfer_salt": self.salt, "recipient_key": "0x" + self.recipient.public.hex(),
            "ciphertext_root": Bytes32.parse(str(view.sealing.message["ciphertextRoot"])),
        } | members  # fmt: skip
        return CustodialReceipt(**given)

    def receive(self, view: TransferView, **members: Any) -> TransferView:
        return self.transfers.receive(self.caller, view.id, self.receipt(view, **members))

    def open_key(self, view: TransferView) -> SealingKey:
        assert view.release is not None
        terms = ReleaseTerms(view.id, view.grant, view.sealing.digest, view.consumer)
        wrapped = bytes.fromhex(str(view.release.message["wrappedKey"])[2:])
        return SealingKey.opened(
            open_key(wrapped, self.recipient, terms), Bytes32.parse(str(view.sealing.message["keyCommitment"]))
        )


def test_what_is_delivered_opens_to_what_was_registered(consortium: Consortium) -> None:
    delivery = Delivery(consortium)
    view = delivery.open()
    assert (view.state, view.grant, view.receipt, view.release) == (TransferState.OPEN, delivery.grant, None, None)
    assert view.id == compute_transfer_id(view.consumer, delivery.salt)
    manifest = parse_manifest(delivery.transfers.manifest(delivery.caller, view.id))
    descriptor = parse_sealing(delivery.transfers.descriptor(delivery.caller, view.id))
    leaves = asyncio.run(delivery.transfers.leaves(delivery.caller, view.id))
    data, size = delivery.read(view.id), view.size_bytes
    assert len(data) == size
    for first, last in ((0, 0), (5, 70), (size - 1, None), (SEALED_CHUNK_SIZE_BYTES - 3, size + 9)):
        end = size - 1 if last is None else min(last, size - 1)
        assert delivery.read(view.id, first, last) == data[first : end + 1]
    with pytest.raises(NoSuchRangeError):
        delivery.read(view.id, size)
    sealed = [
        [data[at : min(at + SEALED_CHUNK_SIZE_BYTES, start + file.size_bytes)] for at in places_of(start, file)]
        for start, file in zip(descriptor.first_bytes, descriptor.files, strict=True)
    ]
    assert b"".join(leaf_hash(chunk) for file in sealed for chunk in file) == leaves
    released = delivery.receive(view)
    assert released.state is TransferState.RELEASED
    key = delivery.open_key(released)
    hashes = delivery.transfers.chunks(delivery.caller, view.id)
    index = parse_chunks(hashes, manifest)
    found = {
        entry.path: b"".join(open_chunks(FileOpener(key, entry), chunks, index[entry.path]))
        for entry, chunks in zip(manifest.files, sealed, strict=True)
    }
    assert found == FILES
    told = delivery.transfers.accesses(Caller(consortium.asker("utility")), view.id, Paging(200)).items
    assert [each.what for each in reversed(told)] == [
        "offer", "manifest", "descriptor", "leaves", "data", "key", "chunks",
    ]  # fmt: skip
    assert [(each.first_byte, each.last_byte) for each in told if each.what == "data"] == [(0, size - 1)]
    assert all(each.block >= view.block for each in told)


def places_of(start: int, file: SealedFile) -> range:
    return range(start, start + file.size_bytes, SEALED_CHUNK_SIZE_BYTES)


async def drain(pieces: AsyncIterator[bytes], into: bytearray) -> None:
    async for piece in pieces:
        into += piece


def test_a_repeat_gives_the_same(consortium: Consortium) -> None:
    delivery = Delivery(consortium, files={"a": b"a"})
    view = delivery.open()
    assert delivery.open().id == view.id
    released = delivery.receive(view)
    again = delivery.receive(view)
    assert (again.receipt, again.release) == (released.receipt, released.release)
    assert delivery.transfers.show(delivery.caller, view.id).release == released.release
    assert released.release is not None
    consortium.gateway.statements.wait(released.release.digest)
    for part in ("sealing", "receipt", "release"):
        assert delivery.transfers.evidence(delivery.caller, view.id, part)
    with pytest.raises(NotFoundError):
        delivery.transfers.evidence(delivery.caller, view.id, "price")
    asyncio.run(consortium.gateway.sealings.replace(delivery.registration))
    with pytest.raises(ConflictError, match="salt"):
        delivery.open()


def test_a_version_that_is_being_sealed_is_to_be_asked_for_again(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(consortium, files={"a": b"a"})
    with monkeypatch.context() as patched:
        patched.setattr(consortium.gateway.transfers._work, "wait_s", 0)
        with pytest.raises(SealingUnderWayError, match="ask again"):
            delivery.open()
    view = delivery.open()
    assert delivery.receive(view).state is TransferState.RELEASED

    async def both() -> list[TransferView]:
        requests = [
            TransferRequest(dataset=delivery.name, transfer_salt=Bytes32(bytes([each]) * 32)) for each in (1, 2)
        ]
        return await asyncio.gather(*(delivery.transfers.open(delivery.caller, each) for each in requests))

    assert {each.sealing.digest for each in asyncio.run(both())} == {view.sealing.digest}


def test_a_grant_that_came_since_does_not_break_a_transfer(consortium: Consortium) -> None:
    delivery = Delivery(consortium, files={"a": b"a"})
    view, newer = delivery.open(), delivery.permit()
    assert (delivery.open().id, delivery.open().grant) == (view.id, view.grant)
    with pytest.raises(ConflictError, match="salt"):
        delivery.open(grant=newer)
    delivery.revoke()
    with pytest.raises(ConflictError, match="salt"):  # it goes on under the newer one alone, as another transfer
        delivery.open()


def test_without_a_grant_nothing_begins(consortium: Consortium) -> None:
    delivery = Delivery(consortium)
    stranger = Caller(consortium.asker("analyst"))
    request = TransferRequest(dataset=delivery.name, transfer_salt=delivery.salt)
    with pytest.raises(ForbiddenError) as caught:
        asyncio.run(delivery.transfers.open(stranger, request))
    assert caught.value.code == "no-grant"
    with pytest.raises(ForbiddenError) as caught:
        asyncio.run(delivery.transfers.open(Caller(consortium.asker("utility")), request))
    assert caught.value.code == "own-dataset"
    with pytest.raises(ForbiddenError):
        asyncio.run(delivery.transfers.open(Caller(Asker(None, frozenset({Scope.READ}))), request))
    with pytest.raises(NotFoundError):
        delivery.open(version=2)
    view = delivery.open()
    with pytest.raises(NotFoundError):
        delivery.transfers.show(stranger, view.id)
    with pytest.raises(NotFoundError):
        delivery.transfers.manifest(Caller(consortium.asker("utility")), view.id)
    assert delivery.transfers.show(Caller(consortium.asker("utility")), view.id).id == view.id


def test_a_revocation_stops_everything(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_LOOK_AGAIN_S", 0)
    delivery = Delivery(consortium)
    view = delivery.open()
    data = delivery.read(view.id)

    read = bytearray()

    async def read_until_stopped() -> None:
        got: SealedDownload = await delivery.transfers.data(delivery.caller, view.id)
        read.extend(await anext(got.pieces))
        await asyncio.to_thread(delivery.revoke)
        await drain(got.pieces, read)

    with pytest.raises(ForbiddenError) as caught:
        asyncio.run(read_until_stopped())
    assert caught.value.code == "grant-revoked"
    assert read == data[:SEALED_CHUNK_SIZE_BYTES]
    for attempt in (
        lambda: delivery.read(view.id),
        lambda: delivery.transfers.manifest(delivery.caller, view.id),
        lambda: delivery.receive(view),
        delivery.open,
    ):
        with pytest.raises(ForbiddenError) as caught:
            attempt()
        assert caught.value.code == "grant-revoked"
    row = consortium.gateway.parts.store.transfers.get(view.id)
    assert (row.receipt, row.release) == (None, None)


def test_a_version_sealed_anew_ends_the_transfer(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_LOOK_AGAIN_S", 0)
    delivery = Delivery(consortium)
    view = delivery.open()

    async def read_until_stopped() -> None:
        got: SealedDownload = await delivery.transfers.data(delivery.caller, view.id)
        await anext(got.pieces)
        await consortium.gateway.sealings.replace(delivery.registration)
        await drain(got.pieces, bytearray())

    with pytest.raises(NotFoundError, match="sealed anew"):
        asyncio.run(read_until_stopped())
    with pytest.raises(NotFoundError, match="sealed anew"):
        delivery.receive(view)
    delivery.salt = Bytes32(secrets.token_bytes(32))
    assert delivery.receive(delivery.open()).state is TransferState.RELEASED


def test_objects_that_are_gone_are_told_before_anything_is_answered(consortium: Consortium) -> None:
    delivery = Delivery(consortium)
    view = delivery.open()
    sealed = asyncio.run(consortium.gateway.sealings.find_complete(delivery.registration))
    assert sealed is not None
    [place] = consortium.gateway.parts.settings.home.rglob(f"{sealed.id.hex()}/data")
    place.unlink()
    with pytest.raises(StoredSealingError, match="gone"):
        asyncio.run(delivery.transfers.data(delivery.caller, view.id))
    delivery.salt = Bytes32(secrets.token_bytes(32))
    assert delivery.read(delivery.open().id)


def test_a_receipt_of_something_else_is_refused(consortium: Consortium) -> None:
    delivery = Delivery(consortium, files={"a": b"a"})
    view = delivery.open()
    wrong: list[tuple[dict[str, Any], type[LedgerError]]] = [
        ({"ciphertext_root": Bytes32(bytes(32))}, RefusedError),
        ({"transfer_salt": Bytes32(bytes(32))}, RefusedError),
        ({"recipient_key": "0x" + "00" * 32}, MalformedError),
        ({"recipient_key": "0x" + "01" * 31}, MalformedError),
    ]
    for members, error in wrong:
        with pytest.raises(error):
            delivery.receive(view, **members)
        assert delivery.transfers.show(delivery.caller, view.id).state is TransferState.OPEN
    assert delivery.receive(view).state is TransferState.RELEASED


def test_a_receipt_that_leaves_no_time_for_the_key_is_refused(consortium: Consortium) -> None:
    signing = Signing(consortium)
    custodial, own = Delivery(consortium, files={"a": b"a"}), Delivery(consortium, "analyst", {"a": b"a"})
    views = custodial.open(), own.open()
    size = consortium.gateway.parts.sequencer.size
    for term_s in (120, LEAST_TERM_S - 5):
        near = sign_receipt(own, signing, views[1], deadline=int(time.time()) + term_s)
        with pytest.raises(RefusedError) as refused:
            custodial.receive(views[0], deadline_s=term_s)
        assert refused.value.code == "deadline-too-near"
        with pytest.raises(RefusedError) as refused:
            own.transfers.receive(own.caller, views[1].id, near)
        assert refused.value.code == "deadline-too-near"
    assert consortium.gateway.parts.sequencer.size == size
    assert custodial.receive(views[0], deadline_s=LEAST_TERM_S + 60).state is TransferState.RELEASED


def test_no_receipt_is_taken_where_the_key_can_not_be_released(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery, parts = Delivery(consortium, files={"a": b"a"}), consortium.gateway.parts
    view, size = delivery.open(), parts.sequencer.size
    utility = consortium.founded.participants["utility"]
    find = parts.keystore.find
    with monkeypatch.context() as patched:
        patched.setattr(parts.keystore, "find", lambda whose, key: None if whose == utility else find(whose, key))
        with pytest.raises(ConflictError) as caught:
            delivery.receive(view)
        assert caught.value.code == "no-custodial-key"
    with monkeypatch.context() as patched:  # what wrapped the sealing's key is lost
        patched.setattr(parts.keystore, "find_kek", lambda _: None)
        with pytest.raises(VerificationError, match="key-encryption key"):
            delivery.receive(view)
    assert parts.sequencer.size == size
    assert delivery.transfers.show(delivery.caller, view.id).state is TransferState.OPEN
    assert delivery.receive(view).state is TransferState.RELEASED


class Signing:
    """The analyst, who holds its own key and calls from elsewhere."""

    def __init__(self, consortium: Consortium) -> None:
        self.consortium = consortium
        self.participant = consortium.founded.participants["analyst"]
        self.key = read_key_file(consortium.founded.key_files["analyst/signing"], PASSPHRASE)

    @property
    def address(self) -> Any:
        return address_of(self.key)

    def headers(self, url: str, body: bytes = b"", now: float | None = None, method: str = "POST") -> dict[str, str]:
        moment = int(time.time() if now is None else now)
        message, claim = prepare_request(method, url, body, self.participant, self.address, moment)
        return claim.to_headers(message, sign_digest(self.key, claim.compute_digest(message)))

    def authenticate(self, headers: dict[str, str], host: str = "gw.example", body: bytes = b"") -> Caller:
        signed = SignedMessage.parse(headers.items())
        callers = self.consortium.gateway.transfers.callers
        return callers.authenticate(signed, method="POST", authority=host, path="/v1/transfers", query="", body=body)


def test_a_signed_request_is_its_participants_once(consortium: Consortium) -> None:
    signing = Signing(consortium)
    headers = signing.headers("https://gw.example/v1/transfers")
    caller = signing.authenticate(headers)
    assert (caller.participant, caller.authority) == (signing.participant, "gw.example")
    with pytest.raises(ForbiddenError) as caught:
        signing.authenticate(headers)
    assert caught.value.code == "request-replayed"


def test_a_signed_request_of_another_moment_host_or_key_is_nobodys(consortium: Consortium) -> None:
    signing, url = Signing(consortium), "https://gw.example/v1/transfers"
    for shift in (-200, 200):
        with pytest.raises(VerificationError):
            signing.authenticate(signing.headers(url, now=time.time() + shift))
    with pytest.raises(VerificationError):
        signing.authenticate(signing.headers(url), host="other.example")
    signing.key = secrets.token_bytes(31) + b"\x01"
    with pytest.raises(ForbiddenError) as caught:
        signing.authenticate(signing.headers(url))
    assert caught.value.code == "key-not-active"


def test_a_consumer_signs_its_own_receipt(consortium: Consortium) -> None:
    delivery, signing = Delivery(consortium, "analyst", {"a": b"a"}), Signing(consortium)
    caller = signing.authenticate(signing.headers("https://gw.example/v1/transfers"))
    request = TransferRequest(dataset=delivery.name, transfer_salt=delivery.salt)
    with pytest.raises(ForbiddenError) as caught:
        asyncio.run(delivery.transfers.open(caller, request))
    assert caught.value.code == "other-audience"  # the utility's profile names no endpoint
    view = delivery.open()
    for name in ("grant", "sealing", "provider", "ciphertextRoot", "transferSalt"):
        wrong = sign_receipt(delivery, signing, view, **{name: Bytes32(secrets.token_bytes(32))})
        with pytest.raises(RefusedError) as refused:
            delivery.transfers.receive(delivery.caller, view.id, wrong)
        assert refused.value.code == "other-transfer"
    signed, other = sign_receipt(delivery, signing, view), sign_receipt(delivery, signing, view)
    with pytest.raises(VerificationError):
        delivery.transfers.receive(delivery.caller, view.id, replace(signed, signature=other.signature))
    released = delivery.transfers.receive(delivery.caller, view.id, signed)
    assert released.receipt == signed.statement.digest(consortium.gateway.parts.domains)
    delivery.open_key(released)
    assert delivery.transfers.receive(delivery.caller, view.id, other).receipt == released.receipt


def sign_receipt(delivery: Delivery, signing: Signing, view: TransferView, **members: Any) -> SignedStatement:
    message = view.sealing.message
    given = {
        "participant": view.consumer, "provider": view.provider, "transferSalt": delivery.salt, "grant": view.grant,
        "sealing": view.sealing.digest, "ciphertextRoot": Bytes32.parse(str(message["ciphertextRoot"])),
        "recipientKey": delivery.recipient.public, "deadline": int(time.time()) + 600,
        "salt": Bytes32(secrets.token_bytes(32)),
    } | members  # fmt: skip
    statement = Statement.build("TransferReceipt", **given)
    digest = statement.digest(delivery.consortium.gateway.parts.domains)
    return SignedStatement(statement, sign_digest(signing.key, digest), signing.address)


def test_a_receipt_has_one_of_two_forms() -> None:
    custodial = CustodialReceipt(
        transfer_salt=Bytes32(bytes(32)), recipient_key="0x", ciphertext_root=Bytes32(bytes(32))
    )
    assert TransferReceiptForm(custodial=custodial).read() is custodial
    for form in (
        TransferReceiptForm(),
        TransferReceiptForm(custodial=custodial, signature="0x"),
        TransferReceiptForm(message={}),
    ):
        with pytest.raises(MalformedError):
            form.read()
