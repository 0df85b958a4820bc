"""HTML and SVG, escaped by construction: text is escaped wherever it enters, only `Markup` passes as it is.

What a file says may hold anything. Characters that do not print (controls, and those that turn the direction of text)
are shown by their escapes, so that no text can pose as another; very long text is cut, and its length said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["Markup", "element", "foreign", "join", "shorten", "visible"]

_SPECIAL: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_LONGEST: Final = 240
_VOID: Final = frozenset({"br", "hr", "meta", "col"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def visible(text: str) -> str:
    """Show what does not print: ``visible("a\\u202e") == "a\\\\u202e"``."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shorten(text: str, most: int = _LONGEST) -> str:
    """Cut text that is longer than ``most`` characters, and say how long it is."""
    if len(text) <= most:
        return text
    return f"{text[:most]}… ({len(text):,} characters)"


def element(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """One element: ``element("p", "a < b", class_="note")``; attributes that are None are left out.

    A trailing underscore of an attribute's name is dropped, other underscores are hyphens.
    """
    inner = "".join(map(_escape, children))
    opening = name + "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{opening}>" if name in _VOID else f"<{opening}>{inner}</{name}>")


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """Several pieces after one another, text among them escaped."""
    return Markup(_escape(separator).join(map(_escape, parts)))


def foreign(text: str, most: int = _LONGEST) -> Markup:
    """Text that somebody else wrote: cut, and kept from turning the direction of what stands beside it."""
    return element("bdi", shorten(text, most))


def _escape(text: str) -> str:
    return text if isinstance(text, Markup) else visible(text).translate(_SPECIAL)


def _number(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
