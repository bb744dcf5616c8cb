"""Faces and texts apart and together: exact, or not told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.controls import Controls
from dashboard.detail import detail
from dashboard.drawing import sides
from dashboard.feed import FeedRow
from dashboard.kinds import KINDS, apart, faces_of, kinds_table, kinds_texts
from dashboard.reader import decode
from dashboard.store import TOTAL, Store
from dashboard.view import texts
from dataflows.panes import EMPTY, Pane
from models.observation import Observation, observe_face, observe_text

FACE = observe_face([0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02])
BAD, GOOD = observe_text([0.8, 0.1, 0.1]), observe_text([0.1, 0.1, 0.8])
NEWEST = 1_795_000_000
kinds = st.lists(st.sampled_from([FACE, BAD, GOOD]), max_size=5).map(Pane.of)


@settings(deadline=None)  # a busy machine may take long over one
@given(st.lists(kinds, max_size=6))
def test_faces_and_texts_are_counted_exactly_and_never_mixed_up(sources: list[Pane]) -> None:
    both = EMPTY
    for pane in sources:
        both = both.merge(pane)
    found = apart(both, sources)
    faces, written = found.counts
    assert faces == sum(faces_of(pane) for pane in sources)
    assert faces + written == both.n
    # All in a part is of its kind, and no more than there is.
    assert faces_of(found.faces) == found.faces.n <= faces
    assert faces_of(found.texts) == 0
    assert found.texts.n <= written


def test_sources_of_one_kind_are_told_apart() -> None:
    camera, chat = Pane.of([FACE, FACE, FACE]), Pane.of([BAD, BAD, BAD, GOOD])
    named = kinds_texts(apart(camera.merge(chat), [camera, chat]))
    cells = [
        [named[f"{kind}-{field}"] for field in ("count", "positive", "neutral", "negative")]
        for kind in KINDS
    ]
    assert [[cell.replace("\u202f", "") for cell in row] for row in cells] == [
        ["3", "100%", "0%", "0%"],
        ["4", "25%", "0%", "75%"],
        ["7", "57%", "0%", "43%"],
    ]
    assert named["texts-valence"] == "\u22120.35"
    assert named["kinds-note"] == "in the shown period"


def test_a_source_with_both_says_what_it_does_not_tell() -> None:
    posts = Pane.of([FACE, BAD])
    named = kinds_texts(apart(posts, [posts]))
    assert (named["faces-count"], named["texts-count"], named["both-count"]) == ("1", "1", "2")
    assert named["faces-positive"] == named["texts-negative"] == named["faces-valence"] == "\u2013"
    assert named["both-positive"].startswith("50")
    assert named["kinds-note"].replace("\u202f", "").startswith("apart for 0% of faces and 0% of")


def test_nothing_seen_is_no_gap() -> None:
    named = kinds_texts(apart(EMPTY, []))
    assert named["both-count"] == "0"
    assert named["both-valence"] == "\u2013"
    assert named["kinds-note"] == "in the shown period"


def test_every_cell_has_its_text() -> None:
    table = json.dumps(kinds_table().to_plotly_json(), default=lambda part: part.to_plotly_json())
    named = kinds_texts(apart(EMPTY, []))
    for name in named.keys() - {"kinds-note"}:
        assert f'"{name}"' in table


def test_the_page_tells_faces_and_texts_of_all_sources_apart() -> None:
    store = Store()

    def stored(observations: list[Observation]) -> Any:
        pane = Pane.of(observations)
        return decode([{str(NEWEST - second): pane.encode() for second in range(20)}])

    chat, camera = [BAD, GOOD], [FACE, FACE]
    store.reset({TOTAL: stored([*chat, *camera]), ("chat", 10): stored([])})
    for name, observations in (("chat", chat), ("camera", camera)):
        store.see(name, NEWEST * 1000)
        for resolution in (1, 10):
            buckets, panes = stored(observations)
            store.track((name, resolution))
            store.load((name, resolution), buckets // resolution * resolution, panes)
    controls = Controls(range_s=60)
    props = texts(store, sides(store, controls), controls, now=1.0, wall=NEWEST)
    assert props["faces-count", "children"] == "40"
    assert props["texts-count", "children"] == "40"
    assert props["faces-positive", "children"].startswith("100")
    assert props["texts-positive", "children"].startswith("50")


def prediction(**text: Any) -> FeedRow:
    written = {
        "sentiment": "negative",
        "confidence": 0.8,
        "probabilities": {"negative": 0.8, "neutral": 0.1, "positive": 0.1},
        "valence": -0.7,
        "language": "en",
        "foreign": False,
        "cut": False,
    }
    record = {
        "id": "1",
        "source": "chat",
        "time": "2026-11-23T12:00:00.123Z",
        "faces": [],
        "text": written | text,
        "sentiment": "negative",
        "valence": -0.7,
        "models": {"face": "1.2.0", "text": "2.0.0"},
    }
    return FeedRow.parse("1-0", json.dumps(record))


@pytest.mark.parametrize(
    ("changes", "shown", "notes"),
    [
        ({}, "negative", "language: en"),
        (
            {"language": "de", "foreign": True, "cut": True},
            "negative (de)",
            "language: de, on which the model was not trained; longer than the model reads, and",
        ),
        ({"language": None}, "negative", None),
    ],
)
def test_a_text_is_shown_with_its_language_and_whether_it_was_cut(
    changes: dict[str, Any], shown: str, notes: str | None
) -> None:
    store = Store()
    row = prediction(**changes)
    store.feed.appendleft(row)
    props = texts(store, [], Controls(), now=1.0, wall=1.0)
    (line,) = props["feed-rows", "data"]
    assert (line["text"], line["said"], line["expression"], line["kind"]) == (
        shown,
        "negative",
        "\u2013",
        "",
    )
    parts = detail(row, Controls().zone)
    said = json.dumps(
        [part.to_plotly_json() for part in parts], default=lambda part: part.to_plotly_json()
    )
    assert "Text: negative" in said
    assert (notes or "language") in said or notes is None
    if notes is None:
        assert "language:" not in said


def test_an_unknown_sentiment_is_no_prediction() -> None:
    with pytest.raises(ValueError, match="unknown sentiment 'joy'"):
        prediction(sentiment="joy")
