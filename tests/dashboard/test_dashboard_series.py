"""The ring of panes and the store keep what Redis says, whatever the order and the gaps."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.series import KEEP_S, Series, rolling_sums
from dashboard.store import MAX_SERIES, Store
from dataflows.keys import ALL_SOURCES
from dataflows.panes import EMPTY, FIELDS, Pane

START = 1_795_000_000


def pane(events: int, n: int = 1) -> Pane:
    return Pane(n=n, events=events, valence_sum=10 * n, neutral=n, neutral_face=n)


@given(
    st.lists(st.tuples(st.integers(0, 3 * KEEP_S), st.integers(1, 50)), max_size=60),
)
def test_a_series_equals_a_dictionary_of_the_newest_seconds(items: list[tuple[int, int]]) -> None:
    series, plain = Series(), dict[int, Pane]()
    for second, events in items:
        plain[START + second] = pane(events)
        newest = max(plain)
        series.upsert(START + second, pane(events))
        plain = {bucket: value for bucket, value in plain.items() if bucket > newest - KEEP_S}
    if not items:
        assert series.newest is None
        return
    newest = max(plain)
    assert series.newest == newest
    rows = series.window(newest, KEEP_S)
    for offset, row in enumerate(rows.tolist()):
        bucket = newest - KEEP_S + 1 + offset
        assert Pane(*row) == plain.get(bucket, EMPTY)


def test_a_window_beyond_what_is_kept_is_zero() -> None:
    series = Series()
    series.upsert(START, pane(3))
    assert series.total(START + 10, 10) == EMPTY
    assert series.total(START + 10, 11) == pane(3)
    assert series.window(START + KEEP_S, 5).sum() == 0
    assert Series().total(START, 60) == EMPTY


def test_the_version_changes_exactly_when_a_pane_does() -> None:
    series = Series()
    assert series.upsert(START, pane(3))
    version = series.version
    assert not series.upsert(START, pane(3))
    assert series.version == version
    assert series.upsert(START, pane(4))
    assert series.version != version
    assert not series.upsert(START - KEEP_S, pane(1))  # too old to be kept


def test_history_never_undoes_an_update() -> None:
    series = Series()
    series.upsert(START, pane(5))
    assert not series.fill(START, pane(2))
    assert series.fill(START - 1, pane(2))
    assert series.total(START, 1) == pane(5)
    assert series.total(START, 2).events == 7


def test_a_number_that_is_too_large_is_refused_and_changes_nothing() -> None:
    series = Series()
    with pytest.raises(OverflowError):
        series.upsert(START, Pane(n=2**63, events=1))
    assert series.newest is None


@given(st.integers(1, 12), st.integers(0, 40), st.randoms(use_true_random=False))
def test_rolling_sums_are_the_plain_sums(width: int, extra: int, rnd: random.Random) -> None:
    rows = np.array(
        [[rnd.randrange(-1000, 1000) for _ in FIELDS] for _ in range(width + extra)], dtype=np.int64
    )
    expected = [rows[i : i + width].sum(axis=0).tolist() for i in range(extra + 1)]
    assert rolling_sums(rows, width).tolist() == expected


def test_only_wanted_sources_are_held_and_the_least_shown_goes_first() -> None:
    store = Store()
    store.reset({ALL_SOURCES: []})
    store.update("a", START, pane(1), written_at=1.0)
    assert store.tracked == (ALL_SOURCES,)
    assert store.series("a") is None
    assert store.wanted == {"a"}
    store.track("a")
    store.load("a", [(START, pane(1))])
    assert store.wanted == set()
    held = store.series("a")
    assert held is not None
    assert held.newest == START
    for index in range(MAX_SERIES):
        store.track(f"s{index}")
    assert len(store.tracked) == MAX_SERIES
    assert ALL_SOURCES in store.tracked
    assert "a" not in store.tracked


def test_wanting_a_source_calls_the_reader() -> None:
    store, calls = Store(), list[str]()
    store.on_wanted = lambda: calls.append("now")
    assert store.series("a") is None
    assert calls == ["now"]


def test_newest_times_only_move_forward_and_all_is_the_newest_of_all() -> None:
    store = Store()
    assert store.newest_event_ms(ALL_SOURCES) is None
    store.see("a", 5_000)
    store.see("b", 9_000)
    store.see("a", 4_000)
    assert store.newest_event_ms("a") == 5_000
    assert store.newest_event_ms(ALL_SOURCES) == 9_000
    assert set(store.sources) == {"a", "b"}


def test_a_reset_forgets_everything_else() -> None:
    store = Store()
    store.reset({ALL_SOURCES: [(START, pane(1))], "a": [(START, pane(1))]})
    store.update("a", START + 1, pane(2), written_at=3.0)
    assert not store.empty
    store.reset({ALL_SOURCES: []})
    assert store.empty
    assert store.updated_at is None
    assert store.sources == {}
