"""Who states what in the benchmark: a provider and a consumer with their own signing keys, and statements to sign."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.client import Client, Identity, LocalKey, parse_domains, participants, statements
from ledger.keyfiles import read_key_file
from ledger.statements import Domains, Right, Statement, compute_dataset_id, generate_private_key
from ledger.types import Bytes32
from scripts.demo.service import run_concord

__all__ = ["FoundedParties", "Party", "found_parties", "registrations", "requests", "sign_all"]

_PROVIDER: Final = "provider"
_CONSUMER: Final = "consumer"
_WAIT_S: Final = 60
_DEADLINE_S: Final = 3600


@dataclass(frozen=True)
class Party:
    """A participant with a signing key of its own, and the type that it states here."""

    id: Bytes32
    token: str
    signing: LocalKey
    domains: Domains
    states: str


@dataclass(frozen=True)
class FoundedParties:
    """A consortium of the two, founded and not served yet."""

    passphrase: str
    domains: Domains
    founded: Mapping[str, Any]

    def join(self, url: str) -> tuple[Party, Party, Bytes32]:
        """Add each one's own key; provider, consumer, and a dataset of the provider."""
        provider = self.join_provider(url)
        consumer = self._add_key(url, _CONSUMER, "AccessRequest")
        first = registrations(provider, 1)[0]
        with Client(url, provider.token) as client:
            identity = Identity(provider.signing, provider.domains)
            client.run(statements.submit(first, identity, wait_s=_WAIT_S))
        salt = first.message["datasetSalt"]
        return provider, consumer, compute_dataset_id(provider.id, Bytes32(salt))  # type: ignore[arg-type]  # bytes32 by its type

    def join_provider(self, url: str) -> Party:
        """Add the provider's own key."""
        return self._add_key(url, _PROVIDER, "DatasetRegistration")

    def _add_key(self, url: str, handle: str, states: str) -> Party:
        control = LocalKey(read_key_file(Path(self.founded["key_files"][f"{handle}/control"]), self.passphrase))
        signing, token = LocalKey(generate_private_key()), str(self.founded["api_keys"][handle])
        with Client(url, token) as client:
            client.run(participants.add_key(Identity(control, self.domains, signing), wait_s=_WAIT_S))
        return Party(Bytes32.parse(self.founded["participants"][handle]), token, signing, self.domains, states)


def found_parties(folder: Path, passphrase: str) -> FoundedParties:
    """Found the consortium with `concord init` in ``folder``/gateway. Raises: UnavailableError."""
    arguments = ["init", "--home", str(folder / "gateway"), "--owners", str(folder / "owners"), "--threshold", "1"]
    for handle in (_PROVIDER, _CONSUMER):
        arguments += ["--governor", f"{handle}={handle.title()}"]
    founded = run_concord([*arguments, "--origin", "log.example.org/bench"], passphrase)
    domains = parse_domains(json.loads((folder / "gateway" / "consortium.json").read_bytes()))
    return FoundedParties(passphrase, domains, founded)


def _draw() -> Bytes32:
    return Bytes32(secrets.token_bytes(32))


def registrations(provider: Party, count: int) -> list[Statement]:
    """First versions of as many datasets, not signed yet."""
    deadline = int(time.time()) + _DEADLINE_S
    return [
        Statement.build(
            "DatasetRegistration",
            participant=provider.id,
            datasetSalt=_draw(),
            version=1,
            contentHash=_draw(),
            metadataHash=_draw(),
            parents=(),
            deadline=deadline,
            salt=_draw(),
        )
        for _ in range(count)
    ]


def requests(consumer: Party, provider: Party, dataset: Bytes32, count: int) -> list[Statement]:
    """As many requests for access to ``dataset``, not signed yet."""
    now = int(time.time())
    return [
        Statement.build(
            "AccessRequest",
            participant=consumer.id,
            provider=provider.id,
            dataset=dataset,
            firstVersion=1,
            lastVersion=0,
            purpose=_draw(),
            rights=int(Right.READ),
            validFrom=now,
            validUntil=now + 30 * 24 * 3600,
            policyHash=_draw(),
            deadline=now + _DEADLINE_S,
            salt=_draw(),
        )
        for _ in range(count)
    ]


def sign_all(party: Party, all_stated: Sequence[Statement]) -> dict[str, str]:
    """The signature of each, in hex, by its digest."""
    digests = [statement.digest(party.domains) for statement in all_stated]
    return {str(digest): party.signing.sign(digest).hex() for digest in digests}
