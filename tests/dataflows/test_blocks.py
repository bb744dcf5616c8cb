from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from dataflows.blocks import Delta, Minute, Partial, Restore
from dataflows.open_minutes import OpenMinutes
from dataflows.panes import EMPTY, FIELDS, Pane, pack, unpack

buckets = st.integers(0, 400)
panes = st.builds(Pane, *[st.integers(-(10**9), 10**9)] * len(FIELDS))
events = st.lists(st.tuples(st.integers(0, 400_000), panes), max_size=40)


def partial(batch: list[tuple[int, Pane]]) -> Partial:
    sums: dict[int, Pane] = defaultdict(Pane)
    for time_ms, pane in batch:
        sums[time_ms // 1000] = sums[time_ms // 1000].merge(pane)
    times_ms = [time_ms for time_ms, _ in batch]
    return Partial("a", dict(sums), max(times_ms, default=0), [at + 5 for at in times_ms])


@given(st.dictionaries(buckets, panes))
def test_packed_panes_come_back(given: dict[int, Pane]) -> None:
    assert unpack(pack(given)) == given


@given(events, st.integers(1, 7), st.lists(st.booleans(), min_size=40, max_size=40))
def test_panes_are_the_plain_sums_whatever_the_batches_and_restarts(
    stream: list[tuple[int, Pane]], size: int, restarts: list[bool]
) -> None:
    minutes: dict[int, Minute] = {}
    opened = OpenMinutes(kept_s=86_400)
    seen: dict[int, dict[int, Pane]] = defaultdict(dict)
    for start in range(0, len(stream), size):
        deltas, expired = opened.split(partial(stream[start : start + size]))
        assert expired == 0
        for minute, delta in deltas.items():
            state = minutes.setdefault(minute, Minute())
            for resolution, changed in state.add([delta]).panes.items():
                seen[resolution].update(changed)
        if restarts[start % 40]:
            opened = OpenMinutes(86_400, opened.snapshot())
            minutes = {minute: Minute(state.snapshot()) for minute, state in minutes.items()}
    for resolution in (1, 10, 60):
        expected: dict[int, Pane] = {}
        for time_ms, pane in stream:
            bucket = time_ms // 1000 // resolution * resolution
            expected[bucket] = expected.get(bucket, EMPTY).merge(pane)
        assert seen[resolution] == expected


def test_a_minute_is_closed_when_it_is_further_behind_than_kept() -> None:
    opened = OpenMinutes(kept_s=120)
    opened.split(partial([(30_000, EMPTY)]))
    assert opened.close() == []
    opened.split(partial([(180_000, EMPTY)]))
    assert opened.close() == [0]  # the slot of the first minute
    deltas, expired = opened.split(partial([(30_000, EMPTY._replace(events=3)), (181_000, EMPTY)]))
    assert (list(deltas), expired) == ([180], 3)


def test_open_minutes_survive_a_restart_as_runs() -> None:
    opened = OpenMinutes(kept_s=10_000)
    opened.split(partial([(at * 1000, EMPTY) for at in (0, 60, 120, 600)]))
    assert opened.snapshot() == (600_000, [(0, 3, 0), (600, 1, 3)], 0, None)
    again = OpenMinutes(10_000, opened.snapshot())
    again.split(partial([(20_000_000, EMPTY)]))
    assert again.close() == [0, 1, 2, 3]
    assert again.newest_first() == [19_980]


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60))
def test_slots_are_used_again_and_never_by_two_minutes(steps: list[tuple[int, bool]]) -> None:
    opened, used = OpenMinutes(kept_s=240), set[int]()
    for minute, restart in steps:
        opened.split(partial([(minute * 60_000, EMPTY)]))
        opened.close()
        slots = {opened.slot(start) for start in opened.newest_first()}
        assert len(slots) == len(opened.newest_first())
        used |= slots
        if restart:
            opened = OpenMinutes(240, opened.snapshot())
    assert used <= set(range(6))  # five minutes are kept, and one more before the oldest is closed


def test_record_timestamps_travel_once() -> None:
    deltas, _ = OpenMinutes(86_400).split(partial([(1000, EMPTY), (61_000, EMPTY)]))
    assert sorted(stamp for delta in deltas.values() for stamp in delta.stamps_ms) == [1005, 61_005]


def test_a_gap_inside_of_a_batch_lets_nothing_expire() -> None:
    opened = OpenMinutes(kept_s=120)
    deltas, expired = opened.split(partial([(10_000, EMPTY), (1_000_000, EMPTY)]))
    assert (sorted(deltas), expired) == ([0, 960], 0)
    assert opened.close() == [0]


def test_what_is_as_old_as_what_has_left_is_not_added_to_nothing() -> None:
    opened = OpenMinutes(kept_s=120)
    opened.split(partial([(61_000, EMPTY._replace(events=1))]))
    assert opened.leave() == [0]
    assert opened.newest_first() == []
    again = OpenMinutes(120, opened.snapshot())
    for old in (50_000, 119_000):
        assert again.split(partial([(old, EMPTY._replace(events=1))])) == ({}, 1)
    deltas, expired = again.split(partial([(120_000, EMPTY._replace(events=1))]))
    assert (sorted(deltas), expired) == ([120], 0)


def test_minutes_that_were_closed_just_now_leave_with_the_others() -> None:
    opened = OpenMinutes(kept_s=120)
    opened.split(partial([(0, EMPTY)]))
    opened.split(partial([(600_000, EMPTY)]))
    assert opened.close() == [0]
    # The older one may have told something that the rolling windows have not heard yet.
    assert opened.leave() == [1, 0]
    opened.split(partial([(1_200_000, EMPTY)]))
    opened.snapshot()  # comes when all has been heard
    assert opened.leave() == [0]


def test_a_restored_minute_tells_all_its_panes() -> None:
    minute = Minute()
    minute.add([Delta({5: EMPTY._replace(n=1)}, 5500, [])])
    restored = Minute(minute.snapshot()).restored(Restore(3))
    assert restored.panes == {}
    assert unpack(restored.restored or b"") == {5: EMPTY._replace(n=1)}
    assert restored.newest_ms == 5500
    assert restored.minutes == 3
