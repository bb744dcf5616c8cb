"""The ring of panes and the store keep what Redis says, whatever the order and the gaps."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.history import decode, decode_pane
from dashboard.series import KEEP_S as KEEP
from dashboard.series import Integers, Series, rolling_sums
from dashboard.store import MAX_SERIES, TOTAL, Store
from dataflows.keys import ALL_SOURCES
from dataflows.panes import EMPTY, FIELDS, Pane

START = 1_795_000_020  # the start of a minute
KEEP_S = KEEP[1]


def stored(panes: dict[int, Pane]) -> tuple[Integers, Integers]:
    """Return panes by bucket as arrays, as history comes."""
    return decode([{str(bucket): value.encode() for bucket, value in panes.items()}])


def pane(events: int, n: int = 1) -> Pane:
    return Pane(n=n, events=events, valence_sum=10 * n, neutral=n, neutral_face=n)


@given(
    st.sampled_from(sorted(KEEP)),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 50)), max_size=40),
)
def test_a_series_equals_a_dictionary_of_the_newest_buckets(
    size: int, items: list[tuple[float, int]]
) -> None:
    series, plain = Series(size), dict[int, Pane]()
    for place, events in items:
        bucket = START + int(place * KEEP[size]) // size * size
        plain[bucket] = pane(events)
        series.upsert(bucket, pane(events))
        plain = {at: value for at, value in plain.items() if at > max(plain) - KEEP[size]}
    if not items:
        assert series.newest is None
        return
    newest = max(plain)
    assert series.newest == newest
    rows = series.window(newest + size - 1, KEEP[size])
    assert len(rows) == KEEP[size] // size
    found = {
        newest - size * (len(rows) - 1 - place): Pane(*rows[place].tolist())
        for place in np.flatnonzero(rows.any(axis=1)).tolist()
    }
    assert found == plain


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
    series.fill(*stored({START: pane(2), START - 1: pane(2), START - KEEP_S: pane(9)}))
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


numbers = st.lists(st.integers(-(2**40), 2**40), min_size=15, max_size=15)
broken = st.sampled_from(
    ["", "1,2", ",".join(["1"] * 16), ",".join(["1.5"] * 15), ",".join([str(2**60)] * 15), "x" * 9]
)


@given(
    st.dictionaries(
        st.integers(0, 2**40).map(str) | st.sampled_from(["", "x", "1.5"]),
        numbers.map(lambda values: ",".join(map(str, values))) | broken,
        max_size=30,
    )
)
def test_all_panes_at_once_are_decoded_as_one_by_one(fields: dict[str, str]) -> None:
    buckets, panes = decode([fields])
    assert panes.shape == (len(buckets), len(FIELDS))
    found = {int(bucket): Pane(*row) for bucket, row in zip(buckets, panes.tolist(), strict=True)}
    careful = dict(filter(None, (decode_pane(*item) for item in fields.items())))
    assert found == careful


def test_only_wanted_series_are_held_and_the_least_shown_goes_first() -> None:
    store = Store()
    store.reset({TOTAL: stored({})})
    store.update("a", START, pane(1), written_at=1.0)
    assert store.tracked == (TOTAL,)
    assert store.series("a", 60) is None
    assert store.wanted == {("a", 60): False}
    assert store.series("b", 60, line=True) is None
    assert store.series("b", 60) is None  # for something else too
    assert store.most_wanted == ("b", 60)  # nothing can be drawn without
    store.load(("b", 60), *stored({}))
    assert store.most_wanted == ("a", 60)
    store.track(("a", 60))
    store.load(("a", 60), *stored({START: pane(1)}))
    assert store.wanted == {}
    held = store.series("a", 60)
    assert held is not None
    assert (held.newest, held.resolution_s) == (START, 60)
    for index in range(MAX_SERIES):
        store.track((f"s{index}", 1))
    assert len(store.tracked) == MAX_SERIES
    assert TOTAL in store.tracked
    assert ("a", 60) not in store.tracked


def test_a_changed_second_makes_the_coarser_buckets_dirty_that_are_held() -> None:
    store = Store()
    store.reset({TOTAL: stored({}), ("a", 10): stored({}), ("a", 60): stored({})})
    store.update("a", START + 15, pane(1), written_at=1.0)
    store.update("b", START + 15, pane(1), written_at=1.0)
    assert store.dirty == {(("a", 10), START + 10), (("a", 60), START)}


def test_wanting_a_series_calls_the_reader() -> None:
    store, calls = Store(), list[str]()
    store.on_wanted = lambda: calls.append("now")
    assert store.series("a") is None
    assert calls == ["now"]


def test_newest_times_only_move_forward_and_no_single_source_moves_all() -> None:
    store = Store()
    assert store.newest_event_ms(ALL_SOURCES) is None
    store.see("a", 5_000)
    store.see("b", 9_000)
    store.see("a", 4_000)
    assert store.newest_event_ms("a") == 5_000
    assert store.newest_event_ms(ALL_SOURCES) == 5_000
    assert set(store.sources) == {"a", "b"}
    store.see("b", 10_000, now_ms=12_000)  # it is of now
    assert store.newest_event_ms(ALL_SOURCES) == 10_000
    store.see("b", 99_000, now_ms=12_000)
    assert store.newest_event_ms(ALL_SOURCES) == 10_000


def test_an_event_of_tomorrow_does_not_hide_those_of_today() -> None:
    store, tomorrow = Store(), START + 86_400
    store.reset({TOTAL: stored({START: pane(1)}), ("w", 1): stored({})})
    for name in "ab":
        store.see(name, START * 1000)
    for name in (ALL_SOURCES, "w"):
        store.update(name, tomorrow, pane(5), written_at=1.0)
    total, own = store.series(ALL_SOURCES), store.series("w")
    assert total is not None
    assert own is not None
    assert store.end(ALL_SOURCES, total) == START
    assert total.total(START, 60).n == 1
    assert store.end("w", own) == tomorrow
    # Whatever came first.
    early = Store()
    early.reset({TOTAL: stored({})})
    early.update(ALL_SOURCES, tomorrow, pane(5), written_at=1.0)
    early.see("w", tomorrow * 1000)
    assert not early.wanted
    early.see("a", START * 1000)
    assert early.wanted == {TOTAL: True}
    early.load(TOTAL, *stored({START: pane(1), tomorrow: pane(5)}))
    total = early.series(ALL_SOURCES)
    assert total is not None
    assert (total.newest, early.wanted) == (START, {})
    # The flow says where all are together, and may have to take it back.
    store.as_of_ms = tomorrow * 1000
    assert store.newest_event_ms(ALL_SOURCES) == tomorrow * 1000
    store.as_of_ms = START * 1000
    assert store.newest_event_ms(ALL_SOURCES) == START * 1000


def test_a_reset_forgets_everything_else() -> None:
    store = Store()
    store.reset({TOTAL: stored({START: pane(1)}), ("a", 1): stored({START: pane(1)})})
    store.update("a", START + 1, pane(2), written_at=3.0)
    assert not store.empty
    store.reset({TOTAL: stored({})})
    assert store.empty
    assert store.updated_at is None
    assert store.sources == {}
