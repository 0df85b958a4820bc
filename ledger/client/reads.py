"""How read answers become the surface's views."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar, cast

from ledger.canonical import JsonValue
from ledger.client.flow import LARGE_BYTES, Flow, Request
from ledger.errors import MalformedError
from ledger.surface.codec import parse_object

__all__ = ["BlockRange", "filters", "pin_filters", "read_all", "read_items", "read_one", "read_pages"]

T = TypeVar("T")
_PAGE: Final = 200

BlockRange = tuple[int, int | None]
"""First and last block of a range that a policy pins; no last block: its open epoch of validators."""


def filters(**given: object) -> dict[str, str]:
    """Query members, those that are None left out."""
    return {name: str(value) for name, value in given.items() if value is not None}


def pin_filters(pins: Iterable[BlockRange]) -> dict[str, str]:
    """The query member that names the pinned ranges of a policy."""
    return {"range": ",".join(f"{first}-{'' if last is None else last}" for first, last in pins)}


def read_one(kind: type[T], path: str, query: Mapping[str, str] | None = None) -> Flow[T]:
    """One object."""
    answer = yield Request("GET", path, query=query or {})
    return parse_object(kind, answer.json)


def read_pages(
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    most: int | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Flow[list[JsonValue]]:
    """The items of all pages of a list, as they came, or its first ``most``; ``tell`` hears how many came so far."""
    found: list[JsonValue] = []
    chosen = {"limit": str(min(most or _PAGE, _PAGE)), **(query or {})}
    while True:
        answer = yield Request("GET", path, query=chosen)
        page = answer.json
        if not isinstance(page, dict) or not isinstance(page.get("items"), list):
            raise MalformedError("the service answered something else than a list: is CONCORD_URL right?")
        found.extend(cast("list[JsonValue]", page["items"]))
        tell(len(found))
        following = page.get("next")
        if following is None or (most is not None and len(found) >= most):
            return found[:most]
        if not isinstance(following, str) or following == chosen.get("cursor"):
            raise MalformedError("the service answers the same page again and again: nothing more can be read")
        chosen["cursor"] = following


def read_all(kind: type[T], path: str, query: Mapping[str, str] | None = None) -> Flow[tuple[T, ...]]:
    """All pages of a list, as one."""
    items = yield from read_pages(path, query)
    return tuple(parse_object(kind, item) for item in items)


def read_items(kind: type[T], path: str, name: str) -> Flow[tuple[T, ...]]:
    """The objects that an answer holds as list under ``name``."""
    answer = yield Request("GET", path, most_bytes=LARGE_BYTES)
    items = answer.json.get(name) if isinstance(answer.json, dict) else None
    return tuple(_each(kind, items))


def _each(kind: type[T], items: object) -> Iterator[T]:
    if not isinstance(items, list):
        raise MalformedError("the service answered something else than was asked for: is CONCORD_URL right?")
    for item in items:
        yield parse_object(kind, item)
