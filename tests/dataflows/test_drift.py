"""How far an hour is from a reference: arithmetic that is exact in any order, and what it says."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from drift_parts import BARE, BASELINE, MODEL, draw
from hypothesis import given
from hypothesis import strategies as st

from dataflows.drift import (
    Baseline,
    Figures,
    Model,
    count,
    empty,
    measure,
    merge,
    observations,
    psi,
    seen_of,
    squared_distance,
    verdict,
)
from dataflows.drift_options import DriftOptions
from models.observation import EXPRESSIONS, Observation
from models.reference import BINS, UNIT, confidence_bin

counts = st.lists(st.integers(0, 10_000), min_size=3, max_size=3)


@given(counts, counts)
def test_the_index_is_never_negative_and_the_same_from_both_sides(
    one: list[int], other: list[int]
) -> None:
    assert psi(one, other) >= 0
    assert psi(one, other) == pytest.approx(psi(other, one))
    assert psi(one, one) == 0


def test_the_index_is_that_of_the_formula() -> None:
    # Shares after half a count is added to each bin: 0.2, 0.8 against 0.5, 0.5.
    found = psi([2, 8], [5, 5])
    p, q = [2.5 / 11, 8.5 / 11], [0.5, 0.5]
    assert found == pytest.approx(sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True)))


def test_an_empty_bin_has_a_finite_index() -> None:
    assert 2 < psi([1000, 0], [0, 1000]) < 20


def test_bins_that_differ_in_number_are_an_error() -> None:
    with pytest.raises(ValueError, match="longer"):
        psi([1, 2], [1, 2, 3])


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(0, 40))
def test_sums_are_the_same_in_any_order_and_grouping(seed: int, n: int, cut: int) -> None:
    random = Random(seed)
    seen = [draw(random) for _ in range(n)]
    whole = empty(MODEL)
    for one in seen:
        count(whole, one)
    random.shuffle(seen)
    parts = [empty(MODEL), empty(MODEL)]
    for index, one in enumerate(seen):
        count(parts[index < cut], one)
    assert merge(MODEL, *parts) == tuple(whole)
    assert observations(MODEL, tuple(whole)) == n
    assert sum(whole[3 : 3 + BINS]) == whole[3 + BINS] == n


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_the_distance_is_that_of_the_moments(seed: int, n: int) -> None:
    rows = np.random.default_rng(seed).integers(-500, 500, (n, 2))
    sums, squares = rows.sum(0).tolist(), (rows**2).sum(0).tolist()
    centre, spread = np.array(BASELINE.mean), np.array(BASELINE.deviation)
    means, deviations = rows.mean(0) / UNIT, rows.std(0) / UNIT
    expected = (((means - centre) / spread) ** 2 + (deviations / spread - 1) ** 2).sum()
    found = squared_distance(BASELINE, n, sums, squares)
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_mean_that_is_one_deviation_off_is_a_distance_of_one() -> None:
    baseline = Baseline((1,), (1,), (0.0,), (1.0,))
    assert squared_distance(baseline, 2, [200], [200**2]) == pytest.approx(1.0)


def hour(n: int, model: Model = MODEL, away: float = 0.0, first: float = 0.0) -> tuple[int, ...]:
    random, sums = Random(7), empty(model)
    for _ in range(n):
        count(sums, draw(random, model, away, first))
    return tuple(sums)


def test_little_is_said_of_few_and_nothing_without_a_reference() -> None:
    options = DriftOptions()
    few = measure(MODEL, hour(199), 200)
    assert few[1:] == (None, None, None)
    assert verdict(MODEL, few, options) == "few"
    bare = measure(BARE, hour(500, BARE), 200)
    assert bare == Figures(500)
    assert verdict(BARE, bare, options) == "no_reference"


@pytest.mark.parametrize(
    ("away", "first", "moved"),
    [(0.0, 0.0, ()), (1.0, 0.0, ("embedding",)), (0.0, 0.5, ("mix", "confidence"))],
)
def test_what_has_moved_is_told_and_nothing_else(
    away: float, first: float, moved: tuple[str, ...]
) -> None:
    options = DriftOptions()
    figures = measure(MODEL, hour(500, MODEL, away, first), 200)
    limits = {name: getattr(options, name) for name in ("mix", "confidence", "embedding")}
    assert tuple(n for n, limit in limits.items() if getattr(figures, n) > limit) == moved
    assert verdict(MODEL, figures, options) == ("drift" if moved else "steady")


def test_sums_of_before_a_reference_add_to_those_with_one() -> None:
    before, after = Model("text", "1.0.0"), MODEL
    for found in (
        merge(after, hour(10, before), hour(20, after)),
        merge(before, hour(20, after), hour(10, before)),
    ):
        assert observations(MODEL, found) == 30
        assert found[3 + BINS :] == hour(20, after)[3 + BINS :]


def test_coordinates_of_another_reference_are_not_added_and_not_held_against_it() -> None:
    narrow = Model("text", "1.0.0", BASELINE._replace(mean=(0.0,), deviation=(1.0,)))
    old, new = hour(20), empty(narrow)
    random = Random(9)
    for _ in range(30):
        seen = draw(random)
        count(new, seen._replace(model=narrow, coordinates=(seen.coordinates or ())[:1]))
    found = merge(narrow, old, new)
    assert found[: 3 + BINS] == tuple(a + b for a, b in zip(old, new[: 3 + BINS], strict=False))
    assert found[3 + BINS :] == tuple(new[3 + BINS :])
    assert measure(narrow, found, 20).embedding is not None
    figures = measure(narrow, old, 20)  # of an hour before the change
    assert (figures.mix, figures.embedding) == (measure(MODEL, old, 20).mix, None)


def test_a_face_counts_for_its_expression_and_a_text_for_its_sentiment() -> None:
    face = seen_of(Model("face", "1"), Observation("negative", -900, 950, "anger"), None)
    assert EXPRESSIONS[face.choice] == "anger"
    text = seen_of(MODEL, Observation("positive", 900, 950), (1, 2))
    assert (text.choice, text.confidence, text.coordinates) == (2, 950, (1, 2))


def test_confidence_goes_into_ten_bins() -> None:
    assert [confidence_bin(c) for c in (0, 99, 100, 999, 1000)] == [0, 0, 1, 9, 9]
