import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.telemetry import Counter, Histogram

durations = st.lists(st.floats(0, 1e7), min_size=1)


@given(durations, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_at_most_a_tenth_too_high(values: list[float], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    quantile = histogram.quantile(share)
    exact = sorted(values)[-(-int(share * len(values) * 1000) // 1000) - 1]
    assert quantile is not None
    assert quantile >= exact * (1 - 1e-9)
    assert quantile <= max(sorted(values)[min(len(values) - 1, int(share * len(values)))], 0.1) * (
        1.1 + 1e-9
    )


@given(durations, durations)
def test_histograms_of_two_processes_are_one(left: list[float], right: list[float]) -> None:
    first, second, both = Histogram(), Histogram(), Histogram()
    for value in left:
        first.add(value)
        both.add(value)
    for value in right:
        second.add(value)
        both.add(value)
    merged = Histogram.decode(first.encode()).merge(second)
    assert merged.encode() == both.encode()


def test_an_empty_histogram_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None


def test_a_negative_duration_counts_as_none() -> None:
    histogram = Histogram()
    histogram.add(-5)
    assert histogram.quantile(0.5) == pytest.approx(0.1)


def test_a_text_that_is_no_histogram_is_refused() -> None:
    with pytest.raises(ValueError, match="200 buckets"):
        Histogram.decode("1,2")


def test_a_counter_counts() -> None:
    counter = Counter()
    counter.increment()
    counter.increment(4)
    assert counter.value == 5
