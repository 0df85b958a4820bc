"""Files that commands read and write."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from ledger.canonical import JsonValue
from ledger.errors import MalformedError, NotFoundError

__all__ = ["check_place", "read_object", "write_file"]


def read_object(path: Path) -> dict[str, JsonValue]:
    """A JSON object from a file. Raises: NotFoundError, MalformedError."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except ValueError as error:
        raise MalformedError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedError(f"{path} is not a JSON object: it begins with {{")
    return document


def check_place(path: Path | None) -> None:
    """Check before the work that its result has a place. Raises: NotFoundError, MalformedError."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise NotFoundError(f"there is no folder {path.parent} for {path.name}: make it first")
    if path.is_dir():
        raise MalformedError(f"{path} is a folder: name a file")


def write_file(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all. Raises: OSError."""
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        staged.write_bytes(data)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
