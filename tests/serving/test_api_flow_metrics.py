"""`/metrics` tells what the processes of the flow tell of themselves."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from bundle_versions import FACE, own_bundles
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from streams import Sent, Stream
from text_bundles import LIGHT, TINY

from dataflows.keys import Keys
from dataflows.settings import Settings
from dataflows.telemetry import Histogram
from serving import flow_metrics
from serving.figures import connect
from serving.flow_metrics import Beats, FlowMetrics

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return values by name and labels, without that of the process."""
    return {
        (sample.name, frozenset((k, v) for k, v in sample.labels.items() if k != "worker")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("sentistream_flow")
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((f"sentistream_flow_{name}", frozenset(labels.items())))


def told(beats: Mapping[str, Mapping[str, str]] | None) -> Samples:
    return samples(generate_latest(FlowMetrics(beats)).decode())


@pytest.mark.integration
def test_a_running_flow_is_told_of(
    start_api: Callable[..., Any], environment: dict[str, str], tmp_path: Path
) -> None:
    own_bundles(tmp_path)
    stream = Stream(environment)
    api = start_api()
    assert value(samples(api.get("/metrics").text), "workers") == 0
    events = [Sent(b"so happy, love it", {"content-type": b"text/plain"}, "chat")] * 30
    broken = [Sent(b"@you", {"content-type": b"text/plain"}, "chat")] * 2
    begun = time.time()
    variables = {"SENTISTREAM_SHADOW__TEXT": LIGHT, "SENTISTREAM_SHADOW__SHARE": "1"}
    with stream.flow("-w", "1", **variables, SENTISTREAM_BUNDLES=str(tmp_path)) as flow:
        flow.wait_started()
        stream.send([*events, *broken])
        flow.settle(32)

        pair = {"kind": "text", "active": TINY, "shadow": LIGHT}

        def told() -> tuple[object, ...]:
            found = samples(api.get("/metrics").text)
            return (
                value(found, "observations_total"),
                value(found, "shadow_observations_total", **pair),
                value(found, "latency_seconds_bucket", le="+Inf"),
                value(found, "events_total"),
                value(found, "rejected_total", reason="empty_text"),
                value(found, "scoring_seconds_count"),
                sum(n for (name, _), n in found.items() if name.endswith("_lag")),
            )

        flow.wait(lambda: told() == (30, 30, 30, 32, 2, 32, 0))
        found = samples(api.get("/metrics").text)
    assert value(found, "workers") == 1
    assert value(found, "scoring_seconds_sum") > 0
    assert value(found, "model_info", kind="face", version=FACE) == 1
    assert value(found, "model_info", kind="text", version=TINY) == 1
    now = value(found, "heartbeat_timestamp_seconds")
    assert now is not None
    assert begun <= value(found, "model_timestamp_seconds", kind="text") <= now
    assert value(found, "shadow_failed_total", **pair) == 0


@pytest.mark.integration
def test_scrapes_at_once_read_what_each_has_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_metrics, "SCAN_S", 0)
    keys = Keys(settings.redis.prefix)

    async def run() -> dict[str, Any]:
        async with connect(settings) as client:
            beats = Beats(client, keys)

            async def add() -> None:
                for number in range(100):
                    await client.hset(keys.worker(f"host-{number}"), "events", "1")

            async def scrape() -> None:
                for _ in range(20):
                    await beats.read()

            await asyncio.gather(add(), *(scrape() for _ in range(4)))
            return await beats.read()

    assert asyncio.run(run()) == {f"host-{number}": {"events": "1"} for number in range(100)}


@pytest.mark.integration
def test_a_redis_with_too_many_keys_to_see_is_still_asked_for_what_is_known(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_metrics, "SCAN_S", 0)
    keys = Keys(settings.redis.prefix)

    async def run() -> dict[str, Any]:
        async with connect(settings) as client:
            await client.hset(keys.worker("host-1"), "events", "1")
            beats = Beats(client, keys)
            await beats.read()
            monkeypatch.setattr(flow_metrics, "WALK_S", 0)
            await client.hset(keys.worker("host-1"), "events", "2")
            return await beats.read()

    assert asyncio.run(run()) == {"host-1": {"events": "2"}}


def test_a_refusal_and_the_buckets_are_those_of_the_heartbeat() -> None:
    histogram = Histogram()
    histogram.add_all([0.05, 3, 3, 70, 10**9])
    beat = {
        "model_changes": json.dumps({"face": {"since": 5.5, "refused": "9", "reason": "no"}}),
        "latency_histogram": histogram.encode(),
        "partitions": json.dumps({"3": {"lag": 7}}),
    }
    found = told({"host-1": beat})
    assert value(found, "model_refused", kind="face", version="9") == 1
    assert value(found, "model_timestamp_seconds", kind="face") == 5.5
    assert value(found, "lag", partition="3") == 7
    buckets = {
        float(dict(labels)["le"]): count
        for (name, labels), count in found.items()
        if name.endswith("_bucket")
    }
    edges = sorted(buckets)
    assert edges[0] == pytest.approx(0.001, rel=0.1)
    assert [buckets[edge] for edge in edges] == sorted(buckets.values())
    for edge, count in buckets.items():
        assert count == sum(ms / 1000 <= edge * 1.001 for ms in (0.05, 3.3, 3.3, 77, 10**9))


def test_without_redis_nothing_is_told() -> None:
    assert told(None) == {}
    assert told({}) == {("sentistream_flow_workers", frozenset()): 0}


NAMES = [
    "events", "rejected_by_reason", "partitions", "models", "model_changes", "shadow", "at",
    "scored", "scoring_ms", "latency_histogram",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
    max_leaves=10,
)


HUGE = "1" + "0" * 400  # more than a float holds


@example({"rejected_by_reason": f'{{"empty_text": {HUGE}}}'})
@example({"latency_histogram": HUGE + ",0" * (Histogram.BUCKETS - 1)})
@given(st.dictionaries(st.sampled_from(NAMES), st.text() | JSON.map(json.dumps)))
def test_nonsense_in_redis_is_left_out(fields: dict[str, str]) -> None:
    assert value(told({"host-1": fields}), "workers") == 1
