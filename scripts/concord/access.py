"""`concord request`, `requests`, `grant`, `revoke`: who may have a dataset."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.client import access as flows
from ledger.client import operations
from ledger.errors import NotFoundError, RefusedError
from ledger.surface.views import GrantView
from ledger.types import Bytes32
from scripts.concord.arguments import KeyOption, Time, UntilTime, parse_digest
from scripts.concord.context import Context, context_of
from scripts.concord.printing import text_of
from scripts.concord.writing import Until, WaitOption, conclude

app = typer.Typer(help="Grant a request, deny it, grant without one; list grants.", no_args_is_help=True)

DatasetName = Annotated[str, typer.Argument(metavar="PROVIDER/SLUG", help="The dataset's name or id.")]
RequestDigest = Annotated[
    Bytes32, typer.Argument(parser=parse_digest, metavar="REQUEST", help="The request's digest (`concord requests`).")
]
GrantDigest = Annotated[
    Bytes32, typer.Argument(parser=parse_digest, metavar="GRANT", help="The grant's digest (`concord grant list`).")
]
Purpose = Annotated[str, typer.Option(help="An IRI, or a word of the DPV vocabulary: ResearchAndDevelopment.")]
RightsOption = Annotated[
    list[str] | None,
    typer.Option("--right", metavar="RIGHT", help="read, derive, distribute, ...; repeatable; without: read."),
]
FirstVersion = Annotated[int, typer.Option(min=1, help="First version covered.")]
LastVersion = Annotated[int, typer.Option(min=0, help="Last version covered; 0: later ones too.")]
Role = Annotated[str | None, typer.Option(help="provider or consumer; without: both.")]
DatasetFilter = Annotated[str | None, typer.Option(help="Of this dataset alone: provider/slug, or id.")]


def request(
    context: typer.Context,
    dataset: DatasetName,
    purpose: Purpose,
    until: UntilTime,
    right: RightsOption = None,
    from_time: Time = None,
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
        valid_until=until,
        valid_from=from_time,
        first_version=first_version,
        last_version=last_version,
    )
    conclude(given, given.run(flow), wait, f"asked for {dataset}")


def requests(
    context: typer.Context,
    request_digest: Annotated[
        Bytes32 | None, typer.Argument(parser=parse_digest, metavar="REQUEST", help="Show this one with its terms.")
    ] = None,
    role: Role = None,
    status: Annotated[str | None, typer.Option("--state", help="open, granted, denied or expired")] = None,
    dataset: DatasetFilter = None,
) -> None:
    """List requests, or show one; a provider's inbox: --role provider --state open."""
    given = context_of(context)
    if request_digest is not None:
        given.show(given.run(flows.show_request(request_digest)))
        return
    columns = {
        "consumer_handle": "CONSUMER", "dataset_name": "DATASET", "state": "STATE", "stated_at": "ASKED",
        "digest": "REQUEST",
    }  # fmt: skip
    given.show_list(given.run(flows.requests(role=role, status=status, dataset=dataset)), columns)


@app.command("request")
def grant_request(
    context: typer.Context,
    request_digest: RequestDigest,
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Grant what a request asks for, on its terms."""
    given = context_of(context)
    asked = given.run(flows.show_request(request_digest))
    if asked.state == "granted" and asked.grant is not None:  # a second grant would outlive the first one's revocation
        given.show(
            {"request": str(request_digest), "state": "granted", "grant": str(asked.grant)},
            f"granted already: {asked.grant}",
        )
        return
    outcome = given.run(flows.grant_request(request_digest, given.identity(key)))
    conclude(given, outcome, wait, "granted")


@app.command("deny")
def deny_request(
    context: typer.Context,
    request_digest: RequestDigest,
    reason: Annotated[str, typer.Option(help="Why; readable by the consumer and auditors.")],
    key: KeyOption = None,
    wait: WaitOption = Until.ACCEPTED,
) -> None:
    """Deny a request."""
    given = context_of(context)
    outcome = given.run(flows.deny(request_digest, reason, given.identity(key)))
    conclude(given, outcome, wait, "denied")


@app.command("give")
def give(
    context: typer.Context,
    dataset: DatasetName,
    consumer: Annotated[str, typer.Argument(help="The consumer's handle or id.")],
    purpose: Purpose,
    until: UntilTime,
    right: RightsOption = None,
    from_time: Time = None,
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
        valid_until=until,
        valid_from=from_time,
        first_version=first_version,
        last_version=last_version,
    )
    conclude(given, given.run(flow), wait, f"granted {dataset} to {consumer}")


@app.command("list")
def list_grants(
    context: typer.Context,
    role: Role = None,
    status: Annotated[
        str | None, typer.Option("--state", help="pending, active, revoked, expired, retired or refused")
    ] = None,
    dataset: DatasetFilter = None,
) -> None:
    """List grants given and received."""
    given = context_of(context)
    columns = {
        "provider_handle": "PROVIDER", "consumer_handle": "CONSUMER", "dataset_name": "DATASET", "state": "STATE",
        "digest": "GRANT",
    }  # fmt: skip
    given.show_list(given.run(flows.grants(role=role, status=status, dataset=dataset)), columns)


@app.command("show")
def show_grant(context: typer.Context, grant: GrantDigest) -> None:
    """Show one grant with its terms."""
    given = context_of(context)
    given.show(given.run(flows.show_grant(grant)))


def revoke(
    context: typer.Context,
    grant: GrantDigest,
    unseen: Annotated[bool, typer.Option("--unseen", help="Also a grant that is not known here.")] = False,
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Revoke a grant; the next download is refused."""
    given = context_of(context)
    done = _find_revoked(given, grant, unseen=unseen)
    if done is not None:
        given.show({"grant": str(grant), "state": "revoked", "revocation": done[0]}, done[1])
        return
    conclude(given, given.run(flows.revoke(grant, given.identity(key))), wait, "revoked")
    for other in _find_others(given, grant):
        given.note(f"another grant still permits {other.consumer_handle} the same dataset: {other.digest}")


def _find_others(context: Context, digest: Bytes32) -> list[GrantView]:
    try:
        revoked = context.run(flows.show_grant(digest))
    except NotFoundError:
        return []
    live = context.run(flows.grants(role="provider", status="active", dataset=str(revoked.dataset)))
    return [grant for grant in live if grant.consumer == revoked.consumer and grant.digest != digest]


def _find_revoked(context: Context, digest: Bytes32, *, unseen: bool) -> tuple[str, str] | None:
    """What ended the grant already, if something did.

    Raises:
        RefusedError: it is another participant's.
        NotFoundError: it is not known here, and ``unseen`` was not said.
    """
    try:
        grant = context.run(flows.show_grant(digest))
    except NotFoundError as error:
        if unseen:  # a revocation may come before its grant: the contract takes it
            return None
        raise NotFoundError(
            f"no grant {digest} is known here: check it with `concord grant list`; --unseen revokes it all the same"
        ) from error
    if str(grant.provider) != context.run(operations.whoami()).get("participant"):
        raise RefusedError(
            f"the grant is {grant.provider_handle}'s, who alone can revoke it: a revocation reaches only its signer's",
            code="not-provider",
        )
    if grant.revoked_at is None:
        return None
    return str(grant.revocation), f"revoked already: {grant.revocation} ({text_of(grant.revoked_at)})"
