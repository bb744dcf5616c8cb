import math
import statistics as plain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.panes import EMPTY, FIELDS, Pane, statistics
from models.observation import EXPRESSIONS, Observation, observe_face, observe_text

panes = st.builds(Pane, *[st.integers(0, 10**12)] * len(FIELDS))
probabilities = st.lists(st.floats(0, 1), min_size=7, max_size=7).filter(lambda row: sum(row) > 0)


def normalised(row: list[float]) -> list[float]:
    return [value / sum(row) for value in row]


@given(panes, panes, panes)
def test_merging_is_the_same_in_any_order(a: Pane, b: Pane, c: Pane) -> None:
    assert a.merge(b).merge(c) == c.merge(a.merge(b)) == b.merge(c).merge(a)
    assert a.merge(EMPTY) == a
    assert a.merge(b).subtract(b) == a


@given(panes)
def test_a_pane_survives_its_text(pane: Pane) -> None:
    assert Pane.decode(pane.encode()) == pane
    assert pane.encode().count(",") == 14
    assert pane.encode().isascii()


@pytest.mark.parametrize("text", ["", "1,2,3", ",".join("1" * 16), ",".join("x" * 15)])
def test_what_is_no_pane_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"15 integers|invalid literal"):
        Pane.decode(text)


def test_the_fields_are_those_of_the_contract_in_their_order() -> None:
    assert ",".join(FIELDS) == (
        "n,events,valence_sum,valence_sq_sum,confidence_sum,negative,neutral,positive,"
        "surprise,fear,disgust,happiness,sadness,anger,neutral_face"
    )


def test_an_event_without_a_face_counts_as_an_event_alone() -> None:
    assert Pane.of([]) == EMPTY._replace(events=1)


def test_a_neutral_face_and_a_neutral_text_are_told_apart() -> None:
    face = observe_face([0, 0, 0, 0, 0, 0, 1.0])
    text = observe_text([0.1, 0.8, 0.1])
    assert Pane.of([face]).neutral_face == 1
    assert Pane.of([text]).neutral_face == 0
    assert Pane.of([face, text]).neutral == 2


def test_a_face_becomes_what_the_design_says() -> None:
    # surprise, fear, disgust, happiness, sadness, anger, neutral
    observation = observe_face([0.1, 0.05, 0.05, 0.3, 0.2, 0.1, 0.2])
    assert observation == Observation("negative", round(-0.1 * 1000), 300, "happiness")


def test_the_first_of_equals_wins() -> None:
    assert observe_face([0.5, 0, 0, 0.5, 0, 0, 0]).expression == "surprise"
    assert observe_text([0.5, 0.5, 0.0]).sentiment == "negative"


@given(st.lists(probabilities.map(normalised), min_size=1, max_size=30))
def test_statistics_are_those_of_the_observations(rows: list[list[float]]) -> None:
    observations = [observe_face(row) for row in rows]
    pane = EMPTY
    for observation in observations:
        pane = pane.merge(Pane.of([observation]))
    values = [observation.valence / 1000 for observation in observations]
    result = statistics(pane)
    assert result.valence == pytest.approx(plain.fmean(values), abs=1e-12)
    assert result.confidence == pytest.approx(
        plain.fmean(observation.confidence / 1000 for observation in observations)
    )
    if len(values) > 1:
        expected = 1.96 * plain.stdev(values) / math.sqrt(len(values))
        assert result.valence_ci95 == pytest.approx(expected, abs=1e-9)
    assert pane.n == pane.events == len(rows)
    assert pane.negative + pane.neutral + pane.positive == pane.n
    assert sum(getattr(pane, name) for name in EXPRESSIONS if name != "neutral") <= pane.n


def test_what_is_not_defined_is_not_a_number() -> None:
    assert all(math.isnan(value) for value in statistics(EMPTY))
    assert math.isnan(statistics(EMPTY._replace(n=1)).valence_ci95)
