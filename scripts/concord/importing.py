"""`concord statements import`: a file of signed statements into the log."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Annotated, Final

import typer
from pydantic_core import from_json

from ledger.canonical import JsonValue
from ledger.client import bulk
from ledger.content.paths import printable
from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.log.note import VerifierKey
from scripts.concord.context import Context, context_of
from scripts.concord.files import check_place
from scripts.concord.import_progress import Progress, watching
from scripts.concord.printing import count_of
from scripts.concord.statements import load_policy

__all__ = ["FileArgument", "STDIN", "check_source", "import_file"]

STDIN: Final = Path("-")
_MOST_REASONS: Final = 5
_AGAIN: Final = "run the same command again: what the log has already is answered as in the log before"

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="NDJSON, a statement a line; -: standard input.")]


def import_file(
    context: typer.Context,
    file: FileArgument,
    refused: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where refused lines go; without: FILE.refused.ndjson.", dir_okay=False),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Keep every answer: each line's index, each checkpoint.", dir_okay=False),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Check every checkpoint with this policy's log keys.", dir_okay=False)
    ] = None,
) -> None:
    """Put a file of signed statements into the log, thousands a second.

    A line is the JSON object that `POST /v1/statements` takes: type, message, signature, signer. `concord statements
    sign` makes such a file. A refused line never hurts the others: it goes to FILE.refused.ndjson with its reason, and
    the exit code is 1. Cut off or stopped, run the same command again: what is in the log already is not logged twice.
    """
    given = context_of(context)
    source, size = check_source(file)
    place = refused or Path("statements.refused.ndjson" if size is None else f"{file}.refused.ndjson")
    for path in (place, answers):
        check_place(path)
        if path is not None and path.exists() and file.exists() and path.samefile(file):
            raise MalformedError(f"{path} is the file to import: name another place")
    keys = () if policy is None else tuple(key for log in load_policy(policy).logs for key in log.keys)
    tally = _Tally()
    with _Kept(place) as kept, _Kept(answers) as log, watching(given, size) as progress:
        _run(given, source, keys, _Outcome(tally, kept, log, progress))
    _conclude(given, file, tally, place, answers)


def check_source(file: Path) -> tuple[bulk.Source, int | None]:
    """What a FILE argument names, and its size; None: of a pipe. Raises: NotFoundError, MalformedError."""
    if file == STDIN:
        return bulk.Source.of_descriptor(sys.stdin.fileno()), None
    if file.is_dir():
        raise MalformedError(f"{file} is a folder: name a file of statements")
    if not file.exists():
        raise NotFoundError(f"there is no file {file}")
    return bulk.Source.of_file(file), file.stat().st_size if file.is_file() else None


class _Kept:
    """A file of lines that appears when the work ends, however it ends; without lines, none is left there.

    Where the work fails, it holds the lines of the try that came furthest.
    """

    def __init__(self, place: Path | None) -> None:
        self._place = place
        self._file: IO[str] | None = None
        self._lines = 0
        self._furthest: tuple[int, Path] | None = None

    def __enter__(self) -> _Kept:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None or self._place is None:
            return
        if kind is not None:
            self._put_aside()
        self._file.close()
        lines, staged = self._lines, Path(self._file.name)
        if self._furthest is not None and kind is not None:
            lines, staged = self._furthest
        elif self._furthest is not None:
            self._furthest[1].unlink()
        if lines:
            staged.replace(self._place)
            return
        staged.unlink()
        if kind is None:
            self._place.unlink(missing_ok=True)  # that of an earlier run says no longer what is refused

    def add(self, document: JsonValue) -> None:
        """Write one line."""
        if self._file is not None:
            self._file.write(json.dumps(document, ensure_ascii=False) + "\n")
            self._lines += 1

    def clear(self) -> None:
        """Begin anew: everything is sent again from the start."""
        if self._file is not None:
            self._put_aside()
            self._begin()

    def _begin(self) -> None:
        if self._place is not None:
            staged = self._place.with_name(f".{self._place.name}.{secrets.token_hex(4)}")
            self._file, self._lines = staged.open("w", encoding="utf-8"), 0

    def _put_aside(self) -> None:
        """Keep this try's lines where no other's are more."""
        if self._file is None:
            return
        self._file.close()
        staged = Path(self._file.name)
        if self._furthest is not None and self._furthest[0] >= self._lines:
            staged.unlink()
            return
        if self._furthest is not None:
            self._furthest[1].unlink()
        self._furthest = self._lines, staged


class _Tally:
    """What was answered in the present try, and how long all took."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.elapsed_s = 0.0
        self.lines = 0
        self._most = 0
        self.accepted = self.repeated = self.refused = 0
        self.reasons: Counter[str] = Counter()

    def clear(self) -> None:
        """Begin to count anew: everything is sent again from the start."""
        self._most = self.most
        self.accepted = self.repeated = self.refused = 0
        self.reasons.clear()

    @property
    def most(self) -> int:
        """Lines that have had an answer in any try."""
        return max(self._most, self.answered)

    @property
    def answered(self) -> int:
        """Lines that have their answer."""
        return self.accepted + self.repeated + self.refused


