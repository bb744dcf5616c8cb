"""Figures hold exactly what the panes say, on a regular grid, in both colour schemes."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures import BUCKET_S, ROLLING_S, STEP_S, blank, mix, valence
from dashboard.patches import figure_patch
from dashboard.series import Series
from dashboard.theme import EXPRESSION_ORDER, PATTERNS, palette
from dataflows.panes import Pane, statistics
from models.observation import EXPRESSIONS, observe_face

START = 1_795_000_000
LIGHT = palette(dark=False)


def random_series(seed: int, seconds: int) -> Series:
    rnd, series = random.Random(seed), Series()
    for second in range(seconds):
        if rnd.random() < 0.2:
            continue
        faces = []
        for _ in range(rnd.choice((0, 1, 1, 3))):
            weights = [rnd.random() for _ in EXPRESSIONS]
            faces.append(observe_face([w / sum(weights) for w in weights]))
        series.upsert(START + second, Pane.of(faces))
    series.upsert(START + seconds, Pane.of([]))
    return series


@pytest.mark.parametrize("range_s", STEP_S)
def test_each_point_of_the_valence_line_is_the_mean_of_its_ten_seconds(range_s: int) -> None:
    series = random_series(range_s, 700)
    low, high, line = valence(series, range_s, LIGHT, touch=False)["data"]
    assert series.newest is not None
    assert len(line["x"]) == range_s // STEP_S[range_s]
    assert {b - a for a, b in zip(line["x"], line["x"][1:], strict=False)} == {
        STEP_S[range_s] * 1000
    }
    assert 0 <= series.newest * 1000 - line["x"][-1] < STEP_S[range_s] * 1000
    for index, x in enumerate(line["x"]):
        expected = statistics(series.total(x // 1000, ROLLING_S))
        y, (half_width, n) = line["y"][index], line["customdata"][index]
        assert n == series.total(x // 1000, ROLLING_S).n
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


@pytest.mark.parametrize("range_s", BUCKET_S)
def test_the_shares_of_a_bar_are_those_of_its_bucket_and_sum_to_a_hundred(range_s: int) -> None:
    series = random_series(range_s + 1, 900)
    width = BUCKET_S[range_s]
    bars = mix(series, range_s, LIGHT, touch=False)["data"]
    assert [bar["name"] for bar in bars] == list(EXPRESSION_ORDER)
    for index, x in enumerate(bars[0]["x"]):
        total = series.total(x // 1000 + width - 1, width)
        counts = [
            getattr(total, "neutral_face" if name == "neutral" else name)
            for name in EXPRESSION_ORDER
        ]
        assert [bar["customdata"][index] for bar in bars] == counts
        shares = [bar["y"][index] for bar in bars]
        if sum(counts) == 0:
            assert shares == [None] * 7
        else:
            assert sum(shares) == pytest.approx(100, abs=0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_figures_are_json_with_a_fixed_valence_axis_and_a_free_time_axis(dark: bool) -> None:
    series = random_series(3, 100)
    for make in (valence, mix):
        figure = make(series, 300, palette(dark=dark), touch=False)
        json.dumps(figure, allow_nan=False)
        # An explicit range would take the viewer's zoom away with each push.
        assert "range" not in figure["layout"]["xaxis"]
        assert figure["layout"]["uirevision"] == "300"
    assert valence(series, 300, LIGHT, touch=False)["layout"]["yaxis"]["range"] == [-1, 1]
    json.dumps(blank(palette(dark=dark)), allow_nan=False)


def test_a_figure_without_a_pane_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one pane"):
        valence(Series(), 300, LIGHT, touch=False)


def test_expressions_differ_by_colour_and_by_pattern() -> None:
    assert set(EXPRESSION_ORDER) == set(EXPRESSIONS) == set(PATTERNS)
    assert len(set(PATTERNS.values())) == 7
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
    for colour in (*colours.expressions.values(), colours.accent):
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
    st.sampled_from(sorted(STEP_S)),
    st.lists(st.tuples(st.integers(-400, 20), st.integers(1, 9)), min_size=1, max_size=6),
)
def test_a_patched_figure_is_the_new_figure(
    seed: int, range_s: int, changes: list[tuple[int, int]]
) -> None:
    series = random_series(seed % 5, 500)
    for make in (valence, mix):
        before = make(series, range_s, LIGHT, touch=False)
        for offset, events in changes:
            assert series.newest is not None
            series.upsert(series.newest + offset, Pane(n=1, events=events, neutral_face=1))
        after = make(series, range_s, LIGHT, touch=False)
        patch = figure_patch(before, after)
        if patch is None:
            assert data(before) == data(after)
        else:
            assert data(apply(before, patch)) == data(after)


def test_one_new_second_is_a_small_patch() -> None:
    series = random_series(1, 500)
    before = valence(series, 300, LIGHT, touch=False)
    assert series.newest is not None
    series.upsert(series.newest + 1, Pane(n=1, events=1, valence_sum=500, happiness=1, positive=1))
    after = valence(series, 300, LIGHT, touch=False)
    patch = figure_patch(before, after)
    assert patch is not None
    assert len(json.dumps(patch.to_plotly_json())) < len(json.dumps(after)) / 10
    assert figure_patch(after, after) is None
