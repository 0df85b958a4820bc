"""Transfers in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.store import Store
from ledger.store.rows import AccessRow, TransferRow
from ledger.types import Address, Bytes32
from tests.support.databases import database_url

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(database_url(tmp_path, "transfers")) as opened:
        yield opened


def word(number: int) -> Bytes32:
    return Bytes32(bytes([number]) * 32)


ROW = TransferRow(word(1), word(2), word(3), word(4), word(5), word(6), NOW)


def test_a_transfer_is_recorded_once(store: Store) -> None:
    transfers = store.transfers
    assert transfers.find(ROW.id) is None
    assert transfers.add_or_get(ROW) == ROW
    other = TransferRow(word(1), word(9), word(3), word(4), word(5), word(6), NOW + timedelta(seconds=1))
    assert transfers.add_or_get(other) == ROW
    with pytest.raises(NotFoundError):
        transfers.get(word(7))


def test_a_transfer_has_one_receipt(store: Store) -> None:
    transfers = store.transfers
    transfers.add_or_get(ROW)
    transfers.announce_receipt(ROW.id, word(10))
    transfers.announce_receipt(ROW.id, word(10))
    with pytest.raises(ConflictError, match="receipt already"):
        transfers.announce_receipt(ROW.id, word(11))
    transfers.forget_receipt(ROW.id, word(11))
    assert transfers.get(ROW.id).receipt == word(10)
    transfers.forget_receipt(ROW.id, word(10))
    transfers.announce_receipt(ROW.id, word(11))
    transfers.announce_release(ROW.id, word(12))
    transfers.announce_release(ROW.id, word(13))
    row = transfers.get(ROW.id)
    assert (row.receipt, row.release) == (word(11), word(13))


def test_what_waits_for_its_key_is_listed_oldest_first(store: Store) -> None:
    transfers = store.transfers
    rows = [replace(ROW, id=word(20 + each), opened_at=NOW + timedelta(seconds=9 - each)) for each in range(4)]
    for row in rows:
        transfers.add_or_get(row)
    transfers.add_or_get(replace(ROW, id=word(30), provider=word(8)))
    for row in (*rows[:3], transfers.get(word(30))):
        transfers.announce_receipt(row.id, word(40 + row.id[0]))
    transfers.announce_release(rows[0].id, word(12))  # announced alone: it is not in the log
    found = transfers.list_unreleased(ROW.provider, 9)
    assert [row.id for row in found] == [rows[2].id, rows[1].id, rows[0].id]
    assert transfers.list_unreleased(ROW.provider, 1) == found[:1]


def test_accesses_stand_in_order(store: Store) -> None:
    transfers = store.transfers
    accesses = (AccessRow(NOW, 7, "offer"), AccessRow(NOW, 8, "data", 0, 99), AccessRow(NOW, 8, "key"))
    for each in accesses:
        transfers.log_access(ROW.id, each)
    transfers.log_access(word(8), AccessRow(NOW, 9, "offer"))
    assert transfers.list_accesses(ROW.id).items == accesses[::-1]
    page = transfers.list_accesses(ROW.id, limit=2)
    assert (page.items, transfers.list_accesses(ROW.id, limit=2, cursor=page.next).items) == (
        accesses[:0:-1],
        accesses[:1],
    )
    with pytest.raises(MalformedError):
        transfers.list_accesses(word(8), cursor=page.next)


def test_what_joins_under_one_block_is_one_access(store: Store) -> None:
    transfers = store.transfers
    later = NOW + timedelta(seconds=1)
    for first, last in ((10, 19), (20, 29), (0, 9), (12, 13), (50, 59)):
        transfers.log_access(ROW.id, AccessRow(later if first else NOW, 7, "data", first, last))
    for _ in range(2):
        transfers.log_access(ROW.id, AccessRow(NOW, 7, "manifest"))
    transfers.log_access(ROW.id, AccessRow(later, 8, "data", 30, 39))
    spans = [(each.block, each.what, each.first_byte, each.last_byte) for each in transfers.list_accesses(ROW.id).items]
    assert spans == [(8, "data", 30, 39), (7, "manifest", None, None), (7, "data", 50, 59), (7, "data", 0, 29)]


def test_scattered_accesses_are_bounded(store: Store) -> None:
    transfers = store.transfers
    for place in range(103):
        transfers.log_access(ROW.id, AccessRow(NOW, 7, "data", 10 * place, 10 * place))
    rows = transfers.list_accesses(ROW.id, limit=200).items
    assert len(rows) == 100
    assert (rows[-1].first_byte, rows[-1].last_byte) == (0, 1020)


def test_a_nonce_counts_once_for_each_key(store: Store) -> None:
    transfers, key, other = store.transfers, Address(bytes(20)), Address(bytes([1]) * 20)
    assert transfers.claim_nonce(key, "nonce", NOW)
    assert not transfers.claim_nonce(key, "nonce", NOW)
    assert transfers.claim_nonce(other, "nonce", NOW + timedelta(seconds=1))
    assert transfers.drop_nonces(NOW) == 0
    assert transfers.drop_nonces(NOW + timedelta(seconds=1)) == 1
    assert transfers.claim_nonce(key, "nonce", NOW)
