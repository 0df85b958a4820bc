"""`concord dataset pull` and `concord transfer`: data delivered sealed, receipted, opened; and what was not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from ledger.canonical import JsonValue
from ledger.client import Client, Flow, Identity, access, datasets, participants, transfers
from ledger.client.operations import whoami
from ledger.client.signed import signed
from ledger.client.transfers import Choice, Consumer
from ledger.errors import ConflictError, MalformedError, NotFoundError, RefusedError, UnavailableError
from ledger.evidence import build_bundle
from ledger.surface.signed_requests import parse_authority
from ledger.surface.terms import expand_purpose, hash_purpose
from ledger.surface.transfers import TransferView
from ledger.surface.views import VersionView
from ledger.types import Bytes32
from scripts.concord.arguments import KeyOption, parse_digest
from scripts.concord.context import Context, context_of
from scripts.concord.datasets import VersionName, bar
from scripts.concord.files import check_place, write_file
from scripts.concord.printing import count_of
from scripts.concord.statements import load_policy, pins_of, split_version

__all__ = ["PARTS", "app", "fetch_final", "pull"]

Result = TypeVar("Result")

app = typer.Typer(help="Deliveries: how far they are, and what was not delivered.", no_args_is_help=True)

FilesOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="These files alone: 'readings/*.csv', or a file or folder; repeatable."),
]
RangesOption = Annotated[
    list[str] | None,
    typer.Option("--range", metavar="PATH:FIRST-LAST", help="These bytes alone, into PATH.FIRST-LAST; repeatable."),
]
GrantOption = Annotated[
    Bytes32 | None,
    typer.Option(parser=parse_digest, metavar="GRANT", help="The grant's digest; without: any that permits."),
]
EvidenceOption = Annotated[Path | None, typer.Option(help="Write evidence of what was received here.", dir_okay=False)]
PARTS: Final = ("sealing", "receipt", "release")
"""What a transfer's evidence is made of."""
_TRIES: Final = 120


@dataclass(frozen=True)
class Gateway:
    """The gateway that works for a provider, and how it is asked."""

    context: Context
    url: str
    participant: Bytes32
    identity: Identity | None
    is_own: bool

    @classmethod
    def find(cls, context: Context, provider: Bytes32, identity: Identity | None) -> Gateway:
        """By the provider's profile; without an endpoint there, one's own gateway.

        Raises:
            NotFoundError: its profile is not known at one's own gateway.
            RefusedError: it is another gateway, which takes requests that one's own key signed.
        """
        me = context.run(whoami()).get("participant")
        if not isinstance(me, str):
            raise MalformedError("your API key is bound to no participant: data are delivered to one")
        profile = context.run(participants.show(str(provider)))
        if profile.name is None:  # every profile has one
            raise NotFoundError(
                f"your gateway does not know the profile of {provider}, and so not where it serves: have it from a "
                "gateway that does (`concord participant profile -o FILE`), then `concord participant learn FILE`"
            )
        endpoint = profile.endpoint
        is_own = endpoint is None or parse_authority(endpoint) == parse_authority(context.url)
        if not is_own and identity is None:
            raise RefusedError(
                f"the provider's gateway is {endpoint}, and takes requests signed with your own key: give --key FILE. "
                "Where your gateway holds your key, it fetches for you: concord delivery start",
                code="no-key",
            )
        return cls(context, context.url if endpoint is None else endpoint, Bytes32.parse(me), identity, is_own)

    def run(self, flow: Flow[Result]) -> Result:
        """Drive a flow there: with the API key at one's own, else each request signed. Raises: LedgerError."""
        if self.is_own or self.identity is None:
            return self.context.run(flow)
        with Client(self.url) as client:
            return client.run(signed(flow, self.url, self.participant, self.identity.signer))


