"""How read answers become the surface's views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from ledger.client.flow import Flow, Request
from ledger.errors import MalformedError
from ledger.surface.codec import parse_object
from ledger.surface.outcomes import Page

__all__ = ["filters", "read_all", "read_items", "read_one", "read_page"]

T = TypeVar("T")


def filters(**given: object) -> dict[str, str]:
    """Query members, those that are None left out."""
    return {name: str(value) for name, value in given.items() if value is not None}


def read_one(kind: type[T], path: str, query: Mapping[str, str] | None = None) -> Flow[T]:
    """One object."""
    answer = yield Request("GET", path, query=query or {})
    return parse_object(kind, answer.json)


def read_page(kind: type[T], path: str, query: Mapping[str, str] | None = None) -> Flow[Page[T]]:
    """One page of a list."""
    answer = yield Request("GET", path, query=query or {})
    if not isinstance(answer.json, dict) or not isinstance(answer.json.get("items"), list):
        raise MalformedError("the service answered something else than a list: is CONCORD_URL right?")
    items = tuple(parse_object(kind, item) for item in answer.json["items"])  # type: ignore[union-attr]  # a list
    following = answer.json.get("next")
    block = answer.json.get("as_of_block")
    return Page(items, following if isinstance(following, str) else None, block if isinstance(block, int) else 0)


def read_all(kind: type[T], path: str, query: Mapping[str, str] | None = None) -> Flow[tuple[T, ...]]:
    """All pages of a list, as one."""
    found: list[T] = []
    chosen = {"limit": "200", **(query or {})}
    while True:
        page = yield from read_page(kind, path, chosen)
        found.extend(page.items)
        if page.next is None:
            return tuple(found)
        chosen["cursor"] = page.next


def read_items(kind: type[T], path: str, name: str) -> Flow[tuple[T, ...]]:
    """The objects that an answer holds as list under ``name``."""
    answer = yield Request("GET", path)
    items = answer.json.get(name) if isinstance(answer.json, dict) else None
    return tuple(_each(kind, items))


def _each(kind: type[T], items: object) -> Iterator[T]:
    if not isinstance(items, list):
        raise MalformedError("the service answered something else than was asked for: is CONCORD_URL right?")
    for item in items:
        yield parse_object(kind, item)
