"""Opening an object store by its address: S3 and what speaks like it, Google's, Azure's, or plain HTTP to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import SplitResult, urlsplit

from obstore import exceptions
from obstore.store import HTTPStore, ObjectStore, from_url

from ledger.errors import MalformedError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

__all__ = ["DEFAULT_PATIENCE", "Patience", "open_objects"]

_BUCKET_SCHEMES: Final = frozenset({"s3", "gs", "az"})
_WEB_SCHEMES: Final = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store that fails is asked again: what may pass (5xx, a broken connection), ``retries`` times at most.

    How long one request may take, 30 seconds, is obstore's to say, and the environment's (``AWS_TIMEOUT=5m``).
    """

    retries: int = 8
    retry_s: float = 60.0

    @property
    def retry_config(self) -> RetryConfig:
        """As obstore takes it."""
        return {"max_retries": self.retries, "retry_timeout": timedelta(seconds=self.retry_s)}


DEFAULT_PATIENCE: Final = Patience()


def open_objects(
    location: str, options: Mapping[str, str] | None = None, patience: Patience = DEFAULT_PATIENCE
) -> ObjectStore:
    """Open ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``, or ``https://host/path``.

    Nothing is asked of the store yet. What it needs besides, credentials above all, obstore takes from the environment
    (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_STORAGE_ACCOUNT_KEY``)
    or from the machine's identity; ``options`` go before it.

    Raises:
        MalformedError: another scheme, a password or a query in the address, or options that the store does not know.
    """
    parts = _split(location)
    try:
        if parts.scheme in _WEB_SCHEMES:
            client: ClientConfig = {"allow_http": parts.scheme == "http"}
            return HTTPStore(location, client_options=client, retry_config=patience.retry_config)
        # No client options: they would take the place of all that the environment says about the connection. The
        # three buckets' options have a type each; which one it is, the scheme says, and obstore checks it.
        return from_url(location, config=cast("S3Config", dict(options or {})), retry_config=patience.retry_config)
    except (exceptions.BaseError, ValueError) as error:
        raise MalformedError(f"the object store's {parts.scheme} address or options are not accepted") from error


def _split(location: str) -> SplitResult:
    try:
        parts = urlsplit(location)
    except ValueError as error:
        raise MalformedError("the object store's address is no URL") from error
    if parts.scheme not in _BUCKET_SCHEMES | _WEB_SCHEMES:
        raise MalformedError(
            "a store is a folder or one of s3://, gs://, az://, and to be read alone http:// and https://, "
            f"not {parts.scheme}://"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise MalformedError(
            "an object store's address has no user, password, query or fragment: credentials stand in the environment"
        )
    if not parts.netloc:
        raise MalformedError(f"the object store's {parts.scheme} address names no bucket or host")
    return parts
