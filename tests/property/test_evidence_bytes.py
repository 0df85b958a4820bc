"""Every single byte of an evidence file counts, and every part that is dropped, swapped or taken from another file."""

from __future__ import annotations

import copy
import string
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.canonical import encode_canonical, parse_canonical
from ledger.content import scan_folder
from ledger.evidence import Verdict, Verifier
from ledger.statements import address_of
from tests.support.evidence_world import ORIGIN, World, salt, word
from tests.support.measuring import in_steps

# Without these the evidence shows less, and says so: what stays is true.
CLAIMS_LESS = {("effect",), ("content",), ("content", "chunks"), ("content", "metadata")}


class Pair:
    """Two evidence files of one consortium, alike in form, and the policy that both are good under."""

    def __init__(self, folder: Path) -> None:
        (folder / "a.csv").write_bytes(b"a")
        scanned = scan_folder(folder)
        world = World()
        member = world.admit("utility", 2)
        raws = []
        for version in (1, 2):
            stated = world.register("utility", version, scanned.manifest, chunks=scanned.chunks)
            world.state("utility", "AccessRevocation", grant=salt(version))
            world.publish()
            key = word(address_of(member.signing))
            world.take_effect(stated, "DatasetRegistered", [salt(40), member.id], key + bytes(160))
            raws.append(stated)
        self.raw, self.other = (world.prove_stated(stated).to_bytes() for stated in raws)
        self.verifier = Verifier(world.policy())

    def verdict(self, raw: bytes) -> Verdict:
        return self.verifier.verify(raw).verdict


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("pair"))


def test_both_are_good(pair: Pair) -> None:
    assert pair.verdict(pair.raw) is pair.verdict(pair.other) is Verdict.VERIFIED


def flip_and_check(pair: Pair, raw: bytes, positions: range) -> None:
    for at in positions:
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert pair.verdict(changed) is Verdict.REFUTED, (at, raw[max(0, at - 40) : at + 1])


@pytest.mark.timeout(240)
@in_steps
def test_every_byte_flipped_is_refuted(pair: Pair, step: int) -> None:
    plain: Any = parse_canonical(pair.raw)
    del plain["effect"]  # a proof of the same form as the anchor's
    raw = encode_canonical(plain)
    flip_and_check(pair, raw, range(0, len(raw), step))


@pytest.mark.timeout(240)
@in_steps
def test_bytes_of_an_effect_flipped_are_refuted(pair: Pair, step: int) -> None:
    start = pair.raw.index(b'"effect":')
    flip_and_check(pair, pair.raw, range(start, pair.raw.index(b'"format":', start), 3 * step))


@pytest.mark.timeout(240)
def test_the_character_of_key_id_and_signature_changed_is_refuted(pair: Pair) -> None:
    mark = f"\u2014 {ORIGIN} ".encode()
    at = pair.raw.index(mark) + len(mark) + 5  # holds the last two bits of the key id and the signature's first four
    alphabet = (string.ascii_letters + string.digits + "+/").encode()
    for put in set(alphabet) - {pair.raw[at]}:
        changed = pair.raw[:at] + bytes([put]) + pair.raw[at + 1 :]
        assert pair.verdict(changed) is Verdict.REFUTED, chr(put)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_bytes_changed_added_and_left_out_are_refuted(pair: Pair, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(pair.raw) - 1))
    end = data.draw(st.integers(at, min(at + 3, len(pair.raw))))
    put = data.draw(st.binary(max_size=3))
    changed = pair.raw[:at] + put + pair.raw[end:]
    if changed != pair.raw:
        assert pair.verdict(changed) is Verdict.REFUTED


def paths_of(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for step in steps:
        yield (*prefix, step)
        yield from paths_of(value[step], (*prefix, step))


def holder_of(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path[:-1]:
        document = document[step]
    return document


def test_every_part_dropped_is_refuted(pair: Pair) -> None:
    document = parse_canonical(pair.raw)
    for path in paths_of(document):
        changed = copy.deepcopy(document)
        del holder_of(changed, path)[path[-1]]
        expected = Verdict.VERIFIED if path in CLAIMS_LESS else Verdict.REFUTED
        assert pair.verdict(encode_canonical(changed)) is expected, path


def test_every_part_taken_from_another_is_refuted(pair: Pair) -> None:
    document, other = parse_canonical(pair.raw), parse_canonical(pair.other)
    taken = 0
    for path in paths_of(document):
        changed = copy.deepcopy(document)
        try:
            value = holder_of(other, path)[path[-1]]
        except (IndexError, KeyError):
            continue
        if holder_of(changed, path)[path[-1]] == value:
            continue
        holder_of(changed, path)[path[-1]] = value
        taken += 1
        assert pair.verdict(encode_canonical(changed)) is Verdict.REFUTED, path
    assert taken > 30


def test_every_two_texts_swapped_are_refuted(pair: Pair) -> None:
    document = parse_canonical(pair.raw)
    texts = [path for path in paths_of(document) if isinstance(holder_of(document, path)[path[-1]], str)]
    for first, second in pairwise(texts):
        changed = copy.deepcopy(document)
        one, two = holder_of(changed, first), holder_of(changed, second)
        if one[first[-1]] == two[second[-1]]:
            continue
        one[first[-1]], two[second[-1]] = two[second[-1]], one[first[-1]]
        assert pair.verdict(encode_canonical(changed)) is Verdict.REFUTED, (first, second)


@settings(deadline=None, max_examples=150)
@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5), st.data())  # fmt: skip
def test_anything_in_place_of_a_part_is_refuted(pair: Pair, value: Any, data: st.DataObject) -> None:
    document: Any = parse_canonical(pair.raw)
    path = data.draw(st.sampled_from(list(paths_of(document))))
    if holder_of(document, path)[path[-1]] != value:
        holder_of(document, path)[path[-1]] = value
        # An unknown statement type is undetermined by design, but only where the log holds no known one for it.
        assert pair.verdict(encode_canonical(document)) is Verdict.REFUTED
