"""What people write: times, amounts, ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import typer

from ledger.errors import MalformedError, NotFoundError
from scripts.concord.arguments import now, parse_address, parse_amount, parse_digest, parse_time
from scripts.concord.files import check_place, read_object, write_file


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31T09:00:00Z", datetime(2026, 12, 31, 9, tzinfo=UTC)),
        ("2026-12-31T09:00:00+02:00", datetime(2026, 12, 31, 7, tzinfo=UTC)),
        ("2026-12-31 09:00", datetime(2026, 12, 31, 9, tzinfo=UTC)),
    ],
)
def test_times(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment
    assert parse_time(text).utcoffset() == timedelta(0)


def test_times_from_now() -> None:
    for text, ahead in (("90d", timedelta(days=90)), ("12h", timedelta(hours=12)), ("0m", timedelta(0))):
        assert timedelta(0) <= parse_time(text) - now() - ahead + timedelta(seconds=1) < timedelta(seconds=60)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "90", "-1d", "90w", "2026-13-01", "999999d9", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time: write 2026-12-31"):
        parse_time(text)


def test_amounts() -> None:
    assert [parse_amount(text) for text in ("740.250", "1e3")] == [Decimal("740.250"), Decimal(1000)]
    for text in ("", "many", "NaN", "-5", "0", "Infinity", "1,200"):
        with pytest.raises(typer.BadParameter):
            parse_amount(text)


def test_ids_and_addresses_in_either_case() -> None:
    assert str(parse_digest("0x" + "AB" * 32)) == "0x" + "ab" * 32
    assert str(parse_address("0x" + "Ab" * 20)) == "0x" + "ab" * 20
    for text in ("", "utility", "0x12", "ab" * 32):
        with pytest.raises(typer.BadParameter, match="as the lists print them"):
            parse_digest(text)
        with pytest.raises(typer.BadParameter, match="40 hex digits"):
            parse_address(text)


def test_objects_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "terms.json"
    file.write_text('{"price": "41.50"}')
    assert read_object(file) == {"price": "41.50"}
    for bad in (b"{", b"[]", b"\xff"):
        file.write_bytes(bad)
        with pytest.raises(MalformedError, match=r"terms\.json is not"):
            read_object(file)
    with pytest.raises(NotFoundError, match="there is no file"):
        read_object(tmp_path / "nothing.json")


def test_a_file_has_a_place_and_appears_whole(tmp_path: Path) -> None:
    check_place(None)
    check_place(tmp_path / "new.json")
    with pytest.raises(NotFoundError, match="make it first"):
        check_place(tmp_path / "none" / "new.json")
    with pytest.raises(MalformedError, match="name a file"):
        check_place(tmp_path)
    write_file(tmp_path / "new.json", b"one")
    write_file(tmp_path / "new.json", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["new.json"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_file(tmp_path / "folder", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "new.json"]
