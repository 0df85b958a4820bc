"""Versions erased: what goes, what stays, what is answered then, whatever stops meanwhile or is restored later."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.content.store import ContentStore
from ledger.errors import ConflictError, LedgerError, NotFoundError, RefusedError, UnavailableError
from ledger.evidence import parse_evidence
from ledger.exchange import ErasedError, GatewaySettings, Paging, Scope
from ledger.exchange.erasing import Erasing
from ledger.exchange.intents import ErasureIntent, ParentName
from ledger.exchange.log_recovery import recover_log
from ledger.log.mirror import Mirror
from ledger.statements import Statement
from ledger.store.rows import SealingState
from ledger.surface.outcomes import SignedStatement
from ledger.types import Bytes32
from tests.support.content import make_bytes
from tests.support.exchange import PASSPHRASE, Consortium, found_in, open_gateway, read_all, registration, upload
from tests.support.selling import Sold
from tests.support.waiting import eventually

LARGE = make_bytes("erased", (1 << 20) + 5)


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("erasing") / "home"
    with open_gateway(home, found_in(home)) as opened:
        yield opened


def erase(consortium: Consortium, sold: Sold, who: str = "utility", **members: Any) -> Bytes32:
    """State it; the digest of the tombstone."""
    intent = ErasureIntent(**{"dataset": sold.name, "version": 1, "reason": "asked for", **members})
    return consortium.gateway.statements.sign_and_submit(consortium.asker(who), intent).digest


def stored_in(home: Path) -> set[bytes]:
    """What the content store holds, sealed objects too."""
    return {path.read_bytes() for path in (home / "content").rglob("*") if path.is_file()}


def home_of(consortium: Consortium) -> Path:
    return consortium.gateway.parts.settings.home


def is_gone(consortium: Consortium, sold: Sold, *files: bytes) -> bool:
    """Whether nothing of a version is kept any more, ``files`` of it included."""
    store = consortium.gateway.parts.store
    return (
        store.contents.find_opening(sold.registration) is None
        and store.erasures.list_removals() == ()
        and sold.current is None
        and store.sealings.list_unremoved() == ()
        and stored_in(home_of(consortium)).isdisjoint(files)
    )


def test_nothing_of_an_erased_version_is_kept_or_given(consortium: Consortium) -> None:
    files = {"a.csv": b"erase me\n", "large.bin": LARGE, "empty": b""}
    sold = Sold(consortium, files)
    buyer = sold.to("manufacturer")
    view = buyer.open()
    buyer.read(view)
    sealing = sold.current
    assert sealing is not None
    gateway, provider = consortium.gateway, consortium.asker("utility")
    before = gateway.datasets.version(provider, sold.name, 1).value
    assert (before.erased, before.content_root is None) == (None, False)
    salt = bytes(before.version_salt or b"")
    tombstone = erase(consortium, sold, registration=sold.registration)
    refused: list[Any] = [
        lambda: gateway.datasets.manifest(provider, sold.name, 1),
        lambda: gateway.datasets.chunks(consortium.asker("analyst", Scope.AUDIT), sold.name, 1),
        lambda: gateway.datasets.files(provider, sold.name, 1),
        lambda: read_all(consortium, "utility", sold.name, 1, "a.csv"),
        lambda: upload(consortium, "utility", sold.name, 1, "a.csv", b"erase me\n"),
        lambda: buyer.open(anew=True),
        lambda: buyer.read(view),
        lambda: buyer.receive(view),
        lambda: gateway.transfers.manifest(buyer.caller, view.id),
    ]
    for attempt in refused:  # as soon as the log has it, whatever is carried out by then
        with pytest.raises(ErasedError, match="was erased") as caught:
            attempt()
        assert caught.value.facts == {"tombstone": str(tombstone), "registration": str(sold.registration)}
    eventually(lambda: is_gone(consortium, sold, *(data for data in files.values() if data)))
    row = gateway.parts.store.sealings.find(sealing.id)
    assert row is not None
    assert (row.state, row.wrapped_key) == (SealingState.ERASED, None)
    for attempt in refused:
        with pytest.raises(ErasedError):
            attempt()
    after = gateway.datasets.version(provider, sold.name, 1).value
    assert (after.erased, after.content_root, after.version_salt, after.file_count) == (tombstone, None, None, 0)
    assert (after.content_hash, after.metadata) == (before.content_hash, before.metadata)
    assert gateway.transfers.show(buyer.caller, view.id).registration == sold.registration
    with gateway.parts.store._database.read() as connection:
        tables = ("openings", "drafts", "contents", "content_files", "uploads")
        held = [connection.exec_driver_sql(f"SELECT * FROM {table}").all() for table in tables]
    assert not any(salt in row for rows in held for row in map(tuple, rows))


def test_only_its_provider_erases_it_and_once(consortium: Consortium) -> None:
    sold = Sold(consortium)
    wrong: list[tuple[str, dict[str, Any], type[LedgerError], str]] = [
        ("manufacturer", {}, RefusedError, "not-provider"),
        ("utility", {"registration": Bytes32(bytes(32))}, RefusedError, "other-registration"),
        ("utility", {"version": 2}, NotFoundError, ""),
    ]
    for who, members, error, code in wrong:
        with pytest.raises(error) as caught:
            erase(consortium, sold, who, **members)
        assert getattr(caught.value, "code", "") == code
    tombstone = erase(consortium, sold)
    with pytest.raises(ConflictError) as again:
        erase(consortium, sold)
    assert (again.value.code, again.value.facts) == ("version-erased", {"tombstone": str(tombstone)})
    with pytest.raises(ConflictError, match="erased"):
        asyncio.run(consortium.gateway.sealings.make(sold.registration))


def test_what_others_have_of_it_stays(consortium: Consortium) -> None:
    """Files that another version names, the lineage of what is derived, and what was registered."""
    sold, other = Sold(consortium, {"own.csv": b"own", "both.csv": b"of both"}), Sold(consortium, {"x.csv": b"of both"})
    gateway, asker = consortium.gateway, consortium.asker("utility")
    derived = registration("derived-of-erased", {"d.csv": b"derived"}, ParentName(sold.name, 1))
    consortium.state("utility", derived)
    further = registration("further", {"f.csv": b"further"}, ParentName("utility/derived-of-erased", 1))
    consortium.state("utility", further)
    tombstone = erase(consortium, sold)
    consortium.finish(gateway.statements.outcome(tombstone))
    eventually(lambda: is_gone(consortium, sold, b"own"))
    assert read_all(consortium, "utility", other.name, 1, "x.csv") == b"of both"
    assert upload(consortium, "utility", other.name, 1, "x.csv", b"of both")
    (parent,) = gateway.datasets.lineage(asker, "utility/derived-of-erased", 1).value.parents
    assert (parent.registration, parent.erased) == (sold.registration, tombstone)
    page = gateway.datasets.descendants(asker, sold.name, 1, Paging(50, None))
    assert {each.name for each in page.items} == {"utility/derived-of-erased", "utility/further"}
    assert [each.erased for each in page.items] == [None, None]
    first = gateway.datasets.descendants(asker, sold.name, 1, Paging(1, None))
    second = gateway.datasets.descendants(asker, sold.name, 1, Paging(1, first.next))
    assert {each.version for each in (*first.items, *second.items)} == {1}
    assert second.next is None
    evidence = parse_evidence(gateway.statements.evidence(asker, sold.registration))
    assert (evidence.type_name, evidence.content) == ("DatasetRegistration", None)
    assert parse_evidence(gateway.statements.evidence(asker, tombstone)).type_name == "Erasure"


def test_an_upload_under_way_ends_and_leaves_nothing(consortium: Consortium) -> None:
    data = make_bytes("on its way", 300_000)
    name = "utility/on-its-way"
    digest = consortium.state("utility", registration("on-its-way", {"a.bin": data, "b.bin": b"b"})).digest

    async def stream() -> AsyncIterator[bytes]:
        yield data[:200_000]
        await asyncio.to_thread(
            lambda: consortium.gateway.statements.sign_and_submit(
                consortium.asker("utility"), ErasureIntent(dataset=name, version=1, reason="a mistake")
            )
        )
        yield data[200_000:]

    with pytest.raises(ErasedError):
        asyncio.run(consortium.gateway.datasets.upload(consortium.asker("utility"), name, 1, "a.bin", stream()))
    store = consortium.gateway.parts.store
    eventually(lambda: store.contents.find_opening(digest) is None and store.erasures.list_removals() == ())
    assert data not in stored_in(home_of(consortium))


def test_bytes_that_are_being_removed_are_not_taken_again_yet(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a store that fails is told and tried again; nothing is readable meanwhile."""
    sold = Sold(consortium, {"again.csv": b"again and again"})

    async def fail(_self: ContentStore, _sha256: Bytes32) -> None:
        raise UnavailableError("the content store can not delete a file: the store failed")

    with monkeypatch.context() as patched:
        patched.setattr(ContentStore, "delete_file", fail)
        erase(consortium, sold)
        eventually(lambda: "can not delete" in consortium.gateway.health().reasons.get("eraser", ""))
        assert consortium.gateway.parts.store.contents.find_opening(sold.registration) is None
        consortium.state("utility", registration("again", {"again.csv": b"again and again"}))
        with pytest.raises(ConflictError) as caught:
            upload(consortium, "utility", "utility/again", 1, "again.csv", b"again and again")
        assert caught.value.code == "file-being-removed"
    eventually(lambda: consortium.gateway.parts.store.erasures.list_removals() == ())
    assert upload(consortium, "utility", "utility/again", 1, "again.csv", b"again and again")
    assert read_all(consortium, "utility", "utility/again", 1, "again.csv") == b"again and again"
    eventually(lambda: "eraser" not in consortium.gateway.health().reasons)


