"""Explanations: which words moved a text, and what they cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from text_bundles import LIGHT, MAX_TOKENS, TINY

from models.bundle import load_text_bundle
from models.explaining import explanation, moving_words
from models.observation import EXPRESSIONS, observe_face
from models.scorer import Face, Scored
from models.texts import Text, TextScorer


@pytest.fixture(scope="session", params=[TINY, LIGHT])
def texts(request: pytest.FixtureRequest, bundles: Path) -> TextScorer:
    return TextScorer(load_text_bundle(bundles / "text" / request.param), threads=1)


def scored(texts: TextScorer, text: str) -> Scored:
    (found,) = texts.score([text])
    assert isinstance(found, Text)
    return Scored(text=found)


def test_the_words_that_carry_the_sentiment_move_it_most(texts: TextScorer) -> None:
    found, passes = moving_words(texts, "love the great train at noon")
    assert {word.word for word in found[:2]} == {"love", "great"}
    assert found[0].effect > 0.1
    assert {word.word for word in found[2:]} == {"the", "train", "at", "noon"}
    assert passes == 7
    assert [abs(word.effect) for word in found] == sorted(
        (abs(word.effect) for word in found), reverse=True
    )


def test_a_word_against_the_rest_has_a_negative_effect(bundles: Path) -> None:
    texts = TextScorer(load_text_bundle(bundles / "text" / LIGHT), threads=1)
    found, _ = moving_words(texts, "hate awful terrible love")
    effects = {word.word: word.effect for word in found}
    assert effects["love"] < 0 < effects["hate"]


def test_an_effect_is_what_is_missing_without_the_word(texts: TextScorer) -> None:
    found, _ = moving_words(texts, "great table")
    whole, without = texts.classify(["great table", "table"])
    effect = next(word.effect for word in found if word.word == "great")
    assert effect == pytest.approx(whole.max() - without[whole.argmax()], abs=1e-6)


def test_a_long_text_costs_no_more_than_the_model_reads(texts: TextScorer) -> None:
    found, passes = moving_words(texts, "great " * 5000)
    assert passes == MAX_TOKENS + 1
    assert len(found) == MAX_TOKENS


@pytest.mark.parametrize(("text", "passes"), [("great", 1), ("@ann", 0), ("", 0)])
def test_of_a_word_alone_nothing_can_be_left_out(texts: TextScorer, text: str, passes: int) -> None:
    assert moving_words(texts, text) == ([], passes)


def test_the_five_words_are_printed(texts: TextScorer) -> None:
    text = "the train is awful at noon and love"
    printed = explanation(scored(texts, text), texts, text)
    assert printed["passes"] == 9
    assert len(printed["text"]) == 5
    assert printed["text"][0].keys() == {"word", "effect"}
    assert printed["faces"] == []


def test_of_a_face_the_three_most_probable_expressions_are_printed() -> None:
    row = (0.1, 0.0, 0.05, 0.5, 0.05, 0.0, 0.3)
    printed = explanation(Scored((Face(None, row, observe_face(row)),)), None, None)
    (face,) = printed["faces"]
    assert list(face.items()) == [("happiness", 0.5), ("neutral", 0.3), ("surprise", 0.1)]
    assert set(face) < set(EXPRESSIONS)
    assert (printed["text"], printed["passes"]) == (None, 0)
