"""Terms in words and as contracts keep them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.statements import Right
from ledger.surface import terms


def test_purposes_are_iris_or_words() -> None:
    assert terms.expand_purpose("Marketing") == "https://w3id.org/dpv#Marketing"
    assert terms.expand_purpose("urn:example:x") == "urn:example:x"
    with pytest.raises(MalformedError):
        terms.expand_purpose("two words")


def test_rights_by_name_and_back() -> None:
    rights = terms.parse_rights(["odrl:read", "derive"])
    assert rights == Right.READ | Right.DERIVE
    assert terms.name_rights(int(rights) | 1 << 9) == ("read", "derive", "bit-9")
    for wrong in (["rule"], []):
        with pytest.raises(MalformedError):
            terms.parse_rights(wrong)


def test_policies_tell_their_purpose_and_nothing_else() -> None:
    iri = terms.expand_purpose("Marketing")
    policy = terms.build_policy(iri, Right.READ)
    assert terms.check_policy(policy) == policy
    assert terms.purpose_of_policy(policy, terms.hash_purpose(iri)) == iri
    assert terms.purpose_of_policy({"a": [1, None]}, terms.hash_purpose(iri)) is None
    flawed: tuple[dict[str, JsonValue], ...] = (
        {"permission": [{"target": "x"}]},
        {"permission": [{"constraint": [{"leftOperand": "dateTime"}]}]},
        {"uid": "x", "permission": []},
        {},
    )
    for wrong in flawed:
        with pytest.raises(MalformedError):
            terms.check_policy(wrong)


@pytest.mark.parametrize(("text", "units"), [("12.5", 12500), ("0.001", 1), ("1E+3", 1_000_000)])
def test_quantities_are_exact(text: str, units: int) -> None:
    assert terms.parse_quantity(Decimal(text), 3) == units
    assert terms.dump_quantity(units, 3) == Decimal(text)
    assert "E" not in str(terms.dump_quantity(units, 3))


@pytest.mark.parametrize("text", ["0", "-1", "0.0001", "NaN", "Infinity", "1E+90"])
def test_quantities_that_can_not_be(text: str) -> None:
    with pytest.raises(MalformedError):
        terms.parse_quantity(Decimal(text), 3)


def test_units_are_ucum_codes() -> None:
    assert terms.read_unit(terms.parse_unit("MW.h")) == "MW.h"
    for wrong in ("", "x" * 33, "m m", "µs"):
        with pytest.raises(MalformedError):
            terms.parse_unit(wrong)


def test_times_are_aware_and_bounded() -> None:
    assert terms.to_seconds(datetime(1970, 1, 2, tzinfo=UTC)) == 86400
    assert terms.read_time(86400) == datetime(1970, 1, 2, tzinfo=UTC)
    assert terms.read_time(2**63).year == 9999
    for wrong in (datetime(2026, 1, 1), datetime(1969, 1, 1, tzinfo=UTC)):  # noqa: DTZ001 - that is what is wrong
        with pytest.raises(MalformedError):
            terms.to_seconds(wrong)
