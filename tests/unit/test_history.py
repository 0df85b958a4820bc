"""The registry's history: its fold, and what a key could do when."""

from __future__ import annotations

import pytest

from ledger.errors import MalformedError, UnavailableError
from ledger.evidence.history import History, HistoryRecord, Role, Standing, compute_history_head
from ledger.keccak import keccak256
from ledger.statements import Custody, HistoryKind
from ledger.types import Address, Bytes32

REGISTRY = Address(b"\x09" * 20)
ID, OTHER = Bytes32(b"\x01" * 32), Bytes32(b"\x02" * 32)
KEY, NEW = Address(b"\x0a" * 20), Address(b"\x0b" * 20)


def record(kind: int, time: int, detail: int | bytes = 0, participant: Bytes32 = ID) -> HistoryRecord:
    raw = detail.to_bytes(32, "big") if isinstance(detail, int) else detail.rjust(32, b"\0")
    return HistoryRecord(kind, participant, Bytes32(raw), time // 10, time)


ADMISSION = [
    record(HistoryKind.ADMITTED, 100),
    record(HistoryKind.CONTROL_KEY_SET, 100, KEY),
    record(HistoryKind.KEY_ADDED, 100, Custody.CUSTODIAL << 160 | int.from_bytes(KEY, "big")),
    record(HistoryKind.ADMITTED, 100, 0, OTHER),
    record(HistoryKind.KEY_ADDED, 100, NEW, OTHER),
]


def test_fold_follows_the_contract() -> None:
    head = keccak256((5).to_bytes(32, "big") + bytes(12) + REGISTRY)
    assert compute_history_head(5, REGISTRY, []) == head
    words = b"".join(value.to_bytes(32, "big") for value in (1, 1))
    times = (10).to_bytes(32, "big") + (100).to_bytes(32, "big")
    expected = keccak256(head + words + ID + bytes(32) + times)
    assert compute_history_head(5, REGISTRY, ADMISSION[:1]) == expected


@pytest.mark.parametrize("at", range(len(ADMISSION)))
def test_a_record_left_out_or_moved_changes_the_head(at: int) -> None:
    head = compute_history_head(5, REGISTRY, ADMISSION)
    without = ADMISSION[:at] + ADMISSION[at + 1 :]
    assert compute_history_head(5, REGISTRY, without) != head
    assert compute_history_head(5, REGISTRY, [*without, ADMISSION[at]]) != head or at == len(ADMISSION) - 1
    assert compute_history_head(6, REGISTRY, ADMISSION) != head


def sight(
    *records: HistoryRecord, role: Role = Role.SIGNING, key: Address = KEY, since: int = 200, weak: bool = False
) -> tuple[bool, bool, bool]:
    seen = History([*ADMISSION, *records]).sight(ID, key, role, since=since, may_be_suspended=weak)
    return seen.at_end, seen.since, seen.ever


def test_a_key_serves_until_it_is_revoked() -> None:
    assert sight() == (True, True, True)
    revocation = record(HistoryKind.KEY_REVOKED, 300, KEY)
    assert sight(revocation) == (False, True, True)
    assert sight(revocation, since=300) == (False, True, True)  # in the very block: either way
    assert sight(revocation, since=301) == (False, False, True)
    assert sight(record(HistoryKind.KEY_REVOKED, 300, NEW)) == (True, True, True)
    assert sight(key=NEW) == (False, False, False)  # another participant's


def test_suspension_masks_and_retirement_ends() -> None:
    suspended = record(HistoryKind.SUSPENDED, 150)
    assert sight(suspended) == (False, False, True)
    assert sight(suspended, weak=True) == (True, True, True)
    assert sight(suspended, record(HistoryKind.REINSTATED, 300)) == (True, True, True)
    assert sight(record(HistoryKind.RETIRED, 150), weak=True) == (False, False, True)
    assert sight(record(HistoryKind.PROFILE_UPDATED, 250)) == (True, True, True)


def test_a_control_key_serves_until_another_is_set() -> None:
    rotation = record(HistoryKind.CONTROL_KEY_SET, 300, NEW)
    assert sight(rotation, role=Role.CONTROL) == (False, True, True)
    assert sight(rotation, role=Role.CONTROL, key=NEW) == (True, True, True)
    assert sight(rotation, role=Role.CONTROL, since=301) == (False, False, True)
    assert sight(record(HistoryKind.KEY_ADDED, 300, NEW), role=Role.CONTROL, key=NEW) == (False, False, False)


def test_standing_and_custody() -> None:
    seen = History(ADMISSION).sight(ID, KEY, Role.SIGNING, since=0, may_be_suspended=False)
    assert (seen.standing, seen.custody, seen.serves) == (Standing.ACTIVE, Custody.CUSTODIAL, True)
    nobody = History([]).sight(ID, KEY, Role.SIGNING, since=0, may_be_suspended=False)
    assert (nobody.standing, nobody.custody, nobody.serves) == (Standing.NONE, None, False)


def test_what_can_not_be_judged() -> None:
    with pytest.raises(MalformedError, match="custody"):
        sight(record(HistoryKind.KEY_ADDED, 300, 7 << 160 | int.from_bytes(KEY, "big")))
    History(ADMISSION).check_known()
    with pytest.raises(UnavailableError, match="kind 99"):
        History([*ADMISSION, record(99, 300)]).check_known()
    for numbers in ((256, 0, 0), (1, 2**64, 0), (1, 0, -1)):
        with pytest.raises(MalformedError, match="out of range"):
            HistoryRecord(numbers[0], ID, Bytes32(bytes(32)), numbers[1], numbers[2])
