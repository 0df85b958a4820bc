"""ledger.log.checkpoint: c2sp.org/tlog-checkpoint and the anchor-by line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ledger.errors import MalformedError, VerificationError
from ledger.log import (
    Checkpoint,
    NoteSigner,
    SignedNote,
    format_anchor_by,
    parse_anchor_by,
    verify_checkpoint,
    verify_sole_checkpoint,
)
from ledger.merkle import EMPTY_ROOT
from tests.support.log import ORIGIN, SIGNER

EXAMPLE = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"  # of the spec
LINES = EXAMPLE.split("\n")
ROOT = bytes(range(32))


def test_the_example_of_the_spec() -> None:
    checkpoint = Checkpoint.parse(EXAMPLE)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root.hex()[:8]) == (LINES[0], 20852163, "0ac5186a")
    assert checkpoint.text == EXAMPLE
    assert checkpoint.anchor_by is None


def test_extension_lines_stay() -> None:
    text = EXAMPLE + "anything\nanchor-by 2026-11-21T09:30:00Z\n"
    checkpoint = Checkpoint.parse(text)
    assert checkpoint.extensions == ("anything", "anchor-by 2026-11-21T09:30:00Z")
    assert checkpoint.text == text
    assert checkpoint.anchor_by == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


MALFORMED = {
    "empty": "",
    "two lines": "\n".join(LINES[:2]) + "\n",
    "no final newline": EXAMPLE[:-1],
    "empty origin": "\n" + "\n".join(LINES[1:]),
    "empty extension": EXAMPLE + "\n",
    "empty extension within": EXAMPLE + "\nx\n",
    "carriage return": EXAMPLE.replace("\n", "\r\n"),
    "leading zero": EXAMPLE.replace("20852163", "020852163"),
    "sign": EXAMPLE.replace("20852163", "+20852163"),
    "negative": EXAMPLE.replace("20852163", "-1"),
    "space": EXAMPLE.replace("20852163", " 20852163"),
    "underscore": EXAMPLE.replace("20852163", "20_852_163"),
    "digits of another script": EXAMPLE.replace("20852163", "\u0662"),
    "not a number": EXAMPLE.replace("20852163", "many"),
    "2^63": EXAMPLE.replace("20852163", str(2**63)),
    "huge": EXAMPLE.replace("20852163", "9" * 5000),
    "root of 31 bytes": EXAMPLE.replace("CsUYapGG", "CsUYapE="),
    "root of 33 bytes": EXAMPLE.replace("q2I=", "q2Ja"),
    "root without padding": EXAMPLE.replace("q2I=", "q2I"),
    "root with bits beyond the bytes": EXAMPLE.replace("q2I=", "q2J="),
    "root not base64": EXAMPLE.replace("CsUY", "Cs\u00dcY"),
    "size 0 with a root": EXAMPLE.replace("20852163", "0"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_checkpoints(name: str) -> None:
    with pytest.raises(MalformedError):
        Checkpoint.parse(MALFORMED[name])


def test_values_that_no_checkpoint_has() -> None:
    for values in (("a", True, ROOT), ("a", 2**63, ROOT), ("a", 1, ROOT[1:]), ("a\nb", 1, ROOT), ("a", 1, ROOT, ("",))):
        with pytest.raises(MalformedError):
            Checkpoint(*values)
    assert Checkpoint("a", 0, EMPTY_ROOT).text.startswith("a\n0\n47DEQ")


def test_anchor_by_is_utc_in_whole_seconds() -> None:
    berlin = timezone(timedelta(hours=1))
    line = format_anchor_by(datetime(2026, 11, 21, 10, 30, 5, 999_999, tzinfo=berlin))
    assert line == "anchor-by 2026-11-21T09:30:05Z"
    assert parse_anchor_by(line) == datetime(2026, 11, 21, 9, 30, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="aware"):
        format_anchor_by(datetime(2026, 11, 21))  # noqa: DTZ001 - a naive time is the point


@pytest.mark.parametrize(
    "moment",
    [
        "",
        "2026-11-21",
        "2026-11-21T09:30:00",
        "2026-11-21t09:30:00z",
        "2026-11-21 09:30:00Z",
        "2026-11-21T09:30:00+00:00",
        "2026-11-21T09:30:00.5Z",
        "2026-11-21T09:30:00Z ",
        "2026-02-30T09:30:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T09:30:60Z",
        "0000-11-21T09:30:00Z",
        "\u0662026-11-21T09:30:00Z",
    ],
)
def test_malformed_anchor_by(moment: str) -> None:
    with pytest.raises(MalformedError):
        parse_anchor_by(f"anchor-by {moment}")
    with pytest.raises(MalformedError):
        _ = Checkpoint("a", 1, ROOT, (f"anchor-by {moment}",)).anchor_by


def test_one_anchor_by_at_most() -> None:
    line = "anchor-by 2026-11-21T09:30:00Z"
    with pytest.raises(MalformedError, match="at most one"):
        _ = Checkpoint("a", 1, ROOT, (line, line)).anchor_by
    with pytest.raises(MalformedError):
        parse_anchor_by(line.upper())


def test_signed_checkpoints() -> None:
    checkpoint = Checkpoint(ORIGIN, 7, ROOT)
    signed = SIGNER.sign(checkpoint.text)
    key = SIGNER.verifier_key
    assert verify_checkpoint(signed.to_bytes(), key) == checkpoint
    assert verify_sole_checkpoint(signed.to_bytes(), key) == checkpoint
    witness = NoteSigner.generate("witness.example").sign(checkpoint.text)
    cosigned = SignedNote(signed.text, signed.signatures + witness.signatures).to_bytes()
    assert verify_checkpoint(cosigned, key) == checkpoint
    with pytest.raises(MalformedError, match="surplus"):
        verify_sole_checkpoint(cosigned, key)
    with pytest.raises(VerificationError):
        verify_checkpoint(witness.to_bytes(), key)


def test_the_checkpoint_of_another_log_under_this_key() -> None:
    note = SIGNER.sign(Checkpoint("other.example/log", 7, ROOT).text).to_bytes()
    with pytest.raises(VerificationError) as finding:
        verify_checkpoint(note, SIGNER.verifier_key)
    assert (finding.value.expected, finding.value.found) == (ORIGIN, "other.example/log")


def test_a_signed_text_that_is_no_checkpoint() -> None:
    with pytest.raises(MalformedError):
        verify_checkpoint(SIGNER.sign("hello\n").to_bytes(), SIGNER.verifier_key)
