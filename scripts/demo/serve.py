"""`make serve`: the service with the demo's state, or with an empty one, and three commands to begin with."""

from __future__ import annotations

import argparse
import secrets
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.errors import LedgerError
from scripts.demo.service import run_concord, running
from scripts.demo.state import read_state, write_state

__all__ = ["main"]

DEMO: Final = Path("var/demo")
EMPTY: Final = Path("var/serve")

_HINT: Final = """
serving at {url}  (every route: {url}/docs), {state}

In another terminal, once:
  export PATH={programs}:$PATH CONCORD_URL={url} CONCORD_API_KEY={token}

Then three commands register and verify your folder, here ./my-data:
  concord dataset register ./my-data {handle}/my-data --wait final
  concord policy create --rpc {url}/rpc --consortium {home}/consortium.json --output policy.json
  concord evidence {handle}/my-data --policy policy.json --output ev.json && \\
    concord verify ev.json --policy policy.json --data ./my-data

Ctrl-C stops the service.
"""


@dataclass(frozen=True)
class _State:
    home: Path
    passphrase: str
    handle: str
    token: str
    what: str


def _load_state() -> _State:
    """The demo's, or of a consortium founded now. Raises: LedgerError."""
    demo = read_state(DEMO / "secrets.json")
    if demo.get("admitted"):
        token = demo["api_keys"]["chamber"]
        return _State(DEMO / "gateway", demo["passphrase"], "chamber", token, "with the demo's state")
    kept = EMPTY / "secrets.json"
    state = read_state(kept)
    if "token" not in state:
        state = _found_empty(kept, state)
    return _State(
        EMPTY / "gateway", state["passphrase"], "operator", state["token"], f"with a state of its own, {EMPTY}"
    )


def _found_empty(kept: Path, before: dict[str, Any]) -> dict[str, Any]:
    """The passphrase is kept first: an interrupted founding goes on with it."""
    state = {"passphrase": secrets.token_urlsafe(24), **before}
    write_state(kept, state)
    print("founding a consortium of your own ...", flush=True)
    founded = run_concord(["init", "--home", str(EMPTY / "gateway")], state["passphrase"])
    state["token"] = founded["api_keys"]["operator"]
    write_state(kept, state)
    return state


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Bring up the service.")
    parser.add_argument("--port", type=int, default=8080, help="0: the system chooses")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        state = _load_state()
        with running(state.home, state.passphrase, sys.stderr, arguments.port) as service:
            print(_format_hint(state, service.url), flush=True)
            return service.process.wait()
    except KeyboardInterrupt:
        return 0  # the service has said that it stopped
    except LedgerError as error:
        print(f"{error}: nothing is served (another port: make serve PORT=8081)", file=sys.stderr)
        return 1


def _format_hint(state: _State, url: str) -> str:
    return _HINT.format(
        url=url,
        state=state.what,
        token=state.token,
        handle=state.handle,
        home=shlex.quote(str(state.home.absolute())),
        programs=shlex.quote(str(Path(sys.executable).parent)),
    )


if __name__ == "__main__":
    sys.exit(main())
