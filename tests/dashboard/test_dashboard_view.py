"""What the page says: figures, badge, feed, choices; also when there is nothing to say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.controls import Controls, Zone
from dashboard.drawing import charts, sides
from dashboard.feed import FeedRow
from dashboard.history import decode
from dashboard.language import use
from dashboard.scales import SCALES
from dashboard.sharing import Shared
from dashboard.status import LIVE_S, SILENT_S, status
from dashboard.store import TOTAL, Store
from dashboard.texts import age_text, count_text, decimal_text, percent_text, span_text
from dashboard.view import connection, shown_place, source_options, texts
from dashboard.vitals import Sample
from dashboard.workers import Heartbeat, describe
from dataflows.keys import ALL_SOURCES
from dataflows.panes import Pane
from models.observation import EXPRESSIONS, observe_face

NOW_MS = 1_795_000_000_000


def prediction(**changes: Any) -> str:
    face = {"box": None, "emotion": "happiness", "confidence": 0.8, "valence": 0.7}
    record = {
        "id": "1",
        "source": "camera-1",
        "time": "2026-11-23T12:00:00.123Z",
        "faces": [face],
        "text": None,
        "sentiment": "positive",
        "valence": 0.7,
        "models": {"face": "1.0.0", "text": None},
    }
    return json.dumps(record | changes)


def filled() -> Store:
    store = Store()
    happy = observe_face([0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02])
    sad = observe_face([0.02, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02])
    panes = [(1_795_000_000 - i, Pane.of([happy, happy, sad])) for i in range(20)]
    stored = decode([{str(bucket): pane.encode() for bucket, pane in panes}])
    store.reset({TOTAL: stored, ("camera-1", 1): stored})
    store.redis = "up"
    store.updated_at = 100.0
    store.see("camera-1", NOW_MS)
    store.feed.appendleft(FeedRow.parse("1-0", prediction()))
    return store


def shown(
    store: Store, source: str = ALL_SOURCES, wall: float = NOW_MS / 1000, **choices: Any
) -> dict[Any, Any]:
    controls = Controls(source=source, **choices)
    said = texts(store, sides(store, controls), controls, now=101.0, wall=wall)
    return shown_place(store, controls) | said


def test_the_figures_are_those_of_the_range() -> None:
    props = shown(filled())
    assert props["valence-value", "children"] == "+0.23"
    assert props["valence-spread", "children"] == "± 0.21"
    assert props["valence-note", "children"] == "60 observations"
    assert props["expression-value", "children"] == "happiness"
    assert props["expression-spread", "children"] == "67\u202f%"
    assert props["share-sadness", "children"] == "33\u202f%"
    assert props["share-fear", "children"] == "0\u202f%"
    assert props["confidence-value", "children"] == "88\u202f%"
    assert props["rate-value", "children"] == "1.0"
    assert props["age-value", "children"] == "<\u202f1\u202fs"
    assert props["main", "hidden"] is False
    assert props["empty", "hidden"] is True


def test_the_lag_is_told_with_the_time_to_catch_up() -> None:
    store = filled()
    assert shown(store)["flow-note", "children"] == ""
    store.workers = (Heartbeat("w0", lag=10),)
    for at, lag in ((100.0, 30.0), (110.0, 20.0), (120.0, 10.0)):
        store.vitals.add(Sample(at, 0.0, 0.0, lag))
    assert shown(store)["flow-note", "children"] == "caught up in 10\u202fs"


def test_the_age_is_compared_with_what_it_was_in_the_period_before() -> None:
    store, wall = filled(), NOW_MS / 1000
    assert shown(store)["age-change", "children"] == ""
    for ago, age in ((400, 1.0), (350, 9.0), (310, 1.5), (200, 4.0), (10, 4.0)):
        at = wall - ago
        store.vitals.add(Sample.of(at, (), newest_ms=(at - age) * 1000))
    assert shown(store)["age-change", "children"] == "+2.5\u202fs against the 5\u202fmin before"
    assert shown(store, "camera-1")["age-change", "children"] == ""


def test_old_data_tells_its_date_and_age() -> None:
    props = shown(filled(), wall=NOW_MS / 1000 + 3 * 86_400)
    assert props["age-value", "children"] == "3\u202fd"
    assert props["age-note", "children"] == "newest 2026-11-18 11:06:40"


def test_a_source_without_data_shows_dashes_and_blank_charts() -> None:
    store = filled()
    store.track(("quiet", 1))
    store.load(("quiet", 1), *decode([]))
    props = shown(store, "quiet")
    for name in ("valence", "expression", "confidence", "age"):
        assert props[f"{name}-value", "children"] == "\u2013"
    assert props["feed-rows", "data"] == []
    controls = Controls(source="quiet")
    for _name, chart in charts(store, controls, sides(store, controls)):
        assert chart.figure["data"] == []


def test_before_the_first_event_the_empty_state_is_shown() -> None:
    store = Store()
    store.reset({TOTAL: decode([])})
    props = shown(store)
    assert props["empty", "hidden"] is False
    assert props["main", "hidden"] is True


def test_the_badge_is_told_even_before_anything_is_loaded() -> None:
    store = Store()
    store.redis = "down"
    assert connection(store, 0)["status", "data"]["state"] == "disconnected"


def test_the_source_filter_lists_all_sources_and_keeps_the_chosen_one() -> None:
    options = source_options(filled(), ["gone", ALL_SOURCES])
    assert [option["value"] for option in options] == [ALL_SOURCES, "camera-1", "gone"]


def test_the_feed_is_filtered_by_source() -> None:
    store = filled()
    store.feed.appendleft(FeedRow.parse("2-0", prediction(source="camera-2", faces=[])))
    assert [row["id"] for row in shown(store)["feed-rows", "data"]] == ["2-0", "1-0"]
    (row,) = shown(store, "camera-1")["feed-rows", "data"]
    assert row == {
        "id": "1-0",
        "time": "2026-11-23 12:00:00",  # days ahead of the clock
        "source": "camera-1",
        "faces": 1,
        "expression": "happiness",
        "kind": "happiness",
        "text": "\u2013",
        "said": "",
        "confidence": "80\u202f%",
        "valence": "+0.70",
    }


def test_a_prediction_of_several_faces_shows_the_surest() -> None:
    faces = [{"emotion": "anger", "confidence": 0.4}, {"emotion": "sadness", "confidence": 0.9}]
    row = FeedRow.parse("1-0", prediction(faces=faces))
    assert (row.label, row.more, row.confidence, row.faces) == ("sadness", 1, 0.9, 2)
    assert row.time_ms == 1_795_435_200_123


def test_a_prediction_of_a_text_shows_its_sentiment() -> None:
    written = {"sentiment": "negative", "confidence": 0.6}
    row = FeedRow.parse("1-0", prediction(faces=[], text=written))
    assert (row.label, row.faces, row.confidence) == ("negative", 0, 0.6)
    nothing = FeedRow.parse("1-0", prediction(faces=[], valence=None, sentiment=None))
    assert (nothing.label, nothing.confidence, nothing.valence) == ("", None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        prediction(time="noon"),
        prediction(faces=[{"emotion": "x"}]),
        prediction(faces=[{"emotion": "<b>", "confidence": 1}]),
        prediction(faces=3),
    ],
)
def test_what_is_no_prediction_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reader handles exactly this one
        FeedRow.parse("1-0", text)


def test_the_badge_follows_redis_and_the_arrival_of_updates() -> None:
    store = Store()
    assert status(store, 0).state == "connecting"
    store.redis = "up"
    assert status(store, 0) == ("stale", "no event yet")
    store.updated_at = 100.0
    assert status(store, 100 + SILENT_S).state == "live"
    gone = ("stale", "no new data for 5\u202fs, no worker reports")
    assert status(store, 105) == gone
    # A worker that beats may be waiting for events.
    store.workers = (Heartbeat("w0", 1, 2, 3, beat_at=103.0), Heartbeat("w1", beat_at=90.0))
    assert status(store, 105).state == "live"
    store.workers = (Heartbeat("w0", 1, 2, 3, beat_at=99.0),)
    assert status(store, 105) == gone
    store.workers = (Heartbeat("w0", 1, 2, 3, beat_at=100 + LIVE_S),)
    assert status(store, 100 + LIVE_S).state == "live"
    assert status(store, 100 + LIVE_S + 2) == ("stale", "no new data for 12\u202fs")
    store.redis = "down"
    assert status(store, 100).state == "disconnected"


def test_workers_are_told_in_one_line() -> None:
    assert describe(()) == "no worker reports"
    one = Heartbeat.parse("a", {"events_per_s": "3.5", "latency_p95": "1520.6", "lag": "12000"})
    two = Heartbeat.parse("b", {"latency_p95": "broken", "lag": "5"})
    assert describe((one,), 1520.6) == "1 worker · p95 1\u202f521 ms · lag 12\u202f000"
    assert describe((one, two)) == "2 workers · lag 12\u202f005"
    assert describe((Heartbeat.parse("c", {}),)) == "1 worker"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-0.9, "< 1 s"),
        (-3, "in 3 s"),
        (-172_800, "in 2 d"),
        (0.4, "< 1 s"),
        (1.9, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert age_text(seconds).replace("\u202f", " ") == text


def test_numbers_are_readable() -> None:
    assert decimal_text(-0.004, sign=True) == "0.00"
    assert decimal_text(-0.25, sign=True) == "\u22120.25"
    assert decimal_text(float("nan")) == percent_text(float("nan")) == "\u2013"
    assert count_text(12_345, "faces") == "12\u202f345 faces"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (10, "10 s"),
        (60, "1 min"),
        (900, "15 min"),
        (3600, "1 h"),
        (86_400, "24 h"),
        (604_800, "7 d"),
    ],
)
def test_spans(seconds: int, text: str) -> None:
    assert span_text(seconds).replace("\u202f", " ") == text


def test_choices_are_read() -> None:
    sent = {"source": "a:b", "range": "900", "scheme": "dark", "touch": True, "visible": False}
    assert Controls.parse(sent | {"zone": "Europe/Paris"}) == Controls(
        "live", "a:b", 900, dark=True, touch=True, visible=False, zone=Zone("Europe/Paris")
    )
    sent = {"place": "history", "end": "1795000000", "compare": "period", "other": "b"}
    assert Controls.parse(sent | {"shift": 3600}) == Controls(
        "history", end=1_795_000_000, compare="period", other="b", shift_s=3600
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(
            "place source range end compare other shift scheme touch visible zone".split()  # noqa: SIM905
        ),
        anything,
    )
    | anything
)
def test_whatever_a_page_sends_gives_valid_choices(sent: Any) -> None:
    controls = Controls.parse(sent)
    assert controls.scale is SCALES[controls.range_s]
    assert controls.end is None or controls.end >= 0
    assert controls.source
    controls.zone.clock(NOW_MS)


def test_every_expression_has_a_share_on_the_page() -> None:
    assert {f"share-{name}" for name in EXPRESSIONS} <= {key for key, _ in shown(filled())}


def test_figures_tell_how_they_have_changed() -> None:
    store = filled()
    end = NOW_MS // 1000
    store.update(ALL_SOURCES, end - 70, Pane(n=10, events=10, confidence_sum=5000), 100.0)
    changes = ("valence-change", "confidence-change", "rate-change", "expression-change")
    # What is there of the minute before is but the last seconds of it.
    assert {shown(store, range_s=60)[name, "children"] for name in changes} == {""}
    store.update(ALL_SOURCES, end - 70, Pane(n=9, events=9, confidence_sum=4500), 100.0)
    store.update(ALL_SOURCES, end - 118, Pane(n=1, events=1, confidence_sum=500), 100.0)
    props = shown(store, range_s=60)
    before = "against the 1\u202fmin before"
    assert props["valence-change", "children"] == f"+0.23 {before}"
    assert props["confidence-change", "children"] == f"+38 points {before}"
    assert props["rate-change", "children"] == f"+500\u202f% {before}"
    assert props["expression-change", "children"] == ""  # no face before


def test_two_sides_are_two_sources_or_two_periods() -> None:
    store = filled()
    end = NOW_MS // 1000
    two = Controls("history", compare="source", other="camera-1", end=end - 5)
    assert [(s.prefix, s.source, s.end) for s in sides(store, two)] == [
        ("", ALL_SOURCES, end - 5),
        ("other-", "camera-1", end - 5),
    ]
    periods = Controls("history", compare="period")
    assert [(s.source, s.end) for s in sides(store, periods)] == [
        (ALL_SOURCES, end),
        (ALL_SOURCES, end - 300),
    ]
    hours = periods._replace(shift_s=3600)
    assert sides(store, hours)[1].end == end - 3600
    assert len(sides(store, two._replace(place="live"))) == 1
    drawn = dict(charts(store, two, sides(store, two)))
    assert {"valence", "mix", "share", "heat", "other-valence", "other-mix"} <= drawn.keys()
    assert "flow" not in drawn
    props = shown(store, place="history", compare="period")
    assert props["other-summary", "children"] == "nothing stored for this period"
    assert "60 observations" in props["summary", "children"]


def test_pages_that_show_the_same_share_their_charts() -> None:
    store, shared = filled(), Shared()

    def drawn(**choices: Any) -> list[Any]:
        controls = Controls(**choices)
        return [chart for _, chart in shared.charts(store, controls, sides(store, controls))]

    started = shared.charts(store, Controls(), sides(store, Controls()))
    line = next(started)[1]
    first = drawn()
    assert first[0] is line
    assert [chart for _, chart in started] == first[1:]
    assert all(mine is other for mine, other in zip(first, drawn(), strict=True))
    for choices in ({"dark": True}, {"range_s": 60}, {"source": "camera-1"}):
        assert drawn(**choices) == [chart for _, chart in _plain(store, Controls(**choices))]
    use("fr")
    try:
        assert [chart for _, chart in _plain(store, Controls())] == drawn() != first
    finally:
        use("en")
    store.update(ALL_SOURCES, 1_795_000_001, Pane.of([observe_face([1, 0, 0, 0, 0, 0, 0])]), 102.0)
    assert [chart for _, chart in _plain(store, Controls())] == drawn() != first


def _plain(store: Store, controls: Controls) -> Any:
    return charts(store, controls, sides(store, controls))
