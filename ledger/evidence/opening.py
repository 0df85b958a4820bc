"""Files of evidence, opened: each by its format, a bundle as its members."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue, parse_canonical
from ledger.errors import MalformedError, UnavailableError
from ledger.evidence.breach import BREACH_FORMAT, Breach, read_breach
from ledger.evidence.bundle import BUNDLE_FORMAT, read_bundle
from ledger.evidence.delivery import DELIVERY_FORMAT, DELIVERY_FORMAT_2, Delivery, read_delivery
from ledger.evidence.documents import expect_object
from ledger.evidence.event_evidence import EVENT_FORMAT, EventEvidence, read_event_evidence
from ledger.evidence.evidence import EVIDENCE_FORMAT, Evidence, read_evidence
from ledger.evidence.fork import FORK_FORMAT, Fork, read_fork

__all__ = ["Opened", "open_file", "open_files"]

_MAX_SIZE_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Opened:
    """One piece of evidence, and where it came from; what could not be opened is kept as the error that says why.

    UnavailableError: it is more than this verifier takes, which says nothing against it.
    """

    source: str
    content: Evidence | EventEvidence | Breach | Fork | Delivery | MalformedError | UnavailableError


_Reader = Callable[[JsonValue], Evidence | EventEvidence | Breach | Fork | Delivery]
_READERS: Final[dict[str, _Reader]] = {
    EVIDENCE_FORMAT: read_evidence,
    EVENT_FORMAT: read_event_evidence,
    BREACH_FORMAT: read_breach,
    FORK_FORMAT: read_fork,
    DELIVERY_FORMAT: read_delivery,
    DELIVERY_FORMAT_2: read_delivery,
}


def open_files(files: Iterable[tuple[str, bytes]]) -> tuple[Opened, ...]:
    """Open evidence files, given as (source, bytes); a bundle's members are ``source#1`` and so on."""
    return tuple(opened for source, raw in files for opened in open_file(source, raw))


def open_file(source: str, raw: bytes) -> tuple[Opened, ...]:
    """Open one file; raises nothing, whatever stands in it."""
    try:
        return _open(source, raw)
    except (MalformedError, UnavailableError) as error:
        return (Opened(source, error),)


def _open(source: str, raw: bytes) -> tuple[Opened, ...]:
    if len(raw) > _MAX_SIZE_BYTES:
        raise UnavailableError(f"the file has more than {_MAX_SIZE_BYTES} bytes: give what is in it in parts")
    value = parse_canonical(raw)
    form = expect_object(value, "the evidence").get("format")
    if form != BUNDLE_FORMAT:
        return (Opened(source, _find_reader(form)(value)),)
    return tuple(Opened(f"{source}#{number}", member) for number, member in enumerate(read_bundle(raw), start=1))


def _find_reader(form: JsonValue) -> _Reader:
    reader = _READERS.get(form) if isinstance(form, str) else None
    if reader is None:
        known = ", ".join([*_READERS, BUNDLE_FORMAT])
        raise MalformedError(f"the format is {ascii(form)[:64]}, not one of {known}")
    return reader
