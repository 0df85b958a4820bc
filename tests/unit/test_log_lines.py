"""The text log: an event is one line, whatever its words are."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from api.log_lines import set_up_log

FORGED = "2026-11-22 06:00:00,000 ERROR concord.keys the relay key was sent away \x1b[31m"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    before = list(root.handlers), root.level
    set_up_log("text", "info", stream)
    yield stream
    root.handlers, root.level = before[0], before[1]


def test_words_of_others_make_no_line_of_their_own(lines: io.StringIO) -> None:
    logging.getLogger("concord.test").warning("busy\n%s", FORGED, extra={"facts": {"what": f"x\r\n{FORGED}"}})
    (line,) = lines.getvalue().splitlines()
    assert line.isprintable()
    assert line.endswith("\\x1b[31m")
    assert f"WARNING concord.test busy\\n{FORGED[:10]}" in line
    assert f" what=x\\r\\n{FORGED[:10]}" in line


def fail() -> None:
    raise ValueError(f"odd\n{FORGED}")


def test_a_traceback_is_indented_and_holds_no_line_that_looks_like_an_event(lines: io.StringIO) -> None:
    try:
        fail()
    except ValueError:
        logging.getLogger("concord.test").exception("it broke")
    event, *rest = lines.getvalue().splitlines()
    assert event.endswith("ERROR concord.test it broke")
    assert all(line.startswith("  ") and line.isprintable() for line in rest)
    assert any("ValueError: odd" in line for line in rest)
