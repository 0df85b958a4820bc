"""`concord delivery`: data that one's gateway fetches from another one, with the custodial key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ledger.client import deliveries as flows
from ledger.evidence import build_bundle
from ledger.keyfiles import replace_private_file
from ledger.surface.deliveries import DeliveryState, DeliveryView
from ledger.types import Bytes32
from scripts.concord.arguments import parse_digest
from scripts.concord.context import Context, context_of
from scripts.concord.datasets import VersionName, bar
from scripts.concord.files import check_place, write_file
from scripts.concord.printing import count_of
from scripts.concord.pulling import PARTS, fetch_final
from scripts.concord.statements import load_policy, pins_of

__all__ = ["app"]

app = typer.Typer(help="Data that your gateway fetches from another one, in your name.", no_args_is_help=True)

DeliveryId = Annotated[Bytes32, typer.Argument(parser=parse_digest, metavar="DELIVERY", help="Its id.")]


@app.command()
def start(
    context: typer.Context,
    name: VersionName,
    source: Annotated[
        str | None, typer.Option("--from", metavar="URL", help="The provider's gateway; without: its profile says.")
    ] = None,
    grant: Annotated[
        Bytes32 | None,
        typer.Option(parser=parse_digest, metavar="GRANT", help="The grant's digest; without: any that permits."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Return when it is delivered, or failed.")] = True,
    to: Annotated[Path | None, typer.Option("--to", help="Then put the files here, too.", file_okay=False)] = None,
) -> None:
    """Have your gateway fetch a version from its provider's, with the key that it holds for you.

    It goes on when you stop waiting, and after a restart. Started again, the same delivery is found; one that failed
    goes on with what was received. A dataset of another gateway is named by its id.
    """
    given = context_of(context)
    dataset, at, number = name.removesuffix("@latest").partition("@")
    view = given.run(flows.start(dataset, _number(number) if at else None, source=source, grant=grant))
    if wait or to is not None:
        view = _follow(given, view)
    if to is not None:
        _fetch(given, view.id, to, replace=False)
        return
    given.show(view, _sentence(view))


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is no version: they are numbers from 1, as in utility/power@2")
    return int(text)


def _follow(given: Context, view: DeliveryView) -> DeliveryView:
    """Wait for its end, and show how far it is. Raises: RefusedError: it failed."""
    if not given.has_terminal:
        return given.run(flows.wait(view.id))
    with _progress(given) as tell:
        return given.run(flows.wait(view.id, tell))


@contextmanager
def _progress(given: Context) -> Iterator[Callable[[DeliveryView], None]]:
    """A bar of the sealed bytes; why it waits stands above."""
    told: list[str] = []
    shown = 0
    with bar(given, "receiving", None) as advance:

        def tell(view: DeliveryView) -> None:
            nonlocal shown
            if advance is not None:
                advance(view.received_bytes - shown)
            shown = view.received_bytes
            if view.state is DeliveryState.WAITING and view.error is not None and view.error.detail not in told[-1:]:
                told.append(view.error.detail)
                given.note(f"waiting: {view.error.detail}")

        yield tell


def _sentence(view: DeliveryView) -> str:
    what = f"{view.name or view.dataset}@{view.version}"
    if view.state is DeliveryState.DELIVERED:
        held = f"{count_of(view.files or 0, 'file')}, {count_of(view.size_bytes or 0, 'byte')}"
        return f"{what}: {held}, all as registered, at your gateway: concord delivery files {view.id} --to FOLDER"
    return f"{what}: {view.state.value}: concord delivery show {view.id}"


@app.command()
def show(context: typer.Context, delivery: DeliveryId) -> None:
    """Show how far a delivery is, and why it does not go on."""
    given = context_of(context)
    given.show(given.run(flows.show(delivery)))


@app.command("list")
def list_deliveries(context: typer.Context) -> None:
    """List your deliveries."""
    given = context_of(context)
    columns = {
        "id": "DELIVERY", "state": "STATE", "dataset": "DATASET", "version": "VERSION", "received_bytes": "RECEIVED",
        "total_bytes": "OF", "created_at": "STARTED",
    }  # fmt: skip
    given.show_list(given.run(flows.list_all()), columns)


@app.command()
def files(
    context: typer.Context,
    delivery: DeliveryId,
    to: Annotated[Path | None, typer.Option("--to", help="Put them here.", file_okay=False)] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite files of another content.")] = False,
) -> None:
    """List the delivered files, or with --to take them from your gateway."""
    given = context_of(context)
    if to is not None:
        _fetch(given, delivery, to, replace=replace)
        return
    given.show_list(given.run(flows.files(delivery)), {"path": "PATH", "size_bytes": "BYTES", "sha256": "SHA-256"})


def _fetch(given: Context, delivery: Bytes32, to: Path, *, replace: bool) -> None:
    total = given.run(flows.show(delivery)).size_bytes
    with bar(given, "downloading", total) as progress:
        listed = given.run(flows.download(delivery, to, replace=replace, progress=progress))
    size = sum(each.size_bytes for each in listed)
    given.show(
        {"delivery": str(delivery), "folder": str(to), "files": len(listed), "size_bytes": size},
        f"{count_of(len(listed), 'file')}, {count_of(size, 'byte')}, all as registered, in {to}",
    )


@app.command()
def statements(
    context: typer.Context,
    delivery: DeliveryId,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where they go.", dir_okay=False)],
) -> None:
    """Keep what was stated about a delivery: sealing, your receipt, the key's release, each signed."""
    given = context_of(context)
    check_place(output)
    write_file(output, given.run(flows.statements(delivery)))
    given.show({"file": str(output)}, f"sealing, receipt and release are in {output}")


@app.command()
def evidence(
    context: typer.Context,
    delivery: DeliveryId,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where it goes.", dir_okay=False)],
    policy: Annotated[Path | None, typer.Option(help="The policy that the evidence is for.", dir_okay=False)] = None,
) -> None:
    """Fetch evidence of what was sealed, receipted and released, from the provider's gateway."""
    given = context_of(context)
    check_place(output)
    pins = tuple(pins_of(None if policy is None else load_policy(policy)))

    def fetch(part: str) -> bytes:
        return fetch_final(lambda: given.run(flows.evidence(delivery, part, pins)))

    write_file(output, build_bundle(fetch(part) for part in PARTS))
    given.show({"file": str(output)}, f"evidence of what was sealed, receipted and released is in {output}")


@app.command()
def state(
    context: typer.Context,
    delivery: DeliveryId,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where it goes.", dir_okay=False)],
) -> None:
    """Keep what shows that a provider withheld the key; `concord transfer breach` makes the evidence.

    It holds the private key of this one transfer.
    """

    given = context_of(context)
    check_place(output)
    replace_private_file(output, given.run(flows.private_state(delivery)))
    given.show({"file": str(output)}, f"the state of the transfer is in {output}: concord transfer breach {output}")


@app.command()
def cancel(context: typer.Context, delivery: DeliveryId) -> None:
    """End a delivery, and remove what was received of it from your gateway; its files, too."""
    given = context_of(context)
    given.run(flows.cancel(delivery))
    given.show({"delivery": str(delivery), "state": "cancelled"}, f"removed: {delivery}")
