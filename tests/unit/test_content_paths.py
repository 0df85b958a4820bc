"""Paths: what may stand in a manifest and what may not."""

from __future__ import annotations

import unicodedata

import pytest

from ledger.content.paths import check_path, fold_path, normalize_path, printable
from ledger.errors import MalformedError


@pytest.mark.parametrize(
    "path",
    [
        "a",
        ".hidden",
        "..data/x...y",
        "sub folder/2024-01-01T00:00.csv",
        "résumé.csv",
        "電力/発電.csv",
        '"quoted".csv',
        "a" * 255,
        "/".join(["a" * 127] * 8),
    ],
)
def test_ordinary_paths_are_taken(path: str) -> None:
    check_path(path)
    assert normalize_path(path) == path


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "is empty"),
        ("/".join(["a" * 127] * 8) + "bb", "longer than 1024"),
        ("a" * 256, "segment longer than 255"),
        ("é" * 128, "segment longer than 255"),
        ("/etc/passwd", "absolute"),
        ("C:/data.csv", "absolute"),
        ("c:data.csv", "absolute"),
        ("a\\b", "backslash"),
        ("a\nb", "control character"),
        ("a\x00b", "control character"),
        ("a\x7fb", "control character"),
        ("a\x85b", "control character"),
        ("a\u2028b", "line separator"),
        ("..", "'..' segment"),
        ("a/../b", "'..' segment"),
        ("./a", "'.'"),
        ("a//b", "empty"),
        ("a/", "empty"),
        ("re\u0301sume\u0301", "normalization form C"),
        ("caf\udce9", "not UTF-8"),
    ],
)
def test_other_paths_are_refused_with_the_reason(path: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason) as caught:
        check_path(path)
    assert str(caught.value).isprintable()


def test_normalizing_brings_a_name_into_form_c_and_checks_it() -> None:
    assert normalize_path("re\u0301sume\u0301") == "résumé"
    with pytest.raises(MalformedError):
        normalize_path("../re\u0301sume\u0301")


def test_folding_makes_one_of_what_differs_in_case_or_form() -> None:
    assert fold_path("STRASSE/É") == fold_path("straße/é")
    assert unicodedata.is_normalized("NFC", fold_path("\u0390"))


def test_printable_escapes_what_a_terminal_would_obey() -> None:
    assert printable("a b\x1b[31m\u202ec\udce9") == "a b\\x1b[31m\\u202ec\\udce9"
