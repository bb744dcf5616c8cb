"""Compares heads by cross-validation, with scaling and resampling inside the folds."""

import time
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from models.observation import EXPRESSIONS
from training.config import Head
from training.heads.candidates import HELD_SHARE, Candidate, candidates
from training.heads.checks import check_features, check_folds
from training.heads.leaderboard import Leaderboard, Row, Score, Unseen, verdict
from training.heads.pipeline import HeadPipeline
from training.progress import Progress

__all__ = ["search"]

DIGITS = 4
Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]  # features and labels


def search(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    settings: Head,
    seed: int,
    progress: Progress,
    *,
    unseen: Labelled | None = None,
    among: Sequence[Candidate] | None = None,
    threads: int = 0,
    classes: tuple[str, ...] = EXPRESSIONS,
) -> Leaderboard:
    """Try every candidate on stratified folds, and rank them by mean balanced accuracy.

    The rows must be different faces: two views of one face would fall on both sides of a fold.
    The encoder has seen these faces in fine-tuning, so the scores of the folds compare heads on
    features that are better separated than those of new faces. What each does on new faces, its
    best parameters fitted on all rows, is told beside it.

    Args:
        features: float32 [n, k], of the training faces.
        labels: int64 [n], the places of the classes.
        settings: of the heads.
        seed: of the folds, the resampling and the models.
        progress: where steps are reported.
        unseen: features float32 [m, k] and labels int64 [m] of faces that neither the encoder nor
            a fold has seen.
        among: what to try; all candidates if not given.
        threads: of each model, which are fitted one after the other; 0 is one for each core.
        classes: names of the labels.

    Raises:
        DataError: a feature is not finite, a class is absent, or has fewer rows than folds.
    """
    began = time.perf_counter()
    check_features("training", features, labels, classes)
    check_folds(labels, settings.folds, classes)
    settings = _within(settings, len(features), len(classes))
    if among is None:
        among = candidates(settings, features.shape[1], seed, threads, classes)
    tried = among
    folds = StratifiedKFold(settings.folds, shuffle=True, random_state=seed)
    scorer = _Scorer(progress)
    progress.start("heads", total=sum(c.points for c in tried) * settings.folds)
    try:
        rows = [_row(candidate, features, labels, folds, scorer, unseen) for candidate in tried]
    finally:
        progress.finish()
    rows.sort(key=lambda row: row.rank, reverse=True)
    for note in scorer.notes:
        progress.say(note)
    return Leaderboard(
        folds=settings.folds,
        rows_used=len(features),
        features=features.shape[1],
        components=settings.components if 0 < settings.components < features.shape[1] else None,
        seconds=round(time.perf_counter() - began, 1),
        tried=sum(c.points for c in tried),
        warnings=tuple(scorer.notes),
        verdict=verdict(tuple(rows)),
        rows=tuple(rows),
    )


def _within(settings: Head, rows: int, classes: int) -> Head:
    """Ask for no more principal components than the smallest fit has rows."""
    fitted = int(rows * (1 - 1 / settings.folds) * (1 - HELD_SHARE)) - classes
    return settings.model_copy(update={"components": min(settings.components, max(1, fitted))})


class _Scorer:
    """Judges a fitted pipeline on the validation rows of a fold."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.notes: dict[str, None] = {}  # in order, once each

    def __call__(
        self, pipeline: HeadPipeline, x: NDArray[np.float32], y: NDArray[np.int64]
    ) -> dict[str, float]:
        began = time.perf_counter()
        called = pipeline.predict(x)
        predict_us = (time.perf_counter() - began) / len(x) * 1e6
        self.notes.update(dict.fromkeys(pipeline.notes))
        self._progress.advance()
        return {**_measures(y, called), "predict_us": predict_us}


def _row(
    candidate: Candidate,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    folds: StratifiedKFold,
    scorer: _Scorer,
    unseen: Labelled | None,
) -> Row:
    # One fit at a time, each on all threads: two at a time would halve what a fold may hold in
    # memory, and gain nothing where the models use the threads well.
    grid = GridSearchCV(
        candidate.pipeline,
        candidate.grid,
        scoring=scorer,
        refit=False,
        cv=folds,
        n_jobs=1,
        error_score="raise",
    )
    with warnings.catch_warnings():
        # LightGBM names the columns of an array itself, and scikit-learn misses them afterwards.
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        # What it wants instead came with version 4.7, and 4.6 will do.
        warnings.filterwarnings("ignore", "The argument 'eval_set' is deprecated")
        grid.fit(features, labels)
        found = grid.cv_results_
        best = max(
            range(len(found["params"])),
            key=lambda at: (
                found["mean_test_balanced_accuracy"][at],
                found["mean_test_macro_f1"][at],
            ),
        )
        if unseen:
            final = clone(candidate.pipeline).set_params(**found["params"][best])
            called = final.fit(features, labels).predict(unseen[0])

    def score(name: str) -> Score:
        return Score(
            mean=round(float(found[f"mean_test_{name}"][best]), DIGITS),
            sd=round(float(found[f"std_test_{name}"][best]), DIGITS),
        )

    return Row(
        head=candidate.name,
        resampling=candidate.resampling,
        params={name.split("__")[-1]: value for name, value in found["params"][best].items()},
        balanced_accuracy=score("balanced_accuracy"),
        macro_f1=score("macro_f1"),
        accuracy=score("accuracy"),
        fit_s=round(float(found["mean_fit_time"][best]), 3),
        predict_us=round(float(found["mean_test_predict_us"][best]), 2),
        unseen=Unseen(**_rounded(_measures(unseen[1], called))) if unseen else None,
    )


def _measures(labels: NDArray[np.int64], called: NDArray[np.int64]) -> dict[str, float]:
    return {
        "accuracy": float(accuracy_score(labels, called)),
        "balanced_accuracy": float(balanced_accuracy_score(labels, called)),
        "macro_f1": float(f1_score(labels, called, average="macro")),
    }


def _rounded(measures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in measures.items()}
