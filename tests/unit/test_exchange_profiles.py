"""Profiles that came through another gateway: held against the chain, named here where the handle is free."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.errors import MalformedError, NotFoundError, VerificationError
from ledger.exchange import Scope
from ledger.exchange.profiles import BroughtProfile, keep_profile
from ledger.types import Bytes32
from tests.support.exchange import Consortium, found_in, open_gateway


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("profiles") / "home"
    with open_gateway(home, found_in(home)) as consortium:
        yield consortium


def brought(consortium: Consortium, handle: str) -> BroughtProfile:
    document = consortium.gateway.participants.profile(consortium.asker(handle), handle).value.document
    assert isinstance(document.document, dict)
    return BroughtProfile(salt=document.salt, document=document.document)


def test_a_profile_may_be_brought_again(consortium: Consortium) -> None:
    asker, profile = consortium.asker("utility", Scope.OPERATE), brought(consortium, "analyst")
    seen = consortium.gateway.participants.bring_profile(asker, "analyst", profile).value
    assert (seen.handle, seen.name) == ("analyst", "Analyst")


def test_only_what_the_chain_bears_out_is_kept(consortium: Consortium) -> None:
    parts, profile, who = consortium.gateway.parts, brought(consortium, "analyst"), consortium.founded.participants
    for changed in ({**profile.document, "name": "Another"}, {**profile.document, "endpoint": "https://x.example"}):
        with pytest.raises(VerificationError, match="not the present profile"):
            keep_profile(parts, "analyst", profile.salt, changed)
    with pytest.raises(VerificationError):
        keep_profile(parts, str(who["utility"]), profile.salt, profile.document)
    with pytest.raises(NotFoundError):
        keep_profile(parts, str(Bytes32(b"\1" * 32)), profile.salt, profile.document)
    with pytest.raises(MalformedError):
        keep_profile(parts, "analyst", profile.salt, {"handle": "analyst"})


def test_a_handle_that_another_has_here_stays_its(consortium: Consortium) -> None:
    parts, who = consortium.gateway.parts, consortium.founded.participants
    profile = brought(consortium, "manufacturer")
    parts.store.names.claim_handle(who["manufacturer"], "elsewhere")
    parts.store.names.claim_handle(who["utility"], "manufacturer")
    assert not keep_profile(parts, str(who["manufacturer"]), profile.salt, profile.document)
    assert parts.directory.participant("manufacturer") == who["utility"]
    assert parts.directory.handle_of(who["manufacturer"]) == "elsewhere"
