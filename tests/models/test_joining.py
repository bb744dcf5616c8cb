"""One sentiment from a picture and a text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.joining import event_sentiment
from models.observation import observe_face, observe_text, sentiment_of_face
from models.scorer import Face, Scored
from models.texts import Text


def shares(count: int) -> st.SearchStrategy[tuple[float, ...]]:
    """Return probabilities that sum to 1, some of them 0."""
    numbers = st.lists(st.integers(0, 1000), min_size=count, max_size=count).filter(any)
    return numbers.map(lambda row: tuple(value / sum(row) for value in row))


def face(row: tuple[float, ...]) -> Face:
    return Face(None, row, observe_face(row))


def text(row: tuple[float, ...]) -> Text:
    return Text(row, observe_text(row))


faces = st.lists(shares(7).map(face), max_size=4).map(tuple)
written = st.none() | shares(3).map(text)
HAPPY, ANGRY = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def test_nothing_found_has_no_sentiment() -> None:
    assert event_sentiment(Scored()) is None


@given(faces, written)
def test_it_is_a_distribution_whatever_the_parts(
    found: tuple[Face, ...], words: Text | None
) -> None:
    joined = event_sentiment(Scored(found, words))
    if joined is None:
        assert not found
        assert words is None
        return
    assert len(joined) == 3
    assert all(0 <= share <= 1 for share in joined)
    assert math.fsum(joined) == pytest.approx(1)


@given(shares(3))
def test_a_text_alone_is_taken_as_it_is(row: tuple[float, ...]) -> None:
    assert event_sentiment(Scored(text=text(row))) == row


@given(st.lists(shares(7).map(face), min_size=1, max_size=4).map(tuple))
def test_faces_alone_are_averaged_in_any_order(found: tuple[Face, ...]) -> None:
    joined = event_sentiment(Scored(found))
    rows = [sentiment_of_face(one.probabilities) for one in found]
    expected = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    assert joined == pytest.approx(expected)
    assert event_sentiment(Scored(found[::-1])) == pytest.approx(joined)


@given(shares(7))
def test_parts_that_agree_stay_as_they_are(row: tuple[float, ...]) -> None:
    same = sentiment_of_face(row)
    assert event_sentiment(Scored((face(row),), text(same))) == pytest.approx(same, abs=1e-6)


@given(shares(7), shares(3))
def test_of_two_sentiments_neither_part_wins_alone(
    row: tuple[float, ...], words: tuple[float, ...]
) -> None:
    """Each ratio of two sentiments lies between those of the parts."""
    seen = sentiment_of_face(row)
    joined = event_sentiment(Scored((face(row),), text(words)))
    assert joined is not None
    if min(*seen, *words) == 0:
        return
    for one in range(3):
        for other in range(one):
            ratios = sorted(math.log(part[one] / part[other]) for part in (seen, words))
            assert ratios[0] - 1e-6 <= math.log(joined[one] / joined[other]) <= ratios[1] + 1e-6


def test_the_surer_part_has_the_louder_voice() -> None:
    smile = (0.02, 0.02, 0.02, 0.8, 0.04, 0.04, 0.06)
    sure, unsure = (0.9, 0.06, 0.04), (0.4, 0.3, 0.3)
    loud = event_sentiment(Scored((face(smile),), text(sure)))
    quiet = event_sentiment(Scored((face(smile),), text(unsure)))
    assert loud is not None
    assert quiet is not None
    assert loud.index(max(loud)) == 0
    assert quiet.index(max(quiet)) == 2


def test_certainties_that_contradict_each_other_are_no_accident() -> None:
    joined = event_sentiment(Scored((face(HAPPY),), text((1.0, 0.0, 0.0))))
    assert joined == pytest.approx((0.5, 0.0, 0.5), abs=1e-5)
    assert event_sentiment(Scored((face(ANGRY), face(HAPPY)))) == pytest.approx((0.5, 0, 0.5))
