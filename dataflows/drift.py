"""Drift of predictions: the sums of an hour, and how far they are from a reference.

All that is kept are integers, so sums are the same in any order and any grouping.

- The classes and the confidence of an hour are held against the reference by the *population
  stability index* (Siddiqi, Credit Risk Scorecards, 2006; its distribution: Yurdakul and Naranjo,
  Journal of Risk Model Validation 14(4), 2020).
- The embedding, in a few uncorrelated coordinates, by the squared Frechet distance of two normal
  distributions (Dowson and Landau, Journal of Multivariate Analysis 12(3), 1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest
from operator import add
from typing import Final, Literal, NamedTuple

from dataflows.drift_options import DriftOptions
from models.manifest import CLASSES
from models.observation import Observation
from models.reference import BINS, UNIT, Coordinates, Reference, confidence_bin

__all__ = [
    "HOUR_S",
    "Baseline",
    "Figures",
    "Model",
    "Seen",
    "Sums",
    "Verdict",
    "count",
    "empty",
    "measure",
    "merge",
    "model_of",
    "observations",
    "psi",
    "seen_of",
    "squared_distance",
    "verdict",
]

HOUR_S: Final = 3600
# Added to every count, so that an empty bin has a share (Krichevsky and Trofimov, IEEE Transactions
# on Information Theory 27(2), 1981).
SMOOTHING: Final = 0.5

Verdict = Literal["no_reference", "few", "steady", "drift"]
Sums = tuple[int, ...]  # classes, bins of confidence, located, sums, sums of squares


class Baseline(NamedTuple):
    """The figures of a reference, without its projection: see `models.reference.Reference`."""

    classes: tuple[int, ...]
    confidence: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class Model(NamedTuple):
    """One version of a bundle, and what it is held against.

    Attributes:
        kind: `face` or `text`.
        version: of the bundle.
        baseline: None where the bundle has no reference.
    """

    kind: str
    version: str
    baseline: Baseline | None = None

    @property
    def coordinates(self) -> int:
        """How many there are."""
        return 0 if self.baseline is None else len(self.baseline.mean)


class Seen(NamedTuple):
    """One face or text that a bundle of ours has scored.

    Attributes:
        model: which.
        choice: index of the class, in the order of the bundle.
        confidence: in thousandths.
        coordinates: of the embedding, in hundredths; as many as the model's.
    """

    model: Model
    choice: int
    confidence: int
    coordinates: Coordinates | None = None


class Figures(NamedTuple):
    """How far the sums of an hour are from a reference; None where there is nothing to say.

    Attributes:
        n: observations.
        mix: population stability index of the classes.
        confidence: the same of the bins of confidence.
        embedding: squared distance of the embedding.
    """

    n: int
    mix: float | None = None
    confidence: float | None = None
    embedding: float | None = None


def model_of(kind: str, version: str, reference: Reference | None) -> Model:
    """Return what names a bundle, and what it is held against."""
    if reference is None:
        return Model(kind, version)
    r = reference
    return Model(kind, version, Baseline(r.classes, r.confidence, r.mean, r.deviation))


def seen_of(model: Model, observation: Observation, coordinates: Coordinates | None) -> Seen:
    """Return what counts of one observation."""
    named = observation.expression or observation.sentiment
    choice = CLASSES[model.kind].index(named)
    return Seen(model, choice, observation.confidence, coordinates)


def empty(model: Model) -> list[int]:
    """Return sums of nothing."""
    return [0] * (len(CLASSES[model.kind]) + BINS + 1 + 2 * model.coordinates)


def count(sums: list[int], seen: Seen) -> None:
    """Add one observation to the sums of its model."""
    model, choice, confidence, coordinates = seen
    first = len(CLASSES[model.kind])
    sums[choice] += 1
    sums[first + confidence_bin(confidence)] += 1
    if coordinates is None:
        return
    place = first + BINS
    sums[place] += 1
    squares = len(coordinates)
    for value in coordinates:
        place += 1
        sums[place] += value
        sums[place + squares] += value * value


def merge(model: Model, left: Sequence[int], right: Sequence[int]) -> Sums:
    """Return the sums of both; one may be from before its bundle had a reference.

    Sums of another number of coordinates are of another projection and cannot be added: then those
    of the embedding are the right ones alone.

    Args:
        model: of both.
        left: what there was.
        right: what is new.
    """
    if len(left) == len(right):
        return tuple(map(add, left, right))
    first = len(CLASSES[model.kind]) + BINS
    if min(len(left), len(right)) > first + 1:
        left = left[:first]
    return tuple(map(sum, zip_longest(left, right, fillvalue=0)))


def observations(model: Model, sums: Sums) -> int:
    """Return how many observations are in the sums."""
    return sum(sums[: len(CLASSES[model.kind])])


def measure(model: Model, sums: Sums, least: int) -> Figures:
    """Return how far sums are from the model's baseline.

    Args:
        model: of the sums.
        sums: of an hour.
        least: below so many observations nothing is said.
    """
    first = len(CLASSES[model.kind])
    n, located = observations(model, sums), sums[first + BINS]
    baseline = model.baseline
    if baseline is None or n < least:
        return Figures(n)
    distance = None
    moments, half = sums[first + BINS + 1 :], model.coordinates
    if located >= least and len(moments) == 2 * half:  # others are of another reference
        distance = squared_distance(baseline, located, moments[:half], moments[half:])
    return Figures(
        n,
        psi(baseline.classes, sums[:first]),
        psi(baseline.confidence, sums[first : first + BINS]),
        distance,
    )


def psi(expected: Sequence[int], observed: Sequence[int]) -> float:
    """Return the population stability index, sum of (q - p) * ln(q / p), at least 0.

    Args:
        expected: counts of the reference by bin; p are their shares after smoothing.
        observed: counts of the stream by bin, likewise q.

    Raises:
        ValueError: they have not the same bins.
    """
    p, q = _shares(expected), _shares(observed)
    return math.fsum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + SMOOTHING * len(counts)
    return [(value + SMOOTHING) / total for value in counts]


def squared_distance(
    baseline: Baseline, n: int, sums: Sequence[int], squares: Sequence[int]
) -> float:
    """Return the squared Frechet distance of two normals with diagonal covariances.

    That is, over all coordinates, the sum of (difference of the means) squared and (difference of
    the standard deviations) squared, in standard deviations of the reference. A mean that is one
    standard deviation off in one coordinate is 1.

    Args:
        baseline: moments of the reference.
        n: observations, at least 1.
        sums: of each coordinate, in hundredths.
        squares: of each squared.
    """
    parts = []
    for total, square, centre, spread in zip(
        sums, squares, baseline.mean, baseline.deviation, strict=True
    ):
        deviation = math.sqrt(n * square - total * total) / n / UNIT  # never negative: integers
        parts.append(((total / n / UNIT - centre) / spread) ** 2)
        parts.append((deviation / spread - 1) ** 2)
    return math.fsum(parts)


def verdict(model: Model, figures: Figures, options: DriftOptions) -> Verdict:
    """Return what is to be said of an hour."""
    if model.baseline is None:
        return "no_reference"
    if figures.n < options.min_observations:
        return "few"
    limits = options.mix, options.confidence, options.embedding
    over = (
        value is not None and value > most for value, most in zip(figures[1:], limits, strict=True)
    )
    return "drift" if any(over) else "steady"
