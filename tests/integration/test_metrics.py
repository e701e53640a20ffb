"""Metrics of producer and consumer, scraped from the real commands over a real broker."""

from __future__ import annotations

import csv
import json
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any, Final

from scripts.lib.ports import free_ports
from tests.support.commands import ROOT, running
from tests.support.scrape import Scrape, health, scrape
from tests.support.timing import wait_until

DASHBOARD: Final = ROOT / "docs" / "grafana" / "fanlight.json"
SMALL: Final = ("--size", "320x180", "--fps", "30")
OUTCOMES: Final = ("presented", "superseded", "late", "undecodable", "awaiting_key")


def outcomes(trace: Path) -> Counter[str]:
    with trace.open() as file:
        return Counter(row[4] for row in csv.reader(file) if len(row) == 6 and row[4] in OUTCOMES)


def expressions(dashboard: dict[str, Any]) -> list[str]:
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    variables = dashboard["templating"]["list"]
    return queries + [variable["query"]["query"] for variable in variables if variable["type"] == "query"]


def test_metrics_agree_with_the_trace_and_fill_the_dashboard(
    broker_url: str, stream: str, tmp_path: Path
) -> None:
    of_producer, of_consumer = free_ports(2)
    trace = tmp_path / "trace.csv"
    where = ("--url", broker_url, "--stream", stream)
    flags = ("--playout", "sync", "--sink", f"trace:{trace}", "--via", "broker", "--work", "20ms")
    with (
        running("producer", *where, *SMALL, "--metrics", f":{of_producer}") as producer,
        running("consumer", *where, *flags, "--name", "wall", "--metrics", f":{of_consumer}") as consumer,
    ):
        wait_until(lambda: health(of_consumer)[0] == 200, 15, "the consumer is healthy")
        wait_until(lambda: health(of_producer) == (200, "frames flow"), 20, "the producer is healthy")
        wait_until(
            lambda: scrape(of_consumer)("consumer_frames_total", outcome="presented") >= 60,
            30,
            "frames come",
        )
        wait_until(lambda: scrape(of_consumer).values.get(
            ("fanlight_consumer_queue_frames", frozenset({("place", "broker")}))
        ) is not None, 20, "the broker reports how many wait")  # fmt: skip
        wait_until(lambda: scrape(of_producer)("producer_consumers") == 1, 20, "its reports are heard")
        before, flowing = scrape(of_producer), scrape(of_consumer)

        def all_came() -> bool:
            """But for what was published before it could come."""
            now = scrape(of_consumer)
            came = now("consumer_received_frames_total") + now("consumer_frames_total", outcome="lost")
            return before("producer_published_frames_total") <= came + 8

        wait_until(all_came, 20, "what was published has come, or is missed")
        producer.signal(signal.SIGSTOP)
        arrived: list[float] = []

        def stands_still() -> bool:
            """Nothing has come for longer than anything is kept anywhere, and all is shown."""
            now = scrape(of_consumer)
            arrived.append(now("consumer_received_frames_total"))
            return arrived[-30:] == arrived[-1:] * 30 and now("consumer_queue_frames", place="process") == 0

        wait_until(stands_still, 30, "the stream stands still")
        figures = scrape(of_consumer)
        consumer.signal(signal.SIGTERM)
        assert consumer.wait() == 0, consumer.err.text
        producer.signal(signal.SIGCONT)
        settled: list[Scrape] = []

        def all_published() -> bool:
            """But for a frame that has just been encoded."""
            settled.append(now := scrape(of_producer))
            return now("producer_encode_seconds_count") == now("producer_published_frames_total")

        wait_until(all_published, 20, "what was encoded is counted")
        after = settled[-1]
        producer.signal(signal.SIGTERM)
        assert producer.wait() == 0, producer.err.text

    outcome_counts = {outcome: figures("consumer_frames_total", outcome=outcome) for outcome in OUTCOMES}
    assert outcome_counts == {outcome: outcomes(trace)[outcome] for outcome in OUTCOMES}
    assert figures("consumer_age_seconds_count") == outcome_counts["presented"]
    assert figures("consumer_age_seconds_bucket", le="0.5") == outcome_counts["presented"]
    assert figures("consumer_skew_seconds_count") == outcome_counts["presented"]
    assert figures("consumer_decode_seconds_count") >= outcome_counts["presented"]
    assert figures("consumer_keyframe_requests_total") >= 1
    assert (flowing("consumer_connected"), flowing("consumer_healthy")) == (1, 1)
    assert figures("consumer_received_frames_total") >= sum(outcome_counts.values())
    assert after("producer_published_bytes_total") >= figures("consumer_received_bytes_total") > 0
    assert before("producer_watched") == before("producer_consumers") == before("producer_connected") == 1

    dashboard = json.loads(DASHBOARD.read_text())
    exposed = figures.names | after.names
    for expression in expressions(dashboard):
        used = set(re.findall(r"\b(?:fanlight|process)_[a-z_]+\b", expression))
        assert used, expression
        assert used <= exposed, (expression, used - exposed)


def test_the_dashboard_can_be_loaded() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = DASHBOARD.read_text()
    # What Grafana fills in by itself begins with two underscores.
    assert set(re.findall(r"\$\{?([a-z]\w*)", text)) <= variables
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert [target["refId"] for target in panel["targets"]] == list("ABC")[: len(panel["targets"])]
    grid = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [
        (x, y) for g in grid for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])
    ]
    assert len(set(cells)) == len(cells), "panels overlap"
    assert {x for x, _ in cells} == set(range(24))


def test_without_a_broker(stream: str) -> None:
    listening, of_producer, of_consumer = free_ports(3)
    where = ("--url", f"tcp+multiplex://127.0.0.1:{listening}", "--stream", stream)
    with running("producer", *where, *SMALL, "--metrics", f":{of_producer}") as producer:
        wait_until(lambda: health(of_producer) == (200, "nobody watches"), 15, "it listens")
        with running("consumer", *where, "--sink", "null", "--metrics", f":{of_consumer}") as consumer:
            wait_until(lambda: health(of_consumer)[0] == 200, 15, "frames flow")
            wait_until(lambda: health(of_producer) == (200, "frames flow"), 20, "for the producer too")
            figures = scrape(of_consumer)
            assert (
                "fanlight_consumer_queue_frames",
                frozenset({("place", "broker")}),
            ) not in figures.values
            consumer.signal(signal.SIGTERM)
            assert consumer.wait() == 0
        producer.signal(signal.SIGTERM)
        assert producer.wait() == 0
