from hypothesis import given
from hypothesis import strategies as st

from dataflows.blocks import Change
from dataflows.panes import EMPTY, Pane, pack
from dataflows.rolling import Rolling

WINDOWS = (3, 10, 60)
KEPT_S = 200
# Mostly near each other, sometimes far: both ways of moving the windows are taken.
buckets = st.one_of(st.integers(0, 100), st.sampled_from([500, 1000, 100_000]))
changes = st.lists(st.tuples(buckets, st.integers(0, 50)), min_size=1, max_size=60)


def change(bucket: int, n: int) -> Change:
    return Change({1: {bucket: EMPTY._replace(n=n)}}, bucket * 1000, [])


def expected(panes: dict[int, Pane]) -> dict[int, Pane]:
    newest = max(panes)
    result = {}
    for window in WINDOWS:
        total = EMPTY
        for bucket, pane in panes.items():
            if newest - window < bucket <= newest:
                total = total.merge(pane)
        result[window] = total
    return result


@given(changes, st.integers(1, 5))
def test_windows_are_sums_over_the_newest_panes(stream: list[tuple[int, int]], size: int) -> None:
    rolling = Rolling(WINDOWS, KEPT_S)
    panes: dict[int, Pane] = {}
    for start in range(0, len(stream), size):
        batch = stream[start : start + size]
        update = rolling.apply([change(*item) for item in batch])
        for bucket, n in batch:
            panes[bucket] = EMPTY._replace(n=n)
        assert update is not None
        assert update.rolling == expected(panes)
        assert update.as_of == max(panes)


@given(changes, changes)
def test_a_restart_brings_the_windows_back_in_any_order(
    before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    panes = {bucket: EMPTY._replace(n=n) for bucket, n in before}
    minutes: dict[int, dict[int, Pane]] = {}
    for bucket, pane in panes.items():
        minutes.setdefault(bucket // 60, {})[bucket] = pane
    restored = [
        Change({}, max(minute) * 1000, [], restored=pack(minute)) for minute in minutes.values()
    ]
    # Changes may overtake what the restart remembers, and are newer than it.
    rolling = Rolling(WINDOWS, KEPT_S)
    half = len(after) // 2
    for item in [
        *(change(*item) for item in after[:half]),
        *restored,
        *(change(*item) for item in after[half:]),
    ]:
        update = rolling.apply([item])
    panes |= {bucket: EMPTY._replace(n=n) for bucket, n in after}
    assert update is not None
    assert update.rolling == expected(panes)


def test_restored_panes_are_not_written_again() -> None:
    rolling = Rolling(WINDOWS, KEPT_S)
    minute = pack({5: EMPTY._replace(n=2)})
    update = rolling.apply([Change({}, 5000, [], restored=minute)])
    assert update is not None
    assert not update.panes
    assert update.rolling[60].n == 2


def test_nothing_is_said_before_the_first_pane() -> None:
    assert Rolling(WINDOWS, KEPT_S).apply([]) is None


def test_a_source_has_left_when_all_that_leave_at_last_have_been_heard() -> None:
    def leaves(bucket: int, minutes: int) -> Change:
        return Change({}, bucket * 1000, [], minutes=minutes, left=bucket * 1000)

    rolling = Rolling(WINDOWS, KEPT_S)
    rolling.apply([change(5, 1), leaves(5, 2)])
    assert not rolling.left
    # It comes back and leaves again before the other minute has said a word.
    rolling.apply([change(1000, 1), leaves(1000, 3)])
    rolling.apply([leaves(1000, 3), leaves(5, 2)])
    assert not rolling.left
    rolling.apply([leaves(1000, 3)])
    assert rolling.left
    rolling.apply([change(2000, 1)])
    assert not rolling.left
