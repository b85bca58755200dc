"""Writes one page with prometheus_client: as OpenMetrics, or as text with the argument "text"."""

import sys

import prometheus_client as client
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

registry = client.CollectorRegistry()
requests = client.Counter("http_requests", 'Requests \\ "all"\nof them', ["path"], registry=registry)
requests.labels("/u/{id}").inc(3, exemplar={"trace_id": "} 1e9 "})
requests.labels('/x} 1e9 "\\\n,code=500').inc()
client.Gauge("temperature_celsius", "é", unit="celsius", registry=registry).set(float("nan"))
histogram = client.Histogram("latency_seconds", "Latency", ["route"], registry=registry)
histogram.labels("a").observe(0.25, {"span": "漢"})
histogram.labels("b").observe(100)
client.Summary("size_bytes", "Sizes", registry=registry).observe(7)
client.Info("build", "What runs", registry=registry).info({"version": "1.2.3"})
client.Enum("state", "State", states=["up", "down"], registry=registry).state("down")

generate = client.generate_latest if sys.argv[1:] == ["text"] else generate_openmetrics
sys.stdout.buffer.write(generate(registry))
