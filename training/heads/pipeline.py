"""An imbalanced-learn pipeline that weighs classes and stops boosting early.

A plain pipeline hands its last step resampled rows. A booster that splits its early-stopping rows
off those would be stopped by rows made from its own. So the rows are held out first, and meet
neither the fit of the scaler nor the sampler.
"""

from typing import Any, Self

import numpy as np
from imblearn.pipeline import Pipeline
from numpy.typing import NDArray
from xgboost import XGBClassifier

from training.datasets.split import stratified_split
from training.heads.resampling import class_weights

__all__ = ["HeadPipeline"]


class HeadPipeline(Pipeline):  # type: ignore[misc]  # imbalanced-learn has no types
    """Steps that are fitted on the rows given to `fit` alone; samplers take no part in prediction.

    Attributes:
        weight_power: the weight of a row is the count of its class to minus this.
        held_share: the share of the rows of `fit` that stop a booster; 0 for other models.
        seed: of the choice of those rows.
    """

    def __init__(
        self,
        steps: list[tuple[str, Any]],
        *,
        weight_power: float = 0.0,
        held_share: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(steps)
        self.weight_power = weight_power
        self.held_share = held_share
        self.seed = seed

    def fit(self, X: NDArray[np.float32], y: NDArray[np.int64]) -> Self:
        """Fit all steps on rows [n, k] with labels [n].

        Raises:
            DataError: rows are to be held out, and a class has one row.
        """
        options: dict[str, Any] = {}
        x, held = X, X[:0]
        if self.held_share:
            part, rest = stratified_split(y, self.held_share, self.seed)
            x, held, held_labels = X[part], X[rest], y[rest]
            y = y[part]
        for _, step in self.steps[:-1]:
            if hasattr(step, "fit_resample"):
                x, y = step.fit_resample(x, y)
            else:
                x = step.fit_transform(x, y)
                held = step.transform(held) if len(held) else held
        model = self.steps[-1][1]
        if self.held_share:
            options["eval_set"] = [(held, held_labels)]
            if isinstance(model, XGBClassifier):
                options["verbose"] = False  # or it prints every round
        model.fit(x, y, sample_weight=class_weights(y, self.weight_power), **options)
        return self

    @property
    def notes(self) -> list[str]:
        """What the samplers of the last fit could not do as asked."""
        return [note for _, step in self.steps for note in getattr(step, "notes_", [])]
