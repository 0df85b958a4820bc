"""`concord agreement` and `concord usage`: what is shared, used and settled."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from ledger.client import agreements as flows
from ledger.types import Bytes32
from scripts.concord.arguments import Amount, KeyOption, Time, UntilTime, now, parse_amount, parse_digest, parse_time
from scripts.concord.context import context_of
from scripts.concord.files import read_object
from scripts.concord.writing import Until, WaitOption, conclude

app = typer.Typer(help="Resource-sharing agreements: proposed, accepted, ended.", no_args_is_help=True)
usage_app = typer.Typer(help="Usage under agreements: reported, confirmed, disputed, settled.", no_args_is_help=True)

AgreementId = Annotated[
    Bytes32, typer.Argument(parser=parse_digest, metavar="AGREEMENT", help="Its id (`concord agreement list`).")
]
AgreementFilter = Annotated[
    Bytes32 | None,
    typer.Option("--agreement", parser=parse_digest, metavar="AGREEMENT", help="Of this agreement alone."),
]
ProposalOption = Annotated[
    Bytes32 | None,
    typer.Option(
        "--proposal",
        parser=parse_digest,
        metavar="DIGEST",
        help="The revision that you read: `proposal` of `concord agreement show`; without: the present one.",
    ),
]
ReportId = Annotated[
    Bytes32, typer.Argument(parser=parse_digest, metavar="REPORT", help="The report's digest (`concord usage list`).")
]


@app.command()
def propose(
    context: typer.Context,
    party: Annotated[
        list[str], typer.Option(metavar="HANDLE", help="Handle or id of a party, yourself too; repeatable.")
    ],
    supplier: Annotated[str, typer.Option(help="The party that reports usage.")],
    user: Annotated[str, typer.Option(help="The party that confirms it.")],
    resource: Annotated[str, typer.Option(help="data, equipment, people, technology, capacity or market-information")],
    terms: Annotated[Path, typer.Option(help="JSON file: title, price, currency, ...", dir_okay=False)],
    quota: Annotated[Decimal, typer.Option(parser=parse_amount, metavar="QUANTITY", help="Most that may be used.")],
    unit: Annotated[str, typer.Option(help="UCUM code: MW.h, h, {piece}.")],
    until: UntilTime,
    from_time: Time = None,
    decimals: Annotated[int, typer.Option(min=0, max=18, help="Decimal places of quantities.")] = 3,
    revises: Annotated[
        Bytes32 | None,
        typer.Option(parser=parse_digest, metavar="AGREEMENT", help="The agreement whose next revision this is."),
    ] = None,
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
        terms=read_object(terms),
        valid_from=from_time or now(),
        valid_until=until,
        quota=quota,
        unit=unit,
        decimals=decimals,
        agreement=revises,
    )
    outcome = given.run(flow)
    conclude(given, outcome, wait, f"agreement {outcome.ids.get('agreement')} proposed")


@app.command("list")
def list_agreements(
    context: typer.Context,
    role: Annotated[str | None, typer.Option(help="supplier, user or party")] = None,
    status: Annotated[str | None, typer.Option("--state", help="proposed, active, rejected or terminated")] = None,
) -> None:
    """List your agreements."""
    given = context_of(context)
    columns = {
        "state": "STATE", "party_handles": "PARTIES", "quota": "QUOTA", "confirmed": "CONFIRMED",
        "settled": "SETTLED", "unit": "UNIT", "id": "ID",
    }  # fmt: skip
    given.show_list(given.run(flows.list_all(role=role, status=status)), columns)


@app.command()
def show(context: typer.Context, agreement: AgreementId) -> None:
    """Show one in its present revision, with its terms and running totals."""
    given = context_of(context)
    given.show(given.run(flows.show(agreement)))


@app.command()
def accept(
    context: typer.Context,
    agreement: AgreementId,
    proposal: ProposalOption = None,
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Accept the present revision."""
    given = context_of(context)
    conclude(given, given.run(flows.accept(agreement, given.identity(key), proposal=proposal)), wait, "accepted")


