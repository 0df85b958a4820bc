"""HTML that can not be broken out of, and graphs and axes that stay legible."""

from __future__ import annotations

import re

import pytest

from ledger.errors import MalformedError
from scripts.audit.markup import Markup, element, foreign, join, shorten, visible
from scripts.audit.scope import Period, Scope, parse_time
from scripts.audit.timeline_svg import Axis, draw_axis, make_axis


def test_text_is_escaped_wherever_it_enters() -> None:
    hostile = "<script>\"'&\u202e\x00\ud800"
    safe = "&lt;script&gt;&quot;&#39;&amp;\\u202e\\x00\\ud800"
    assert element("p", hostile) == f"<p>{safe}</p>"
    assert element("p", class_=hostile) == f'<p class="{safe}"></p>'
    assert join([hostile, Markup("<br>")], " & ") == f"{safe} &amp; <br>"
    assert foreign("x" * 300, 10) == "<bdi>xxxxxxxxxx… (300 characters)</bdi>"
    assert "<script>" not in element("p", f"{Markup('<b>')}{hostile}")  # what is put together as text is text again
    assert visible("Générosité \u05d0") == "Générosité \u05d0"
    assert shorten("short") == "short"


def test_elements() -> None:
    assert element("br") == "<br>"
    assert element("meta", http_equiv="x", content=None) == '<meta http-equiv="x">'
    assert element("rect", x=1.50, y=2, width=10.004) == '<rect x="1.5" y="2" width="10"></rect>'


def test_times() -> None:
    assert parse_time("2026-11-21T09:30:00Z") == parse_time("2026-11-21T09:30:00") == 1_795_253_400
    assert parse_time("2026-11-21") == 1_795_219_200
    for wrong in ("yesterday", "2026-11-21T09:30:00+01:00", ""):
        with pytest.raises(MalformedError):
            parse_time(wrong)


def test_periods_and_scopes() -> None:
    period = Period(10, 20)
    assert [period.holds(time) for time in (9, 10, 19, 20)] == [False, True, True, False]
    assert period
    assert not Period()
    assert Period().holds(0)
    assert Period(end=5).holds(4)
    assert str(Period()) == "without bounds"
    assert str(Scope()) == "all evidence that was given"
    assert str(Scope(period, "a/b")).startswith("the data set a/b in the period from 1970-01-01T00:00:10Z, until")
    with pytest.raises(MalformedError):
        Period(20, 20)


@pytest.mark.parametrize("span", [60, 3600, 40_000, 86_400, 10 * 86_400, 10**7, 10**8, 10**9, 10**10, 2 * 10**11])
def test_an_axis_has_a_few_round_labels(span: int) -> None:
    axis = Axis(1_700_000_123, 1_700_000_123 + span, None, Period())
    labels = re.findall(r">([^<>]+)</text>", draw_axis(axis))
    assert len(labels) == len(set(labels)) <= 8
    assert labels or span > 10**11
    assert axis.at(0) < axis.at(1_700_000_123 + span // 2) < axis.at(2**63)


def test_an_axis_of_nothing() -> None:
    axis = make_axis([], None, Period(5, 9))
    assert axis.first < axis.last
    assert "period" in draw_axis(axis)
