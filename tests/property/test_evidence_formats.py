"""Every byte of an event, breach, fork, bundle and upgrade counts, and every part that is dropped, swapped or replaced.

What is refuted is refuted for good: a changed byte never verifies and never ends in a traceback.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.canonical import encode_canonical, parse_canonical
from ledger.evidence import Verdict, Verifier, build_bundle, summarize, verify_all
from tests.property.test_evidence_bytes import holder_of, paths_of
from tests.support.format_vectors import Spoiler
from tests.support.measuring import in_steps

# Without these the evidence shows less, and says so: what stays is true.
CLAIMS_LESS: dict[str, set[tuple[str, ...]]] = {
    "event": {("statement",), ("history",)},
    "breach": set(),
    "replaced": set(),
    "forked": set(),
    "fork": set(),
    "upgrade": {("effect",), ("content",), ("content", "metadata")},
    "bundle": set(),
}
# Another event of that log shows the same breach.
SHOWS_THE_SAME = {("breach", ("chain",))}
FORMS = tuple(CLAIMS_LESS)


class Forms:
    """Evidence of each format with another one alike in form, and the policy that all are good under."""

    def __init__(self) -> None:
        story = Spoiler()
        breaches, attested = story.breaches(), story.attestations()
        self.verifier = Verifier(story.world.policy())
        self.pairs: dict[str, tuple[bytes, bytes]] = {
            "event": (attested["late"].to_bytes(), attested["middle"].to_bytes()),
            "breach": (breaches["missed"].to_bytes(), breaches["late"].to_bytes()),
            "replaced": (breaches["replaced"].to_bytes(), breaches["missed"].to_bytes()),
            "forked": (breaches["forked"].to_bytes(), breaches["forked-at-one-size"].to_bytes()),
            "fork": (story.fork.to_bytes(), story.spoilt_forks()["larger-first"].to_bytes()),
            "upgrade": (story.upgraded().to_bytes(), story.upgraded(story.derived).to_bytes()),
            "bundle": (story.bundle, build_bundle(story.members()[2:])),
        }

    def verdict(self, raw: bytes) -> Verdict:
        return summarize(verify_all(self.verifier, [("evidence", raw)]))


@pytest.fixture(scope="module")
def forms() -> Forms:
    return Forms()


def test_all_are_good(forms: Forms) -> None:
    for form, (raw, _) in forms.pairs.items():
        assert forms.verdict(raw) is Verdict.VERIFIED, form


@pytest.mark.timeout(240)
@in_steps
@pytest.mark.parametrize("form", FORMS)
def test_bytes_flipped_are_refuted(forms: Forms, form: str, step: int) -> None:
    raw, _ = forms.pairs[form]
    # Every byte of a file is flipped in test_evidence_bytes, whose parts are the same: here every so many.
    for at in range(0, len(raw), step * (1 + len(raw) // (60 if form == "bundle" else 400))):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert forms.verdict(changed) is Verdict.REFUTED, (at, raw[max(0, at - 40) : at + 1])


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(FORMS), st.data())
def test_bytes_changed_added_and_left_out_are_refuted(forms: Forms, form: str, data: st.DataObject) -> None:
    raw, _ = forms.pairs[form]
    at = data.draw(st.integers(0, len(raw) - 1))
    end = data.draw(st.integers(at, min(at + 3, len(raw))))
    changed = raw[:at] + data.draw(st.binary(max_size=3)) + raw[end:]
    if changed != raw:
        assert forms.verdict(changed) is Verdict.REFUTED


def parts_of(document: Any) -> Iterator[tuple[Any, ...]]:
    """Every path but those within documents that one hash binds as a whole; of a bundle, which is large, some."""
    paths = [path for path in paths_of(document) if not {"manifest", "manifests", "metadata"} & set(path[:-1])]
    yield from paths[:: 6 if "headers" in document else 1]


@pytest.mark.parametrize("form", FORMS)
def test_every_part_dropped_is_refuted(forms: Forms, form: str) -> None:
    document = parse_canonical(forms.pairs[form][0])
    for path in parts_of(document):
        changed = copy.deepcopy(document)
        del holder_of(changed, path)[path[-1]]
        expected = Verdict.VERIFIED if path in CLAIMS_LESS[form] else Verdict.REFUTED
        if form == "bundle" and _shows_less(document, path):
            continue
        assert forms.verdict(encode_canonical(changed)) is expected, path


def _shows_less(document: Any, path: tuple[Any, ...]) -> bool:
    """A part of a bundle's member without which the member shows less, while no shared part goes unused."""
    return path[0] == "evidence" and path[2:] in {("statement",), ("history",), ("content", "metadata")}


@pytest.mark.parametrize("form", FORMS)
def test_every_part_taken_from_another_is_refuted(forms: Forms, form: str) -> None:
    document, other = map(parse_canonical, forms.pairs[form])
    for path in parts_of(document):
        changed = copy.deepcopy(document)
        try:
            value = holder_of(other, path)[path[-1]]
        except (IndexError, KeyError, TypeError):
            continue
        if holder_of(changed, path)[path[-1]] == value or (form, path) in SHOWS_THE_SAME:
            continue
        holder_of(changed, path)[path[-1]] = value
        assert forms.verdict(encode_canonical(changed)) is Verdict.REFUTED, path


@pytest.mark.parametrize("form", FORMS)
def test_every_two_texts_swapped_are_refuted(forms: Forms, form: str) -> None:
    document = parse_canonical(forms.pairs[form][0])
    texts = [path for path in parts_of(document) if isinstance(holder_of(document, path)[path[-1]], str)]
    for first, second in pairwise(texts):
        changed = copy.deepcopy(document)
        one, two = holder_of(changed, first), holder_of(changed, second)
        if one[first[-1]] == two[second[-1]]:
            continue
        one[first[-1]], two[second[-1]] = two[second[-1]], one[first[-1]]
        assert forms.verdict(encode_canonical(changed)) is Verdict.REFUTED, (first, second)


TEXTS = st.text(max_size=5)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(FORMS),
    st.none() | st.booleans() | TEXTS | st.lists(TEXTS, max_size=2) | st.dictionaries(TEXTS, TEXTS, max_size=2),
    st.data(),
)
def test_anything_in_place_of_a_part_is_refuted(forms: Forms, form: str, value: Any, data: st.DataObject) -> None:
    document: Any = parse_canonical(forms.pairs[form][0])
    path = data.draw(st.sampled_from(list(paths_of(document))))
    if holder_of(document, path)[path[-1]] != value:
        holder_of(document, path)[path[-1]] = value
        assert forms.verdict(encode_canonical(document)) is Verdict.REFUTED