def _put_back(home: Path, before: Path, *names: str) -> None:
    for name in names:
        target, old = home / name, before / name
        (shutil.rmtree if target.is_dir() else Path.unlink)(target)
        (shutil.copytree if old.is_dir() else shutil.copy)(old, target)
    for tail in ("-wal", "-shm"):
        (home / f"ledger.db{tail}").unlink(missing_ok=True)


async def _do_nothing(_self: Erasing) -> bool:
    return False


def test_it_goes_on_after_a_stop_and_again_after_a_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, before, restored = tmp_path / "home", tmp_path / "before", tmp_path / "restored"
    founded = found_in(home)
    with open_gateway(home, founded) as consortium:
        sold = Sold(consortium, {"a.csv": b"erase me for good\n"})
        buyer = sold.to("manufacturer")
        buyer.receive(buyer.open())
    shutil.copytree(home, before)
    with monkeypatch.context() as patched, open_gateway(home, founded) as consortium:
        patched.setattr(Erasing, "step", _do_nothing)  # it dies before anything of it is carried out
        eventually(lambda: not consortium.gateway.health().reasons)
        tombstone = erase(consortium, sold)
        consortium.finish(consortium.gateway.statements.outcome(tombstone))
        row = consortium.gateway.parts.store.statements.find(tombstone)
        assert row is not None
        said = SignedStatement(Statement.parse(row.type, dict(row.message)), row.signature, row.signer)
    with open_gateway(home, founded) as consortium:
        sold.consortium = consortium
        eventually(lambda: is_gone(consortium, sold, b"erase me for good\n"))
    shutil.copytree(home, restored)
    _put_back(restored, before, "ledger.db", "log", "content")  # the chain is a network's: it knows of the log
    recover_log(GatewaySettings(home=restored, passphrase=PASSPHRASE), Mirror(str(home / "log")))
    with open_gateway(restored, founded) as consortium:
        sold.consortium = consortium
        assert b"erase me for good\n" in stored_in(restored)
        again = consortium.gateway.statements.submit(consortium.asker("utility"), said)
        assert again.digest == tombstone
        eventually(lambda: is_gone(consortium, sold, b"erase me for good\n"))
        with pytest.raises(ErasedError):
            read_all(consortium, "utility", sold.name, 1, "a.csv")
