"""The OpenAPI page shows every route, and needs no content network."""

from __future__ import annotations

import asyncio
import json
from typing import cast

import httpx

from api.app import create_app
from ledger.exchange import Gateway

APP = create_app(cast(Gateway, None))  # nothing is asked of the gateway before the service starts


def test_every_reference_resolves() -> None:
    document = json.dumps(APP.openapi())
    assert '"#/$defs/' not in document
    for name in {each.split('"')[0] for each in document.split('"#/components/schemas/')[1:]}:
        assert name in APP.openapi()["components"]["schemas"]


def test_every_route_says_what_it_is_for() -> None:
    for path, methods in APP.openapi()["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
            assert operation["description"], (path, method)


async def fetch(*paths: str) -> list[httpx.Response]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://concord.test") as client:
        return [await client.get(path) for path in paths]


def test_the_page_loads_from_the_service_alone() -> None:
    files = [f"/static-offline-docs/{name}" for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")]
    page, *parts = asyncio.run(fetch("/docs", *files))
    assert "https://" not in page.text
    assert all(file in page.text for file in files)
    assert [part.status_code for part in parts] == [200, 200, 200]


BODILESS = {"/v1/log/attestation"}
"""What is asked for is said by the path alone."""


def test_every_body_is_described() -> None:
    for path, methods in APP.openapi()["paths"].items():
        for method, operation in methods.items():
            takes_body = method in ("post", "put") and path not in BODILESS
            assert takes_body == ("requestBody" in operation), (method, path)
