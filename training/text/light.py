"""Fits the model for very high rates: TF-IDF of word pieces and pairs, and logistic regression.

Every piece and every pair of neighbours counts by its inverse document frequency, and the sums are
divided by the length of the text's vector, where each occurrence is a part of its own. Pairs share
buckets (feature hashing, Weinberger et al. 2009, arXiv:0902.2206). All that is left of it for use
is a table with four numbers a row, which are added up (`training.text.light_onnx`).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from models.bundle import CALIBRATION, ENCODER, Calibration
from models.head import calibrate
from models.observation import SENTIMENTS
from models.text_encoder import Ids, TextEncoder
from training.errors import ExportError
from training.export import save
from training.heads.temperature import fit_temperature
from training.metrics import expected_calibration_error, report
from training.progress import Progress
from training.text.config import Light
from training.text.evaluation import softmax
from training.text.light_onnx import FACTOR, to_onnx

__all__ = ["Labelled", "fit_light", "hashed_counts"]

PARITY: Final = 1e-4  # largest difference of a logit from that of the fitted model
STEPS: Final = 300  # of lbfgs; what it finds after them does not get better on validation
DIGITS: Final = 4


@dataclass(frozen=True)
class Labelled:
    """Texts as word pieces, with their labels, int64 [n]."""

    ids: Sequence[Ids]
    labels: NDArray[np.int64]


def fit_light(
    settings: Light,
    vocabulary: int,
    train: Labelled,
    validation: Labelled,
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Write `encoder.onnx`, which gives logits, and `calibration.json` into a folder.

    Args:
        settings: of this model.
        vocabulary: how many word pieces there are.
        train: what it learns from.
        validation: chooses the strength of the regularisation, and the temperature.
        folder: where the files go; it is made.
        progress: where steps are reported.

    Returns:
        The metrics on validation after calibration, with `regularisation`, `temperature`,
        `ece_before`, `parity` and `bytes`.

    Raises:
        ExportError: the written model does not compute what the fitted one does, or the disk does
            not take it.
    """
    counts = hashed_counts(train.ids, vocabulary, settings.buckets)
    weights = _idf(counts, settings.fewest)
    features = _weighted(counts, weights)
    held = _weighted(hashed_counts(validation.ids, vocabulary, settings.buckets), weights)
    progress.start("light model", total=len(settings.regularisation))
    fitted: list[tuple[float, float, LogisticRegression]] = []
    for strength in settings.regularisation:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, train.labels)
        found = report(validation.labels, model.predict_proba(held), SENTIMENTS)
        fitted.append((found["balanced_accuracy"], strength, model))
        progress.advance()
    progress.finish()
    _, strength, model = max(fitted, key=lambda entry: entry[0])
    table = np.column_stack([weights[:, None] * model.coef_.T, weights**2])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ENCODER
    save(path, to_onnx(table, model.intercept_, vocabulary, settings.buckets))
    logits = TextEncoder(path, len(SENTIMENTS)).encode(validation.ids)
    parity = float(np.abs(logits - model.decision_function(held)).max())
    if not parity <= PARITY:
        path.unlink()
        raise ExportError(
            f"the written light model differs from the fitted one by {parity:.1e} in a logit, "
            f"allowed is {PARITY:.0e}"
        )
    raw = softmax(logits)
    temperature = fit_temperature(raw, validation.labels)
    calibration = Calibration(temperature=temperature)
    save(folder / CALIBRATION, f"{calibration.model_dump_json(indent=2)}\n".encode())
    return {
        "regularisation": strength,
        "temperature": temperature,
        "ece_before": round(expected_calibration_error(validation.labels, raw), DIGITS),
        "parity": parity,
        "bytes": path.stat().st_size,
        **report(validation.labels, calibrate(raw, temperature), SENTIMENTS),
    }


def hashed_counts(ids: Sequence[Ids], vocabulary: int, buckets: int) -> csr_matrix:
    """Return how often each piece and each bucket of pairs stands in a text.

    Returns:
        Sparse float64 [n, vocabulary + buckets].
    """
    columns, starts = [], [0]
    for numbers in ids:
        pieces = np.asarray(numbers, np.int64)
        pairs = vocabulary + (pieces[:-1] * FACTOR + pieces[1:]) % buckets
        columns.append(np.concatenate([pieces, pairs]))
        starts.append(starts[-1] + len(columns[-1]))
    found = np.concatenate(columns) if columns else np.empty(0, np.int64)
    shape = (len(starts) - 1, vocabulary + buckets)
    counts = csr_matrix((np.ones(len(found)), found, starts), shape=shape)
    counts.sum_duplicates()
    return counts


def _idf(counts: csr_matrix, fewest: int) -> NDArray[np.float64]:
    """Return `log((1 + n) / (1 + df)) + 1` of each column, 0 for those in fewer texts."""
    found = np.bincount(counts.indices, minlength=counts.shape[1])
    weights: NDArray[np.float64] = np.log((1 + counts.shape[0]) / (1 + found)) + 1
    return np.where(found >= fewest, weights, 0.0)


def _weighted(counts: csr_matrix, weights: NDArray[np.float64]) -> csr_matrix:
    """Return counts times weights, over the root of the sum of all squared weights in a text."""
    lengths = np.sqrt(counts @ weights**2)
    scales = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return diags(scales) @ counts @ diags(weights)
