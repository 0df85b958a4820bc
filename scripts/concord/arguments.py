"""What people write on the command line: times, amounts, ids; read strictly, and told well when wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Final

import platformdirs
import typer

from ledger.errors import MalformedError
from ledger.types import Address, Bytes32

__all__ = [
    "HOME",
    "AddressOption",
    "Amount",
    "DatabaseOption",
    "FinalityOption",
    "GasPriceOption",
    "HomeOption",
    "KeyOption",
    "Time",
    "UntilTime",
    "now",
    "parse_address",
    "parse_amount",
    "parse_digest",
    "parse_time",
]

_FROM_NOW: Final = re.compile(r"([0-9]{1,6})([dhm])\Z")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


def now() -> datetime:
    """The present, whole seconds of UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def parse_time(text: str) -> datetime:
    """RFC 3339, a date (its midnight, UTC), or from now: ``90d``, ``12h``, ``30m``. Raises: typer.BadParameter."""
    try:
        if match := _FROM_NOW.match(text):
            return now() + timedelta(**{_UNITS[match[2]]: int(match[1])})
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-12-31, 2026-12-31T09:00:00Z, or from now as 90d, 12h, 30m"
        ) from error


def parse_amount(text: str) -> Decimal:
    """A quantity above zero. Raises: typer.BadParameter."""
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise typer.BadParameter(f"{text!r} is no number: write it as 740.25") from error
    if not amount.is_finite() or amount <= 0:
        raise typer.BadParameter("a quantity is above zero")
    return amount


def parse_digest(text: str) -> Bytes32:
    """An id or digest. Raises: typer.BadParameter."""
    try:
        return Bytes32.parse(text.lower())
    except MalformedError as error:
        raise typer.BadParameter(
            f"{text!r} is no id: ids and digests are 0x and 64 hex digits, as the lists print them"
        ) from error


def parse_address(text: str) -> Address:
    """A key's address. Raises: typer.BadParameter."""
    try:
        return Address.parse(text.lower())
    except MalformedError as error:
        raise typer.BadParameter(f"{text!r} is no address: addresses are 0x and 40 hex digits") from error


Time = Annotated[
    datetime | None,
    typer.Option("--from", parser=parse_time, metavar="TIME", help="As --until; without: now."),
]
UntilTime = Annotated[
    datetime,
    typer.Option("--until", parser=parse_time, metavar="TIME", help="2026-12-31, RFC 3339, or from now: 90d, 12h."),
]
Amount = Annotated[
    Decimal, typer.Argument(parser=parse_amount, metavar="QUANTITY", help="In the agreement's unit: 740.25.")
]
AddressOption = Annotated[
    list[Address] | None,
    typer.Option(
        parser=parse_address, metavar="ADDRESS", help="Account that may send transactions by itself; repeatable."
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        envvar="CONCORD_DATABASE_URL",
        metavar="URL",
        help="The database, where it is not SQLite in the folder: postgresql+psycopg://concord@db.example/concord.",
        show_envvar=True,
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", help="Sign with this key file instead of the gateway's custodial key.", dir_okay=False),
]
HOME: Final = Path(platformdirs.user_data_dir("concord"))
HomeOption = Annotated[
    Path, typer.Option(envvar="CONCORD_HOME", help="The gateway's folder.", file_okay=False, show_default=True)
]
GasPriceOption = Annotated[int, typer.Option(min=0, metavar="WEI", help="What that chain asks for gas.")]
FinalityOption = Annotated[
    int, typer.Option(min=0, metavar="BLOCKS", help="Blocks upon one until that chain's block is final.")
]
