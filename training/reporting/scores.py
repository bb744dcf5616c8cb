"""What can be worked out from counts and probabilities beyond the measures of training.metrics."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.metrics import CALIBRATION_BINS, by_confidence

__all__ = ["Bins", "ByClass", "by_class", "mistakes", "reliability", "summary"]


class ByClass(NamedTuple):
    """Measures of each class, [classes] each; a measure without a case is 0."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.int64]


class Bins(NamedTuple):
    """Bins of confidence of equal width, [bins] each; an empty bin has zeros."""

    n: NDArray[np.int64]
    hits: NDArray[np.int64]
    confidence: NDArray[np.float64]  # the mean


def by_class(confusion: NDArray[np.int64]) -> ByClass:
    """Return the measures of each class from counts [true, called]."""
    hits, support, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return ByClass(
        precision=hits / np.maximum(called, 1),
        recall=hits / np.maximum(support, 1),
        f1=2 * hits / np.maximum(support + called, 1),
        support=support,
    )


def summary(confusions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return accuracy, balanced accuracy and macro F1, float64 [..., 3].

    The rules are those of training.metrics: a class without a label takes no part in the means.

    Args:
        confusions: int64 [..., classes, classes], none of them without a count.
    """
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    support, called = confusions.sum(axis=-1), confusions.sum(axis=-2)
    seen = support > 0
    recall = (hits / np.maximum(support, 1)).sum(axis=-1) / seen.sum(axis=-1)
    f1 = np.where(seen, 2 * hits / np.maximum(support + called, 1), 0)
    return np.stack(
        [
            hits.sum(axis=-1) / support.sum(axis=-1),
            recall,
            f1.sum(axis=-1) / seen.sum(axis=-1),
        ],
        axis=-1,
    )


def reliability(labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]) -> Bins:
    """Sort faces into the bins of the expected calibration error.

    Args:
        labels: [n].
        probabilities: [n, classes].
    """
    confidence, right, bins = by_confidence(labels, probabilities)
    n = np.bincount(bins, minlength=CALIBRATION_BINS)
    return Bins(
        n=n,
        hits=np.bincount(bins[right], minlength=CALIBRATION_BINS),
        confidence=np.bincount(bins, confidence, CALIBRATION_BINS) / np.maximum(n, 1),
    )


def mistakes(
    labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]], most: int
) -> NDArray[np.int64]:
    """Return the rows that were called wrongly, the most confident one first, int64 [<= most].

    Args:
        labels: [n].
        probabilities: [n, classes].
        most: how many.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order[:most]]
