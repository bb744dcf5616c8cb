"""Observations: what one face or one text expresses, and how it becomes integers.

The mapping from class probabilities to sentiment, valence and confidence lives here and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = [
    "EXPRESSIONS",
    "SCALE",
    "SENTIMENTS",
    "Observation",
    "observe_face",
    "observe_text",
    "sentiment_of_face",
]

# The order decides ties (the first wins) and is the order of the classes in a face bundle.
EXPRESSIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
SENTIMENTS = ("negative", "neutral", "positive")
SCALE = 1000  # valence and confidence are kept in thousandths, as integers


class Observation(NamedTuple):
    """One face or one text.

    Attributes:
        sentiment: one of `SENTIMENTS`.
        valence: P(positive) - P(negative) in thousandths, -1000 to 1000.
        confidence: probability of the most probable class in thousandths, 0 to 1000.
        expression: one of `EXPRESSIONS` for a face, `None` for a text.
    """

    sentiment: str
    valence: int
    confidence: int
    expression: str | None = None


def sentiment_of_face(probabilities: Sequence[float]) -> tuple[float, float, float]:
    """Return P(negative), P(neutral), P(positive) of a face.

    Args:
        probabilities: seven floats in the order of `EXPRESSIONS`.
    """
    surprise, fear, disgust, happiness, sadness, anger, neutral = probabilities
    return sadness + anger + fear + disgust, neutral + surprise, happiness


def observe_face(probabilities: Sequence[float]) -> Observation:
    """Return the observation of one face from its seven probabilities (`EXPRESSIONS` order)."""
    best = _argmax(probabilities)
    return _observation(sentiment_of_face(probabilities), probabilities[best], EXPRESSIONS[best])


def observe_text(probabilities: Sequence[float]) -> Observation:
    """Return the observation of one text from its three probabilities (`SENTIMENTS` order)."""
    return _observation(probabilities, max(probabilities), None)


def _observation(
    sentiment: Sequence[float], confidence: float, expression: str | None
) -> Observation:
    negative, _, positive = sentiment
    return Observation(
        sentiment=SENTIMENTS[_argmax(sentiment)],
        valence=round((positive - negative) * SCALE),
        confidence=round(confidence * SCALE),
        expression=expression,
    )


def _argmax(values: Sequence[float]) -> int:
    """Return the index of the largest value; the first one wins a tie."""
    return values.index(max(values))
