"""The summary of a run, from figures that are known."""

from __future__ import annotations

import pytest

from dataflows.panes import Pane
from dataflows.telemetry import Histogram
from infra.summary import Counts, Patience, report


@pytest.mark.parametrize(
    ("counts", "settled"),
    [((10, 8, 2), True), ((10, 8, 1), False), ((10, 9, 2), False), ((0, 0, 0), True)],
)
def test_counts_are_settled_when_nothing_is_lost_or_doubled(
    counts: tuple[int, int, int], settled: bool
) -> None:
    assert Counts(*counts).settled is settled


def test_the_report_names_every_expression_as_the_contract_does() -> None:
    pane = Pane(n=9, events=5, surprise=1, happiness=2, neutral_face=4, neutral=5, positive=4)
    latency = Histogram()
    for value in (10.0, 10.0, 200.0):
        latency.add(value)
    summary = report(Counts(6, 5, 1), {"camera": pane}, latency, "http://localhost:1")
    p50 = summary["latency_ms"].pop("p50")
    assert 10 <= p50 <= 11
    assert summary["latency_ms"]["p95"] == summary["latency_ms"]["p99"] >= 200
    del summary["latency_ms"]
    assert summary == {
        "events_in": 6,
        "scored": 5,
        "rejected": 1,
        "observations": 9,
        "sources": {
            "camera": {
                "events": 5,
                "observations": 9,
                "texts": 2,
                "surprise": 1,
                "fear": 0,
                "disgust": 0,
                "happiness": 2,
                "sadness": 0,
                "anger": 0,
                "neutral": 4,
            }
        },
        "dashboard": "http://localhost:1",
    }


def test_nothing_measured_is_null() -> None:
    summary = report(Counts(0, 0, 0), {}, Histogram(), "")
    assert summary["latency_ms"] == {"p50": None, "p95": None, "p99": None}
    assert summary["observations"] == 0


def test_a_flow_that_is_behind_is_waited_for_as_long_as_it_gets_on() -> None:
    patience = Patience(30)
    assert not patience.ends(Counts(10, 0, 0), 100)
    assert not patience.ends(Counts(10, 4, 0), 129)
    assert not patience.ends(Counts(12, 4, 1), 158)
    assert not patience.ends(Counts(20, 8, 2), 187)  # all that had come in at first
    assert not patience.ends(Counts(30, 15, 2), 217)
    assert patience.ends(Counts(40, 25, 2), 217.1)  # others go on sending


def test_a_flow_that_does_nothing_is_not_waited_for() -> None:
    patience = Patience(30)
    assert not patience.ends(Counts(10, 0, 0), 100)
    assert patience.ends(Counts(10, 0, 0), 130.1)
