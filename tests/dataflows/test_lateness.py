from hypothesis import given
from hypothesis import strategies as st

from dataflows.lateness import Lateness

events = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5000)), max_size=60)


def test_an_event_is_late_when_it_is_more_than_the_bound_behind() -> None:
    lateness = Lateness(100, 10_000)
    assert not lateness.is_late("a", 1000)
    assert not lateness.is_late("a", 900)
    assert lateness.is_late("a", 899)
    assert not lateness.is_late("b", 1)


def test_a_late_event_moves_nothing() -> None:
    lateness = Lateness(100, 10_000)
    lateness.is_late("a", 1000)
    lateness.is_late("a", 5)
    assert lateness.snapshot() == {"a": 1000}


@given(events, st.integers(0, 60))
def test_a_restart_anywhere_gives_the_same_verdicts(
    stream: list[tuple[str, int]], cut: int
) -> None:
    whole = Lateness(300, 1000)
    expected = [whole.is_late(*event) for event in stream]
    first = Lateness(300, 1000)
    verdicts = [first.is_late(*event) for event in stream[:cut]]
    second = Lateness(300, 1000, first.snapshot())
    verdicts += [second.is_late(*event) for event in stream[cut:]]
    assert verdicts == expected


def test_sources_far_behind_two_others_are_forgotten() -> None:
    lateness = Lateness(100, 1000)
    lateness.is_late("old", 10)
    lateness.is_late("new", 5000)
    assert lateness.snapshot() == {"old": 10, "new": 5000}
    lateness.is_late("newer", 6000)
    assert lateness.snapshot() == {"new": 5000, "newer": 6000}


def test_a_wrong_clock_changes_no_verdict_on_another_source() -> None:
    lateness = Lateness(100, 1000)
    assert not lateness.is_late("a", 5000)
    assert not lateness.is_late("ahead", 10**9)
    assert lateness.is_late("a", 4899)
