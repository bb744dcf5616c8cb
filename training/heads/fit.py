"""Fits the XGBoost head that ships, and its temperature."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.bundle import CALIBRATION, HEAD, Calibration
from models.head import calibrate
from models.observation import EXPRESSIONS
from training.config import Head
from training.errors import RunError
from training.heads.boosting import boost, booster_params
from training.heads.checks import check_features
from training.heads.leaderboard import Row
from training.heads.resampling import AdaptiveAdasyn, class_weights
from training.heads.temperature import fit_temperature
from training.metrics import expected_calibration_error, report
from training.progress import Progress

__all__ = ["Rows", "boost_rows", "finish", "fit_head", "learning_rows"]

DIGITS = 4


def fit_head(
    settings: Head,
    seed: int,
    train_features: NDArray[np.float32],
    train_labels: NDArray[np.int64],
    validation_features: NDArray[np.float32],
    validation_labels: NDArray[np.int64],
    folder: Path,
    *,
    progress: Progress,
    params: Row | None = None,
    classes: tuple[str, ...] = EXPRESSIONS,
) -> dict[str, Any]:
    """Write `head.ubj` and `calibration.json` into a folder, renamed when both are whole.

    The number of rounds is the one with the lowest loss on the validation features, which choose
    the temperature as well; they take no part in anything else. The head that is saved holds only
    the rounds that are used.

    Args:
        settings: of the heads.
        seed: of the trees and of the resampling.
        train_features: float32 [n, k]; several views of a face may each have a row. With
            `settings.taught` the last columns are the logits of the encoder's classifier.
        train_labels: int64 [n], the places of the classes.
        validation_features: float32 [m, k].
        validation_labels: int64 [m].
        folder: where the files go; it exists.
        progress: where steps are reported.
        params: the best XGBoost row of a search, whose parameters and resampling take the place
            of those in the settings.
        classes: their names.

    Returns:
        The metrics on the validation features after calibration, with `rounds`, `temperature`,
        `ece_before` and the `params` of the fit.

    Raises:
        DataError: a feature is not finite, or a class is absent.
        RunError: a file cannot be written.
    """
    check_features("training", train_features, train_labels, classes)
    check_features("validation", validation_features, validation_labels, classes)
    used = _params(settings, params)
    rows = learning_rows(
        settings, used, seed, train_features, train_labels, progress=progress, classes=classes
    )
    booster = boost_rows(
        settings, used, seed, rows, validation_features, validation_labels, progress, classes
    )
    return finish(booster, used, validation_features, validation_labels, folder, classes)


class Rows(NamedTuple):
    """What the trees learn from.

    Attributes:
        features: float32 [n, k].
        labels: int64 [n].
        weights: float64 [n].
        targets: float64 [n, classes], in place of the labels; None where they count.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    targets: NDArray[np.float64] | None


def learning_rows(
    settings: Head,
    used: Mapping[str, Any],
    seed: int,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    progress: Progress,
    classes: tuple[str, ...] = EXPRESSIONS,
) -> Rows:
    """Resample and weigh rows as the `used` parameters say; see `fit_head`."""
    if used["resampling"] == "adasyn":
        sampler = AdaptiveAdasyn(
            neighbours=used["neighbours"], share=used["share"], seed=seed, classes=classes
        )
        features, labels = sampler.fit_resample(features, labels)
        for note in sampler.notes_:
            progress.say(note)
    weights = class_weights(labels, used.get("weight_power", 0.0))
    targets = _taught(features, labels, settings.taught, len(classes))
    return Rows(features, labels, weights, targets)


def boost_rows(
    settings: Head,
    used: Mapping[str, Any],
    seed: int,
    rows: Rows,
    validation_features: NDArray[np.float32],
    validation_labels: NDArray[np.int64],
    progress: Progress,
    classes: tuple[str, ...] = EXPRESSIONS,
) -> xgboost.Booster:
    """Fit the trees, stopped by the validation rows; see `fit_head`."""
    return boost(
        {name: used[name] for name in booster_params(settings)},
        settings,
        seed,
        xgboost.DMatrix(rows.features, rows.labels, weight=rows.weights),
        xgboost.DMatrix(validation_features, validation_labels),
        progress,
        targets=rows.targets,
        class_count=len(classes),
    )


def finish(
    booster: xgboost.Booster,
    used: Mapping[str, Any],
    validation_features: NDArray[np.float32],
    validation_labels: NDArray[np.int64],
    folder: Path,
    classes: tuple[str, ...] = EXPRESSIONS,
) -> dict[str, Any]:
    """Calibrate the trees, write both files, and return the metrics; see `fit_head`."""
    raw = booster.inplace_predict(validation_features)
    temperature = fit_temperature(raw, validation_labels)
    calibration = Calibration(temperature=temperature)
    _write(
        {
            folder / HEAD: bytes(booster.save_raw("ubj")),
            folder / CALIBRATION: f"{calibration.model_dump_json(indent=2)}\n".encode(),
        }
    )
    return {
        "rounds": booster.num_boosted_rounds(),
        "temperature": temperature,
        "ece_before": round(expected_calibration_error(validation_labels, raw), DIGITS),
        "params": dict(used),
        **report(validation_labels, calibrate(raw, temperature), classes),
    }


def _taught(
    features: NDArray[np.float32], labels: NDArray[np.int64], share: float, class_count: int
) -> NDArray[np.float64] | None:
    """Mix the labels with what the encoder's classifier says: the logits, which come last."""
    if not share:
        return None
    logits = features[:, -class_count:].astype(np.float64)
    said = np.exp(logits - logits.max(axis=1, keepdims=True))
    said /= said.sum(axis=1, keepdims=True)
    mixed: NDArray[np.float64] = share * said + (1 - share) * np.eye(class_count)[labels]
    return mixed


def _params(settings: Head, row: Row | None) -> dict[str, Any]:
    """Return the parameters of the settings or of the row, as a row names them."""
    if row is not None:
        return {"resampling": row.resampling, **booster_params(settings), **row.params}
    extra: dict[str, dict[str, Any]] = {
        "none": {},
        "weights": {"weight_power": settings.weight_power},
        "adasyn": {"neighbours": settings.adasyn_neighbours, "share": settings.adasyn_share},
    }
    return {
        "resampling": settings.resampling,
        **extra[settings.resampling],
        **booster_params(settings),
    }


def _write(contents: dict[Path, bytes]) -> None:
    """Write files aside and rename them when all are whole.

    XGBoost's own `save_model` would write the same bytes, but does not say when a disk is full.
    """
    parts = {path: path.with_name(f"{path.name}.part") for path in contents}
    try:
        for path, content in contents.items():
            parts[path].write_bytes(content)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        raise RunError(f"cannot write the head: {error}") from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
