"""`concord dataset`: register a folder, find, download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ledger.canonical import JsonValue
from ledger.client import Identity, lifting
from ledger.client import datasets as flows
from ledger.client.flow import ByteProgress
from ledger.errors import MalformedError, NotFoundError
from ledger.surface.views import VersionView
from ledger.types import Bytes32
from scripts.concord.arguments import KeyOption, parse_digest
from scripts.concord.context import Context, context_of
from scripts.concord.files import check_place, read_object, write_file
from scripts.concord.hashing import FreshOption, hash_source
from scripts.concord.printing import count_of, text_of
from scripts.concord.statements import fetch_evidence, load_policy, split_version
from scripts.concord.writing import Until, WaitOption, conclude

app = typer.Typer(help="Datasets: registered, versioned, found, delivered.", no_args_is_help=True)

DatasetName = Annotated[str, typer.Argument(metavar="PROVIDER/SLUG", help="Its name or id.")]
VersionName = Annotated[
    str, typer.Argument(metavar="PROVIDER/SLUG[@N]", help="Its name or id, with @N a version; without: the latest.")
]
Source = Annotated[Path, typer.Argument(help="A folder, one file, or a quoted pattern: 'data/**/*.csv'.")]
MetadataOption = Annotated[
    Path | None, typer.Option(help="JSON file: title, description, licence, ...", dir_okay=False)
]
ParentOption = Annotated[
    list[str] | None, typer.Option(metavar="PROVIDER/SLUG@N", help="A version it is derived from; repeatable.")
]
IfChangedOption = Annotated[
    bool, typer.Option("--if-changed", help="Do nothing when content and metadata are as before.")
]
_DEFAULTS: Final[dict[str, JsonValue]] = {
    "description": "", "licence": "LicenseRef-unspecified", "contact": "", "keywords": [],
}  # fmt: skip


@contextmanager
def bar(context: Context, what: str, total: int | None) -> Iterator[ByteProgress | None]:
    """A progress bar where a person watches."""
    if not context.has_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda size: progress.advance(task, size)


@app.command()
def manifest(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(help="A folder, a file, a quoted pattern ('data/**/*.csv'), or s3://, gs://, az://, https://."),
    ],
    to: Annotated[Path | None, typer.Option(help="Write the manifest here.", dir_okay=False)] = None,
    chunks: Annotated[Path | None, typer.Option(help="Write the chunk hashes here.", dir_okay=False)] = None,
    fresh: FreshOption = False,
) -> None:
    """Hash files as a registration would, and show what it would commit to; nothing is sent.

    What an earlier run has hashed is not read again: an interrupted run goes on where it was. Credentials of an object
    store stand in the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...).
    """
    given = context_of(context)
    for place in (to, chunks):
        check_place(place)
    content = hash_source(given, source, fresh=fresh)
    for place, data in ((to, content.manifest), (chunks, content.chunks)):
        if place is not None:
            write_file(place, data.to_bytes())
    found = content.manifest
    given.show(
        {"content_root": str(found.content_root), "files": len(found.files), "size_bytes": found.size_bytes},
        f"content root {found.content_root}: {count_of(len(found.files), 'file')}, "
        f"{count_of(found.size_bytes, 'byte')}",
    )


@app.command()
def register(
    context: typer.Context,
    folder: Source,
    name: DatasetName,
    metadata: MetadataOption = None,
    title: Annotated[str | None, typer.Option(help="Without: as before, or the slug.")] = None,
    description: Annotated[str | None, typer.Option(help="What it holds; without: as before.")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX identifier or URL; without: as before.")] = None,
    contact: Annotated[str | None, typer.Option(help="Whom to ask; without: as before.")] = None,
    keyword: Annotated[list[str] | None, typer.Option(metavar="WORD", help="Repeatable; without: as before.")] = None,
    parent: ParentOption = None,
    if_changed: IfChangedOption = False,
    expect: Annotated[int | None, typer.Option(min=1, help="Refuse unless this is the next version.")] = None,
    evidence: Annotated[Path | None, typer.Option(help="Write the version's evidence here.", dir_okay=False)] = None,
    policy: Annotated[Path | None, typer.Option(help="The policy that the evidence is for.", dir_okay=False)] = None,
    fresh: FreshOption = False,
    key: KeyOption = None,
    wait: WaitOption = Until.ACCEPTED,
) -> None:
    """Register a folder as the next version of a dataset, and upload its bytes."""
    given = context_of(context)
    check_place(evidence)
    pinned = None if policy is None else load_policy(policy)
    chosen: dict[str, JsonValue] = {"title": title, "description": description, "licence": licence, "contact": contact}
    chosen["keywords"] = list(keyword) if keyword else None
    wishes = _Wishes(parent or [], if_changed, expect, fresh, given.identity(key))
    done = _register(given, folder, name, metadata, chosen, wishes)
    _show_registered(given, name, done, wait)
    if evidence is not None:
        write_file(evidence, fetch_evidence(given, done.digest, pinned))


@dataclass(frozen=True)
class _Wishes:
    """How a version is to be registered."""

    parents: Sequence[str]
    if_changed: bool
    expected_version: int | None
    fresh: bool
    identity: Identity | None


def _register(
    given: Context,
    folder: Path,
    name: str,
    metadata: Path | None,
    chosen: dict[str, JsonValue],
    wishes: _Wishes,
) -> flows.Registration:
    """Hash, register and upload."""
    provider, slug = split_name(name)
    described = describe_version(given, name, slug, metadata, chosen)
    scanned = hash_source(given, str(folder), fresh=wishes.fresh)
    with bar(given, "uploading", scanned.manifest.size_bytes) as progress:
        flow = flows.register(
            folder,
            scanned,
            provider,
            slug,
            described,
            wishes.identity,
            parents=wishes.parents,
            if_changed=wishes.if_changed,
            expected_version=wishes.expected_version,
            progress=progress,
        )
        return given.run(flow)


def split_name(name: str) -> tuple[str, str]:
    """Provider and slug. Raises: MalformedError."""
    provider, slash, slug = name.partition("/")
    if not slash or not provider or not slug or "@" in slug:
        raise MalformedError(f"name the dataset as provider/slug, for instance utility/power, not {name!r}")
    return provider, slug


def describe_version(
    given: Context, name: str, slug: str, metadata: Path | None, chosen: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """The metadata of the next version: as before, but for what a file says and for what was chosen besides."""
    wanted = {} if metadata is None else read_object(metadata)
    wanted |= {word: value for word, value in chosen.items() if value is not None}
    return {**_DEFAULTS, "title": slug, **_earlier(given, name), **wanted}


def _show_registered(given: Context, name: str, done: flows.Registration, wait: Until) -> None:
    if done.outcome is not None:
        conclude(given, done.outcome, wait, f"registered {name}@{done.version}")
    else:
        answer = {"state": "unchanged", "version": done.version, "digest": str(done.digest)}
        given.show(answer, f"unchanged: version {done.version}")


def _earlier(context: Context, name: str) -> dict[str, JsonValue]:
    """Metadata of the version before; of none: nothing."""
    try:
        dataset = context.run(flows.show(name))
        latest = context.run(flows.version(name, dataset.latest_version))
    except NotFoundError:
        return {}
    if not isinstance(latest.metadata, dict):
        return {}
    return {word: value for word, value in latest.metadata.items() if word not in ("provider", "slug")}


@app.command("list")
def list_datasets(
    context: typer.Context,
    role: Annotated[str | None, typer.Option(help="provider or consumer; without: all that you may see")] = None,
    provider: Annotated[str | None, typer.Option(help="Of this provider alone: handle or id.")] = None,
    status: Annotated[str | None, typer.Option("--state", help="active or retired")] = None,
    text: Annotated[str | None, typer.Option(help="in slug, title, description, keywords")] = None,
) -> None:
    """Search the datasets, also those that other members' gateways offer.

    Of those FROM says where they come from, and how old what is known of them is.
    """
    given = context_of(context)
    found = given.run(flows.list_all(role=role, provider=provider, status=status, text=text))
    columns = {
        "provider_handle": "PROVIDER", "slug": "SLUG", "latest_version": "VERSION", "title": "TITLE",
        "state": "STATE", "updated_at": "UPDATED",
    }  # fmt: skip
    given.show_list(found, columns | ({"origin": "FROM"} if any(each.origin for each in found) else {}))


@app.command()
def show(context: typer.Context, name: VersionName) -> None:
    """Show a dataset, or with @N one version."""
    given = context_of(context)
    if "@" in name:
        given.show(given.run(flows.version(*split_version(given, name))))
    else:
        given.show(given.run(flows.show(name)))


@app.command()
def versions(context: typer.Context, name: DatasetName) -> None:
    """List its versions."""
    given = context_of(context)
    columns = {
        "version": "VERSION", "file_count": "FILES", "size_bytes": "BYTES", "in_force": "IN FORCE",
        "registered_at": "REGISTERED", "registration": "REGISTRATION", "erased": "ERASED BY",
    }  # fmt: skip
    given.show_list(given.run(flows.versions(name)), columns)


@app.command()
def lineage(context: typer.Context, name: VersionName) -> None:
    """Show what it is derived from."""
    given = context_of(context)
    tree = given.run(flows.lineage(*split_version(given, name)))
    lines: list[str] = []
    level = [(tree, 0)]
    while level:
        view, depth = level.pop()
        erased = "" if view.erased is None else f"  erased by {view.erased}"
        lines.append(f"{'  ' * depth}{view.name or view.dataset}@{view.version}  {view.registration}{erased}")
        level.extend((parent, depth + 1) for parent in reversed(view.parents))
    given.show(tree, "\n".join(lines))


@app.command()
def descendants(context: typer.Context, name: VersionName) -> None:
    """List what is derived from it, of all generations, each version once."""
    given = context_of(context)
    columns = {
        "name": "NAME", "version": "VERSION", "in_force": "IN FORCE", "registered_at": "REGISTERED",
        "registration": "REGISTRATION", "erased": "ERASED BY",
    }  # fmt: skip
    given.show_list(given.run(flows.descendants(*split_version(given, name))), columns)


@app.command()
def erase(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PROVIDER/SLUG@N", help="The version, by its number.")],
    reason: Annotated[str, typer.Option(help="Why; its salted hash stands in the statement.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: there is no way back.")] = False,
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Erase one version of yours for good: its data, keys, salt and manifest go, and a signed tombstone stays.

    What was derived from it keeps its lineage. Nothing that others received is taken back, and backups that were taken
    before still hold the data.
    """
    given = context_of(context)
    if "@" not in name or name.endswith("@latest"):
        raise MalformedError("name one version, by its number, as in utility/power@3: erasing has no way back")
    dataset, number = split_version(given, name)
    found = given.run(flows.version(dataset, number))
    if found.erased is not None:
        given.show(found, f"erased already, by {found.erased}")
        return
    _confirm_erasure(given, name, found, len(given.run(flows.descendants(dataset, number))), is_sure=yes)
    conclude(given, given.run(flows.erase(dataset, number, reason, given.identity(key))), wait, f"erased {name}")


