"""Fits the head again on what it was fitted on plus corrections, whose weight is chosen here.

The choice sees the validation faces and corrections held out in folds; the test split and the
corrections that are held out for good are not among the arguments.

What a weight loses on validation is counted from the run's head, which has learnt from changed
copies of the faces too. The fits that are tried have not, so their loss mixes what the corrections
cost with what the copies are worth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.observation import EXPRESSIONS
from training.config import Head
from training.heads.checks import check_features
from training.heads.fit import Rows, boost_rows, finish, learning_rows
from training.progress import Progress

__all__ = ["FOLDS", "LARGEST_LOSS", "WEIGHTS", "Labelled", "Refit", "Tried", "choose"]

# How many faces of the original data a correction counts as. Below 1 some hundred corrections
# drown among ten thousand faces; far above 25 the trees know little else.
WEIGHTS: Final = (1.0, 5.0, 25.0)
FOLDS: Final = 3
LARGEST_LOSS: Final = 0.005  # of accuracy on validation


class Labelled(NamedTuple):
    """Features, float32 [n, k], and labels, int64 [n]."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]


class Tried(NamedTuple):
    """One weight: accuracies, 0 to 1.

    Attributes:
        weight: as in `WEIGHTS`.
        corrections: of each on the fit that it took no part in.
        validation: the mean of the fits.
    """

    weight: float
    corrections: float
    validation: float


@dataclass(frozen=True)
class Refit:
    """What a refit works with.

    Attributes:
        settings: of the heads.
        used: the parameters of the run's head, as `fit_head` returned them.
        seed: of the run.
        original: what the run's head learnt from, without changed copies.
        copies: features of changed copies of the same faces, each of the shape of the originals.
        validation: features of the encoder that ships.
        progress: where steps are reported.
    """

    settings: Head
    used: Mapping[str, Any]
    seed: int
    original: Labelled
    copies: Sequence[NDArray[np.float32]]
    validation: Labelled
    progress: Progress

    def try_weights(
        self, corrected: Labelled, folds: NDArray[np.int64], before: float
    ) -> tuple[Tried, ...]:
        """Fit with each weight as often as there are folds, without the changed copies.

        Args:
            corrected: features and labels [n].
            folds: int64 [n], from 0 to `FOLDS` - 1.
            before: accuracy of the run's head on validation, for the lines that are said.

        Raises:
            DataError: a feature is not finite, or a class is absent.
        """
        check_features("training", *self.original)
        rows = self._rows(self.original)
        tried = []
        for weight in WEIGHTS:
            right = np.zeros(len(folds), bool)
            validation = []
            for fold in range(FOLDS):
                held = folds == fold
                learnt = Labelled(corrected.features[~held], corrected.labels[~held])
                booster = self._boost(_with(rows, learnt, weight))
                right[held] = _right(booster, corrected)[held]
                validation.append(_right(booster, self.validation).mean())
            found = Tried(weight, float(right.mean()), float(np.mean(validation)))
            self.progress.say(
                f"weight {weight:g}: accuracy {found.corrections:.4f} on corrections that were "
                f"left out, {found.validation:.4f} on validation ({before:.4f} before)"
            )
            tried.append(found)
        return tuple(tried)

    def fit(self, corrected: Labelled, weight: float, folder: Path) -> dict[str, Any]:
        """Fit on all corrections and the changed copies too, and write the files as `fit_head`."""
        count = 1 + len(self.copies)
        every = Labelled(
            np.concatenate([self.original.features, *self.copies]),
            np.tile(self.original.labels, count),
        )
        # A face has `count` rows here, so a correction has to weigh as much as all of them.
        booster = self._boost(_with(self._rows(every), corrected, weight * count))
        return finish(booster, self.used, *self.validation, folder)

    def _rows(self, learnt: Labelled) -> Rows:
        return learning_rows(self.settings, self.used, self.seed, *learnt, progress=self.progress)

    def _boost(self, rows: Rows) -> xgboost.Booster:
        return boost_rows(
            self.settings, self.used, self.seed, rows, *self.validation, self.progress
        )


def choose(tried: Sequence[Tried], before: float) -> Tried:
    """Return the weight that is best for corrections among those that cost little elsewhere.

    Args:
        tried: at least one, by growing weight.
        before: accuracy on validation without corrections.

    Returns:
        Of those that lose no more than `LARGEST_LOSS` on validation, the one with the highest
        accuracy on corrections, of equal ones the lightest; without such, the one that loses least.
    """
    able = [one for one in tried if before - one.validation <= LARGEST_LOSS]
    if not able:
        return max(tried, key=lambda one: one.validation)
    return max(able, key=lambda one: one.corrections)


def _with(rows: Rows, corrected: Labelled, weight: float) -> Rows:
    """Append corrections; a person's label stands, whatever the encoder's classifier says.

    A class weighs as much among the corrections as among the originals.
    """
    of_class = np.array(
        [rows.weights[np.flatnonzero(rows.labels == label)[0]] for label in range(len(EXPRESSIONS))]
    )
    said = np.eye(len(EXPRESSIONS))[corrected.labels]
    return Rows(
        np.concatenate([rows.features, corrected.features]),
        np.concatenate([rows.labels, corrected.labels]),
        np.concatenate([rows.weights, weight * of_class[corrected.labels]]),
        None if rows.targets is None else np.concatenate([rows.targets, said]),
    )


def _right(booster: xgboost.Booster, of: Labelled) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = booster.inplace_predict(of.features).argmax(axis=1) == of.labels
    return right
