"""Measures of a classifier, in plain NumPy, so that a bundle can be judged without scikit-learn."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CALIBRATION_BINS", "by_confidence", "expected_calibration_error", "report"]

CALIBRATION_BINS = 15  # as in Guo et al. 2017, "On Calibration of Modern Neural Networks"
DIGITS = 4


def report(
    labels: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    classes: tuple[str, ...],
) -> dict[str, Any]:
    """Judge probabilities [n, classes] by labels [n]; the first class wins a tie.

    Returns:
        JSON-ready values, shares rounded to four digits: `n`, `accuracy`, `balanced_accuracy`
        (mean of the classes' recalls), `macro_f1`, `ece`, `recall` by class, and `confusion`, whose
        entry [i][j] counts the faces of class i that were called j. A class without a label takes
        no part in the means.

    Raises:
        ValueError: there is nothing to judge.
    """
    if not len(labels):
        raise ValueError("there are no labels to judge by")
    count = len(classes)
    pairs = labels * count + probabilities.argmax(axis=1)
    confusion = np.bincount(pairs, minlength=count * count).reshape(count, count)
    hits, actual, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = hits / np.maximum(actual, 1)
    f1 = 2 * hits / np.maximum(actual + called, 1)
    seen = actual > 0
    return {
        "n": len(labels),
        "accuracy": _rounded(hits.sum() / len(labels)),
        "balanced_accuracy": _rounded(recall[seen].mean()),
        "macro_f1": _rounded(f1[seen].mean()),
        "ece": _rounded(expected_calibration_error(labels, probabilities)),
        "recall": {name: _rounded(value) for name, value in zip(classes, recall, strict=True)},
        "confusion": confusion.tolist(),
    }


def by_confidence(
    labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_], NDArray[np.int64]]:
    """Return the confidence of each face, whether it was called rightly, and its bin, [n] each.

    Args:
        labels: [n].
        probabilities: [n, classes].
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return confidence, right, bins


def expected_calibration_error(
    labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]
) -> float:
    """Return the mean distance of confidence from accuracy, over bins of equal width.

    Args:
        labels: [n].
        probabilities: [n, classes].
    """
    confidence, right, bins = by_confidence(labels, probabilities)
    gaps = np.bincount(bins, weights=right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)
