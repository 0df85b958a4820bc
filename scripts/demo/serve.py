"""`make serve`: the service with the demo's state, or with an empty one, and three commands to begin with."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError
from scripts.demo.service import run_concord

DEMO: Final = Path("var/demo")
EMPTY: Final = Path("var/serve")

_HINT: Final = """
Three commands that register and verify your folder ./my-data (in another terminal):

  export CONCORD_URL={url} CONCORD_API_KEY={token}
  .venv/bin/concord dataset register ./my-data {handle}/my-data --wait final --evidence ev.json
  .venv/bin/concord policy create --rpc {url}/rpc --consortium {home}/consortium.json --output policy.json && \\
    .venv/bin/concord evidence "$(.venv/bin/concord --json dataset show {handle}/my-data@1 | {digest})" \\
    --policy policy.json --output ev.json && \\
    .venv/bin/concord verify ev.json --policy policy.json --data ./my-data

Ctrl-C stops the service.
"""
_DIGEST: Final = ".venv/bin/python -c 'import json,sys; print(json.load(sys.stdin)[\"registration\"])'"


def _state() -> tuple[Path, str, str, str]:
    """Home folder, passphrase, handle and API key: the demo's, or of a consortium founded now."""
    if (DEMO / "secrets.json").exists():
        state = json.loads((DEMO / "secrets.json").read_bytes())
        return DEMO / "gateway", state["passphrase"], "chamber", state["api_keys"]["chamber"]
    kept = EMPTY / "secrets.json"
    if not kept.exists():
        EMPTY.mkdir(parents=True, exist_ok=True)
        passphrase = secrets.token_urlsafe(24)
        founded = run_concord(["init", "--home", str(EMPTY / "gateway")], passphrase)
        kept.touch(mode=0o600)
        kept.write_text(json.dumps({"passphrase": passphrase, "token": founded["api_keys"]["operator"]}))
    state = json.loads(kept.read_bytes())
    return EMPTY / "gateway", state["passphrase"], "operator", state["token"]


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Bring up the service.")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    try:
        home, passphrase, handle, token = _state()
    except LedgerError as error:
        print(error, file=sys.stderr)
        return 1
    url = f"http://127.0.0.1:{arguments.port}"
    print(_HINT.format(url=url, token=token, handle=handle, home=home, digest=_DIGEST), flush=True)
    os.environ["CONCORD_PASSPHRASE"] = passphrase
    command = [sys.executable, "-m", "scripts.concord", "serve", "--home", str(home), "--port", str(arguments.port)]
    return subprocess.call(command)  # noqa: S603 - our own program


if __name__ == "__main__":
    sys.exit(main())
