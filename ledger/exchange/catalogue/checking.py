"""Whether what a gateway offers is what its provider registered: the chain decides, never the gateway's word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, hash_document
from ledger.errors import LedgerError, MalformedError, NotFoundError, VerificationError
from ledger.exchange.intents.datasets import check_metadata
from ledger.exchange.intents.participants import HANDLE_PATTERN
from ledger.store.rows import OfferRow, RegisteredRow
from ledger.surface.catalogue import MOST_METADATA_BYTES, OfferView
from ledger.surface.codec import parse_object
from ledger.types import Bytes32

__all__ = ["HOME", "REPEATED", "RETIRED", "Checked", "OfferCheck"]

HOME: Final = "at-home-here"
RETIRED: Final = "retired"
REPEATED: Final = "named-twice"
_NAMES: Final = frozenset({"provider", "slug"})
_EXPECTED: Final = frozenset({HOME, RETIRED})
"""What an honest gateway's answer may have, too: nothing is wrong with it."""

Registered = Callable[[Iterable[Bytes32]], Mapping[Bytes32, RegisteredRow]]


@dataclass
class Checked:
    """What of an answer is so, and of what is not how much, and why."""

    offers: list[OfferRow] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> int:
        """How many entries were left out that an honest gateway would not have sent."""
        return sum(count for reason, count in self.left_out.items() if reason not in _EXPECTED)


@dataclass(frozen=True)
class OfferCheck:
    """Checks what the gateway of ``provider`` at ``endpoint`` offers; ``registered`` tells what stands on chain."""

    provider: Bytes32
    endpoint: str
    seen_at: datetime
    registered: Registered

    def check(self, items: Iterable[JsonValue]) -> Checked:
        """Keep what is so; an entry that is not is left out and counted."""
        checked = Checked()
        parsed = list(_parse_each(items, checked.left_out))
        facts = self.registered({each.registration for each in parsed})
        newest: dict[Bytes32, OfferRow] = {}
        for each in parsed:
            try:
                found = self._check_one(each, facts.get(each.registration))
            except LedgerError as error:
                checked.left_out[_reason_of(error)] += 1
                continue
            if isinstance(found, str):
                checked.left_out[found] += 1
            elif newest.setdefault(found.dataset, found) is not found:
                checked.left_out[REPEATED] += 1
        checked.offers.extend(newest.values())
        return checked

    def _check_one(self, offer: OfferView, fact: RegisteredRow | None) -> OfferRow | str:
        if fact is None:
            raise NotFoundError(f"{offer.registration} is no registration on chain")
        if fact.provider != self.provider:
            raise _AnothersError("another registered it", expected=fact.provider, found=self.provider)
        body = encode_canonical(offer.document)
        if len(body) > MOST_METADATA_BYTES:
            raise MalformedError(f"metadata have at most {MOST_METADATA_BYTES} bytes")
        found = hash_document(offer.salt, offer.document)
        if found != fact.metadata_hash:
            raise VerificationError("other metadata were registered", expected=fact.metadata_hash, found=found)
        slug = _check_document(offer.document)
        if fact.is_home or fact.is_retired:
            return HOME if fact.is_home else RETIRED
        return OfferRow(
            dataset=fact.dataset,
            provider=self.provider,
            endpoint=self.endpoint,
            slug=slug,
            version=fact.version,
            registration=fact.digest,
            salt=offer.salt,
            body=body,
            seen_at=self.seen_at,
        )


class _AnothersError(VerificationError):
    """What is offered is another provider's."""


def _reason_of(error: LedgerError) -> str:
    if isinstance(error, NotFoundError):
        return "not-on-chain"
    if isinstance(error, _AnothersError):
        return "another-providers"
    return "altered" if isinstance(error, VerificationError) else "malformed"


def _parse_each(items: Iterable[JsonValue], left_out: Counter[str]) -> Iterator[OfferView]:
    for item in items:
        try:
            yield parse_object(OfferView, item)
        except MalformedError:
            left_out["malformed"] += 1


def _check_document(document: JsonValue) -> str:
    """The slug that the metadata name. Raises: MalformedError: they are none."""
    if not isinstance(document, dict):
        raise MalformedError("metadata are an object")
    slug = document.get("slug")
    if not isinstance(slug, str) or not HANDLE_PATTERN.match(slug):
        raise MalformedError("the metadata name no data set")
    check_metadata({name: value for name, value in document.items() if name not in _NAMES})
    return slug
