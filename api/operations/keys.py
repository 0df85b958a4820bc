"""The gateway's own keys, for its operator: shown, and replaced while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from api.answers import members_of
from api.auth import GatewayOf, Steward
from api.bodies import intent_of, schema_of
from ledger.chain import RemoteKey, parse_public_key
from ledger.client.transit import TransitPlace
from ledger.errors import MalformedError

router = APIRouter(prefix="/v1/gateway-keys", tags=["operations"])

_NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, kw_only=True)
class NewLogKey:
    """The gateway draws it: there is nothing to say."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, kw_only=True)
class NewKek:
    """Nothing: a new one where the present one is, in the keystore or at the key service.

    ``url`` and ``key`` name the key of a key service (the transit engine of Vault and OpenBao) that is to follow; one
    where the present key is not is listed in the gateway's settings (``CONCORD_KMS_URLS``), or else 403 `unknown-kms`.
    With ``keystore`` the gateway draws one in its keystore again.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    url: str | None = None
    key: str | None = None
    mount: str = "transit"
    namespace: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    certificate_key_file: str | None = None
    keystore: bool = False

    @property
    def place(self) -> TransitPlace | None:
        """The key service's key that is named, if one is. Raises: MalformedError."""
        if self.url is None and self.key is None:
            return None
        if self.keystore:
            raise MalformedError("the key-encryption key is the keystore's or the key service's, not both: name one")
        return TransitPlace(
            self.url or "",
            self.key or "",
            self.mount,
            self.namespace,
            self.ca_file,
            self.certificate_file,
            self.certificate_key_file,
        )


@dataclass(frozen=True, kw_only=True)
class NewRelay:
    """``url`` and ``public_key`` of a remote signer (Web3Signer's `eth1/sign`); without: the gateway draws a key.

    With ``only_prepare`` nothing is rotated: the account is shown, so that a network can admit or fund it first.
    ``number`` says which of several relay accounts it follows; the first publishes the log, too. A remote signer signs
    once before anything is written. ``anew`` drops a successor that waits and is not stated yet.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    url: str | None = None
    public_key: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    certificate_key_file: str | None = None
    only_prepare: bool = False
    number: int = 1
    anew: bool = False

    @property
    def remote(self) -> RemoteKey | None:
        """The remote key that is named, if one is. Raises: MalformedError."""
        if self.url is None and self.public_key is None:
            return None
        return RemoteKey(
            self.url or "",
            parse_public_key(self.public_key or ""),
            self.ca_file,
            self.certificate_file,
            self.certificate_key_file,
        )


@dataclass(frozen=True, kw_only=True)
class NewPassphrase:
    """The keystore's present passphrase and the one to come."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    passphrase: str = field(repr=False)
    new_passphrase: str = field(repr=False)


@router.get("", summary="The gateway's own keys, their public halves")
def get_gateway_keys(gateway: GatewayOf, _asker: Steward) -> Response:
    """Relay account and log key; `next_...` while one is being rotated."""
    return JSONResponse(members_of(gateway.keys.show()), headers=_NO_STORE)


@router.post("/log:rotate", summary="A new key signs the log's checkpoints", openapi_extra=schema_of(NewLogKey))
def rotate_log_key(
    gateway: GatewayOf, _asker: Steward, _body: Annotated[NewLogKey, Depends(intent_of(NewLogKey))]
) -> Response:
    """Answers when the chain has the rotation for good; 503: it goes on, ask again."""
    return JSONResponse(members_of(gateway.keys.rotate_log()), headers=_NO_STORE)


@router.post("/relay:rotate", summary="A new account sends the transactions", openapi_extra=schema_of(NewRelay))
def rotate_relay(
    gateway: GatewayOf, _asker: Steward, body: Annotated[NewRelay, Depends(intent_of(NewRelay))]
) -> Response:
    """Answers when all that the present account sent has its outcome and the new one sends; 503: ask again."""
    keys = gateway.keys.rotate_relay(body.remote, only_prepare=body.only_prepare, number=body.number, anew=body.anew)
    return JSONResponse(members_of(keys), headers=_NO_STORE)


@router.post("/kek:rotate", summary="A new key wraps the keys of sealings", openapi_extra=schema_of(NewKek))
def rotate_kek(gateway: GatewayOf, _asker: Steward, body: Annotated[NewKek, Depends(intent_of(NewKek))]) -> Response:
    """Answers when every key is wrapped anew and the old key is destroyed; no data is encrypted again."""
    rotated = gateway.sealings.keys.rotate(body.place, to_keystore=body.keystore)
    return JSONResponse(members_of(rotated), headers=_NO_STORE)


@router.post(
    "/passphrase:rotate", summary="The keystore encrypted with a new passphrase", openapi_extra=schema_of(NewPassphrase)
)
def rotate_passphrase(
    gateway: GatewayOf, _asker: Steward, body: Annotated[NewPassphrase, Depends(intent_of(NewPassphrase))]
) -> Response:
    """All files or none. The gateway goes on; its next start needs the new passphrase. Send it over TLS or loopback."""
    count = gateway.keys.change_passphrase(body.passphrase, body.new_passphrase)
    return JSONResponse({"files": count}, headers=_NO_STORE)
