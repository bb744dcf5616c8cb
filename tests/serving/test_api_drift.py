"""`/metrics` tells the drift that the flow has written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dataflows.clients import redis_client
from dataflows.drift import HOUR_S, Baseline, Model, count, empty, seen_of
from dataflows.drift_options import DriftOptions
from dataflows.drift_records import encode
from dataflows.keys import Keys
from dataflows.settings import Settings
from models.observation import Observation

HOUR = 1_790_000_000 // HOUR_S * HOUR_S
MODEL = Model("text", "1.0.0", Baseline((500,) * 3, (0,) * 9 + (1500,), (0.0,), (1.0,)))


def field(hour: int, n: int) -> tuple[str, str]:
    sums = empty(MODEL)
    for _ in range(n):
        count(sums, seen_of(MODEL, Observation("positive", 700, 950), (0,)))
    return encode((hour, "text", "1.0.0"), MODEL, tuple(sums), DriftOptions())


@pytest.mark.integration
def test_the_newest_hour_of_which_something_is_said_is_told(
    start_api: Callable[..., Any], settings: Settings
) -> None:
    client, keys = redis_client(settings.redis), Keys(settings.redis.prefix)
    api = start_api()
    assert "sentistream_drift_mix_psi{" not in api.get("/metrics").text
    client.zadd(keys.sources, {"chat": (HOUR + 10) * 1000})
    for hour, n in ((HOUR - 2 * HOUR_S, 900), (HOUR - HOUR_S, 250), (HOUR, 3)):
        client.hset(keys.drift("chat", hour), *field(hour, n))
    client.hset(keys.drift("chat", HOUR), "broken", "{")
    families = text_string_to_metric_families(api.get("/metrics").text)
    found = {
        sample.name.removeprefix("sentistream_drift_"): (sample.labels, sample.value)
        for family in families
        for sample in family.samples
        if sample.name.startswith("sentistream_drift")
    }
    labels = {"source": "chat", "kind": "text", "version": "1.0.0"}
    assert found["hour_timestamp_seconds"] == (labels, HOUR - HOUR_S)
    assert found["observations"] == (labels, 250)
    assert found["mix_psi"][1] > 0.25 > found["confidence_psi"][1]
    assert found["embedding_distance"] == (labels, 1.0)  # no spread at all
