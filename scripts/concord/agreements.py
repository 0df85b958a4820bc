"""`concord agreement` and `concord usage`: what is shared, used and settled."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from ledger.canonical import JsonValue
from ledger.client import agreements as flows
from ledger.errors import MalformedError
from scripts.concord.context import context_of, parse_time
from scripts.concord.writing import KeyOption, Until, WaitOption, conclude, digest_of

app = typer.Typer(help="Resource-sharing agreements.", no_args_is_help=True)
usage_app = typer.Typer(help="Usage under agreements: reported, confirmed, disputed, settled.", no_args_is_help=True)

AgreementId = Annotated[str, typer.Argument(help="The agreement's id.")]
ReportId = Annotated[str, typer.Argument(metavar="REPORT", help="The usage report's digest.")]


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise typer.BadParameter(f"{text!r} is no number") from error
    if not amount.is_finite() or amount <= 0:
        raise typer.BadParameter("a quantity is above zero")
    return amount


def _object(file: Path | None) -> dict[str, JsonValue]:
    if file is None:
        return {}
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise MalformedError(f"{file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedError(f"{file} is not a JSON object")
    return document


@app.command()
def propose(
    context: typer.Context,
    party: Annotated[list[str], typer.Option(help="Handle or id of a party, yourself too; repeatable.")],
    supplier: Annotated[str, typer.Option(help="The party that reports usage.")],
    user: Annotated[str, typer.Option(help="The party that confirms it.")],
    resource: Annotated[str, typer.Option(help="data, equipment, people, technology, capacity or market-information")],
    terms: Annotated[Path, typer.Option(help="JSON file: title, price, currency, ...", dir_okay=False)],
    quota: Annotated[str, typer.Option(help="Most that may be used.")],
    unit: Annotated[str, typer.Option(help="UCUM code: MW.h, h, {piece}.")],
    until: Annotated[str, typer.Option("--until", help="2026-12-31, RFC 3339, or from now: 90d.")],
    from_time: Annotated[str, typer.Option("--from", help="Likewise.")] = "0m",
    decimals: Annotated[int, typer.Option(min=0, max=18, help="Decimal places of quantities.")] = 3,
    revises: Annotated[str | None, typer.Option(help="Id of the agreement whose next revision this is.")] = None,
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Propose an agreement, or the next revision of one."""
    given = context_of(context)
    flow = flows.propose(
        given.identity(key),
        parties=party,
        supplier=supplier,
        user=user,
        resource=resource,
        terms=_object(terms),
        valid_from=parse_time(from_time),
        valid_until=parse_time(until),
        quota=_amount(quota),
        unit=unit,
        decimals=decimals,
        agreement=None if revises is None else digest_of(revises),
    )
    outcome = given.run(flow)
    conclude(given, outcome, wait, f"agreement {outcome.ids.get('agreement')} proposed")


@app.command("list")
def list_agreements(
    context: typer.Context,
    status: Annotated[str | None, typer.Option("--state", help="proposed, active, rejected or terminated")] = None,
) -> None:
    """List your agreements."""
    given = context_of(context)
    columns = {
        "state": "STATE", "party_handles": "PARTIES", "quota": "QUOTA", "confirmed": "CONFIRMED",
        "settled": "SETTLED", "unit": "UNIT", "id": "ID",
    }  # fmt: skip
    given.show_list(given.run(flows.list_all(status=status)), columns)


@app.command()
def show(context: typer.Context, agreement: AgreementId) -> None:
    """Show one."""
    given = context_of(context)
    given.show(given.run(flows.show(digest_of(agreement))))


@app.command()
def accept(
    context: typer.Context, agreement: AgreementId, key: KeyOption = None, wait: WaitOption = Until.FINAL
) -> None:
    """Accept the present revision."""
    given = context_of(context)
    conclude(given, given.run(flows.accept(digest_of(agreement), given.identity(key))), wait, "accepted")


@app.command()
def reject(
    context: typer.Context, agreement: AgreementId, key: KeyOption = None, wait: WaitOption = Until.FINAL
) -> None:
    """Reject the present revision."""
    given = context_of(context)
    conclude(given, given.run(flows.reject(digest_of(agreement), given.identity(key))), wait, "rejected")


@app.command()
def terminate(
    context: typer.Context, agreement: AgreementId, key: KeyOption = None, wait: WaitOption = Until.FINAL
) -> None:
    """End an active agreement."""
    given = context_of(context)
    conclude(given, given.run(flows.terminate(digest_of(agreement), given.identity(key))), wait, "terminated")


@usage_app.command()
def report(
    context: typer.Context,
    agreement: AgreementId,
    quantity: Annotated[str, typer.Argument(help="In the agreement's unit.")],
    from_time: Annotated[str, typer.Option("--from", help="Start of the period.")],
    until: Annotated[str, typer.Option("--until", help="End of the period.")],
    detail: Annotated[Path | None, typer.Option(help="JSON file: meter readings.", dir_okay=False)] = None,
    key: KeyOption = None,
    wait: WaitOption = Until.ACCEPTED,
) -> None:
    """Report what was used (the supplier)."""
    given = context_of(context)
    flow = flows.report_usage(
        digest_of(agreement),
        _amount(quantity),
        given.identity(key),
        period_from=parse_time(from_time),
        period_until=parse_time(until),
        detail=_object(detail),
    )
    conclude(given, given.run(flow), wait, f"reported {quantity}")


@usage_app.command("list")
def list_usage(
    context: typer.Context,
    agreement: Annotated[str | None, typer.Option(help="The agreement's id.")] = None,
    status: Annotated[str | None, typer.Option("--state", help="reported, confirmed or disputed")] = None,
) -> None:
    """List usage reports."""
    given = context_of(context)
    chosen = None if agreement is None else digest_of(agreement)
    columns = {
        "quantity": "QUANTITY", "unit": "UNIT", "period_from": "FROM", "period_until": "UNTIL", "state": "STATE",
        "digest": "REPORT",
    }  # fmt: skip
    given.show_list(given.run(flows.usage(chosen, status=status)), columns)


@usage_app.command()
def confirm(context: typer.Context, usage: ReportId, key: KeyOption = None, wait: WaitOption = Until.FINAL) -> None:
    """Confirm a report (the user)."""
    given = context_of(context)
    conclude(given, given.run(flows.confirm_usage(digest_of(usage), given.identity(key))), wait, "confirmed")


@usage_app.command()
def dispute(
    context: typer.Context,
    usage: ReportId,
    reason: Annotated[str, typer.Option(help="Why; readable by the parties and auditors.")],
    key: KeyOption = None,
    wait: WaitOption = Until.ACCEPTED,
) -> None:
    """Dispute a report (the user)."""
    given = context_of(context)
    outcome = given.run(flows.dispute_usage(digest_of(usage), reason, given.identity(key)))
    conclude(given, outcome, wait, "disputed")


@usage_app.command()
def settle(
    context: typer.Context,
    agreement: AgreementId,
    quantity: Annotated[str | None, typer.Option(help="Without: all that is confirmed and not settled.")] = None,
    invoice: Annotated[Path | None, typer.Option(help="JSON file.", dir_okay=False)] = None,
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Record a settlement (the supplier)."""
    given = context_of(context)
    flow = flows.settle(
        digest_of(agreement),
        given.identity(key),
        quantity=None if quantity is None else _amount(quantity),
        invoice=_object(invoice),
    )
    conclude(given, given.run(flow), wait, "settled")
