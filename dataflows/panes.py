"""Panes: exact integer sums over one source and one bucket of event time.

Everything here is integers, so sums are the same in any order and any grouping. The order of
the fields is public: a pane is stored as its 15 integers joined by commas.
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Iterable
from operator import add, sub
from typing import NamedTuple

from models.observation import EXPRESSIONS, SENTIMENTS, Observation

__all__ = [
    "EMPTY",
    "FIELDS",
    "Pane",
    "Panes",
    "RollingStatistics",
    "count",
    "pack",
    "statistics",
    "unpack",
]

_new = tuple.__new__  # what `_make` does, without its check of the length
# Compressing takes longer than all else that is done to a pane, and gains little on a few.
FEW = 4
SMALL = b"i"  # what is compressed begins with another byte
Z95 = 1.96  # two-sided 95 % quantile of the normal distribution


class Pane(NamedTuple):
    """Sums over the observations of one source in one bucket of event time.

    Valence and confidence are in thousandths, so `valence_sum / n / 1000` is the mean valence
    in [-1, 1]. `events` counts every accepted event, also one without a face.
    """

    n: int = 0
    events: int = 0
    valence_sum: int = 0
    valence_sq_sum: int = 0
    confidence_sum: int = 0
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    surprise: int = 0
    fear: int = 0
    disgust: int = 0
    happiness: int = 0
    sadness: int = 0
    anger: int = 0
    neutral_face: int = 0

    @classmethod
    def of(cls, observations: Iterable[Observation]) -> Pane:
        """Return the pane of one accepted event with these observations (there may be none)."""
        columns = [0] * len(cls._fields)
        count(columns, observations)
        return cls(*columns)

    @classmethod
    def decode(cls, text: str) -> Pane:
        """Return the pane that `encode` wrote.

        Raises:
            ValueError: the text is not 15 integers joined by commas.
        """
        parts = text.split(",")
        if len(parts) != len(cls._fields):
            raise ValueError(f"a pane has {len(cls._fields)} integers, not {len(parts)}: {text!r}")
        return cls(*map(int, parts))

    def encode(self) -> str:
        """Return the 15 integers in the order of the fields, joined by commas."""
        return _ENCODED % self

    def merge(self, other: Pane) -> Pane:
        """Return the sum of two panes."""
        return _new(Pane, map(add, self, other))

    def subtract(self, other: Pane) -> Pane:
        """Return this pane without what `other` had added to it."""
        return _new(Pane, map(sub, self, other))


Panes = dict[int, Pane]  # by bucket (epoch s)

FIELDS: tuple[str, ...] = Pane._fields
EMPTY = Pane()
_ENCODED = ",".join(["%d"] * len(FIELDS))
_SENTIMENT_COLUMN = {name: FIELDS.index(name) for name in SENTIMENTS}
# "neutral" is also a sentiment, so the expression's column has its own name.
_EXPRESSION_COLUMN = {
    name: FIELDS.index("neutral_face" if name == "neutral" else name) for name in EXPRESSIONS
}


def count(columns: list[int], observations: Iterable[Observation]) -> None:
    """Add one accepted event with these observations to the fields of a pane, in their order."""
    columns[1] += 1
    for sentiment, valence, confidence, expression in observations:
        columns[0] += 1
        columns[2] += valence
        columns[3] += valence * valence
        columns[4] += confidence
        columns[_SENTIMENT_COLUMN[sentiment]] += 1
        if expression is not None:
            columns[_EXPRESSION_COLUMN[expression]] += 1


class RollingStatistics(NamedTuple):
    """Means of a pane as floats: valence in [-1, 1], its 95 % half-width, confidence in [0, 1]."""

    valence: float
    valence_ci95: float
    confidence: float


def statistics(pane: Pane) -> RollingStatistics:
    """Return mean valence with its 95 % half-width, and mean confidence.

    The half-width is 1.96 * s / sqrt(n) with the sample standard deviation s, the normal
    approximation for a mean of independent observations. What is not defined is NaN: all three
    for n = 0, the half-width for n = 1.
    """
    n = pane.n
    if n == 0:
        return RollingStatistics(math.nan, math.nan, math.nan)
    half_width = math.nan
    if n > 1:
        # Integers until the last step: no cancellation, whatever the counts.
        variance = (n * pane.valence_sq_sum - pane.valence_sum**2) / (n * (n - 1))
        half_width = Z95 * math.sqrt(variance / n) / 1000
    return RollingStatistics(
        pane.valence_sum / n / 1000, half_width, pane.confidence_sum / n / 1000
    )


def pack(panes: Panes) -> bytes:
    """Return panes as bytes: bucket and 15 integers each.

    A few take 32 bit a number, behind a mark; many, or large numbers, 64 bit, compressed.
    """
    if len(panes) <= FEW:
        try:
            numbers = array("i")
            for bucket, pane in panes.items():
                numbers.append(bucket)
                numbers.extend(pane)
            return SMALL + numbers.tobytes()
        except OverflowError:
            pass  # into 32 bit
    numbers = array("q")
    for bucket, pane in panes.items():
        numbers.append(bucket)
        numbers.extend(pane)
    return zlib.compress(numbers.tobytes(), level=1)


def unpack(packed: bytes) -> Panes:
    """Return the panes that `pack` was given."""
    if packed.startswith(SMALL):
        numbers = array("i", packed[len(SMALL) :])
    else:
        numbers = array("q", zlib.decompress(packed))
    width = 1 + len(FIELDS)
    rows = (numbers[start : start + width] for start in range(0, len(numbers), width))
    return {row[0]: Pane(*row[1:]) for row in rows}
