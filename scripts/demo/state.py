"""What a demo keeps between runs: keys, passphrases and how far it came, in one file that its owner alone reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ledger.errors import MalformedError

__all__ = ["read_state", "write_state"]


def read_state(path: Path) -> dict[str, Any]:
    """The state that was kept; empty when there is none. Raises: MalformedError."""
    if not path.exists():
        return {}
    try:
        state: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise MalformedError(f"{path} can not be read: remove its folder and begin anew") from error
    return state


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Keep the state, whole or not at all. Raises: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(path.name + ".new")
    staged.unlink(missing_ok=True)
    staged.touch(mode=0o600)
    staged.write_text(json.dumps(state, indent=1))
    staged.replace(path)
