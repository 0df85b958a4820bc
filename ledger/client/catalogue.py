"""What another gateway offers, page by page, no more of it than is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.canonical import JsonValue
from ledger.client.flow import Answer, Flow, Request
from ledger.errors import MalformedError
from ledger.types import Bytes32

__all__ = ["offers", "profiles"]

_PAGE: Final = 25  # of metadata of at most 64 KiB each
_MOST_BYTES: Final = 2 << 20  # parsed, JSON takes up to fifty times as much
_MOST_CURSOR_CHARS: Final = 512

Take = Callable[[list[JsonValue]], bool]
"""Takes a page of items, as they came and unchecked; whether to go on."""


def offers(provider: Bytes32, take: Take) -> Flow[None]:
    """The data sets that a provider's gateway offers.

    Raises:
        MalformedError: the answer is no page, or too large; what was taken before was.
    """
    yield from _read_pages(f"/v1/offers/{provider}", take)


def profiles(take: Take) -> Flow[None]:
    """The profiles of participants that a gateway knows. Raises: as `offers`."""
    yield from _read_pages("/v1/profiles", take)


def _read_pages(path: str, take: Take) -> Flow[None]:
    cursor: str | None = None
    while True:
        query = {"limit": str(_PAGE)} | ({} if cursor is None else {"cursor": cursor})
        items, following = _parse_page((yield Request("GET", path, query=query, most_bytes=_MOST_BYTES)))
        if not take(items) or following is None:
            return
        if following == cursor:
            raise MalformedError("the gateway answers the same page again and again")
        cursor = following


def _parse_page(answer: Answer) -> tuple[list[JsonValue], str | None]:
    page = answer.json
    items = page.get("items") if isinstance(page, dict) else None
    if not isinstance(page, dict) or not isinstance(items, list) or len(items) > _PAGE:
        raise MalformedError(f"the gateway answered something else than a page of at most {_PAGE} items")
    following = page.get("next")
    if following is not None and not (isinstance(following, str) and 0 < len(following) <= _MOST_CURSOR_CHARS):
        raise MalformedError("the gateway's answer names no next page that can be asked for")
    return items, following
