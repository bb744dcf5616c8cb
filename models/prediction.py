"""The public form of a result: one JSON object per event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.observation import EXPRESSIONS, SCALE, SENTIMENTS, sentiment_of_face
from models.scorer import Face, Scored

__all__ = ["prediction"]

DIGITS = 4  # of a probability; more would suggest a precision that no model has


def prediction(event_id: str, scored: Scored, versions: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the prediction of one event.

    Sentiment and valence of the event are those of the mean of its faces' probabilities, and
    None where there is no face.
    """
    sentiment = valence = None
    if scored.faces:
        sums = [0.0, 0.0, 0.0]
        for face in scored.faces:
            for index, share in enumerate(sentiment_of_face(face.probabilities)):
                sums[index] += share
        means = [value / len(scored.faces) for value in sums]
        sentiment = SENTIMENTS[max(range(len(means)), key=means.__getitem__)]
        valence = round(means[2] - means[0], DIGITS)
    return {
        "id": event_id,
        "faces": [_face(face) for face in scored.faces],
        "text": None,
        "sentiment": sentiment,
        "valence": valence,
        "models": dict(versions),
    }


def _face(face: Face) -> dict[str, Any]:
    observation = face.observation
    return {
        "box": list(face.box) if face.box is not None else None,
        "emotion": observation.expression,
        "confidence": observation.confidence / SCALE,
        "probabilities": {
            name: round(value, DIGITS)
            for name, value in zip(EXPRESSIONS, face.probabilities, strict=True)
        },
        "valence": observation.valence / SCALE,
    }
