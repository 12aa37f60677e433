"""What is counted of requests, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """Counts of one service."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "bayes_scaling_requests", "Requests by route, method, status.", ["route", "method", "status"], registry=registry
        )
        self.seconds = Histogram(
            "bayes_scaling_seconds", "Seconds until the response.", ["route"], buckets=_SECONDS, registry=registry
        )
        self.under_way = Gauge("bayes_scaling_requests_under_way", "Requests under way.", registry=registry)
        self.cached = Counter("bayes_scaling_answers_cached", "Answers taken from the cache.", registry=registry)
        self.worked_out = Counter("bayes_scaling_answers_worked_out", "Answers computed by a worker.", registry=registry)
        self.replaced = Counter("bayes_scaling_workers_replaced", "Workers that died, or took too long.", registry=registry)
        self.fits = Gauge("bayes_scaling_fits", "Fits in the folder.", registry=registry)

    def text(self) -> bytes:
        """Return all counts."""
        return generate_latest(self.registry)
