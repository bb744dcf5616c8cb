"""Figures hold exactly what the panes say, on a regular grid, in both colour schemes."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts.flow import flow
from dashboard.charts.heatmap import FEW, heatmap
from dashboard.charts.parts import Figure, Look, blank
from dashboard.charts.shares import expressions, sentiments
from dashboard.charts.valence import Marker, valence
from dashboard.patches import figure_patch
from dashboard.scales import COLUMNS, SCALES, Scale
from dashboard.series import Series
from dashboard.theme import EXPRESSION_ORDER, PATTERNS, SENTIMENT_ORDER, SENTIMENT_PATTERNS, palette
from dataflows.keys import RESOLUTIONS_S
from dataflows.panes import Pane, statistics
from models.observation import EXPRESSIONS, observe_face

START = 1_795_000_020  # the start of a minute
LIGHT = palette(dark=False)
SIZES = pytest.mark.parametrize("scale", SCALES.values(), ids=str)


def random_series(seed: int, buckets: int, resolution_s: int = 1) -> Series:
    rnd, series = random.Random(seed), Series(resolution_s)
    for number in range(buckets):
        if rnd.random() < 0.2:
            continue
        faces = []
        for _ in range(rnd.choice((0, 1, 1, 3))):
            weights = [rnd.random() for _ in EXPRESSIONS]
            faces.append(observe_face([w / sum(weights) for w in weights]))
        series.upsert(START + number * resolution_s, Pane.of(faces))
    series.upsert(START + buckets * resolution_s, Pane.of([]))
    return series


def newest(series: Series) -> int:
    assert series.newest is not None
    return series.newest


@SIZES
def test_a_range_is_cut_into_whole_steps_and_columns(scale: Scale) -> None:
    assert {scale.resolution_s, scale.heat_resolution_s} <= set(RESOLUTIONS_S)
    assert scale.range_s == COLUMNS * scale.bucket_s
    for part in (scale.step_s, scale.rolling_s, scale.bucket_s):
        assert part % scale.resolution_s == 0
    assert scale.bucket_s % scale.heat_resolution_s == 0
    assert scale.range_s % scale.step_s == 0
    assert 30 <= scale.range_s // scale.step_s <= 1000


@SIZES
def test_each_point_of_the_valence_line_is_the_mean_of_its_window(scale: Scale) -> None:
    series = random_series(scale.range_s, 700, scale.resolution_s)
    end = newest(series)
    low, high, line, _ = valence(series, end, Look(scale, LIGHT))["data"]
    assert len(line["x"]) == scale.range_s // scale.step_s
    steps = {b - a for a, b in zip(line["x"], line["x"][1:], strict=False)}
    assert steps == {scale.step_s * 1000}
    assert 0 <= end * 1000 - line["x"][-1] < scale.step_s * 1000
    for index, x in enumerate(line["x"]):
        total = series.total(x // 1000, scale.rolling_s)
        expected = statistics(total)
        y, (half_width, n) = line["y"][index], line["customdata"][index]
        assert n == total.n
        if math.isnan(expected.valence):
            assert y is None
            assert low["y"][index] == high["y"][index]
            continue
        assert y == pytest.approx(expected.valence, abs=6e-5)
        if math.isnan(expected.valence_ci95):
            assert half_width is None
            continue
        assert half_width == pytest.approx(expected.valence_ci95, abs=6e-5)
        assert low["y"][index] == pytest.approx(max(-1, y - half_width), abs=2e-4)
        assert high["y"][index] == pytest.approx(min(1, y + half_width), abs=2e-4)


def test_only_alerts_within_the_range_are_marked() -> None:
    series = random_series(1, 400)
    end = newest(series)
    marks = [Marker(end - 1000, "old"), Marker(end - 100, "shift"), Marker(end + 5, "later")]
    marked = valence(series, end, Look(SCALES[300], LIGHT), marks)["data"][3]
    assert (marked["x"], marked["customdata"]) == ([(end - 100) * 1000], ["shift"])


@SIZES
@pytest.mark.parametrize("draw", [expressions, sentiments])
def test_the_shares_of_a_bar_are_those_of_its_bucket_and_sum_to_a_hundred(
    scale: Scale, draw: Any
) -> None:
    series = random_series(scale.range_s + 1, 900, scale.resolution_s)
    width = scale.bucket_s
    bars = draw(series, newest(series), Look(scale, LIGHT))["data"]
    names = EXPRESSION_ORDER if draw is expressions else SENTIMENT_ORDER
    assert [bar["name"] for bar in bars] == list(names)
    columns = list(names)
    if draw is expressions:  # "neutral" is also a sentiment
        columns[columns.index("neutral")] = "neutral_face"
    for index, x in enumerate(bars[0]["x"]):
        total = series.total(x // 1000 + width - scale.resolution_s, width)
        counts = [getattr(total, column) for column in columns]
        assert [bar["customdata"][index] for bar in bars] == counts
        shares = [bar["y"][index] for bar in bars]
        if sum(counts) == 0:
            assert set(shares) == {None}
        else:
            assert sum(shares) == pytest.approx(100, abs=0.05)


@SIZES
def test_a_cell_of_the_heatmap_is_the_mean_of_its_source_and_faded_if_few_were_seen(
    scale: Scale,
) -> None:
    held = {
        name: random_series(seed, 400, scale.heat_resolution_s)
        for seed, name in enumerate(("b", "a"))
    }
    end = newest(held["a"])
    cells, veil = heatmap({**held, "later": None}, end, Look(scale, LIGHT))["data"]
    assert cells["y"] == ["b", "a", "later"]
    assert cells["z"][2] == [None] * COLUMNS
    for row, series in enumerate(held.values()):
        for column, x in enumerate(cells["x"]):
            start = x // 1000 - scale.bucket_s // 2
            total = series.total(start + scale.bucket_s - 1, scale.bucket_s)
            mean = statistics(total).valence
            assert cells["customdata"][row][column] == total.n
            assert veil["z"][row][column] == (1 if 0 < total.n < FEW else None)
            if total.n:
                assert cells["z"][row][column] == pytest.approx(mean, abs=6e-4)
            else:
                assert cells["z"][row][column] is None


def test_throughput_latency_and_lag_stand_above_each_other() -> None:
    series = random_series(2, 400)
    end = newest(series)
    vitals = (np.array([end * 1000.0]), np.array([12.5]), np.array([math.nan]))
    figure = flow(series, end, Look(SCALES[300], LIGHT), vitals, ("a", "b", "c"))
    rates, latency, lag = figure["data"]
    assert sum(rates["y"]) * 10 == pytest.approx(
        series.total(rates["x"][-1] // 1000 + 9, 300).events, abs=0.2
    )
    assert (latency["y"], lag["y"]) == ([12.5], [None])
    domains = [figure["layout"][name]["domain"] for name in ("yaxis3", "yaxis2", "yaxis")]
    assert all(a[1] < b[0] for a, b in pairwise(domains))
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["a", "b", "c"]


@pytest.mark.parametrize("dark", [False, True])
def test_figures_are_json_with_a_fixed_valence_axis_and_a_free_time_axis(dark: bool) -> None:
    series = random_series(3, 100)
    look = Look(SCALES[300], palette(dark=dark))
    for figure in every_figure(series, newest(series), look):
        json.dumps(figure, allow_nan=False)
        # An explicit range would take the viewer's zoom away with each push.
        assert "range" not in figure["layout"]["xaxis"]
        assert figure["layout"]["uirevision"] == "300 None"
    assert valence(series, newest(series), look)["layout"]["yaxis"]["range"] == [-1, 1]
    json.dumps(blank(palette(dark=dark)), allow_nan=False)


def every_figure(series: Series, end: int, look: Look) -> list[Figure]:
    vitals = (np.zeros(0), np.zeros(0), np.zeros(0))
    return [
        valence(series, end, look),
        expressions(series, end, look),
        sentiments(series, end, look),
        heatmap({"a": series, "b": None}, end, look),
        flow(series, end, look, vitals, ("", "", "")),
    ]


def test_expressions_differ_by_colour_and_by_pattern() -> None:
    assert set(EXPRESSION_ORDER) == set(EXPRESSIONS) == set(PATTERNS)
    assert len(set(PATTERNS.values())) == 7
    assert len(set(SENTIMENT_PATTERNS.values())) == 3
    for dark in (False, True):
        assert len(set(palette(dark=dark).expressions.values())) == 7


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_colours_can_be_read_on_their_background(dark: bool) -> None:
    colours = palette(dark=dark)
    for colour in (*colours.expressions.values(), *colours.sentiments.values(), colours.accent):
        assert contrast(colour, colours.surface) >= 3
    for colour in (colours.text, colours.muted):
        assert contrast(colour, colours.surface) >= 4.5


def apply(figure: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Apply a patch as the browser does."""
    result: dict[str, Any] = json.loads(json.dumps(figure))
    for operation in patch.to_plotly_json()["operations"]:
        *path, last = operation["location"]
        target = result
        for step in path:
            target = target[step]
        match operation["operation"]:
            case "Assign":
                target[last] = operation["params"]["value"]
            case "Delete":
                del target[last]
            case "Extend":
                target[last] = target[last] + operation["params"]["value"]
            case other:
                raise AssertionError(other)
    return result


