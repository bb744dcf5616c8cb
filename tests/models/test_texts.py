"""Scoring of texts, alone and beside pictures."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from text_bundles import LIGHT, MAX_TOKENS, TINY, sentence

from models.bundle import load_text_bundle
from models.errors import ContentError
from models.observation import SENTIMENTS
from models.options import TextOptions
from models.prediction import prediction
from models.scorer import Content, Scored, Scorer
from models.text_encoder import PIECES_AT_ONCE, TEXTS_AT_ONCE, TextEncoder, length_batches
from models.texts import Text, TextScorer


@pytest.fixture(scope="session", params=[TINY, LIGHT])
def texts(request: pytest.FixtureRequest, bundles: Path) -> TextScorer:
    return TextScorer(load_text_bundle(bundles / "text" / request.param), threads=1)


@pytest.fixture(scope="session")
def both(bundles: Path) -> Scorer:
    """Return what scores faces and texts."""
    return Scorer.from_folder(bundles, text=TextOptions(bundle=TINY))


def scored(results: Sequence[Scored | ContentError]) -> list[Scored]:
    assert all(isinstance(result, Scored) for result in results)
    return [result for result in results if isinstance(result, Scored)]


def one(scorer: TextScorer, text: str) -> Text:
    (found,) = scorer.score([text])
    assert isinstance(found, Text)
    return found


@pytest.mark.parametrize("sentiment", SENTIMENTS)
def test_sentences_are_what_they_say(texts: TextScorer, sentiment: str) -> None:
    generator = random.Random(2)
    for _ in range(10):
        found = one(texts, sentence(generator, sentiment, generator.randrange(4, 12)))
        assert found.observation.sentiment == sentiment
        assert sum(found.probabilities) == pytest.approx(1)
        assert found.observation.confidence == round(max(found.probabilities) * 1000)
        assert found.observation.expression is None


@settings(deadline=None)  # a busy machine may take long over one
@given(
    st.lists(st.integers(1, 80), max_size=120).filter(bool),
)
def test_batches_hold_every_text_once_within_the_limits(lengths: list[int]) -> None:
    batches = list(length_batches(lengths))
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) <= TEXTS_AT_ONCE
        assert len(rows) == 1 or max(lengths[row] for row in rows) * len(rows) <= PIECES_AT_ONCE
    # Each is no longer than what follows, so that little is padded.
    ends = [(min(lengths[r] for r in rows), max(lengths[r] for r in rows)) for rows in batches]
    assert all(left[1] <= right[0] for left, right in pairwise(ends))


@pytest.mark.parametrize("version", [TINY, LIGHT])
def test_in_batches_by_length_texts_get_what_they_get_alone(bundles: Path, version: str) -> None:
    bundle = load_text_bundle(bundles / "text" / version)
    encoder = TextEncoder(bundle.encoder, bundle.manifest.feature_count)
    chance = np.random.default_rng(1)
    ids = [chance.integers(1, 26, n).tolist() for n in chance.integers(1, 60, 150)]
    alone = np.concatenate([encoder.encode([numbers]) for numbers in ids])
    np.testing.assert_allclose(encoder.encode(ids), alone, atol=1e-5)
    with ThreadPoolExecutor(3) as pool:
        np.testing.assert_array_equal(encoder.encode(ids, pool), encoder.encode(ids))
    assert encoder.encode([]).shape == (0, bundle.manifest.feature_count)


def test_together_and_one_by_one_texts_get_the_same(texts: TextScorer) -> None:
    generator = random.Random(5)
    written = [
        sentence(generator, generator.choice(SENTIMENTS), generator.randrange(1, 14))
        for _ in range(80)
    ]
    written[7] = written[70] = "@ann https://t.co/x"
    together = texts.score(written)
    for text, found in zip(written, together, strict=True):
        (alone,) = texts.score([text])
        if isinstance(found, ContentError):
            assert isinstance(alone, ContentError)
            assert found.reason == alone.reason == "empty_text"
        else:
            assert isinstance(alone, Text)
            assert found.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
    assert [isinstance(found, ContentError) for found in together].count(True) == 2


def test_nothing_left_is_refused_and_nothing_given_is_nothing(texts: TextScorer) -> None:
    for text in ("@ann", "http://x.y", "\u200b", "\0"):
        (found,) = texts.score([text])
        assert isinstance(found, ContentError)
        assert found.reason == "empty_text"
        assert "nothing is left" in str(found)
    assert texts.score([]) == []


def test_emoji_alone_are_scored(texts: TextScorer) -> None:
    assert one(texts, "😀😀😀").observation.sentiment == "positive"
    assert one(texts, "😀").language is None


def test_a_long_text_is_scored_with_a_mark(texts: TextScorer) -> None:
    assert not one(texts, " ".join(["great"] * (MAX_TOKENS - 2))).cut
    by_pieces = one(texts, " ".join(["great"] * (MAX_TOKENS - 1)))
    by_characters = one(texts, "great " * 200_000)
    assert by_pieces.cut
    assert by_characters.cut
    assert by_pieces.observation.sentiment == by_characters.observation.sentiment == "positive"


def test_another_language_is_scored_and_flagged(texts: TextScorer) -> None:
    found = one(texts, "Das war ein ganz wunderbarer Abend mit euch, vielen Dank")
    assert (found.language, found.foreign) == ("de", True)
    found = one(texts, "that was a wonderful evening with all of you")
    assert (found.language, found.foreign) == ("en", False)


@settings(deadline=None)  # a busy machine may take long over one
@given(st.text(max_size=40))
def test_any_text_is_scored_or_is_empty(texts: TextScorer, text: str) -> None:
    (found,) = texts.score([text])
    if isinstance(found, ContentError):
        assert found.reason == "empty_text"
    else:
        assert sum(found.probabilities) == pytest.approx(1)
        assert -1000 <= found.observation.valence <= 1000


def test_a_picture_with_a_text_gives_one_prediction_with_both(both: Scorer, group: bytes) -> None:
    face, text, together = scored(
        both.score(
            [
                Content(image=group),
                Content(text="hate awful terrible"),
                Content(image=group, text="hate awful terrible"),
            ]
        )
    )
    assert [face.box for face in together.faces] == [one.box for one in face.faces]
    assert together.text == text.text
    assert len(together.observations) == 6
    assert [one.expression is None for one in together.observations] == [False] * 5 + [True]
    line = prediction("id", together, both.versions)
    assert len(line["faces"]) == 5
    assert line["text"] == {
        "sentiment": "negative",
        "confidence": pytest.approx(max(together.text.probabilities), abs=1e-3),
        "probabilities": dict(
            zip(
                SENTIMENTS,
                [pytest.approx(share, abs=1e-4) for share in text.text.probabilities],
                strict=True,
            )
        ),
        "valence": pytest.approx(text.text.observation.valence / 1000),
        "language": "en",
        "foreign": False,
        "cut": False,
    }
    # Smiling faces and a bad text pull in two ways.
    alone = [prediction("id", part, both.versions)["valence"] for part in (text, face)]
    assert alone[0] < line["valence"] < alone[1]
    assert line["models"] == {"face": both.bundle.manifest.version, "text": TINY}


@pytest.mark.parametrize("text", ["@ann http://x.y", "\u200b"])
def test_a_text_of_nothing_takes_nothing_from_its_picture(
    both: Scorer, text: str, group: bytes
) -> None:
    (found,) = scored(both.score([Content(image=group, text=text)]))
    assert len(found.faces) == 5
    assert found.text is None


def test_a_picture_without_a_face_takes_nothing_from_its_text(both: Scorer) -> None:
    blank = io.BytesIO()
    Image.new("RGB", (64, 64)).save(blank, "PNG")
    content = Content(image=blank.getvalue(), text="love and joy")
    (found,) = scored(both.score([content]))
    assert found.faces == ()
    line = prediction("id", found, both.versions)
    assert line["sentiment"] == line["text"]["sentiment"] == "positive"


def test_a_broken_picture_is_told_also_beside_a_text(both: Scorer) -> None:
    (found,) = both.score([Content(image=b"broken", text="love and joy")])
    assert isinstance(found, ContentError)
    assert found.reason == "broken_image"


def test_pictures_texts_and_faces_from_elsewhere_stay_in_order(both: Scorer, group: bytes) -> None:
    contents = [
        Content(text="hate this"),
        Content(image=group),
        Content(text="@ann"),
        Content(faces=((0.0, 0.0, 0.0, 0.9, 0.0, 0.1, 0.0),)),
        Content(image=group, text="great"),
        Content(text="joy"),
    ]
    found = [
        result.reason
        if isinstance(result, ContentError)
        else (len(result.faces), result.text and result.text.observation.sentiment)
        for result in both.score(contents)
    ]
    assert found == [
        (0, "negative"),
        (5, None),
        "empty_text",
        (1, None),
        (5, "positive"),
        (0, "positive"),
    ]
