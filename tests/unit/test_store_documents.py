"""Documents, drafts, contents and names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.content import FileEntry, Manifest
from ledger.errors import ConflictError, MalformedError, NotFoundError, VerificationError
from ledger.store.rows import DraftRow
from ledger.types import Bytes32
from tests.support.store_world import NOW, World, open_world, word

DAY = timedelta(days=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


def manifest(*names: str) -> Manifest:
    return Manifest(tuple(FileEntry(name, 3, word(name), word(f"root {name}")) for name in sorted(names)))


def draft(world: World, text: str, **members: object) -> DraftRow:
    row = DraftRow(word(text), "AccessRequest", {"participant": "0x"}, (), NOW, NOW + DAY)
    world.store.drafts.add(replace(row, **members))  # type: ignore[arg-type]  # any of its members
    return replace(row, **members)  # type: ignore[arg-type]  # any of its members


def test_documents_are_found_by_hash(world: World) -> None:
    row = world.document("profile", {"name": "A"})
    world.store.documents.add([row])
    assert world.store.documents.find(row.hash) == row
    assert row.document == {"name": "A"}
    assert world.store.documents.find(word("unknown")) is None
    world.store.documents.add([replace(row, bound=True)])
    found = world.store.documents.find(row.hash)
    assert found is not None
    assert found.bound


def test_a_document_with_another_hash_is_refused(world: World) -> None:
    row = world.document("profile", {"name": "A"})
    with pytest.raises(VerificationError):
        world.store.documents.add([replace(row, body=b'{"name":"B"}')])
    raw = b'{"name": "A"}'
    digest = Bytes32(hashlib.sha256(row.salt + raw).digest())
    with pytest.raises(MalformedError):
        world.store.documents.add([replace(row, hash=digest, body=raw)])


def test_what_is_never_submitted_is_dropped_after_a_day(world: World) -> None:
    loose, bound = world.document("policy", {"a": 1}), world.document("policy", {"a": 2})
    world.store.documents.bind([bound.hash, word("unknown")])
    assert world.store.documents.drop_unbound(NOW) == 0
    assert world.store.documents.drop_unbound(NOW + DAY) == 1
    assert set(world.store.documents.find_many([loose.hash, bound.hash])) == {bound.hash}


def test_a_document_is_opened_to_the_parties_of_its_statement(world: World) -> None:
    terms = world.terms()
    documents = world.store.documents
    request = {"provider": word("p"), "dataset": word("d"), **terms}
    world.say("AccessRequest", participant=word("c"), **request)
    assert documents.parties(terms["policyHash"]) == {word("c"), word("p")}
    # The hash is public once a grant is on chain: repeating it opens nothing.
    world.say("AccessRequest", participant=word("thief"), **{**request, "provider": word("friend")})
    assert documents.parties(terms["policyHash"]) == {word("c"), word("p")}
    # Who may read it may pass it on.
    world.say("AccessRequest", participant=word("c"), **{**request, "provider": word("q")})
    assert documents.parties(terms["policyHash"]) == {word("c"), word("p"), word("q")}
    assert not documents.is_public(terms["policyHash"])


def test_profiles_and_metadata_are_public_once_they_are_bound(world: World) -> None:
    profile, policy = world.document("profile", {"name": "A"}), world.document("policy", {})
    assert not world.store.documents.is_public(profile.hash)
    world.store.documents.bind([profile.hash, policy.hash])
    assert world.store.documents.is_public(profile.hash)
    assert not world.store.documents.is_public(policy.hash)
    assert not world.store.documents.is_public(word("unknown"))


def test_a_document_that_is_no_object_can_be_kept_too(world: World) -> None:
    row = world.document("metadata", ["a", "list"])
    assert world.store.documents.find(row.hash) == row


def test_drafts_wait_and_are_bound_once(world: World) -> None:
    document = world.document("policy", {})
    content = manifest("a")
    world.store.contents.add(content, None, NOW)
    members = {
        "documents": (document.hash,),
        "content_root": content.content_root,
        "version_salt": word("v"),
        "notes": {"slug": "s"},
    }
    row = draft(world, "draft", **members)
    draft(world, "draft", **members)
    assert world.store.drafts.find(row.digest) == row
    assert world.store.drafts.bind(row.digest) == row
    assert world.store.drafts.bind(row.digest) is None
    found = world.store.documents.find(document.hash)
    assert found is not None
    assert found.bound
    opening = world.store.contents.find_opening(row.digest)
    assert opening is not None
    assert (opening.content_root, opening.version_salt) == (content.content_root, word("v"))


def test_a_draft_without_content_binds_too_and_old_ones_are_dropped(world: World) -> None:
    row, late = draft(world, "draft"), draft(world, "late", expires_at=NOW + 2 * DAY)
    assert world.store.drafts.drop_expired(NOW + DAY) == 1
    assert world.store.drafts.find(row.digest) is None
    assert world.store.drafts.bind(late.digest) == late


def test_contents_are_kept_by_their_root(world: World) -> None:
    content, contents = manifest("a", "b"), world.store.contents
    contents.add(content, b"chunks", NOW)
    contents.add(content, None, NOW)
    row = contents.find(content.content_root)
    assert row is not None
    assert (row.manifest, row.chunks, row.file_count, row.size_bytes) == (content.to_bytes(), b"chunks", 2, 6)
    assert contents.find(word("unknown")) is None
    with pytest.raises(NotFoundError):
        contents.bind(word("registration"), word("unknown"), word("salt"))


def test_files_arrive_one_by_one(world: World) -> None:
    content, contents, registration = manifest("a", "b"), world.store.contents, word("registration")
    contents.add(content, None, NOW)
    assert contents.files(registration) == ()
    for _ in range(2):
        contents.bind(registration, content.content_root, word("salt"))
    contents.bind(word("again"), content.content_root, word("salt"))
    assert set(contents.registrations_of(content.content_root)) == {registration, word("again")}
    assert [(row.path, row.uploaded_at) for row in contents.files(registration)] == [("a", None), ("b", None)]
    for moment in (NOW, NOW + DAY):
        contents.mark_uploaded(registration, "b", moment)
    assert [(row.path, row.uploaded_at) for row in contents.files(registration)] == [("a", None), ("b", NOW + DAY)]
    file = contents.find_file(registration, "b")
    assert file is not None
    assert (file.position, file.size_bytes, file.sha256, file.root) == (1, 3, word("b"), word("root b"))
    assert contents.find_file(registration, "c") is None
    assert contents.files(word("again"))[1].uploaded_at is None
    with pytest.raises(NotFoundError):
        contents.mark_uploaded(registration, "c", NOW)
    contents.mark_many_uploaded(word("again"), {"a", "b"}, NOW)
    contents.mark_many_uploaded(word("again"), {"a"}, NOW + DAY)
    assert [row.uploaded_at for row in contents.files(word("again"))] == [NOW + DAY, NOW]
    with pytest.raises(NotFoundError):
        contents.mark_many_uploaded(registration, {"a", "c"}, NOW)


def test_contents_that_nothing_opens_to_are_dropped(world: World) -> None:
    bound, drafted, loose = manifest("a"), manifest("b"), manifest("c")
    for content in (bound, drafted, loose):
        world.store.contents.add(content, None, NOW)
    world.store.contents.bind(word("registration"), bound.content_root, word("salt"))
    draft(world, "draft", content_root=drafted.content_root)
    assert world.store.contents.drop_unbound(NOW) == 0
    assert world.store.contents.drop_unbound(NOW + DAY) == 1
    assert world.store.contents.find(loose.content_root) is None


def test_bytes_are_matched_with_registered_files(world: World) -> None:
    content, contents = manifest("a", "b"), world.store.contents
    contents.add(content, None, NOW)
    world.profile("p")
    first, second = world.registration("p", "power", 1, at_s=1), world.registration("p", "power", 2, at_s=2)
    for new in (first, second):
        contents.bind(new.digest, content.content_root, word("salt"))
    assert contents.match(word("a")) == ()
    world.accept(first, second)
    world.chain.mine(world.registered(second))
    matches = contents.match(word("a"))
    assert [(match.version, match.in_force) for match in matches] == [(2, True), (1, False)]
    match = matches[0]
    assert (match.provider_handle, match.slug, match.path) == ("p", "power", "a")
    assert match.registered_at == second.received_at
    assert contents.match(word("z")) == ()


def test_names_are_claimed_once(world: World) -> None:
    names = world.store.names
    for _ in range(2):
        names.claim_handle(word("a"), "a")
    with pytest.raises(ConflictError) as caught:
        names.claim_handle(word("b"), "a")
    assert caught.value.code == "handle-taken"
    names.claim_handle(word("a"), "better")
    assert (names.find_participant("a"), names.find_participant("better")) == (None, word("a"))
    for _ in range(2):
        names.claim_slug(word("a"), "power", word("d"), word("s"))
    names.claim_slug(word("b"), "power", word("e"), word("s"))
    for provider, slug, dataset in (("a", "power", "f"), ("a", "other", "d")):
        with pytest.raises(ConflictError) as caught:
            names.claim_slug(word(provider), slug, word(dataset), word("s"))
        assert caught.value.code == "slug-taken"
    assert names.find_dataset(word("a"), "power") == (word("d"), word("s"))
    assert names.find_dataset(word("a"), "gas") is None
    assert names.name_of(word("d")) == (word("a"), "power", word("s"))
    assert names.name_of(word("f")) is None