@app.command()
def reject(
    context: typer.Context,
    agreement: AgreementId,
    proposal: ProposalOption = None,
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Reject the present revision."""
    given = context_of(context)
    conclude(given, given.run(flows.reject(agreement, given.identity(key), proposal=proposal)), wait, "rejected")


@app.command()
def terminate(
    context: typer.Context, agreement: AgreementId, key: KeyOption = None, wait: WaitOption = Until.FINAL
) -> None:
    """End an active agreement."""
    given = context_of(context)
    conclude(given, given.run(flows.terminate(agreement, given.identity(key))), wait, "terminated")


@usage_app.command()
def report(
    context: typer.Context,
    agreement: AgreementId,
    quantity: Amount,
    from_time: Annotated[
        datetime, typer.Option("--from", parser=parse_time, metavar="TIME", help="Start of the period: 2026-11-01.")
    ],
    until: Annotated[
        datetime, typer.Option("--until", parser=parse_time, metavar="TIME", help="End of the period, not included.")
    ],
    detail: Annotated[Path | None, typer.Option(help="JSON file: meter readings.", dir_okay=False)] = None,
    key: KeyOption = None,
    wait: WaitOption = Until.ACCEPTED,
) -> None:
    """Report what was used (the supplier)."""
    given = context_of(context)
    flow = flows.report_usage(
        agreement,
        quantity,
        given.identity(key),
        period_from=from_time,
        period_until=until,
        detail=None if detail is None else read_object(detail),
    )
    conclude(given, given.run(flow), wait, f"reported {quantity}")


@usage_app.command("list")
def list_usage(
    context: typer.Context,
    agreement: AgreementFilter = None,
    status: Annotated[str | None, typer.Option("--state", help="reported, confirmed or disputed")] = None,
) -> None:
    """List usage reports."""
    given = context_of(context)
    columns = {
        "quantity": "QUANTITY", "unit": "UNIT", "period_from": "FROM", "period_until": "UNTIL", "state": "STATE",
        "digest": "REPORT",
    }  # fmt: skip
    given.show_list(given.run(flows.usage(agreement, status=status)), columns)


@usage_app.command()
def confirm(context: typer.Context, usage: ReportId, key: KeyOption = None, wait: WaitOption = Until.FINAL) -> None:
    """Confirm a report (the user)."""
    given = context_of(context)
    conclude(given, given.run(flows.confirm_usage(usage, given.identity(key))), wait, "confirmed")


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
    outcome = given.run(flows.dispute_usage(usage, reason, given.identity(key)))
    conclude(given, outcome, wait, "disputed")


@usage_app.command()
def settle(
    context: typer.Context,
    agreement: AgreementId,
    quantity: Annotated[
        Decimal | None,
        typer.Option(parser=parse_amount, metavar="QUANTITY", help="Without: all that is confirmed and not settled."),
    ] = None,
    invoice: Annotated[Path | None, typer.Option(help="JSON file.", dir_okay=False)] = None,
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Record a settlement (the supplier)."""
    given = context_of(context)
    flow = flows.settle(
        agreement,
        given.identity(key),
        quantity=quantity,
        invoice=None if invoice is None else read_object(invoice),
    )
    conclude(given, given.run(flow), wait, "settled")


@usage_app.command("settlements")
def list_settlements(context: typer.Context, agreement: AgreementFilter = None) -> None:
    """List settlement records."""
    given = context_of(context)
    columns = {
        "agreement": "AGREEMENT", "sequence": "NUMBER", "quantity": "QUANTITY", "total": "TOTAL", "unit": "UNIT",
        "settled_at": "SETTLED", "digest": "RECORD",
    }  # fmt: skip
    given.show_list(given.run(flows.settlements(agreement)), columns)
