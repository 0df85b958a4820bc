"""The client: one typed Python client, sync and async.

    from ledger.client import Client, datasets

    with Client("http://127.0.0.1:8080", api_key) as concord:
        power = concord.run(datasets.show("utility/power"))

Each function of ``access``, ``agreements``, ``datasets``, ``deliveries``, ``operations``, ``participants``,
``statements`` and ``transfers`` is a flow that ``Client.run`` drives, or ``await AsyncClient.run``. ``bulk`` sends many
signed statements over one connection.
"""

from ledger.client import (
    access,
    agreements,
    bulk,
    datasets,
    deliveries,
    operations,
    participants,
    statements,
    transfers,
)
from ledger.client.flow import Flow
from ledger.client.identity import Identity, LocalKey, Signer, parse_domains
from ledger.client.transport import AsyncClient, Client

__all__ = [
    "AsyncClient",
    "Client",
    "Flow",
    "Identity",
    "LocalKey",
    "Signer",
    "access",
    "agreements",
    "bulk",
    "datasets",
    "deliveries",
    "operations",
    "parse_domains",
    "participants",
    "statements",
    "transfers",
]
