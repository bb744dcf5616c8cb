"""Intervals of 95 %: Wilson's for shares, resampling of faces for everything else."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.metrics import expected_calibration_error
from training.reporting.scores import summary

__all__ = ["Interval", "calibration", "means", "paired", "wilson"]

Z = 1.959964  # the normal distribution's 97.5 % point
RESAMPLES = 2000  # of confusion matrices: enough for the third digit
CALIBRATION_RESAMPLES = 500  # of single faces, which takes longer
ENDS = (2.5, 97.5)  # per cent
SEED = 20


class Interval(NamedTuple):
    """Where a measure lies with 95 % confidence."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.4f} to {self.high:.4f}"


def wilson(hits: int, n: int) -> Interval:
    """Return the score interval of Wilson 1927 of a share; all of 0 to 1 where n is 0."""
    if not n:
        return Interval(0.0, 1.0)
    share, spread = hits / n, Z * Z / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * (share * (1 - share) / n + spread / (4 * n)) ** 0.5
    # Where all or none hit, an end is the share itself, which rounding must not pass.
    return Interval(max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def means(confusion: NDArray[np.int64]) -> tuple[Interval, Interval]:
    """Return the intervals of balanced accuracy and macro F1.

    To draw faces again is to draw the cells of their confusion matrix again, so counts suffice.

    Args:
        confusion: int64 [classes, classes], not empty.
    """
    n = int(confusion.sum())
    draws = np.random.default_rng(SEED).multinomial(n, confusion.ravel() / n, RESAMPLES)
    found = summary(draws.reshape(RESAMPLES, *confusion.shape))
    low, high = np.percentile(found[:, 1:], ENDS, axis=0)
    return Interval(low[0], high[0]), Interval(low[1], high[1])


def calibration(
    labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]
) -> Interval:
    """Return the interval of the expected calibration error.

    A resample repeats faces, which widens the gaps of the bins and raises the error; the interval
    is moved back by that mean rise.

    Args:
        labels: [n], n > 0.
        probabilities: [n, classes].
    """
    rng, n = np.random.default_rng(SEED), len(labels)
    found = np.empty(CALIBRATION_RESAMPLES)
    for index in range(CALIBRATION_RESAMPLES):
        rows = rng.integers(0, n, n)
        found[index] = expected_calibration_error(labels[rows], probabilities[rows])
    rise = found.mean() - expected_calibration_error(labels, probabilities)
    low, high = np.percentile(found, ENDS) - rise
    return Interval(max(0.0, low), min(1.0, high))


def paired(only_first: int, only_second: int, n: int) -> Interval:
    """Return the interval of the second accuracy minus the first one, on the same n faces.

    Args:
        only_first: faces that only the first classifier called rightly.
        only_second: faces that only the second one did.
        n: all faces, more than none.
    """
    both = n - only_first - only_second
    draws = np.random.default_rng(SEED).multinomial(
        n, np.array([only_first, only_second, both]) / n, RESAMPLES
    )
    low, high = np.percentile((draws[:, 1] - draws[:, 0]) / n, ENDS)
    return Interval(low, high)
