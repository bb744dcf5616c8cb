"""Gradient-boosted trees with early stopping, as they ship."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.observation import EXPRESSIONS
from training.config import Head
from training.progress import Progress

__all__ = ["boost", "booster_params"]

Floats = NDArray[np.floating[Any]]


def booster_params(settings: Head) -> dict[str, Any]:
    """Return XGBoost's parameters under its own names, for the search and for the final fit."""
    return {
        "max_depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "subsample": settings.row_share,
        "colsample_bytree": settings.feature_share,
        "min_child_weight": settings.min_child_weight,
        "reg_lambda": settings.l2,
    }


def boost(
    params: dict[str, Any],
    settings: Head,
    seed: int,
    train: xgboost.DMatrix,
    validation: xgboost.DMatrix,
    progress: Progress,
    *,
    targets: NDArray[np.float64] | None = None,
    class_count: int = len(EXPRESSIONS),
) -> xgboost.Booster:
    """Return the rounds up to the one with the lowest loss on the validation rows.

    Args:
        params: as `booster_params` names them.
        settings: the most rounds, and the patience.
        seed: of the rows and features that a tree sees.
        train: features, labels and weights.
        validation: features and labels.
        progress: where rounds are counted.
        targets: float64 [n, classes], probabilities to learn instead of the labels; each row sums
            to 1 (knowledge distillation, Hinton et al. 2015).
        class_count: how many classes there are.
    """
    progress.start("trees", total=settings.max_rounds)
    try:
        booster = xgboost.train(
            {
                **params,
                "objective": "multi:softprob",
                "num_class": class_count,
                "eval_metric": "mlogloss",
                "tree_method": "hist",
                "seed": seed,
            },
            train,
            num_boost_round=settings.max_rounds,
            obj=None if targets is None else _towards(targets),
            evals=[(validation, "validation")],
            early_stopping_rounds=settings.patience,
            callbacks=[_Rounds(progress)],
            verbose_eval=False,
        )
    finally:
        progress.finish()
    return booster[: int(booster.best_iteration) + 1]


def _towards(targets: NDArray[np.float64]) -> Callable[..., tuple[Floats, Floats]]:
    """Return the objective of XGBoost's softmax, with probabilities in place of labels."""

    def gradients(margins: Floats, train: xgboost.DMatrix) -> tuple[Floats, Floats]:
        margins = margins.reshape(targets.shape)
        exponentials = np.exp(margins - margins.max(axis=1, keepdims=True))
        found = exponentials / exponentials.sum(axis=1, keepdims=True)
        weights = train.get_weight().reshape(-1, 1)
        # The factor of 2 and the floor are those of XGBoost's own objective.
        curvature = np.maximum(2 * found * (1 - found), 1e-6)
        return (found - targets) * weights, curvature * weights

    return gradients


class _Rounds(xgboost.callback.TrainingCallback):
    """Moves the progress bar."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def after_iteration(self, model: object, epoch: int, evals_log: object) -> bool:
        """Count a round; returning False goes on."""
        self._progress.advance()
        return False
