"""The key that a consumer gets for its receipt counts as released where a key of the provider's signed that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from ledger.client import Identity, LocalKey
from ledger.client.offered_sealing import SigningKeys
from ledger.client.offers import Consumer
from ledger.client.receipting import add_release
from ledger.client.sealed_files import PullState
from ledger.errors import UnavailableError, VerificationError
from ledger.statements import Statement, generate_private_key
from ledger.surface.transfers import StatedView, TransferState, TransferView
from ledger.types import Bytes32
from tests.support.statements import DOMAINS
from tests.support.store_world import word

PROVIDERS: Final = LocalKey(generate_private_key())
FORMER: Final = LocalKey(generate_private_key())
STRANGERS: Final = LocalKey(generate_private_key())
KNOWN: Final[SigningKeys] = {PROVIDERS.address: None, FORMER.address: 1}
OWN: Final = Identity(LocalKey(generate_private_key()), DOMAINS)


def release_by(key: LocalKey) -> StatedView:
    statement = Statement.build(
        "KeyRelease", participant=word("provider"), consumer=word("consumer"), transfer=word("transfer"),
        grant=word("grant"), receipt=word("receipt"), wrappedKey=bytes(80), deadline=1, salt=word("salt"),
    )  # fmt: skip
    digest = statement.digest(DOMAINS)
    return StatedView(digest, "KeyRelease", statement.to_json(), "0x" + key.sign(digest).hex(), key.address)


def offer() -> TransferView:
    nothing = word("nothing")
    return TransferView(
        id=word("transfer"), state=TransferState.OPEN, consumer=word("consumer"), provider=word("provider"),
        dataset=nothing, version=1, registration=nothing, content_hash=nothing, version_salt=nothing,
        grant=word("grant"), sealing=release_by(PROVIDERS), size_bytes=1, receipt=None, release=None, block=1,
    )  # fmt: skip


def add(folder: Path, told: StatedView, keys: SigningKeys | None) -> TransferView:
    state = PullState.load_from(folder, None)
    state.receipt = {"custodial": {}}
    answer = replace(offer(), receipt=word("receipt"), release=told)
    return add_release(state, offer(), answer, Consumer(word("consumer"), word("provider"), OWN, keys))


@pytest.mark.parametrize("key", [PROVIDERS, FORMER], ids=["present", "former"])
def test_a_key_of_the_providers_present_or_former_released_it(tmp_path: Path, key: LocalKey) -> None:
    released = add(tmp_path, release_by(key), KNOWN)
    assert (released.state, released.release) == (TransferState.RELEASED, release_by(key))
    assert isinstance(released.receipt, Bytes32)


def test_what_a_stranger_signed_is_no_release_and_no_finding_yet(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="none of the provider's keys"):
        add(tmp_path, release_by(STRANGERS), KNOWN)
    assert add(tmp_path, release_by(STRANGERS), None).release is not None, "where no keys are known"


def test_who_is_said_to_have_signed_it_did(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="signed by another key"):
        add(tmp_path, replace(release_by(STRANGERS), signer=PROVIDERS.address), KNOWN)