def _confirm_erasure(given: Context, name: str, found: VersionView, derived: int, *, is_sure: bool) -> None:
    """Ask whoever sits there. Raises: MalformedError: nobody does, or the answer is no."""
    if is_sure:
        return
    if not given.has_terminal:
        raise MalformedError("nobody can be asked whether to erase it: give --yes")
    what = f"{name}: {count_of(found.file_count, 'file')}, {count_of(found.size_bytes, 'byte')}"
    given.note(f"{what}; {count_of(derived, 'version')} derived from it, whose lineage stays")
    if not typer.confirm("Erase it for good?", err=True):
        raise MalformedError("nothing was erased")


@app.command()
def get(
    context: typer.Context,
    name: VersionName,
    folder: Annotated[Path, typer.Argument(help="Where to put the files.", file_okay=False)],
    grant: Annotated[
        Bytes32 | None,
        typer.Option(parser=parse_digest, metavar="GRANT", help="The grant's digest; without: any that permits."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite files of another content.")] = False,
) -> None:
    """Download a version and check every byte; what is there already and as registered stays."""
    given = context_of(context)
    dataset, number = split_version(given, name)
    size = given.run(flows.version(dataset, number)).size_bytes
    with bar(given, "downloading", size) as progress:
        flow = flows.download(dataset, number, folder, grant=grant, replace=replace, progress=progress)
        manifest = given.run(flow)
    given.show(
        {"folder": str(folder), "files": len(manifest.files), "size_bytes": manifest.size_bytes, "version": number},
        f"{dataset}@{number}: {count_of(len(manifest.files), 'file')}, {count_of(manifest.size_bytes, 'byte')}, "
        f"all as registered, in {folder}",
    )


@app.command()
def lift(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="PROVIDER/SLUG[@N]|DIGEST", help="The version, or its registration's digest.")
    ],
    key: KeyOption = None,
) -> None:
    """Bring a version that was registered in bulk into force on chain.

    The log's entry and its signature are shown to the contract. Where the key that signed is not active any more, name
    the registration by its digest: then --key, a key that is active, signs that digest anew.
    """
    given = context_of(context)
    with given.working("waiting until it is in force"):
        if name.startswith("0x") and "@" not in name:
            found = given.run(lifting.lift_registration(parse_digest(name), given.identity(key)))
        else:
            found = given.run(lifting.lift(*split_version(given, name)))
    given.show(found, f"in force: {found.registration}, version {found.version} (block {found.block})")


@app.command()
def retire(context: typer.Context, name: DatasetName, key: KeyOption = None, wait: WaitOption = Until.FINAL) -> None:
    """No further versions; its grants end."""
    given = context_of(context)
    found = given.run(flows.show(name))
    if found.state == "retired":
        given.show({"dataset": str(found.id), "state": "retired"}, f"retired already: {text_of(found.retired_at)}")
        return
    conclude(given, given.run(flows.retire(name, given.identity(key))), wait, f"retired {name}")