def pull(
    context: typer.Context,
    name: VersionName,
    to: Annotated[Path, typer.Option("--to", help="Where to put the files.", file_okay=False)],
    file: FilesOption = None,
    byte_range: RangesOption = None,
    grant: GrantOption = None,
    purpose: Annotated[str | None, typer.Option(help="Under a grant for this purpose.")] = None,
    evidence: EvidenceOption = None,
    policy: Annotated[Path | None, typer.Option(help="The policy that the evidence is for.", dir_okay=False)] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite files of another content.")] = False,
    key: KeyOption = None,
) -> None:
    """Have a version delivered: sealed data, your receipt, then the key.

    Every byte is checked; nothing is written in the clear before all is right. Run it again, in the same words, to go
    on with what an interrupted one received. With --file or --range only that is fetched; the receipt is of the whole
    version all the same, because the key opens all of it.
    """
    given = context_of(context)
    check_place(evidence)
    choice = Choice.of(file or (), byte_range or ())
    pinned = None if policy is None else load_policy(policy)
    dataset, number = split_version(given, name.removesuffix("@latest"))
    version = given.run(datasets.version(dataset, number))
    provider = given.run(datasets.show(dataset)).provider
    identity = given.identity(key)
    gateway = Gateway.find(given, provider, identity)
    chosen = grant or (None if purpose is None else _find_grant(given, dataset, number, purpose))
    keys = transfers.signing_keys(given.run(participants.keys(str(provider))))
    consumer = Consumer(gateway.participant, provider, identity, keys)
    with bar(given, "receiving", None) as progress:
        flow = transfers.pull(
            version, to, consumer, choice=choice, grant=chosen, replace=replace, progress=progress, told=given.note
        )
        done = _receive(gateway, flow, to)
    _show_pulled(given, version, f"{dataset}@{number}", to, done)
    if evidence is not None and done.transfer is None:
        given.note("nothing was received now, so there is no evidence of it")
    elif evidence is not None and done.transfer is not None:
        write_file(evidence, _fetch_bundle(gateway, done.transfer, pins_of(pinned)))
        given.note(f"evidence of what was sealed, receipted and released is in {evidence}")


def _receive(gateway: Gateway, flow: Flow[transfers.Pulled], to: Path) -> transfers.Pulled:
    try:
        return gateway.run(flow)
    except OSError as error:
        raise UnavailableError(
            f"what is received can not be written to {to}: {error.strerror or error}. Make room there, then run this "
            "again in the same words: it goes on with what is there"
        ) from error


def _find_grant(context: Context, dataset: str, number: int, purpose: str) -> Bytes32:
    wanted = hash_purpose(expand_purpose(purpose))
    for each in context.run(access.grants(role="consumer", status="active", dataset=dataset)):
        terms = each.terms
        covers = terms.first_version <= number and (terms.last_version == 0 or number <= terms.last_version)
        if terms.purpose_hash == wanted and covers:
            return each.digest
    raise NotFoundError(f"no grant in force is for the purpose {purpose}: `concord request {dataset}` asks for one")


def _show_pulled(context: Context, version: VersionView, name: str, to: Path, done: transfers.Pulled) -> None:
    whole = [part for part in done.parts if part.span is None]
    size = sum(part.size_bytes for part in done.parts)
    answer: dict[str, JsonValue] = {
        "folder": str(to),
        "files": len(whole),
        "ranges": len(done.parts) - len(whole),
        "size_bytes": size,
        "version": version.version,
        "transfer": None if done.transfer is None else str(done.transfer.id),
    }
    how = "there already" if done.transfer is None else f"delivered by transfer {done.transfer.id}"
    what = _name_parts(len(whole), len(done.parts) - len(whole), len(done.manifest.files))
    context.show(answer, f"{name}: {what}, {count_of(size, 'byte')}, all as registered, in {to}, {how}")


def _name_parts(files: int, ranges: int, total: int) -> str:
    """As ``3 files``, ``1 of 3 files``, ``1 of 3 files and 2 ranges``, ``2 ranges``."""
    named = [count_of(files, "file") if files == total else f"{files} of {count_of(total, 'file')}"] if files else []
    return " and ".join(named + ([count_of(ranges, "range")] if ranges else []))


def _fetch_bundle(gateway: Gateway, transfer: TransferView, pins: list[tuple[int, int | None]]) -> bytes:
    return build_bundle(_fetch_part(gateway, transfer.id, part, pins) for part in PARTS)


def _fetch_part(gateway: Gateway, transfer: Bytes32, part: str, pins: list[tuple[int, int | None]]) -> bytes:
    return fetch_final(lambda: gateway.run(transfers.evidence(transfer, part, tuple(pins))))


def fetch_final(fetch: Callable[[], bytes]) -> bytes:
    """Evidence, once it is final. Raises: ConflictError: it is not after a while; others as ``fetch``."""
    for is_last in [*[False] * _TRIES, True]:
        try:
            return fetch()
        except ConflictError as error:
            if error.code != "not-final" or is_last:
                raise
            time.sleep(error.retry_after_s or 1.0)
    raise RuntimeError("the last try returns or raises")


@app.command()
def show(
    context: typer.Context,
    transfer: Annotated[Bytes32, typer.Argument(parser=parse_digest, metavar="TRANSFER", help="Its id.")],
) -> None:
    """Show a delivery at your gateway, of which you are consumer or provider."""
    given = context_of(context)
    given.show(given.run(transfers.show(transfer)))
