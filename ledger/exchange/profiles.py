"""Profiles of participants who came through another gateway: brought here, and held against the hash on chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ledger.canonical import JsonValue, encode_canonical, hash_document
from ledger.errors import ConflictError, VerificationError
from ledger.exchange.intents.participants import check_profile
from ledger.exchange.parts import Parts
from ledger.store.rows import DocumentRow
from ledger.types import Bytes32

__all__ = ["BroughtProfile", "keep_profile"]


@dataclass(frozen=True, kw_only=True)
class BroughtProfile:
    """A profile document and its salt, as the gateway gives them that it came through."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    salt: Bytes32
    document: Mapping[str, JsonValue]


def keep_profile(
    parts: Parts, name: str, salt: Bytes32, profile: Mapping[str, JsonValue], *, renames: bool = True
) -> bool:
    """Keep a participant's present profile, and give it its handle here unless another has that; whether it could.

    Without ``renames`` whoever has a handle here keeps it.

    Raises:
        NotFoundError: no such participant is on chain.
        MalformedError: it has no handle or name.
        VerificationError: it is not the profile that the participant stated last.
    """
    document = check_profile(profile)
    row = parts.directory.participant_row(name)
    found = hash_document(salt, document)
    if found != row.profile_hash:
        raise VerificationError(
            f"this is not the present profile of {row.id}, whose hash is on chain: ask for it anew where it is known",
            expected=str(row.profile_hash),
            found=str(found),
        )
    store = parts.store
    with store.transaction():
        store.documents.add([DocumentRow(found, salt, encode_canonical(document), "profile", parts.now())])
        store.documents.bind([found], row.id)
    if not renames and store.names.handle_of(row.id) is not None:
        return True
    try:
        store.names.claim_handle(row.id, str(document["handle"]))
    except ConflictError:
        return False
    return True
