"""`concord request`, `grant`, `revoke`: who may have a dataset."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.client import access as flows
from scripts.concord.context import context_of, parse_time
from scripts.concord.writing import KeyOption, Until, WaitOption, conclude, digest_of

app = typer.Typer(help="Grants: given, received, revoked.", no_args_is_help=True)

DatasetName = Annotated[str, typer.Argument(help="provider/slug, or the dataset's id.")]
Purpose = Annotated[str, typer.Option(help="An IRI, or a word of the DPV vocabulary: ResearchAndDevelopment.")]
RightsOption = Annotated[list[str] | None, typer.Option("--right", help="read, derive, distribute, ...; repeatable.")]
UntilTime = Annotated[str, typer.Option("--until", help="2026-12-31, RFC 3339, or from now: 90d.")]
FromTime = Annotated[str | None, typer.Option("--from", help="Likewise; without: now.")]
FirstVersion = Annotated[int, typer.Option(min=1, help="First version covered.")]
LastVersion = Annotated[int, typer.Option(min=0, help="Last version covered; 0: later ones too.")]
Role = Annotated[str | None, typer.Option(help="provider or consumer; without: both.")]


def request(
    context: typer.Context,
    dataset: DatasetName,
    purpose: Purpose,
    until: UntilTime,
    right: RightsOption = None,
    from_time: FromTime = None,
    first_version: FirstVersion = 1,
    last_version: LastVersion = 0,
    key: KeyOption = None,
    wait: WaitOption = Until.ACCEPTED,
) -> None:
    """Ask a provider for access."""
    given = context_of(context)
    flow = flows.request(
        dataset,
        given.identity(key),
        purpose=purpose,
        rights=right or ["read"],
        valid_until=parse_time(until),
        valid_from=None if from_time is None else parse_time(from_time),
        first_version=first_version,
        last_version=last_version,
    )
    conclude(given, given.run(flow), wait, f"asked for {dataset}")


def requests(
    context: typer.Context,
    role: Role = None,
    status: Annotated[str | None, typer.Option("--state", help="open, granted, denied or expired")] = None,
    dataset: Annotated[str | None, typer.Option(help="provider/slug, or id")] = None,
) -> None:
    """List requests; a provider's inbox: --role provider --state open."""
    given = context_of(context)
    columns = {
        "consumer_handle": "CONSUMER", "dataset_name": "DATASET", "state": "STATE", "stated_at": "ASKED",
        "digest": "REQUEST",
    }  # fmt: skip
    given.show_list(given.run(flows.requests(role=role, status=status, dataset=dataset)), columns)


@app.command("request")
def grant_request(
    context: typer.Context,
    request_digest: Annotated[str, typer.Argument(metavar="REQUEST", help="The request's digest.")],
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Grant what a request asks for, on its terms."""
    given = context_of(context)
    outcome = given.run(flows.grant_request(digest_of(request_digest), given.identity(key)))
    conclude(given, outcome, wait, "granted")


@app.command("deny")
def deny_request(
    context: typer.Context,
    request_digest: Annotated[str, typer.Argument(metavar="REQUEST", help="The request's digest.")],
    reason: Annotated[str, typer.Option(help="Why; readable by the consumer and auditors.")],
    key: KeyOption = None,
    wait: WaitOption = Until.ACCEPTED,
) -> None:
    """Deny a request."""
    given = context_of(context)
    outcome = given.run(flows.deny(digest_of(request_digest), reason, given.identity(key)))
    conclude(given, outcome, wait, "denied")


@app.command("give")
def give(
    context: typer.Context,
    dataset: DatasetName,
    consumer: Annotated[str, typer.Argument(help="The consumer's handle or id.")],
    purpose: Purpose,
    until: UntilTime,
    right: RightsOption = None,
    from_time: FromTime = None,
    first_version: FirstVersion = 1,
    last_version: LastVersion = 0,
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Grant access without a request."""
    given = context_of(context)
    flow = flows.grant(
        dataset,
        consumer,
        given.identity(key),
        purpose=purpose,
        rights=right or ["read"],
        valid_until=parse_time(until),
        valid_from=None if from_time is None else parse_time(from_time),
        first_version=first_version,
        last_version=last_version,
    )
    conclude(given, given.run(flow), wait, f"granted {dataset} to {consumer}")


@app.command("list")
def list_grants(
    context: typer.Context,
    role: Role = None,
    status: Annotated[str | None, typer.Option("--state", help="pending, active, revoked or expired")] = None,
    dataset: Annotated[str | None, typer.Option(help="provider/slug, or id")] = None,
) -> None:
    """List grants given and received."""
    given = context_of(context)
    columns = {
        "provider_handle": "PROVIDER", "consumer_handle": "CONSUMER", "dataset_name": "DATASET", "state": "STATE",
        "digest": "GRANT",
    }  # fmt: skip
    given.show_list(given.run(flows.grants(role=role, status=status, dataset=dataset)), columns)


@app.command("show")
def show_grant(context: typer.Context, grant: Annotated[str, typer.Argument(help="The grant's digest.")]) -> None:
    """Show one grant."""
    given = context_of(context)
    given.show(given.run(flows.show_grant(digest_of(grant))))


def revoke(
    context: typer.Context,
    grant: Annotated[str, typer.Argument(help="The grant's digest.")],
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Revoke a grant; the next download is refused."""
    given = context_of(context)
    conclude(given, given.run(flows.revoke(digest_of(grant), given.identity(key))), wait, "revoked")