@dataclass(frozen=True)
class _Outcome:
    """Where answers go."""

    tally: _Tally
    refused: _Kept
    answers: _Kept
    progress: Progress

    def take(self, answer: bulk.Answer) -> None:
        """Count and keep one answer."""
        match answer:
            case bulk.Accepted(line, digest, index, repeated):
                self.tally.repeated += repeated
                self.tally.accepted += not repeated
                self.answers.add({"line": line, "digest": str(digest), "index": index, "repeated": repeated})
                self.progress.answered(self.tally.answered)
            case bulk.Refused():
                self._refuse(answer)
                self.progress.answered(self.tally.answered)
            case bulk.Checkpointed(note, first_index, count):
                self.answers.add({"checkpoint": note, "first_index": first_index, "count": count})
            case bulk.Restarted(reason, pause_s):
                self.progress.restarted(f"{reason}: sent again from the start in {pause_s:.1f} s")
                for each in (self.tally, self.refused, self.answers):
                    each.clear()
            case bulk.Done():
                self.tally.lines = answer.lines

    def _refuse(self, answer: bulk.Refused) -> None:
        self.tally.refused += 1
        self.tally.reasons[_reason_of(answer)] += 1
        digest: dict[str, JsonValue] = {} if answer.digest is None else {"digest": str(answer.digest)}
        kept = {"line": answer.line, **digest, "problem": dict(answer.problem), "statement": _readable(answer.text)}
        self.refused.add(kept)


def _reason_of(refused: bulk.Refused) -> str:
    return printable(str(refused.problem.get("code") or refused.problem.get("title") or "refused"))


def _readable(text: bytes) -> JsonValue:
    """The line's object, so that it can be taken out and sent again; what is none, as text."""
    with suppress(ValueError):
        found = from_json(text)
        if isinstance(found, dict):
            return found
    return text.decode(errors="backslashreplace")


def _run(context: Context, source: bulk.Source, keys: tuple[VerifierKey, ...], outcome: _Outcome) -> None:
    tally = outcome.tally
    answers = bulk.send(context.url, context.api_key, source, log_keys=keys, on_sent=outcome.progress.sent)
    try:
        for answer in answers:
            outcome.take(answer)
    except KeyboardInterrupt:
        raise typer.Abort(f"stopped after {count_of(tally.most, 'answer')}; to go on, {_AGAIN}") from None
    except UnavailableError as error:
        raise UnavailableError(
            f"{error}\n  {count_of(tally.most, 'line')} had an answer; to go on, {_AGAIN}",
            retry_after_s=error.retry_after_s,
        ) from error
    finally:
        tally.elapsed_s = time.monotonic() - tally.started


def _conclude(context: Context, file: Path, tally: _Tally, refused: Path, answers: Path | None) -> None:
    rate = tally.answered / tally.elapsed_s
    lines = [
        f"{file}: {count_of(tally.lines, 'line')} in {tally.elapsed_s:,.1f} s ({rate:,.0f}/s)",
        f"{tally.accepted:,} accepted, {tally.repeated:,} in the log before, {tally.refused:,} refused",
    ]
    for reason, count in tally.reasons.most_common(_MOST_REASONS):
        lines.append(f"  {count:,} refused: {reason}")
    if tally.refused:
        lines.append(f"refused lines and their reasons are in {refused}")
    if answers is not None:
        lines.append(f"indexes and signed checkpoints are in {answers}")
    summary = {
        "file": str(file),
        "lines": tally.lines,
        "accepted": tally.accepted,
        "repeated": tally.repeated,
        "refused": tally.refused,
        "reasons": dict(tally.reasons),
        "refused_file": str(refused) if tally.refused else None,
        "elapsed_s": round(tally.elapsed_s, 3),
    }
    context.show(summary, "\n".join(lines))
    if tally.refused:
        raise typer.Exit(1)
