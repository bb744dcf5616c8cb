"""ADASYN that adapts to small classes, and class weights."""

import numpy as np
from imblearn.over_sampling import ADASYN
from imblearn.over_sampling.base import BaseOverSampler
from numpy.typing import NDArray

from models.observation import EXPRESSIONS

__all__ = ["AdaptiveAdasyn", "class_weights"]


class AdaptiveAdasyn(BaseOverSampler):  # type: ignore[misc]  # imbalanced-learn has no types
    """ADASYN (He et al. 2008), one class at a time, so that one that it cannot do stops no other.

    Plain ADASYN raises for the whole set when a class has fewer members than neighbours are asked
    for, or when no member has a neighbour of another class. Here the first takes fewer neighbours,
    the second leaves that class as it is, and `notes_` says so.

    Attributes:
        notes_: after a fit, one line for each class that was not resampled as asked.
    """

    def __init__(
        self,
        *,
        neighbours: int = 5,
        share: float = 1.0,
        seed: int = 0,
        classes: tuple[str, ...] = EXPRESSIONS,
    ) -> None:
        """Set it up.

        Args:
            neighbours: how many neighbours tell how hard a row is, and are drawn towards.
            share: classes smaller than this share of the largest are filled up to it.
            seed: of the draws.
            classes: names of the labels, for the notes.
        """
        self.neighbours = neighbours
        self.share = share
        self.seed = seed
        self.classes = classes
        super().__init__(sampling_strategy="not majority")

    def _fit_resample(
        self, x: NDArray[np.float32], y: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        self.notes_: list[str] = []
        counts = np.bincount(y)
        wanted = round(self.share * int(counts.max()))
        rows, labels = [x], [y]
        for label in np.flatnonzero((counts > 0) & (counts < wanted)):
            made = self._generate(x, y, int(label), wanted)
            rows.append(made)
            labels.append(np.full(len(made), label, y.dtype))
        return np.concatenate(rows), np.concatenate(labels)

    def _generate(
        self, x: NDArray[np.float32], y: NDArray[np.int64], label: int, wanted: int
    ) -> NDArray[np.float32]:
        count = int((y == label).sum())
        neighbours = min(self.neighbours, count - 1)
        if neighbours < 1:
            self._note(label, "has one row, so no neighbours to draw towards: not resampled")
            return x[:0]
        if neighbours < self.neighbours:
            self._note(label, f"has {count} rows: {neighbours} neighbours, not {self.neighbours}")
        sampler = ADASYN(
            sampling_strategy={label: wanted}, n_neighbors=neighbours, random_state=self.seed
        )
        try:
            # The originals come first in what it returns.
            made: NDArray[np.float32] = sampler.fit_resample(x, y)[0][len(x) :]
        except RuntimeError:  # it divides by the number of neighbours of other classes
            self._note(label, "touches no other class, so ADASYN has no hard rows: not resampled")
            return x[:0]
        except ValueError as error:
            if "No samples will be generated" not in str(error):
                raise
            self._note(label, "is so near its size that ADASYN rounds to nothing: not resampled")
            return x[:0]
        return made

    def _note(self, label: int, text: str) -> None:
        self.notes_.append(f"ADASYN: class {self.classes[label]} {text}")


def class_weights(labels: NDArray[np.int64], power: float) -> NDArray[np.float64]:
    """Return a weight for each row, `count(its class) ** -power`, with a mean of 1.

    A power of 0 weighs all rows alike; 1 gives all classes the same total.
    """
    weights: NDArray[np.float64] = np.bincount(labels)[labels].astype(np.float64) ** -power
    scaled: NDArray[np.float64] = weights / weights.mean()
    return scaled
