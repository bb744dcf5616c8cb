"""The benchmark of the API says what it has measured; how fast that was is nothing to test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.api_load import poisson
from infra.bench_api import main

pytestmark = pytest.mark.integration

SHORT = ["--clients", "2", "--rounds", "2", "--seconds", "0.05", "--step", "3"]


@pytest.fixture
def lines(
    clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, dict[str, Any]]:
    """Return what is printed, by what it is of."""
    assert main(SHORT) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["what"]: line for line in found}


@pytest.mark.nightly
def test_every_goal_is_judged_by_what_was_measured(lines: dict[str, dict[str, Any]]) -> None:
    predict = lines.pop("predict / bare scorer")
    assert (predict["goal"], predict["clients"]) == (">= 0.8", 2)
    on_edge = abs(predict["ratio"] - 0.8) < 0.001  # where rounding may have moved it
    assert on_edge or predict["met"] is (predict["ratio"] >= 0.8)
    half = lines.pop("p99 at half load / one picture alone")
    assert half["requests"] >= 4
    assert half["ratio"] >= half["p50_ratio"] > 0
    failed = lines.pop("swap: failed requests")
    assert (failed["failed"], failed["met"]) == (0, True)
    gap = lines.pop("swap: longest gap in answers")
    assert 0 < gap["gap_s"] < 60
    flow = lines.pop("swap in the flow: longest gap in scoring")
    assert 0 < flow["usual_s"] <= flow["gap_s"]
    shadow = lines.pop("scoring with a shadow / without")
    assert shadow["compared"] > 0
    assert shadow["agreed"]  # it is a copy of the model in use
    assert not lines


def test_arrivals_come_at_the_rate_that_is_asked_for() -> None:
    times = poisson(50, 40)
    assert times == sorted(times) == poisson(50, 40)
    assert len(times) / times[-1] == pytest.approx(50, rel=0.1)
    assert poisson(50, 40, seed=1) != times
