"""Fits the XGBoost head on the exported encoder's features, and its temperature."""

from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.bundle import CALIBRATION, ENCODER, HEAD, Calibration
from models.head import calibrate
from models.observation import EXPRESSIONS
from training.config import Config
from training.errors import RunError
from training.evaluation import encode
from training.export import open_encoder
from training.metrics import expected_calibration_error, report
from training.progress import Progress
from training.rafdb import Faces

__all__ = ["fit_head", "fit_temperature"]

TEMPERATURES = np.geomspace(0.25, 4, 321)  # steps of under 1 %


def fit_head(
    config: Config, train: Faces, validation: Faces, run: Path, *, progress: Progress
) -> dict[str, Any]:
    """Write `head.ubj` and `calibration.json` into the run.

    The number of rounds is the one with the lowest loss on the validation faces, which choose the
    temperature as well. The head that is saved holds only the rounds that are used.

    Args:
        config: the settings of the run.
        train: the faces to learn from.
        validation: the faces that choose.
        run: the folder with `encoder.onnx`.
        progress: where steps are reported.

    Returns:
        The metrics on the validation faces, with the rounds and the temperature chosen.

    Raises:
        RunError: the encoder has not been exported yet.
    """
    if not (run / ENCODER).is_file():
        raise RunError(f"{run}: there is no {ENCODER} yet; run `python -m training export` first")
    settings = config.head
    encoder = open_encoder(run / ENCODER, config.network.input_size)
    held = encode(encoder, validation.images, progress)
    learnt = encode(encoder, train.images, progress)
    progress.start("trees", total=settings.max_rounds)
    booster = xgboost.train(
        {
            "objective": "multi:softprob",
            "num_class": len(EXPRESSIONS),
            "eval_metric": "mlogloss",
            "tree_method": "hist",
            "max_depth": settings.depth,
            "eta": settings.learning_rate,
            "subsample": settings.row_share,
            "colsample_bytree": settings.feature_share,
            "min_child_weight": settings.min_child_weight,
            "lambda": settings.l2,
            "seed": config.data.seed,
        },
        xgboost.DMatrix(learnt, train.labels),
        num_boost_round=settings.max_rounds,
        evals=[(xgboost.DMatrix(held, validation.labels), "validation")],
        early_stopping_rounds=settings.patience,
        callbacks=[_Rounds(progress)],
        verbose_eval=False,
    )
    progress.finish()
    rounds = int(booster.best_iteration) + 1
    booster = booster[:rounds]
    raw = booster.inplace_predict(held)
    temperature = fit_temperature(raw, validation.labels)
    booster.save_model(run / HEAD)
    calibration = Calibration(temperature=temperature)
    (run / CALIBRATION).write_text(calibration.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return {
        "rounds": rounds,
        "temperature": temperature,
        "ece_before": round(expected_calibration_error(validation.labels, raw), 4),
        **report(validation.labels, calibrate(raw, temperature), EXPRESSIONS),
    }


def fit_temperature(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Return the temperature with the lowest negative log likelihood, on a grid from 1/4 to 4.

    Args:
        probabilities: [n, classes], uncalibrated.
        labels: [n], of faces that took no part in fitting the trees.
    """
    rows = np.arange(len(labels))
    losses = [-np.log(calibrate(probabilities, t)[rows, labels]).mean() for t in TEMPERATURES]
    return round(float(TEMPERATURES[int(np.argmin(losses))]), 4)


class _Rounds(xgboost.callback.TrainingCallback):
    """Moves the progress bar."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def after_iteration(self, model: object, epoch: int, evals_log: object) -> bool:
        """Count a round; returning False goes on."""
        self._progress.advance()
        return False
