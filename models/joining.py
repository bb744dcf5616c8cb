"""One sentiment for an event from all its parts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from models.head import SMALLEST
from models.observation import sentiment_of_face
from models.scorer import Scored

__all__ = ["event_sentiment"]


def event_sentiment(scored: Scored) -> tuple[float, ...] | None:
    """Return P(negative), P(neutral), P(positive) of an event; None without a face or a text.

    Of several faces it is the mean of their probabilities. A picture and a text are joined by a
    logarithmic opinion pool: the mean of the logarithms, weighted by the confidence of each, made
    to sum to 1 again (Genest and Zidek 1986, "Combining probability distributions"). So the part
    that is surer has the louder voice, and where one is missing the other stands alone.
    """
    parts = []
    if scored.faces:
        shares = [sentiment_of_face(face.probabilities) for face in scored.faces]
        parts.append([sum(column) / len(shares) for column in zip(*shares, strict=True)])
    if scored.text is not None:
        parts.append(list(scored.text.probabilities))
    if len(parts) < 2:
        return tuple(parts[0]) if parts else None
    return _pool(parts)


def _pool(parts: Sequence[Sequence[float]]) -> tuple[float, ...]:
    total = sum(max(part) for part in parts)
    logs = [
        sum(
            max(part) * math.log(max(share, SMALLEST))
            for part, share in zip(parts, column, strict=True)
        )
        / total
        for column in zip(*parts, strict=True)
    ]
    exponentials = [math.exp(value - max(logs)) for value in logs]
    return tuple(value / sum(exponentials) for value in exponentials)
