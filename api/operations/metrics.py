"""``/metrics`` in Prometheus' text format: what the gateway's state is, and how requests went.

No id, name or handle stands in a label: routes by their template, refusals by their code, workers by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api.kinds import Kind
from ledger.exchange import Gateway
from ledger.exchange.gauges import read_gauges

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The metrics of one application. Thread-safe."""

    def __init__(self, gateway: Gateway) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_GatewayState(gateway))
        self._requests = Histogram(
            "concord_request_seconds",
            "How long requests took; kind: plain, waited (the client asked for it), streamed (as fast as it reads)",
            ("method", "route", "status", "kind"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._refusals = Counter(
            "concord_refusals", "Answers that were problems, by their code", ("code",), registry=self._registry
        )

    def observe(self, method: str, route: str, status: int, kind: Kind, seconds: float, problem: str | None) -> None:
        """Count one answered request."""
        self._requests.labels(method, route, str(status), kind.value).observe(seconds)
        if problem is not None:
            self._refusals.labels(problem).inc()

    def render(self) -> bytes:
        """The page."""
        return generate_latest(self._registry)


class _GatewayState(Collector):
    """Reads the gateway when it is scraped."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge; what can not be read is left out, and `concord_ready` says 0."""
        build = GaugeMetricFamily("concord_build_info", "The version that runs", labels=("version",))
        build.add_metric((version("concord-ledger"),), 1)
        yield build
        health = self._gateway.health()
        yield GaugeMetricFamily("concord_ready", "Whether the gateway can do its work", value=int(health.ready))
        failing = GaugeMetricFamily(
            "concord_worker_failing", "Workers that are kept from their work", labels=("worker",)
        )
        for worker in sorted(health.reasons):
            failing.add_metric((worker,), 1)
        yield failing
        for name, (meaning, value) in read_gauges(self._gateway.parts, health).items():
            yield GaugeMetricFamily(f"concord_{name}", meaning, value=value)

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing ahead: registering must not read the gateway."""
        return []
