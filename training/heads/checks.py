"""What features and labels must be before a head is fitted on them."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.observation import EXPRESSIONS
from training.errors import DataError

__all__ = ["check_features", "check_folds"]

NAMED: Final = 5  # rows that an error names


def check_features(
    what: str,
    features: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    classes: tuple[str, ...] = EXPRESSIONS,
) -> None:
    """Refuse features that no head can be fitted on.

    Args:
        what: what the rows are called in the message, as "training".
        features: [n, k].
        labels: [n], the places of the classes.
        classes: their names.

    Raises:
        DataError: there are as many features as labels not, a value is not finite, or a class is
            absent.
    """
    if features.ndim != 2 or len(features) != len(labels):
        raise DataError(f"{what}: features {features.shape} do not go with {len(labels)} labels")
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        first = ", ".join(str(row) for row in broken[:NAMED])
        raise DataError(
            f"{what}: {len(broken)} of {len(features)} rows have NaN or infinite features, the "
            f"first ones {first}. The encoder is broken, or the cached features are: export the "
            "encoder again."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise DataError(f"{what}: labels go from 0 to {len(classes) - 1}")
    counts = np.bincount(labels, minlength=len(classes))
    absent = [name for name, count in zip(classes, counts, strict=True) if not count]
    if absent:
        raise DataError(f"{what}: there is nothing of the class {', '.join(absent)}")


def check_folds(
    labels: NDArray[np.int64], folds: int, classes: tuple[str, ...] = EXPRESSIONS
) -> None:
    """Refuse labels [n] that cannot be cut into so many folds with every class in each.

    Raises:
        DataError: a class has fewer rows than there are folds.
    """
    counts = np.bincount(labels, minlength=len(classes))
    small = [
        f"{name} has {count}" for name, count in zip(classes, counts, strict=True) if count < folds
    ]
    if small:
        raise DataError(
            f"{folds} folds need {folds} rows of each class: {', '.join(small)}. "
            "Give fewer folds ([head] folds, at least 3), or more data of the class."
        )
