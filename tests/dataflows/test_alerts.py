"""Alerts follow from the panes and their event time alone."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.alert_options import FORGET_S, AlertOptions
from dataflows.alerting import alert_fields, alert_record
from dataflows.alerts import Alert, Watch
from dataflows.panes import EMPTY, Pane

START = 1_790_000_000
OPTIONS = AlertOptions()


def pane(n: int, valence: float, confidence: float = 0.8, negative: int = 0) -> Pane:
    """N observations, half of them a tenth above the mean valence and half below."""
    mean = round(valence * 1000)
    half = n // 2
    squares = half * (mean + 100) ** 2 + half * (mean - 100) ** 2 + (n % 2) * mean**2
    return EMPTY._replace(
        n=n,
        events=n,
        valence_sum=n * mean,
        valence_sq_sum=squares,
        confidence_sum=n * round(confidence * 1000),
        negative=negative,
    )


def run(panes: dict[int, Pane], options: AlertOptions = OPTIONS, source: str = "a") -> list[Alert]:
    watch = Watch(source, options)
    return [alert for second in sorted(panes) for alert in watch.apply({second: panes[second]})]


def told(alerts: Iterable[Alert]) -> list[tuple[str, int, int | None]]:
    return [(a.rule, a.started - START, a.ended and a.ended - START) for a in alerts]


def test_a_steady_source_is_never_told_of() -> None:
    assert run({START + s: pane(5, 0.3) for s in range(2000)}) == []


def test_a_shift_is_told_once_it_lasts_and_again_when_it_is_over() -> None:
    panes = {START + s: pane(5, 0.4 if s < 300 else -0.4) for s in range(1500)}
    first, last = run(panes)
    assert (first.rule, first.state, last.state) == ("valence_shift", "firing", "resolved")
    assert first.id == last.id
    assert 300 <= first.started - START <= 300 + OPTIONS.window_s
    assert first.value < first.baseline - OPTIONS.min_shift
    # The moving average has reached the new level within some time constants.
    assert last.ended is not None
    assert last.ended > first.started + 60


def test_a_short_blip_is_not_told() -> None:
    panes = {START + s: pane(5, -0.9 if 300 <= s < 303 else 0.4) for s in range(600)}
    assert run(panes) == []


def test_few_observations_are_not_judged() -> None:
    panes = {START + s: pane(1, 0.9 if s < 300 else -0.9, negative=1) for s in range(0, 600, 10)}
    assert run(panes) == []


def test_a_share_of_negative_ones_and_a_drop_of_confidence_are_told() -> None:
    negative = {START + s: pane(4, 0.0, negative=3 if s >= 200 else 0) for s in range(400)}
    assert [a.rule for a in run(negative)] == ["negative_share"]
    unsure = {START + s: pane(4, 0.0, confidence=0.5 if s >= 200 else 0.9) for s in range(300)}
    assert [a.rule for a in run(unsure)] == ["confidence_drop"]
    off = AlertOptions(negative_share=1, confidence_drop=1)
    assert run(negative, off) + run(unsure, off) == []


def test_a_silence_is_told_when_others_are_ahead_and_ends_with_the_next_event() -> None:
    watch = Watch("a", OPTIONS)
    for second in range(10):
        watch.apply({START + second: pane(1, 0)})
    assert watch.hear(START + 9 + 65) == []
    (alert,) = watch.hear(START + 9 + 66)
    assert told([alert]) == [("silent", 9, None)]
    assert watch.hear(START + 200) == []  # once
    assert watch.apply({START + 300: pane(1, 0)}) == []
    (over,) = watch.apply({START + 306: pane(1, 0)})
    assert told([over]) == [("silent", 9, 300)]
    assert (over.id, over.value) == (alert.id, 291)


def test_a_silence_that_nobody_saw_is_told_all_the_same() -> None:
    """As when the flow catches up: the records are those of one that was there."""
    panes = {START + s: pane(1, 0) for s in (*range(10), 300, 306)}
    assert told(run(panes)) == [("silent", 9, None), ("silent", 9, 300)]
    assert run(panes, AlertOptions(silent_s=0)) == []
    assert run(panes, source="*") == []


def test_a_source_that_is_forgotten_ends_what_it_had() -> None:
    watch = Watch("a", OPTIONS)
    for second in range(300):
        watch.apply({START + second: pane(4, 0.0, negative=4)})
    assert [alert.rule for alert in watch.firing] == ["negative_share"]
    watch.hear(START + 400)
    head = START + 299 + FORGET_S + 1
    assert watch.forgotten(head)
    ends = watch.leave()
    assert {alert.rule: alert.state for alert in ends} == {
        "negative_share": "resolved",
        "silent": "resolved",
    }
    assert {alert.rule: alert.ended for alert in ends}["silent"] == START + 299 + FORGET_S
    assert watch.firing == []


seconds = st.lists(
    st.tuples(
        st.integers(1, 90),
        st.integers(1, 40),
        st.sampled_from([-0.8, -0.2, 0.2, 0.8]),
        st.sampled_from([0.3, 0.8]),
    ),
    min_size=1,
    max_size=120,
)
QUICK = AlertOptions(window_s=10, hold_s=3, settle_s=5, min_observations=5, baseline_s=30)


def stream(parts: list[tuple[int, int, float, float]]) -> dict[int, Pane]:
    panes, second = {}, START
    for step, n, valence, confidence in parts:
        second += 1 if step < 80 else step * 3
        panes[second] = pane(n, valence, confidence, negative=n if valence < 0 else 0)
    return panes


@settings(deadline=None)
@given(seconds, st.data())
def test_batches_order_and_crashes_change_nothing(
    parts: list[tuple[int, int, float, float]], data: st.DataObject
) -> None:
    panes = stream(parts)
    wanted = run(panes, QUICK)
    # Out of order by less than the time in which seconds settle.
    keyed = [(second + data.draw(st.integers(0, 4)), second) for second in sorted(panes)]
    order = [second for _, second in sorted(keyed)]
    cuts = data.draw(st.sets(st.integers(0, len(order))))
    watch, found = Watch("a", QUICK), []
    for start, end in pairwise(sorted({0, len(order), *cuts})):
        batch = {second: panes[second] for second in order[start:end]}
        state = watch.snapshot()
        alerts = watch.apply(batch)
        if data.draw(st.booleans()):  # a crash: the batch is read once more
            watch = Watch("a", QUICK, pickle.loads(pickle.dumps(state)))  # noqa: S301 - our own
            assert watch.apply(batch) == alerts
        found += alerts
    assert found == wanted


@settings(deadline=None)
@given(seconds)
def test_each_alert_fires_and_ends_once_in_turn(
    parts: list[tuple[int, int, float, float]],
) -> None:
    open_ids: dict[str, Alert] = {}
    for alert in run(stream(parts), QUICK):
        if alert.ended is None:
            assert alert.rule not in open_ids
            open_ids[alert.rule] = alert
        else:
            assert open_ids.pop(alert.rule).id == alert.id
            assert alert.ended > alert.started
        assert all(value == value for value in (alert.value, alert.baseline))


def test_a_snapshot_is_small_whatever_there_was() -> None:
    watch = Watch("a", OPTIONS)
    for second in range(5000):
        watch.apply({START + second: pane(50, 0.4 if second % 700 < 350 else -0.4)})
    assert len(pickle.dumps(watch.snapshot())) < 4096


def test_an_old_or_corrected_second_changes_no_alert() -> None:
    watch = Watch("a", OPTIONS)
    for second in range(300):
        watch.apply({START + second: pane(5, 0.4)})
    assert watch.apply({START + 10: pane(500, -1.0, negative=500)}) == []


def test_a_record_names_the_alert() -> None:
    alert = Alert("valence_shift", "a b", START, None, -0.25, 0.125)
    record = alert_record(alert)
    assert record.key == b"a b"
    assert dict(record.headers)["ce_id"] == f"valence_shift/a b/{START}/firing".encode()
    assert alert_fields(alert)["ended"] is None
    over = alert._replace(ended=START + 5)
    assert dict(alert_record(over).headers)["ce_id"].endswith(b"/resolved")


@pytest.mark.parametrize("name", ["hold_s", "window_s", "sigmas"])
def test_an_option_out_of_its_range_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        AlertOptions.model_validate({name: 0})