def data(figure: dict[str, Any]) -> list[dict[str, list[Any]]]:
    return [{k: v for k, v in t.items() if isinstance(v, list)} for t in figure["data"]]


@given(
    st.integers(0, 1000),
    st.sampled_from([60, 300, 900]),
    st.lists(st.tuples(st.integers(-400, 20), st.integers(1, 9)), min_size=1, max_size=6),
)
def test_a_patched_figure_is_the_new_figure(
    seed: int, range_s: int, changes: list[tuple[int, int]]
) -> None:
    look = Look(SCALES[range_s], LIGHT)
    series = random_series(seed % 5, 500)
    before = every_figure(series, newest(series), look)
    for offset, events in changes:
        series.upsert(newest(series) + offset, Pane(n=1, events=events, neutral_face=1))
    after = every_figure(series, newest(series), look)
    for old, new in zip(before, after, strict=True):
        patch = figure_patch(old, new)
        if patch is None:
            assert data(old) == data(new)
        else:
            assert data(apply(old, patch)) == data(new)


def test_one_new_second_is_a_small_patch() -> None:
    look = Look(SCALES[300], LIGHT)
    series = random_series(1, 500)
    before = every_figure(series, newest(series), look)
    event = Pane(n=1, events=1, valence_sum=500, happiness=1, positive=1)
    series.upsert(newest(series) + 1, event)
    after = every_figure(series, newest(series), look)
    patch = figure_patch(before[0], after[0])
    assert patch is not None
    assert len(json.dumps(patch.to_plotly_json())) < len(json.dumps(after[0])) / 10
    assert figure_patch(after[0], after[0]) is None
    for index in (1, 2, 3):  # at most a column has changed, or a new one has begun
        small = figure_patch(before[index], after[index])
        if small is not None:
            assert len(json.dumps(small.to_plotly_json())) < len(json.dumps(after[index])) / 2
