"""What the pipeline page is made of: heartbeats, rejections, memory, and how the lag moves."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.controls import Controls
from dashboard.latency import RecentLatency
from dashboard.pipeline import pipeline_props
from dashboard.store import Store
from dashboard.vitals import Sample, Vitals, time_to_catch_up
from dashboard.workers import Heartbeat, Memory, RejectionRow, rejected_by_reason
from dataflows.agreement import Agreement, encode
from dataflows.telemetry import Histogram

BEAT = {
    "events_per_s": "12.5",
    "latency_p50": "10",
    "latency_p95": "1200.4",
    "latency_p99": "2000",
    "lag": "1500",
    "started": "1000",
    "events": "2000",
    "rejected": "20",
    "rejected_by_reason": json.dumps({"bad_json": 15, "too_late": 5}),
    "partitions": json.dumps({"10": {"position": 5, "end": 9, "lag": 4}, "2": {"position": 1}}),
    "models": json.dumps({"face": "1.2.0", "text": None}),
    "model_changes": json.dumps({"face": {"since": 1000.5, "pinned": False}, "text": {}}),
    "shadow": encode([Agreement("face", "1.2.0", "1.3.0", 10, 20, 19, -400, 0, 1, 3)]),
}


def told(store: Store, component: str, name: str = "children") -> Any:
    return pipeline_props(store, Controls(), 4600.0)[component, name]


def test_a_heartbeat_is_read_whole() -> None:
    beat = Heartbeat.parse("host-1", BEAT)
    assert (beat.events_per_s, beat.latency_p95_ms, beat.lag) == (12.5, 1200.4, 1500)
    assert beat.rejected_by_reason == {"bad_json": 15, "too_late": 5}
    assert beat.partitions[0] == ("10", 5, 9, 4)
    assert beat.partitions[1][:2] == ("2", 1)
    assert math.isnan(beat.partitions[1].lag)
    assert beat.models == {"face": "1.2.0"}


@given(
    st.dictionaries(
        st.sampled_from(sorted(BEAT)),
        st.one_of(
            st.text(),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.text(),
                lambda part: st.lists(part) | st.dictionaries(st.text(), part),
                max_leaves=8,
            ).map(json.dumps),
        ),
    )
)
def test_whatever_a_heartbeat_holds_the_page_is_drawn(fields: dict[str, str]) -> None:
    store = Store()
    store.workers = (Heartbeat.parse("w", fields),)
    store.rejections = (RejectionRow.parse(fields),)
    store.vitals.add(Sample.of(1.0, store.workers))
    pipeline_props(store, Controls(), 4600.0)


def test_the_page_sums_up_all_workers() -> None:
    store = Store()
    assert told(store, "workers-count-value") == "\u2013"
    assert told(store, "workers-count-note") == "no worker reports"
    store.workers = (Heartbeat.parse("a-1", BEAT), Heartbeat.parse("b-2", BEAT))
    store.memory = Memory(512 * 2**20, 600 * 2**20, 1024 * 2**20)
    assert rejected_by_reason(store.workers) == {"bad_json": 30, "too_late": 10}
    assert told(store, "workers-count-value") == "2"
    assert told(store, "workers-count-note") == "25.0 events per second"
    assert told(store, "lag-total-value") == "3\u202f000"
    assert told(store, "rejected-total-value") == "40"
    assert told(store, "rejected-total-note") == "1.0\u202f% of what was read"
    assert told(store, "models-used-value") == "face 1.2.0"
    assert told(store, "memory-used-value") == "512\u202fMiB"
    assert told(store, "memory-used-note") == "50\u202f% of its limit"
    rows = told(store, "partitions", "rowData")
    assert [row["partition"] for row in rows] == ["2", "2", "10", "10"]
    assert told(store, "workers", "rowData")[0]["up"] == "60\u202fmin"
    other = Heartbeat.parse("c-3", BEAT | {"models": json.dumps({"face": "1.3.0"})})
    store.workers = (*store.workers, other)
    assert told(store, "models-used-value") == "mixed"
    assert told(store, "models-used-note") == "face 1.2.0; face 1.3.0"


def test_a_change_of_a_model_is_shown_with_its_moment() -> None:
    store = Store()
    change = {"since": 1_790_000_000, "previous": "1.1.0", "pinned": False}
    refused = {"refused": "1.4.0", "reason": "head.ubj is missing", "refused_at": 1_790_000_500}
    broken = {"face": change | refused, "text": {"since": 1_790_000_000, "pinned": True}}
    models = json.dumps({"face": "1.2.0", "text": "light"})
    store.workers = (
        Heartbeat.parse("a-1", BEAT | {"model_changes": json.dumps({"face": change})}),
        Heartbeat.parse("b-2", BEAT | {"models": models, "model_changes": json.dumps(broken)}),
    )
    first, second, third = told(store, "model-uses", "rowData")
    assert first["worker"] == "a-1"
    assert (first["model"], first["previous"], first["note"]) == ("face 1.2.0", "1.1.0", "")
    assert first["since"] == "2026-09-21 14:13:20"
    assert second["note"] == "refused: 1.4.0 (head.ubj is missing)"
    assert (third["model"], third["note"]) == ("text light", "named by a setting")


def test_what_a_shadow_finds_is_summed_up_over_processes() -> None:
    store = Store()
    assert told(store, "shadows", "rowData") == []
    store.workers = (Heartbeat.parse("a-1", BEAT), Heartbeat.parse("b-2", BEAT))
    (row,) = told(store, "shadows", "rowData")
    assert (row["model"], row["active"]) == ("face 1.3.0", "1.2.0")
    assert (row["events"], row["failed"], row["skipped"]) == ("20", "2", "6")
    assert row["agreement"] == "95.0\u202f%"
    assert row["confidence"] == "\u22120.020"


@pytest.mark.parametrize(
    ("lags", "seconds"),
    [
        ([], None),
        ([(0, 100)], None),
        ([(0, 0)], 0),
        ([(0, 100), (10, 80), (20, 60)], 30),
        ([(0, 100), (5, 900), (10, 80), (20, 60)], 30),  # one outlier
        ([(0, 100), (10, 100)], None),
        ([(0, 100), (10, 120)], None),
    ],
)
def test_when_the_lag_will_be_gone(lags: list[tuple[float, float]], seconds: float | None) -> None:
    found = time_to_catch_up(lags)
    assert found == (None if seconds is None else pytest.approx(seconds, rel=0.2))


def test_vitals_are_those_of_the_shown_time() -> None:
    vitals = Vitals()
    for second in range(0, 4000, 2):
        vitals.add(Sample(1e9 + second, 1.0, float(second), math.nan))
    times, latency, lag = vitals.window(1e9 + 1000, 60)
    assert times.tolist() == [(1e9 + second) * 1000 for second in range(942, 1001, 2)]
    assert latency.tolist() == [float(second) for second in range(942, 1001, 2)]
    assert all(math.isnan(value) for value in lag)
    assert len(vitals.window(1e9 + 4000, 4000, most=100)[0]) <= 100
    assert [len(part) for part in vitals.window(5.0, 60)] == [0, 0, 0]


def beat(worker: str, histogram: Histogram) -> Heartbeat:
    return Heartbeat.parse(worker, {"latency_histogram": histogram.encode()})


def test_the_latency_of_late_is_of_what_has_come_since_over_all_workers() -> None:
    first, second, recent = Histogram(), Histogram(), RecentLatency()
    for _ in range(1000):
        first.add(9000)  # long ago
    assert math.isnan(recent.p95_ms([beat("a", first), beat("b", second)]))
    for _ in range(90):
        first.add(10)
    for _ in range(10):
        second.add(300)
    assert recent.p95_ms([beat("a", first), beat("b", second)]) == pytest.approx(300, rel=0.1)
    for _ in range(6):
        later = recent.p95_ms([beat("a", first), beat("b", second)])
    assert math.isnan(later)  # nothing has come since


def test_a_worker_that_begins_anew_under_its_name_is_no_negative_count() -> None:
    old, new, recent = Histogram(), Histogram(), RecentLatency()
    for _ in range(50):
        old.add(9000)
    recent.p95_ms([beat("a", old)])
    new.add(10)
    assert math.isnan(recent.p95_ms([beat("a", new)]))
    for _ in range(5):
        recent.p95_ms([beat("a", new)])
    new.add(20)
    assert recent.p95_ms([beat("a", new)]) == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("text", ["", "1,2", ",".join(["-1"] * 200), ",".join(["x"] * 200)])
def test_what_is_no_histogram_says_nothing_of_latency(text: str) -> None:
    held = Heartbeat.parse("a", {"latency_histogram": text})
    assert held.latency_counts == ()
    assert math.isnan(RecentLatency().p95_ms([held]))
