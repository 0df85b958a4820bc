"""Every refusal of a contract says what to do next."""

from __future__ import annotations

from ledger.chain.advice import ADVICE
from ledger.chain.contracts import CONTRACT_NAMES, decode_refusal, load_artifact


def test_every_solidity_error_has_its_advice_and_no_other() -> None:
    errors = {item["name"] for name in CONTRACT_NAMES for item in load_artifact(name).errors.values()}
    assert ADVICE.keys() == errors


def test_the_sentence_ends_with_it() -> None:
    errors = load_artifact("AccessGrants").errors
    selector = next(each for each, item in errors.items() if item["name"] == "AccessGrantsToProvider")
    refusal = decode_refusal(selector + b"\x07" * 32)
    assert refusal.code == "access-grants-to-provider"
    assert str(refusal).endswith(ADVICE["AccessGrantsToProvider"])
