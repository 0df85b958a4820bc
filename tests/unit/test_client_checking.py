"""Both faces of the client with a gateway, and with one that lies: nothing is signed or kept that was not asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ledger.client import Flow, Identity, access, datasets, statements
from ledger.content import scan_folder
from ledger.errors import ConflictError, MalformedError, NotFoundError, VerificationError
from ledger.statements import Statement
from ledger.surface.outcomes import State
from tests.support.answering import FACES, Run, Said, answering, run_async, run_sync
from tests.support.world import METADATA, Member, World, serving

SHA: Final = "0x" + "cd" * 32


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("client")) as world:
        world.enroll("utility")
        yield world


@pytest.fixture
def utility(world: World) -> Member:
    return world.members["utility"]


def fill(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a.bin").write_bytes(bytes(range(256)) * 5000)
    (folder / "empty").write_bytes(b"")
    return folder


def registering(folder: Path, slug: str, member: Member, **more: Any) -> Flow[datasets.Registration]:
    return datasets.register(folder, scan_folder(folder), "utility", slug, METADATA, member.identity, **more)


def test_the_async_face_registers_and_downloads(world: World, utility: Member, tmp_path: Path) -> None:
    folder = fill(tmp_path / "data")
    sent: list[int] = []
    arrived: list[int] = []
    made = run_async(world.url, registering(folder, "async", utility, progress=sent.append), utility.token)
    assert made.version == 1
    assert run_async(world.url, statements.wait(made.digest), utility.token).state is State.FINAL
    again = run_async(world.url, registering(folder, "async", utility, if_changed=True), utility.token)
    assert (again.outcome, again.digest) == (None, made.digest)
    flow = datasets.download("utility/async", 1, tmp_path / "got", progress=arrived.append)
    manifest = run_async(world.url, flow, utility.token)
    assert (tmp_path / "got/a.bin").read_bytes() == (folder / "a.bin").read_bytes()
    assert sum(sent) == sum(arrived) == manifest.size_bytes
    with pytest.raises(NotFoundError):
        run_async(world.url, datasets.show("utility/none"), utility.token)
    (tmp_path / "got/a.bin").write_bytes(b"mine")
    with pytest.raises(ConflictError, match="is there already"):
        run_async(world.url, datasets.download("utility/async", 1, tmp_path / "got"), utility.token)


@dataclass
class Liar:
    """Stands between a client and the gateway, and changes some answers."""

    world: World
    change: Callable[[str, dict[str, Any]], None]
    spoil: Callable[[str, bytes], bytes] = lambda _path, content: content
    submitted: int = 0

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Said:
        self.submitted += (method, path) == ("POST", "/v1/statements")
        kept = {name: value for name, value in headers.items() if name in ("Authorization", "Content-Type")}
        answer = httpx.request(method, self.world.url + path, headers=kept, content=body, timeout=60)
        content, kind = answer.content, answer.headers.get("content-type", "")
        if kind == "application/json" and answer.status_code < 400:
            document = answer.json()
            if isinstance(document, dict):
                self.change(path, document)
            if document != answer.json():
                content = json.dumps(document).encode()
        return Said(answer.status_code, self.spoil(path, content), {"Content-Type": kind})


def message(**members: object) -> Callable[[dict[str, Any]], None]:
    return lambda prepared: prepared["message"].update(members)


def redigested(world: World, prepared: dict[str, Any]) -> None:
    """The digest fits what is prepared."""
    statement = Statement.parse(prepared["type"], prepared["message"])
    prepared["digest"] = str(statement.digest(world.domains))


def prepared_otherwise(
    change: Callable[[dict[str, Any]], None], world: World, *, fits: bool = True
) -> Callable[[str, dict[str, Any]], None]:
    def lie(path: str, document: dict[str, Any]) -> None:
        if path == "/v1/statements:prepare":
            change(document)
            if fits:
                redigested(world, document)

    return lie


def drop_documents(prepared: dict[str, Any]) -> None:
    prepared["documents"] = []


def other_title(prepared: dict[str, Any]) -> None:
    prepared["documents"][0]["document"]["title"] = "Another"


def other_salt(prepared: dict[str, Any]) -> None:
    prepared["version_salt"] = SHA


LIES: Final[list[tuple[Callable[[dict[str, Any]], None], str]]] = [
    (message(contentHash=SHA), "contentHash"),
    (message(metadataHash=SHA), "metadata"),
    (message(parents=[{"dataset": SHA, "version": "1", "registration": SHA}]), "number of parents"),
    (message(deadline="99999999999"), "later deadline"),
    (drop_documents, "metadata"),
    (other_title, "metadata"),
    (other_salt, "contentHash"),
]


@FACES
@pytest.mark.parametrize(("change", "words"), LIES)
def test_nothing_is_signed_that_was_not_asked_for(
    run: Run, world: World, utility: Member, tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    liar = Liar(world, prepared_otherwise(change, world))
    with answering(liar) as url, pytest.raises(VerificationError, match=words):
        run(url, registering(fill(tmp_path / "data"), "lied", utility), utility.token)
    assert liar.submitted == 0


def test_nothing_is_signed_under_another_digest_or_another_consortium(
    world: World, utility: Member, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "data")

    def other_digest(prepared: dict[str, Any]) -> None:
        prepared["digest"] = SHA

    liar = Liar(world, prepared_otherwise(other_digest, world, fits=False))
    with answering(liar) as url, pytest.raises(VerificationError, match="the gateway's digest"):
        run_sync(url, registering(folder, "lied", utility), utility.token)
    assert liar.submitted == 0
    domains = type(world.domains)(world.domains.chain_id + 1, world.domains.contracts)
    elsewhere = Identity(utility.signing, domains)
    flow = datasets.register(folder, scan_folder(folder), "utility", "lied", METADATA, elsewhere)
    with pytest.raises(VerificationError, match=r"consortium\.json"):
        run_sync(world.url, flow, utility.token)


def test_documents_that_are_none_and_members_that_nothing_compares_are_malformed(world: World, utility: Member) -> None:
    def garble(prepared: dict[str, Any]) -> None:
        prepared["documents"] = ["text"]

    profile: Any = {"profile": {"handle": "utility", "name": "Utility"}}
    liar = Liar(world, prepared_otherwise(garble, world))
    with answering(liar) as url, pytest.raises(MalformedError, match="documents that are none"):
        run_sync(url, statements.state("ProfileUpdate", profile, utility.identity), utility.token)
    assert liar.submitted == 0


@FACES
def test_a_download_that_is_not_what_was_registered_is_not_kept(
    run: Run, world: World, utility: Member, tmp_path: Path
) -> None:
    run_sync(world.url, registering(fill(tmp_path / "data"), "spoilt", utility), utility.token)

    def other_bytes(path: str, content: bytes) -> bytes:
        return b"?" + content[1:] if path.partition("?")[0].endswith("/files/a.bin") else content

    def other_manifest(path: str, content: bytes) -> bytes:
        return content.replace(b'"empty"', b'"hello"') if path.endswith("/manifest") else content

    def unchanged(_path: str, _document: dict[str, Any]) -> None:
        """As it is."""

    for spoil, words in ((other_bytes, "were not kept"), (other_manifest, "nothing was downloaded")):
        folder = tmp_path / spoil.__name__
        with answering(Liar(world, unchanged, spoil)) as url, pytest.raises(VerificationError, match=words):
            run(url, datasets.download("utility/spoilt", 1, folder), utility.token)
        assert not [each for each in folder.rglob("*") if each.name == "a.bin" or each.suffix == ".part"]


def test_a_request_served_in_place_of_another_is_not_granted(world: World, utility: Member) -> None:
    world.register(utility, "asked", {"a": b"1"})
    factory = world.enroll("factory")
    terms: Any = {
        "purpose": "ResearchAndDevelopment",
        "valid_until": datetime.now(UTC).replace(microsecond=0) + timedelta(days=1),
    }
    flow = access.request("utility/asked", factory.identity, rights=["read"], wait_s=30, **terms)
    asked = factory.client.run(flow).digest

    def lie(path: str, document: dict[str, Any]) -> None:
        if path == f"/v1/statements/{asked}":
            document["message"]["rights"] = str(int(document["message"]["rights"]) + 2)

    liar = Liar(world, lie)
    with answering(liar) as url, pytest.raises(VerificationError, match="served another AccessRequest"):
        run_sync(url, access.grant_request(asked, utility.identity), utility.token)
    assert liar.submitted == 0
