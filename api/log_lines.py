"""The service's log: a line an event, as JSON for machines or as text; no header, body, key or passphrase in it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

from ledger.content.paths import printable
from ledger.exchange.tracing import REQUEST_ID

__all__ = ["LogFormat", "set_up_log"]

LogFormat = Literal["text", "json"]

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_QUIET: Final = ("httpx", "httpcore", "urllib3", "web3", "eth", "alembic", "uvicorn.access")
"""Libraries that tell of every request they make."""


_BROKEN_OFF: Final = "ASGI callable returned without completing response."
"""How uvicorn tells of an answer that was broken off; which one, and why, the request's own line says."""


def _is_news(record: logging.LogRecord) -> bool:
    return record.getMessage() != _BROKEN_OFF


def set_up_log(form: LogFormat, level: str, stream: TextIO | None = None) -> None:
    """Send every log line of this process to stderr (or ``stream``) in one form; a second call replaces the first."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLine() if form == "json" else _TextLine(_TEXT))
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each.formatter, _JsonLine | _TextLine)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _facts_of(record: logging.LogRecord) -> dict[str, object]:
    """What a line of ours carries beside its message, and the request it belongs to."""
    request_id = getattr(record, "traced_request", None) or REQUEST_ID.get()
    digest = getattr(record, "digest", None)
    facts = {"request_id": request_id, "digest": digest, **getattr(record, "facts", {})}
    return {name: value for name, value in facts.items() if value is not None}


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_facts_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class _TextLine(logging.Formatter):
    """One line an event, whatever its words are; of an error the traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        record.message, record.asctime = record.getMessage(), self.formatTime(record)
        facts = [f"{name}={value}" for name, value in _facts_of(record).items()]
        event = printable(" ".join([self.formatMessage(record), *facts]))
        traceback = self.formatException(record.exc_info).split("\n") if record.exc_info else []
        return "\n".join([event, *(f"  {printable(line)}" for line in traceback)])
