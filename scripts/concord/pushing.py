"""`concord dataset push` and `concord transfer release`: sealed on this machine, under keys that stay on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from ledger.canonical import JsonValue
from ledger.client import releasing, sealing
from ledger.client.sealing_keys import SealingKeyFiles
from ledger.errors import ConflictError, NotFoundError, RefusedError, VerificationError
from ledger.surface.transfers import TransferView
from scripts.concord.arguments import KeyOption
from scripts.concord.context import Context, context_of, read_passphrase
from scripts.concord.datasets import (
    DatasetName,
    IfChangedOption,
    MetadataOption,
    ParentOption,
    Source,
    bar,
    describe_version,
    split_name,
)
from scripts.concord.hashing import FreshOption, hash_source
from scripts.concord.printing import count_of
from scripts.concord.writing import Until, WaitOption, wait_for

__all__ = ["push", "release"]

KeysOption = Annotated[
    Path | None,
    typer.Option(
        "--sealing-keys",
        envvar="CONCORD_SEALING_KEYS",
        metavar="FOLDER",
        help="Where this machine keeps the keys of its sealings, encrypted; without: your data folder.",
        file_okay=False,
    ),
]


def push(
    context: typer.Context,
    folder: Source,
    name: DatasetName,
    metadata: MetadataOption = None,
    title: Annotated[str | None, typer.Option(help="Without: as before, or the slug.")] = None,
    parent: ParentOption = None,
    if_changed: IfChangedOption = False,
    sealing_keys: KeysOption = None,
    fresh: FreshOption = False,
    key: KeyOption = None,
    wait: WaitOption = Until.ACCEPTED,
) -> None:
    """Register a folder as the next version, and bring its bytes sealed: the gateway gets no plaintext and no key.

    What it gets besides are the manifest's names, sizes and hashes of files. The key stays in --sealing-keys; back
    that folder up. `concord transfer release` answers the receipts of consumers with it.
    """
    given = context_of(context)
    provider, slug = split_name(name)
    identity, keys = given.identity(key), _open_keys(sealing_keys)
    described = describe_version(given, name, slug, metadata, {"title": title})
    scanned = hash_source(given, str(folder), fresh=fresh)
    with bar(given, "sealing", None) as progress:
        more = sealing.push(
            folder,
            scanned,
            provider,
            slug,
            described,
            keys,
            identity,
            parents=parent or [],
            if_changed=if_changed,
            progress=progress,
        )
        done = given.run(more)
    _show_pushed(given, name, done, wait)


def release(
    context: typer.Context,
    sealing_keys: KeysOption = None,
    key: KeyOption = None,
) -> None:
    """Answer the receipts that wait for a key which this machine keeps: it is wrapped to each receipt's public key.

    Run it as often as consumers are to wait at most. Exit 1: a receipt was found false, and was not answered.
    """
    given = context_of(context)
    identity, keys = given.identity(key), _open_keys(sealing_keys)
    released: list[TransferView] = []
    is_false = False
    for view in given.run(releasing.waiting()):
        try:
            released.append(given.run(releasing.release(view, keys, identity)))
        except (ConflictError, NotFoundError, RefusedError, VerificationError) as error:
            given.note(f"transfer {view.id} of {view.consumer} is not answered: {error}")
            is_false = is_false or isinstance(error, VerificationError)
    answer: dict[str, JsonValue] = {"released": [str(view.id) for view in released]}
    lines = [f"released to {view.consumer}: transfer {view.id}" for view in released]
    given.show(answer, "\n".join(lines) or "nothing was released")
    if is_false:
        raise typer.Exit(1)


def _open_keys(folder: Path | None) -> SealingKeyFiles:
    place = folder or Path(platformdirs.user_data_dir("concord")) / "sealing-keys"
    return SealingKeyFiles(place, read_passphrase("the keys of your sealings"))


def _show_pushed(given: Context, name: str, done: sealing.Pushed, wait: Until) -> None:
    registered, view = done.registration, done.sealing
    statement = view.statement or registered.digest
    if wait is not Until.ACCEPTED and done.was_sealed:
        wait_for(given, statement)
    answer: dict[str, JsonValue] = {
        "version": registered.version,
        "registration": str(registered.digest),
        "registered": registered.outcome is not None,
        "sealing": str(view.id),
        "statement": str(statement),
        "sealed": done.was_sealed,
        "size_bytes": view.ciphertext_size,
    }
    how = "sealed" if done.was_sealed else "unchanged: sealed before"
    size = count_of(view.ciphertext_size, "byte")
    given.show(answer, f"{name}@{registered.version}, {how}: {size} under the key {view.id}, which stays here")
