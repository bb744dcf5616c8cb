"""Drift on the pipeline page: what Redis holds, in order, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_dashboard_reader import NOW, Scene, play

from dashboard.alerts import AlertRow, alert_row
from dashboard.controls import Controls, Zone
from dashboard.drift import drift_props
from dashboard.language import use
from dataflows.drift import HOUR_S, Baseline, Model, count, empty, seen_of
from dataflows.drift_options import DriftOptions
from dataflows.drift_records import SOURCES_MOST, DriftRow, encode, newest, parse, places
from dataflows.feedback import Approval, approvals
from dataflows.keys import Keys
from models.observation import Observation

OPTIONS = DriftOptions(min_observations=10)
BASELINE = Baseline((50, 50, 50), (0, 0, 0, 0, 0, 0, 0, 0, 150, 0), (0.0,), (1.0,))
HOUR = NOW // HOUR_S * HOUR_S


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    use("en")


def field(hour: int, n: int = 30, version: str = "1.0.0", judged: bool = True) -> tuple[str, str]:
    """Return a field in which all texts are positive."""
    model = Model("text", version, BASELINE if judged else None)
    sums = empty(model)
    for _ in range(n):
        count(sums, seen_of(model, Observation("positive", 700, 850), (0,) if judged else None))
    return encode((hour, "text", version), model, tuple(sums), OPTIONS)


def shown(rows: list[DriftRow]) -> list[dict[str, Any]]:
    found = drift_props(rows, (), Controls())["drift", "rowData"]
    assert isinstance(found, list)
    return found


def test_what_is_written_is_read_back_and_told_in_words() -> None:
    fields = [field(HOUR), field(HOUR - HOUR_S, 9), field(HOUR, 50, "0.9.0:b", judged=False)]
    rows = newest(parse("a:b", dict(fields)), 3)
    assert [(row.version, row.n, row.verdict) for row in rows] == [
        ("1.0.0", 30, "drift"),
        ("0.9.0:b", 50, "no_reference"),
        ("1.0.0", 9, "few"),
    ]
    first, second, third = shown(rows)
    assert (first["source"], first["model"], first["n"]) == ("a:b", "text 1.0.0", "30")
    assert first["verdict"] == "drifted"
    assert float(first["mix"]) > 0.25 > float(first["confidence"])
    assert (second["verdict"], second["mix"]) == ("no reference", "\u2013")
    assert (third["verdict"], third["embedding"]) == ("too few", "\u2013")
    use("fr")
    first = shown(rows)[0]
    assert (first["verdict"], first["model"]) == ("dérivée", "texte 1.0.0")


def test_all_sources_come_first_and_each_has_its_newest_hours() -> None:
    rows = [
        row
        for source in ("b", "*", "a")
        for back in range(5)
        for row in parse(source, dict([field(HOUR - back * HOUR_S)]))
    ]
    found = [(row.source, row.hour) for row in newest(rows, 2)]
    hours = (HOUR, HOUR - HOUR_S)
    assert found == [(source, hour) for source in ("*", "a", "b") for hour in hours]


def test_the_sources_with_the_newest_events_are_asked_for() -> None:
    sources = {f"s{number}": (NOW + number) * 1000 for number in range(200)}
    asked = [source for source, _key in places(Keys(), sources)][::2]
    assert asked == ["*", *(f"s{199 - number}" for number in range(SOURCES_MOST))]
    assert places(Keys(), {}) == []


FIGURES = st.none() | st.booleans() | st.floats() | st.integers()


@given(
    st.sampled_from([f"{HOUR}:text:1.0.0", f"{2**36}:face:1", "x:text:1", f"{HOUR}:voice:1", ""]),
    st.fixed_dictionaries(
        {
            "n": st.integers(0) | FIGURES,
            "mix_psi": FIGURES,
            "confidence_psi": FIGURES,
            "embedding_distance": FIGURES,
            "verdict": st.sampled_from(["few", "drift", "x"]),
        }
    ).map(json.dumps)
    | st.text(),
)
def test_whatever_redis_holds_the_page_is_drawn(name: str, value: str) -> None:
    shown(parse("a", {name: value}))


def test_the_reader_finds_the_hours_of_two_days(redis_server: Any, writer: Any) -> None:
    writer.face("camera-1", NOW)
    for back in (0, 20):
        hour = HOUR - back * HOUR_S
        writer.client.hset(writer.keys.drift("camera-1", hour), *field(hour))
        writer.client.hset(writer.keys.drift("*", hour), *field(hour))
    said = {"face/1.3.0:agreed": 3, "face/1.3.0:disagreed": 1, "face:1.3.0": "x"}
    writer.client.hset(writer.keys.feedback, mapping=said)

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: len(store.drift) == 4)
        assert scene.store.approvals == (Approval("face/1.3.0", 3, 1),)
        assert [row.source for row in scene.store.drift] == ["*", "*", "camera-1", "camera-1"]

    play(redis_server.url, scenario)


@pytest.mark.parametrize("rule", ["mix_drift", "confidence_drift", "embedding_drift"])
def test_an_alert_of_drift_is_told_with_its_limit(rule: str) -> None:
    row = alert_row(AlertRow("i", rule, "*", HOUR, None, 0.4321, 0.25), Zone())
    assert row["text"] == "0.43, limit 0.25"
    assert "drifted" in row["name"]


def test_what_people_said_is_shown_by_model() -> None:
    told = approvals({"text/a:b:agreed": "30", "text/a:b:disagreed": "10", "face/1:agreed": "-4"})
    assert told == [Approval("text/a:b", 30, 10)]
    (row,) = drift_props((), told, Controls())["approvals", "rowData"]
    assert (row["model"], row["agreed"], row["disagreed"]) == ("text a:b", "30", "10")
    assert row["share"] == "75.0\u202f%"


@given(st.dictionaries(st.text(), st.text()) | st.just({"face/1:agreed": "9" * 400}))
def test_whatever_the_counts_of_feedback_hold_the_page_is_drawn(fields: dict[str, str]) -> None:
    drift_props((), approvals(fields), Controls())
