"""What a bundle said of each face or text of a test split, read and checked."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.errors import RunError
from training.reporting.run_files import remake

__all__ = ["Predictions", "read_predictions"]


class Predictions(NamedTuple):
    """What the bundle said of each face or text of the test split; n > 0."""

    labels: NDArray[np.int64]  # [n]
    probabilities: NDArray[np.float64]  # [n, classes], calibrated
    uncalibrated: NDArray[np.float64]  # [n, classes]
    names: NDArray[np.str_]  # [n]
    # Of faces: `widths`, pixels of the original picture, and `brightness`, mean luma, 0 to 255. Of
    # texts: `words`, whether there is an `emoji` or a `hashtag`, and the guessed `language`. [n]
    traits: dict[str, NDArray[Any]]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each was called rightly, bool [n]."""
        found: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.labels
        return found


def read_predictions(path: Path, traits: Sequence[str]) -> Predictions | None:
    """Return the predictions in a file, or nothing where there is no file.

    Args:
        path: the file.
        traits: which of them it must have.

    Raises:
        RunError: it is not as it has to be.
    """
    said = ("labels", "probabilities", "uncalibrated", "names")
    try:
        with np.load(path, allow_pickle=False) as file:
            labels, probabilities, uncalibrated, names = (file[name] for name in said)
            own = {name: file[name] for name in traits}
            found = Predictions(labels, probabilities, uncalibrated, names, own)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} cannot be read ({error}); {remake(path)}") from error
    if problem := _problem(found):
        raise RunError(f"{path} is not as expected ({problem}); {remake(path)}")
    return found


def _problem(found: Predictions) -> str:
    """Return what is wrong with the arrays, or nothing."""
    n = len(found.labels) if found.labels.ndim else 0
    if not n:
        return "there are no labels"
    classes = found.probabilities.shape[-1]
    arrays: dict[str, NDArray[Any]] = found._asdict()
    arrays |= arrays.pop("traits")
    for name, array in arrays.items():
        wanted = (n, classes) if name in ("probabilities", "uncalibrated") else (n,)
        if array.shape != wanted:
            return f"{name} has the shape {array.shape}, not {wanted}"
        if array.dtype.kind != "U" and not np.isfinite(array).all():
            return f"{name} is not finite"
    if found.labels.min() < 0 or found.labels.max() >= classes:
        return f"labels are not all from 0 to {classes - 1}"
    return ""
