"""The form of answers: reads say as of which block, lists page by cursor, writes say how far they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Depends, Query, Response
from fastapi.responses import JSONResponse

from ledger.canonical import JsonValue
from ledger.exchange import Outcome, Page, Paging, Prepared, SaltedDocument, Stamped, State
from ledger.surface.codec import dump_value

__all__ = [
    "AS_OF_HEADER",
    "PagingOf",
    "answer_as_of",
    "answer_file",
    "answer_outcome",
    "answer_page",
    "answer_prepared",
    "answer_stamped",
    "disposition",
    "documents_members",
    "file_headers",
    "members_of",
    "outcome_members",
]

AS_OF_HEADER: Final = "Concord-As-Of-Block"
"""In the answer to every read: the block that it is as of, or one before it."""


def _paging(
    limit: Annotated[int, Query(ge=1, le=200, description="most items on the page")] = 50,
    cursor: Annotated[str | None, Query(max_length=512, description="`next` of the page before")] = None,
) -> Paging:
    return Paging(limit, cursor)


PagingOf = Annotated[Paging, Depends(_paging)]


def members_of(value: object) -> dict[str, JsonValue]:
    """The JSON members of a view."""
    dumped = dump_value(value)
    if not isinstance(dumped, dict):
        raise TypeError(f"{type(value).__name__} is no object")
    return dumped


def answer_stamped(stamped: Stamped[object], name: str | None = None) -> Response:
    """One object with ``as_of_block``; a tuple of objects stands as list under ``name``."""
    value = stamped.value
    if isinstance(value, tuple):
        items: list[JsonValue] = [members_of(item) for item in value]
        return answer_as_of({name or "items": items}, stamped.as_of_block)
    return answer_as_of(members_of(value), stamped.as_of_block)


def answer_as_of(
    members: Mapping[str, JsonValue],
    as_of_block: int,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An object that names, as its header does, the block that it is as of."""
    return JSONResponse(
        {**members, "as_of_block": as_of_block}, status_code=status_code, headers=file_headers(as_of_block, headers)
    )


def answer_page(page: Page[object]) -> Response:
    """One page of a list."""
    items: list[JsonValue] = [members_of(item) for item in page.items]
    return answer_as_of({"items": items, "next": page.next}, page.as_of_block)


def outcome_members(outcome: Outcome) -> dict[str, JsonValue]:
    """A write's answer: the outcome and where to follow it."""
    path = f"/v1/statements/{outcome.digest}"
    links: dict[str, JsonValue] = {"self": path, "receipt": f"{path}/receipt", "evidence": f"{path}/evidence"}
    return {**members_of(outcome), "links": links}


def answer_outcome(outcome: Outcome) -> Response:
    """202, or 201 when final, with the statement's address."""
    status = 201 if outcome.state is State.FINAL else 202
    headers = {"Location": f"/v1/statements/{outcome.digest}"}
    return answer_as_of(outcome_members(outcome), outcome.as_of_block, status_code=status, headers=headers)


def answer_file(raw: bytes, name: str) -> Response:
    """A file of canonical JSON, byte for byte, to be kept under ``name``."""
    return Response(raw, media_type="application/json", headers=disposition(name))


def disposition(name: str) -> dict[str, str]:
    """The header by which a client keeps an answer under ``name``, as far as that is plain ASCII."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    return {"Content-Disposition": f'attachment; filename="{plain}"'}


def answer_prepared(prepared: Prepared) -> Response:
    """What a client signs."""
    return JSONResponse(
        {
            "type": prepared.type,
            "digest": str(prepared.digest),
            "message": prepared.message,
            "typed_data": prepared.typed_data,
            "documents": documents_members(prepared.documents),
            "version_salt": None if prepared.version_salt is None else str(prepared.version_salt),
            "expires": prepared.expires.isoformat().replace("+00:00", "Z"),
        }
    )


def documents_members(documents: tuple[SaltedDocument, ...]) -> list[JsonValue]:
    """Documents with their salts and hashes."""
    return [members_of(each) for each in documents]


def file_headers(as_of_block: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Headers of an answer that says as of which block it is."""
    return {AS_OF_HEADER: str(as_of_block), **(extra or {})}
