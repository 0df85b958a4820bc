"""A running gateway, and what its participants state and are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.errors import ConflictError, LedgerError, RefusedError
from ledger.exchange import Asker, Paging, Scope
from ledger.exchange.intents import (
    AccessGrantIntent,
    Intent,
)
from ledger.types import Bytes32
from tests.support.exchange import Consortium, found_in, open_gateway, registration, soon, upload

__all__ = ["AUDITOR", "EVERYTHING", "FILE", "NONE", "code_of", "consortium", "grant", "refusal"]

EVERYTHING = Paging(limit=200)
NONE = Bytes32(bytes([9]) * 32)
AUDITOR = Asker(None, frozenset({Scope.AUDIT}))
FILE = b"plant,mwh\nA,1\n"


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """With two versions of the utility's, the bytes of the first at the gateway."""
    home = tmp_path_factory.mktemp("rules") / "home"
    with open_gateway(home, found_in(home)) as running:
        running.state("utility", registration("power", {"plants.csv": FILE}))
        running.state("utility", registration("power", {"plants.csv": FILE + b"B,2\n"}))
        upload(running, "utility", "utility/power", 1, "plants.csv", FILE)
        yield running


def refusal(consortium: Consortium, who: str, intent: Intent) -> LedgerError:
    """Why a statement is not taken."""
    with pytest.raises(LedgerError) as error:
        consortium.gateway.statements.sign_and_submit(consortium.asker(who), intent)
    return error.value


def code_of(error: LedgerError) -> str:
    """The code of a refusal."""
    assert isinstance(error, RefusedError | ConflictError), repr(error)
    return error.code


def grant(consortium: Consortium, dataset: str = "utility/power", **members: Any) -> Bytes32:
    """Grant the analyst the data set."""
    terms: dict[str, Any] = {"purpose": "Marketing", "rights": ("read",), "valid_until": soon(days=1)} | members
    return consortium.state("utility", AccessGrantIntent(dataset=dataset, consumer="analyst", **terms)).digest
