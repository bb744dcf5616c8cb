"""The public form of a result: one JSON object per event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.joining import event_sentiment
from models.observation import EXPRESSIONS, SCALE, SENTIMENTS
from models.scorer import Face, Scored
from models.texts import Text

__all__ = ["prediction"]

DIGITS = 4  # of a probability; more would suggest a precision that no model has


def prediction(event_id: str, scored: Scored, versions: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the prediction of one event.

    Sentiment and valence of the event join all its parts (`models.joining`); they are None where
    there is neither a face nor a text.
    """
    shares = event_sentiment(scored)
    return {
        "id": event_id,
        "faces": [_face(face) for face in scored.faces],
        "text": _text(scored.text) if scored.text is not None else None,
        "sentiment": SENTIMENTS[shares.index(max(shares))] if shares else None,
        "valence": round(shares[2] - shares[0], DIGITS) if shares else None,
        "models": dict(versions),
    }


def _text(text: Text) -> dict[str, Any]:
    observation = text.observation
    return {
        "sentiment": observation.sentiment,
        "confidence": observation.confidence / SCALE,
        "probabilities": _named(SENTIMENTS, text.probabilities),
        "valence": observation.valence / SCALE,
        "language": text.language,
        "foreign": text.foreign,
        "cut": text.cut,
    }


def _named(names: tuple[str, ...], shares: Sequence[float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in zip(names, shares, strict=True)}


def _face(face: Face) -> dict[str, Any]:
    observation = face.observation
    return {
        "box": list(face.box) if face.box is not None else None,
        "emotion": observation.expression,
        "confidence": observation.confidence / SCALE,
        "probabilities": _named(EXPRESSIONS, face.probabilities),
        "valence": observation.valence / SCALE,
    }
