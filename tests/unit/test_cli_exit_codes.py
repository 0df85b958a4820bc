"""With which exit codes errors end, and that what could not be found out is never told as a finding."""

from __future__ import annotations

import pytest

from ledger.errors import (
    ConflictError,
    FatalError,
    LedgerError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VerificationError,
)
from scripts.concord.exit_codes import exit_code_of, finding_out

FOUND = [
    (VerificationError("the signature is of another key"), 1),
    (RefusedError("the grant does not exist", code="access-grants-unknown"), 1),
    (ConflictError("it is there already"), 1),
    (FatalError("this is an old copy"), 1),
]
TOLD = [
    (UnavailableError("the node does not answer"), 2),
    (ConflictError("not yet", code="not-final"), 2),
    (ConflictError("your policy does not pin the block", code="outside-range"), 2),
    (ConflictError("another process holds the folder", code="folder-in-use"), 2),
    (ConflictError("another process writes the log", code="log-in-use"), 2),
    (ConflictError("the node runs another chain", code="wrong-chain"), 3),
    (MalformedError("it is not JSON"), 3),
    (NotFoundError("no such grant"), 4),
    (RefusedError("log in", code="unauthorized"), 4),
]


@pytest.mark.parametrize(("error", "code"), FOUND + TOLD)
def test_every_error_has_its_exit_code(error: LedgerError, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize("error", [error for error, _ in FOUND])
def test_an_error_on_the_way_is_no_finding(error: LedgerError) -> None:
    with pytest.raises(UnavailableError) as raised, finding_out("whether it was kept"):
        raise error
    assert exit_code_of(raised.value) == 2
    assert str(raised.value) == f"whether it was kept could not be found out: {error}"


@pytest.mark.parametrize("error", [error for error, _ in TOLD])
def test_what_is_told_by_another_code_stays(error: LedgerError) -> None:
    with pytest.raises(type(error)) as raised, finding_out("whether it was kept"):
        raise error
    assert raised.value is error
