"""A gateway that gathers what another one offers, and that other one, which says whatever a test has it say."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from ledger.canonical import JsonValue, hash_document
from ledger.chain import LocalSigner
from ledger.exchange.catalogue.gathering import Gathering
from ledger.exchange.deliveries.peers import Peers, parse_peers
from ledger.exchange.directory import Directory
from ledger.statements import HistoryKind, compute_dataset_id
from ledger.store.rows import DatasetRow, NewStatement, PeerRow
from ledger.types import Bytes32
from tests.support.answering import Said, answering
from tests.support.store_world import NOW, World, open_world, word

__all__ = ["Elsewhere", "PROVIDER", "Stage", "TEXTS", "dataset_id", "elsewhere", "page", "stage"]

TEXTS: Final[dict[str, JsonValue]] = {
    "title": "Power",
    "description": "d",
    "licence": "CC0-1.0",
    "contact": "c",
    "keywords": ["mwh"],
}


PROVIDER: Final = word("util")


@dataclass
class Elsewhere:
    """Another gateway, which answers whatever it likes."""

    url: str = ""
    items: list[JsonValue] = field(default_factory=list)
    said: Said | None = None
    profiles: list[JsonValue] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    silent: threading.Event | None = None

    def answer(self, _method: str, path: str, headers: Mapping[str, str], _body: bytes) -> Said:
        if path.startswith("/v1/profiles"):
            return page(self.profiles)
        self.asked.append((path, headers))
        if self.silent is not None:
            self.silent.wait(60)
        return self.said or page(self.items)


def page(items: JsonValue, following: JsonValue = None) -> Said:
    """A page of a list."""
    return Said(body=json.dumps({"items": items, "next": following, "as_of_block": 1}).encode())


@dataclass
class Stage:
    """A gateway of the manufacturer's, whose clock stands still, and the utility's at another place."""

    world: World
    elsewhere: Elsewhere
    settings: dict[str, Any]
    now_s: float = NOW.timestamp() + 1000

    def __post_init__(self) -> None:
        parts: Any = SimpleNamespace(
            settings=SimpleNamespace(**self.settings),
            store=self.world.store,
            config=SimpleNamespace(operator=word("manu")),
            keystore=SimpleNamespace(find=lambda *_: LocalSigner(b"\1" * 32)),
            domains=None,
            directory=Directory(self.world.store, self.now),
            now=self.now,
            clock=lambda: self.now_s,
        )
        self.parts = parts
        self.gathering = Gathering(parts, Peers(parts, parse_peers(self.settings["peers"])))

    def now(self) -> Any:
        return NOW + timedelta(seconds=self.now_s - NOW.timestamp())

    def ask(self, after_s: float = 60.0) -> PeerRow:
        """A minute later the gateway asks again; what it noted of the utility's."""
        self.now_s += after_s
        self.gathering.step()
        [row] = [each for each in self.world.store.catalogue.peers() if each.provider == PROVIDER]
        return row

    def find(self, slug: str) -> DatasetRow | None:
        return self.world.store.datasets.find_by_name("util", slug)

    def name(self, who: str, endpoint: str) -> None:
        """A participant states where it serves."""
        row = self.world.document("profile", {"handle": who, "name": who, "endpoint": endpoint})
        self.world.store.documents.bind([row.hash], word(who))
        self.world.chain.mine(self.world.history(HistoryKind.PROFILE_UPDATED, word(who), row.hash))

    def register(
        self, slug: str, *, by: str = "util", version: int = 1, document: JsonValue = None, **texts: JsonValue
    ) -> dict[str, JsonValue]:
        """Register a version elsewhere; what an honest gateway tells of it."""
        told: JsonValue = {**TEXTS, "slug": slug, "provider": by, **texts} if document is None else document
        salt = self.world.salt()
        new = self.state(slug, by, version, Bytes32(hash_document(salt, told)))
        self.world.chain.mine(self.world.registered(new))
        return {"registration": str(new.digest), "salt": str(salt), "document": told}

    def state(self, slug: str, by: str, version: int, metadata_hash: Bytes32) -> NewStatement:
        return self.world.new(
            "DatasetRegistration", participant=word(by), datasetSalt=word(f"{by}/{slug}"), version=version,
            contentHash=word("c"), metadataHash=metadata_hash, parents=(),
        )  # fmt: skip

    def retire(self, slug: str) -> None:
        self.world.chain.mine(
            (
                "DatasetRegistry",
                "DatasetRetired",
                {"digest": word("r"), "dataset": dataset_id(slug), "participant": PROVIDER, "signer": bytes(20)},
            )
        )


def dataset_id(slug: str) -> Bytes32:
    """The id of a data set of the utility's."""
    return Bytes32(compute_dataset_id(PROVIDER, word(f"util/{slug}")))


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """It listens on loopback."""
    server = Elsewhere()
    with answering(server.answer) as server.url:
        yield server
        if server.silent is not None:
            server.silent.set()


@pytest.fixture
def stage(tmp_path: Path, elsewhere: Elsewhere) -> Iterator[Stage]:
    """Of two founders."""
    with open_world(tmp_path) as world:
        world.found("util", "manu")
        opened = Stage(
            world, elsewhere, {"peers": elsewhere.url, "catalogue_every_s": 60.0, "catalogue_kept_s": 3600.0}
        )
        opened.name("util", elsewhere.url)
        yield opened
