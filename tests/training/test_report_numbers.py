"""The numbers of a report, against values worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.metrics import expected_calibration_error, report
from training.reporting import groups, intervals, scores

CONFUSION = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])


def test_measures_of_each_class_by_hand() -> None:
    found = scores.by_class(CONFUSION)
    assert found.precision.tolist() == pytest.approx([6 / 7, 3 / 5, 0])
    assert found.recall.tolist() == pytest.approx([6 / 8, 3 / 4, 0])
    assert found.f1.tolist() == pytest.approx([12 / 15, 6 / 9, 0])
    assert found.support.tolist() == [8, 4, 0]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_measures_of_resamples_follow_the_rules_of_the_metrics(
    pairs: list[tuple[int, int]],
) -> None:
    labels, called = np.array(pairs).T
    expected = report(labels, np.eye(3)[called], ("a", "b", "c"))
    found = scores.summary(np.array([expected["confusion"]] * 2))
    names = ("accuracy", "balanced_accuracy", "macro_f1")
    assert found[1].tolist() == pytest.approx([expected[name] for name in names], abs=1e-4)


@given(st.integers(1, 80), st.integers(0, 1000))
def test_the_bins_give_the_calibration_error(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, probabilities = rng.integers(0, 7, n), rng.dirichlet(np.ones(7), n)
    bins = scores.reliability(labels, probabilities)
    assert bins.n.sum() == n
    gaps = np.abs(bins.hits - bins.n * bins.confidence).sum() / n
    assert gaps == pytest.approx(expected_calibration_error(labels, probabilities))


def test_the_most_confident_mistake_comes_first_and_a_tie_keeps_its_order() -> None:
    labels = np.array([0, 0, 1, 1, 0])
    sure = np.array([0.6, 0.9, 0.6, 0.7, 0.8])  # of class 1
    probabilities = np.column_stack([1 - sure, sure])
    assert scores.mistakes(labels, probabilities, 30).tolist() == [1, 4, 0]
    assert scores.mistakes(labels, probabilities, 2).tolist() == [1, 4]
    assert scores.mistakes(np.ones(5, dtype=int), probabilities, 30).tolist() == []


def test_groups_are_cut_at_quantiles_and_keep_equal_values_together() -> None:
    values = np.array([10, 10, 10, 20, 30, 40])
    right = np.array([True, False, True, True, True, False])
    low, middle, high = groups.split(values, right, 3)
    assert (low.low, low.high, low.n, low.hits) == (10, 10, 3, 2)
    assert (middle.low, middle.high, middle.n, middle.hits) == (20, 20, 1, 1)
    assert (high.low, high.high, high.n, high.hits) == (30, 40, 2, 1)
    assert low.accuracy == pytest.approx(2 / 3)
    assert low.name("px") == "10 px"
    assert high.name("px") == "30 to 40 px"


@given(
    st.lists(st.floats(0, 255, width=32), min_size=1, max_size=60),
    st.integers(2, 5),
)
def test_groups_lose_no_face(values: list[float], parts: int) -> None:
    found = groups.split(np.array(values), np.ones(len(values), dtype=bool), parts)
    assert sum(group.n for group in found) == len(values)
    assert 1 <= len(found) <= parts
    assert all(a.high < b.low for a, b in pairwise(found))


def test_one_value_is_one_group() -> None:
    assert len(groups.split(np.full(9, 100), np.ones(9, dtype=bool), 3)) == 1


def test_wilson_by_hand() -> None:
    # 8 of 10: the example of Newcombe 1998 gives 0.490 to 0.943.
    assert intervals.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert intervals.wilson(0, 0) == (0, 1)


@given(st.integers(0, 400), st.integers(1, 400))
def test_an_interval_holds_its_share(hits: int, n: int) -> None:
    hits = min(hits, n)
    low, high = intervals.wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1


def test_resampled_intervals_hold_their_measure_and_repeat() -> None:
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet(np.ones(7) * 0.3, 400)
    labels = (probabilities.cumsum(1) > rng.random((400, 1))).argmax(1)  # calibrated
    found = report(labels, probabilities, tuple("abcdefg"))
    counts = np.array(found["confusion"])
    for interval, name in zip(
        (*intervals.means(counts), intervals.calibration(labels, probabilities)),
        ("balanced_accuracy", "macro_f1", "ece"),
        strict=True,
    ):
        assert interval.low < found[name] < interval.high, name
    assert intervals.means(counts) == intervals.means(counts)


def test_a_paired_interval_is_narrow_where_few_faces_differ() -> None:
    low, high = intervals.paired(only_first=5, only_second=40, n=1000)
    assert 0.02 < low < 0.035 < high < 0.05
    assert intervals.paired(0, 0, 10) == (0, 0)
