"""Events that were scored elsewhere: from their JSON to observations and predictions.

They come by the ten thousand a second, so a batch is worked on at once. The result is that of
`dataflows.content`, `models.scorer` and `models.prediction`, digit for digit; what is not in the
plain form is left to them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from json.encoder import encode_basestring_ascii as _quoted
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataflows.content import MAX_EDGE_FACES, SUM_TOLERANCE
from dataflows.contract import Envelope, format_time
from dataflows.events import Event
from models.joining import event_sentiment
from models.observation import EXPRESSIONS, SCALE, SENTIMENTS, Observation
from models.prediction import DIGITS
from models.scorer import Face, Scored

__all__ = ["Row", "events_of", "read_faces"]

Row = tuple[float, ...]  # probabilities of one face, in the order of `EXPRESSIONS`
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
STEPS: Final = 10**DIGITS
NEAR: Final = 1e-6  # of a half, in steps: far more than products of floats are off
# The farthest from 0 that a figure is, in steps: a sum of probabilities may be a little above 1.
FARTHEST: Final = round(STEPS * (1 + 2 * SUM_TOLERANCE))
# The text of every figure; json would write the same.
_TEXTS: Final = np.array(
    [repr(step / STEPS) for step in range(-FARTHEST, FARTHEST + 1)], dtype=object
)
_SENTIMENTS: Final = np.array(SENTIMENTS, dtype=object)
_EXPRESSIONS: Final = np.array(EXPRESSIONS, dtype=object)
_SHARES: Final = ",".join(f'"{name}":%s' for name in EXPRESSIONS)
_FACE: Final = (
    f'{{"box":null,"emotion":"%s","confidence":%s,"probabilities":{{{_SHARES}}},"valence":%s}}'
)


class _Face(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Fields in the order of `EXPRESSIONS`."""

    surprise: Share = 0.0
    fear: Share = 0.0
    disgust: Share = 0.0
    happiness: Share = 0.0
    sadness: Share = 0.0
    anger: Share = 0.0
    neutral: Share = 0.0


class _Document(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    emotions: Annotated[list[_Face], msgspec.Meta(max_length=MAX_EDGE_FACES)]


_decode = msgspec.json.Decoder(_Document).decode
_row = msgspec.structs.astuple


def read_faces(value: bytes) -> list[Row] | None:
    """Return the faces of `{"emotions": [...]}`; None if it says more, or something is wrong."""
    try:
        rows: list[Row] = [_row(face) for face in _decode(value).emotions]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    for row in rows:
        if abs(sum(row) - 1) > SUM_TOLERANCE:
            return None
    return rows


def events_of(
    envelopes: Sequence[Envelope],
    faces: Sequence[Sequence[Row]],
    versions: Mapping[str, str | None],
) -> Iterator[Event]:
    """Yield one event for each envelope with its faces; `versions` are those of the models."""
    every = _Faces(np.array([*chain.from_iterable(faces)]).reshape(-1, len(EXPRESSIONS)))
    models = json.dumps(dict(versions), separators=(",", ":"))
    observations, texts, sentiments, valences = every.columns()
    begin = 0
    for envelope, rows in zip(envelopes, faces, strict=True):
        end = begin + len(rows)
        if len(rows) == 1:
            seen: tuple[Observation, ...] = (observations[begin],)
            text, sentiment, valence = texts[begin], f'"{sentiments[begin]}"', valences[begin]
        else:
            seen = tuple(observations[begin:end])
            text = ",".join(texts[begin:end])
            sentiment, valence = _together(rows, seen)
        begin = end
        prediction = (
            f'{{"id":{_quoted(envelope.id)},"source":{_quoted(envelope.source)},'
            f'"time":"{format_time(envelope.time_ms)}","faces":[{text}],"text":null,'
            f'"sentiment":{sentiment},"valence":{valence},"models":{models}}}'
        )
        yield Event(envelope, seen, prediction)


def _together(rows: Sequence[Row], seen: Sequence[Observation]) -> tuple[str, str]:
    """Return sentiment and valence of several faces, or of none, as JSON."""
    faces = tuple(Face(None, row, one) for row, one in zip(rows, seen, strict=True))
    shares = event_sentiment(Scored(faces))
    if shares is None:
        return "null", "null"
    sentiment = SENTIMENTS[shares.index(max(shares))]
    return f'"{sentiment}"', repr(round(shares[2] - shares[0], DIGITS))


class _Faces:
    """Faces as columns: float64 (n, 7) in the order of `EXPRESSIONS`."""

    def __init__(self, rows: NDArray[np.float64]) -> None:
        self._rows = rows

    def columns(self) -> tuple[list[Observation], list[str], list[str], list[str]]:
        """Return by face its observation, its JSON, and the sentiment and valence it stands for.

        As `models.observation` and `models.prediction` do, in the same order of additions.
        """
        rows = self._rows
        surprise, fear, disgust, happiness, sadness, anger, neutral = rows.T
        negative = sadness + anger + fear + disgust
        sides = np.stack((negative, neutral + surprise, happiness), axis=1)
        difference = happiness - negative
        valence = np.rint(difference * SCALE).astype(np.int64)
        confidence = np.rint(rows.max(axis=1, initial=0) * SCALE).astype(np.int64)
        sentiments: list[str] = _SENTIMENTS[sides.argmax(axis=1)].tolist()
        expressions: list[str] = _EXPRESSIONS[rows.argmax(axis=1)].tolist()
        observations = map(
            Observation, sentiments, valence.tolist(), confidence.tolist(), expressions
        )
        thousandth = STEPS // SCALE
        figures = np.column_stack((confidence * thousandth, _steps(rows), valence * thousandth))
        written = _TEXTS[figures + FARTHEST].tolist()
        texts = [_FACE % (name, *row) for name, row in zip(expressions, written, strict=True)]
        return [*observations], texts, sentiments, _TEXTS[_steps(difference) + FARTHEST].tolist()


def _steps(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return what `round(value, DIGITS)` is, in steps."""
    exact = values * STEPS
    steps: NDArray[np.int64] = np.rint(exact).astype(np.int64)
    # Python rounds the float itself, not a product: at a half that may be another step.
    close = np.abs(np.abs(exact - steps) - 0.5) < NEAR
    if close.any():
        steps[close] = [round(round(value, DIGITS) * STEPS) for value in values[close].tolist()]
    return steps
