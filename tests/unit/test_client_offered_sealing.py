"""What a provider sealed, as a consumer has it shown before it gives a receipt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.client.offered_sealing import check_sealing_evidence, check_sealing_key, is_kept, signing_keys
from ledger.errors import MalformedError, VerificationError
from ledger.statements import address_of
from ledger.surface.transfers import StatedView
from ledger.surface.views import KeyView
from ledger.types import Address
from tests.support.delivery_story import DeliveryStory
from tests.support.evidence_world import START


class Offered:
    """The utility's sealing, and evidence of it."""

    def __init__(self) -> None:
        self.story = story = DeliveryStory()
        self.evidence = story.prove(story.sealing)
        self.provider, self.key = story.utility.id, address_of(story.utility.signing)
        signature = "0x" + story.sealing.signature.hex()
        message = story.sealing.statement.to_json()
        self.view = StatedView(story.digest_of(story.sealing), "Sealing", message, signature, self.key)

    def check(self, raw: bytes, until: int | None = None) -> None:
        check_sealing_evidence(raw, self.view, self.provider, {self.key: until})


@pytest.fixture(scope="module")
def offered() -> Offered:
    return Offered()


def test_evidence_of_the_sealing_is_enough(offered: Offered) -> None:
    raw = offered.evidence.to_bytes()
    offered.check(raw)
    offered.check(raw, offered.story.world.published[0].time + 1)  # the key ended later


def test_a_key_that_had_ended_seals_nothing(offered: Offered) -> None:
    for until in (START, offered.story.world.published[0].time):
        with pytest.raises(VerificationError, match="had ended before"):
            offered.check(offered.evidence.to_bytes(), until)


@pytest.mark.parametrize("name", ["foreign_sealing", "other_sealing", "receipt"])
def test_evidence_of_another_statement_shows_nothing(offered: Offered, name: str) -> None:
    other = offered.story.prove(getattr(offered.story, name))
    with pytest.raises(VerificationError, match="another statement"):
        offered.check(other.to_bytes())


def _at_another_index(document: Any) -> None:
    document["log"]["index"] = "1"


def _with_another_signature(document: Any) -> None:
    document["signature"] = document["signature"][:-2] + "00"


@pytest.mark.parametrize("change", [_at_another_index, _with_another_signature])
def test_a_sealing_that_is_not_in_that_log_is_not_taken(offered: Offered, change: Callable[[Any], None]) -> None:
    document: Any = offered.evidence.to_document()
    change(document)
    with pytest.raises(VerificationError):
        offered.check(encode_canonical(document))


def test_what_is_no_evidence_is_malformed(offered: Offered) -> None:
    with pytest.raises(MalformedError):
        offered.check(b"{}")


def test_the_signer_is_a_key_of_the_provider(offered: Offered) -> None:
    check_sealing_key(offered.view, {offered.key: None})
    for keys in ({}, {Address(bytes(20)): None}):
        with pytest.raises(VerificationError, match="none of the provider's"):
            check_sealing_key(offered.view, keys)


def test_signing_keys_are_those_that_sign(offered: Offered) -> None:
    begun, ended = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    keys = {each: Address(bytes([each]) * 20) for each in (1, 2, 3)}
    views = (
        KeyView(offered.provider, keys[1], "signing", "own", begun, None, here=False),
        KeyView(offered.provider, keys[2], "signing", "custodial", begun, ended, here=False),
        KeyView(offered.provider, keys[3], "control", "own", begun, None, here=False),
    )
    assert signing_keys(views) == {keys[1]: None, keys[2]: int(ended.timestamp())}


def test_what_was_kept_is_of_this_sealing_or_is_fetched_again(offered: Offered, tmp_path: Path) -> None:
    keys = {offered.key: None}
    kept = {"right": offered.evidence.to_bytes(), "cut": offered.evidence.to_bytes()[:-1], "other": _other(offered)}
    for name, raw in kept.items():
        (tmp_path / name).write_bytes(raw)
        assert is_kept(tmp_path / name, offered.view, offered.provider, keys) is (name == "right")
    assert not is_kept(tmp_path / "nothing", offered.view, offered.provider, keys)


def _other(offered: Offered) -> bytes:
    return offered.story.prove(offered.story.other_sealing).to_bytes()
