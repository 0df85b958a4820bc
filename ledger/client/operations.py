"""The consortium's document, API keys, health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.client.flow import Flow, Request
from ledger.client.reads import read_items
from ledger.errors import MalformedError
from ledger.surface.views import ApiKeyView

__all__ = [
    "api_keys",
    "consortium",
    "create_api_key",
    "gateway_keys",
    "log_origin",
    "readiness",
    "revoke_api_key",
    "rotate_log",
    "rotate_passphrase",
    "rotate_relay",
    "whoami",
]


def _read(path: str) -> Flow[dict[str, JsonValue]]:
    answer = yield Request("GET", path)
    if not isinstance(answer.json, dict):
        raise MalformedError("the service answered something else than a JSON object: is CONCORD_URL right?")
    return answer.json


def consortium() -> Flow[dict[str, JsonValue]]:
    """``consortium.json`` as this gateway has it: compare it with another member's."""
    return (yield from _read("/v1/consortium"))


def log_origin() -> Flow[str]:
    """The name of the gateway's log, which its checkpoint begins with. Raises: NotFoundError: none is signed yet."""
    answer = yield Request("GET", "/v1/log/checkpoint")
    return answer.content.decode("utf-8", "replace").partition("\n")[0]


def readiness() -> Flow[dict[str, JsonValue]]:
    """How the gateway is. Raises: NotReadyError: it can not do its work, and why."""
    return (yield from _read("/v1/ready"))


def whoami() -> Flow[dict[str, JsonValue]]:
    """The API key's id, participant and scopes."""
    return (yield from _read("/v1/whoami"))


def api_keys() -> Flow[tuple[ApiKeyView, ...]]:
    """API keys without their secrets."""
    return (yield from read_items(ApiKeyView, "/v1/api-keys", "items"))


def create_api_key(
    scopes: Sequence[str],
    *,
    participant: str | None = None,
    label: str = "",
    expires_at: datetime | None = None,
) -> Flow[str]:
    """A new API key; the token returned is shown this once."""
    body: dict[str, JsonValue] = {"scopes": list(scopes), "label": label}
    if participant is not None:
        body["participant"] = participant
    if expires_at is not None:
        body["expires_at"] = expires_at.isoformat()
    answer = yield Request("POST", "/v1/api-keys", json=body)
    if not isinstance(answer.json, dict):
        raise MalformedError("the service answered something else than an API key")
    return str(answer.json["token"])


def revoke_api_key(key_id: str) -> Flow[None]:
    """End an API key at once."""
    yield Request("DELETE", f"/v1/api-keys/{key_id}")


def gateway_keys() -> Flow[dict[str, JsonValue]]:
    """The gateway's relay account and log key; for scope operate."""
    return (yield from _read("/v1/gateway-keys"))


def rotate_log() -> Flow[dict[str, JsonValue]]:
    """Let a new key sign the log's checkpoints. Raises: UnavailableError: not final yet, the same call goes on."""
    return (yield from _post("/v1/gateway-keys/log:rotate", {}))


def rotate_relay(
    remote: Mapping[str, str] | None = None, *, only_prepare: bool = False, number: int = 1, anew: bool = False
) -> Flow[dict[str, JsonValue]]:
    """Let a new account send the transactions, drawn there or held by a remote signer (``url``, ``public_key``, ...).

    ``number`` says which of several relay accounts it follows; ``anew`` drops a successor that waits.

    Raises:
        UnavailableError: not done yet, the same call goes on.
    """
    body: dict[str, JsonValue] = {**(remote or {}), "only_prepare": only_prepare, "number": number}
    if anew:
        body["anew"] = True
    return (yield from _post("/v1/gateway-keys/relay:rotate", body))


def rotate_kek(place: Mapping[str, str] | None = None, *, keystore: bool = False) -> Flow[dict[str, JsonValue]]:
    """Let a new key wrap the keys of sealings: its id, and how many were wrapped anew.

    It is where the present one is, or at a key service (``url``, ``key``, ...), or in the ``keystore`` again.

    Raises:
        UnavailableError: not done yet, the same call goes on.
    """
    body: dict[str, JsonValue] = {**(place or {})}
    if keystore:
        body["keystore"] = True
    return (yield from _post("/v1/gateway-keys/kek:rotate", body))


def rotate_passphrase(passphrase: str, new_passphrase: str) -> Flow[int]:
    """Encrypt the gateway's keystore with a new passphrase; how many files. Use it over TLS or loopback alone."""
    body: dict[str, JsonValue] = {"passphrase": passphrase, "new_passphrase": new_passphrase}
    done = yield from _post("/v1/gateway-keys/passphrase:rotate", body)
    return int(str(done["files"]))


def _post(path: str, body: dict[str, JsonValue]) -> Flow[dict[str, JsonValue]]:
    answer = yield Request("POST", path, json=body)
    if not isinstance(answer.json, dict):
        raise MalformedError("the service answered something else than a JSON object: is CONCORD_URL right?")
    return answer.json
