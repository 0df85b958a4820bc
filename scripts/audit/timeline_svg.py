"""Grants over time as bars, one strip of SVG for each, below an axis that a printed table repeats on every page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.evidence.signing import format_time
from scripts.audit.grants import Grant
from scripts.audit.markup import Markup, element
from scripts.audit.scope import Period

__all__ = ["Axis", "draw_axis", "draw_bar", "make_axis"]

_WIDTH: Final = 540.0
_BAR: Final = 14.0
_HEIGHT: Final = 30.0
_AXIS_HEIGHT: Final = 30.0
_INSET: Final = 8.0
_TICKS: Final = 6
_DAY: Final = 86_400
_STEPS: Final = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY)
_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000, 12_000, 24_000)
_MONTH: Final = 30.4 * _DAY
_LAST: Final = int(datetime(9998, 12, 31, tzinfo=UTC).timestamp())
_LONGEST: Final = 100 * 365 * _DAY


@dataclass(frozen=True)
class Axis:
    """From a first to a last moment in UTC seconds; ``known`` is when the evidence ends."""

    first: int
    last: int
    known: int | None
    period: Period

    def at(self, time: float) -> float:
        """Where a moment stands, clipped to the axis."""
        share = (min(max(time, self.first), self.last) - self.first) / (self.last - self.first)
        return _INSET + share * (_WIDTH - 2 * _INSET)


def make_axis(grants: Sequence[Grant], known: int | None, period: Period) -> Axis:
    """An axis over all windows; ends that are very far away are cut, so that near ones can be told apart."""
    moments = [time for each in grants for time in (each.valid_from, each.granted_at, each.said_at) if time is not None]
    first = min(moments, default=0)
    last = max([each.valid_until for each in grants] + [known or 0, first + 60])
    last = min(last, max([*moments, known or 0]) + _LONGEST, _LAST)
    margin = max((last - first) // 40, 1)
    return Axis(max(first - margin, 0), max(last + margin, 1), known, period)


def draw_axis(axis: Axis) -> Markup:
    """The axis with its dates."""
    parts = [*_draw_period(axis, _AXIS_HEIGHT)]
    for time, label in _ticks(axis):
        x = axis.at(time)
        parts.append(element("path", d=f"M{x:.1f} {_AXIS_HEIGHT - 6:.1f} V{_AXIS_HEIGHT:.1f}", class_="tick"))
        parts.append(element("text", label, x=x, y=_AXIS_HEIGHT - 11, class_="label", text_anchor="middle"))
    return _svg(_AXIS_HEIGHT, parts, "Time, UTC")


def draw_bar(grant: Grant, axis: Axis) -> Markup:
    """One grant: its window, the part in which it could permit, and what ended it."""
    top = (_HEIGHT - _BAR) / 2
    parts = [*_draw_period(axis, _HEIGHT)]
    parts += [element("path", d=f"M{axis.at(time):.1f} 0 V{_HEIGHT:.1f}", class_="grid") for time, _ in _ticks(axis)]
    parts.append(_rect(axis, (grant.valid_from, grant.valid_until), top, "window"))
    if grant.granted_at is not None and grant.piece.stands and grant.begins < grant.ends:
        known = grant.ends if axis.known is None else min(max(axis.known, grant.begins), grant.ends)
        parts.append(_rect(axis, (grant.begins, known), top, "granted"))
        if known < grant.ends:
            parts.append(_rect(axis, (known, grant.ends), top, "unknown"))
    for first, end in grant.masked if grant.granted_at is not None else ():
        within = max(first, grant.begins), min(end or grant.ends, grant.ends)
        if within[0] < within[1]:
            parts.append(_rect(axis, within, top, "masked"))
    if axis.known is not None:
        parts.append(element("path", d=f"M{axis.at(axis.known):.1f} 0 V{_HEIGHT:.1f}", class_="known"))
    parts += _draw_marks(grant, axis)
    return _svg(_HEIGHT, parts, _describe(grant))


def _draw_marks(grant: Grant, axis: Axis) -> Iterator[Markup]:
    middle = _HEIGHT / 2
    if grant.granted_at is not None:
        x = axis.at(grant.granted_at)
        path = f"M{x:.1f} {middle - 6:.1f} l6 6 l-6 6 l-6 -6 z"
        yield element("path", element("title", f"granted {format_time(grant.granted_at)}"), d=path, class_="given")
    if grant.revoked_at is not None:
        x = axis.at(grant.revoked_at)
        path = f"M{x - 6:.1f} {middle - 6:.1f} l12 12 M{x + 6:.1f} {middle - 6:.1f} l-12 12"
        yield element("path", element("title", f"revoked {format_time(grant.revoked_at)}"), d=path, class_="revoked")
    if grant.retired_at is not None:
        x = axis.at(grant.retired_at)
        hover = element("title", f"data set retired {format_time(grant.retired_at)}")
        yield element("rect", hover, x=x - 5, y=middle - 5, width=10.0, height=10.0, class_="retired")


def _rect(axis: Axis, span: tuple[int, int], top: float, class_: str) -> Markup:
    left, right = axis.at(span[0]), axis.at(span[1])
    return element("rect", x=left, y=top, width=max(right - left, 2.0), height=_BAR, class_=class_)


def _draw_period(axis: Axis, height: float) -> Iterator[Markup]:
    if axis.period:
        left = axis.at(axis.first if axis.period.first is None else axis.period.first)
        right = axis.at(axis.last if axis.period.end is None else axis.period.end)
        yield element("rect", x=left, y=0.0, width=right - left, height=height, class_="period")


def _ticks(axis: Axis) -> Iterator[tuple[int, str]]:
    """Round moments, at most as many as fit, with their labels."""
    span = axis.last - axis.first
    step = next((each for each in _STEPS if span / each <= _TICKS), None)
    if step is None:
        yield from _month_ticks(axis, next((each for each in _MONTHS if span / (each * _MONTH) <= _TICKS), _MONTHS[-1]))
        return
    pattern = "%Y-%m-%d" if step >= _DAY else "%m-%d %H:%M"
    for time in range(-(-axis.first // step) * step, min(axis.last, _LAST) + 1, step):
        yield time, datetime.fromtimestamp(time, UTC).strftime(pattern)


def _month_ticks(axis: Axis, months: int) -> Iterator[tuple[int, str]]:
    begin = datetime.fromtimestamp(min(axis.first, _LAST), UTC) + timedelta(days=31)
    number = begin.year * 12 + begin.month - 1
    number = -(-number // months) * months
    while number // 12 < 9999:
        time = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
        if time.timestamp() > axis.last:
            return
        yield int(time.timestamp()), f"{time.year}" if months >= 12 else f"{time:%Y-%m}"
        number += months


def _describe(grant: Grant) -> str:
    return f"valid from {format_time(grant.valid_from)} until {format_time(grant.valid_until)}, {grant.state}"


def _svg(height: float, parts: Sequence[Markup], label: str) -> Markup:
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH:.0f} {height:.0f}",
        class_="bar",
        role="img",
        aria_label=label,
    )
