"""Evidence beyond a statement's own: contract events, attestations, bundles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from ledger.canonical import JsonValue
from ledger.client.flow import LARGE_BYTES, Flow, Request, quote_name
from ledger.client.reads import BlockRange, pin_filters
from ledger.errors import UnavailableError
from ledger.surface.attestations import AttestationState, AttestationView
from ledger.surface.codec import parse_object
from ledger.types import Bytes32

__all__ = [
    "attest_grant",
    "attest_log",
    "attestation_after",
    "bundle",
    "event",
    "grant_attestation",
    "grant_attestation_evidence",
    "log_attestation",
    "log_attestation_evidence",
]

_HELD_S: Final = 30
_TRIES: Final = 6


def event(digest: Bytes32, *, name: str | None = None, pins: Iterable[BlockRange] = ()) -> Flow[bytes]:
    """Evidence of the contract's event that shows a statement's effect, or of another (``name``) beside it.

    Raises:
        NotFoundError: no contract executed the statement.
        ConflictError: ``not-final``, or ``outside-range``: the pins do not hold its block.
    """
    query = _pinned(pins) if name is None else {**_pinned(pins), "event": name}
    return (yield Request("GET", f"/v1/events/{digest}/evidence", query=query, most_bytes=LARGE_BYTES)).content


def bundle(
    dataset: str,
    version: int,
    *,
    pins: Iterable[BlockRange] = (),
    chunks: bool = True,
    grants: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> Flow[bytes]:
    """All evidence about a data set up to a version, and its ancestors, that the asker may see, in one file.

    ``tell`` hears of each thing that was left out, because it is not final yet or not within the pins.
    """
    query = {**_pinned(pins), "chunks": _word(chunks), "grants": _word(grants)}
    path = f"/v1/datasets/{quote_name(dataset)}/versions/{version}/evidence"
    answer = yield Request("GET", path, query=query, most_bytes=LARGE_BYTES)
    named = next((value for name, value in answer.headers.items() if name.lower() == "concord-left-out"), "")
    for each in filter(None, named.split(", ")):
        tell(each)
    return answer.content


def attest_grant(
    digest: Bytes32,
    *,
    after: datetime | None = None,
    message: Mapping[str, JsonValue] | None = None,
    wait_s: int = 0,
) -> Flow[AttestationView]:
    """Have the chain attest a grant; one that is later than ``after`` answers, too.

    ``message`` is the grant's text, where it never came through the gateway.
    """
    body: JsonValue = None if message is None else {"message": dict(message)}
    return (yield from _ask(f"/v1/grants/{digest}/attestation", after, wait_s, body))


def attest_log(*, after: datetime | None = None, wait_s: int = 0) -> Flow[AttestationView]:
    """Have the chain attest the gateway's log."""
    return (yield from _ask("/v1/log/attestation", after, wait_s, None))


def attestation_after(
    digest: Bytes32, moment: datetime, *, message: Mapping[str, JsonValue] | None = None
) -> Flow[AttestationView]:
    """A final attestation of a grant that tells about ``moment``: its block is later.

    Raises:
        MalformedError: the moment lies in the future.
        UnavailableError: none was final in time.
    """
    for _ in range(_TRIES):
        view = yield from attest_grant(digest, after=moment, message=message, wait_s=_HELD_S)
        if view.state is AttestationState.FINAL and view.time is not None and view.time > moment:
            return view
    raise UnavailableError(
        f"the attestation is {view.state} and not final yet; it is not lost: ask again", retry_after_s=1.0
    )


def grant_attestation(digest: Bytes32) -> Flow[AttestationView]:
    """The newest attestation of a grant that was asked for at the gateway. Raises: NotFoundError."""
    return parse_object(AttestationView, (yield Request("GET", f"/v1/grants/{digest}/attestation")).json)


def log_attestation() -> Flow[AttestationView]:
    """The newest attestation of the log that was asked for at the gateway. Raises: NotFoundError."""
    return parse_object(AttestationView, (yield Request("GET", "/v1/log/attestation")).json)


def grant_attestation_evidence(digest: Bytes32, *, pins: Iterable[BlockRange] = ()) -> Flow[bytes]:
    """Evidence of a grant's newest final attestation."""
    return (
        yield Request("GET", f"/v1/grants/{digest}/attestation/evidence", query=_pinned(pins), most_bytes=LARGE_BYTES)
    ).content


def log_attestation_evidence(*, pins: Iterable[BlockRange] = ()) -> Flow[bytes]:
    """Evidence of the log's newest final attestation."""
    return (yield Request("GET", "/v1/log/attestation/evidence", query=_pinned(pins), most_bytes=LARGE_BYTES)).content


def _ask(path: str, after: datetime | None, wait_s: int, body: JsonValue) -> Flow[AttestationView]:
    query = {} if after is None else {"after": after.isoformat()}
    headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
    answer = yield Request("POST", path, query=query, json=body, headers=headers)
    return parse_object(AttestationView, answer.json)


def _pinned(pins: Iterable[BlockRange]) -> dict[str, str]:
    chosen = list(pins)
    return pin_filters(chosen) if chosen else {}


def _word(chosen: bool) -> str:
    return "true" if chosen else "false"
