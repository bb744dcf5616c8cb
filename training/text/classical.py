"""Compares models without a Transformer by a grid search on stratified folds.

The vectoriser is fitted on the training part of each fold, once for all models that see it. Every
fit that is done is written down, so that an interrupted comparison goes on.
"""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from models.observation import SENTIMENTS
from training.datasets.split import stratified_split
from training.heads.checks import check_folds
from training.heads.leaderboard import Leaderboard, Row, Score, Unseen
from training.metrics import report
from training.progress import Progress
from training.reporting.files import replace
from training.text.classical_models import Candidate, Lexicon, candidates, vectorise
from training.text.config import Classical
from training.text.tweets import Texts

__all__ = ["compare", "verdict"]

DONE: Final = "classical_fits.json"
MEASURES: Final = ("balanced_accuracy", "macro_f1", "accuracy")
DIGITS: Final = 4
Fit = dict[str, float]


def compare(
    settings: Classical,
    seed: int,
    train: Texts,
    validation: Texts,
    run: Path,
    progress: Progress,
    *,
    among: Sequence[Candidate] | None = None,
) -> Leaderboard:
    """Try every candidate, rank them by mean balanced accuracy over the folds.

    The best settings of each model are fitted on all texts, and judged on validation.

    Args:
        settings: of the comparison.
        seed: of the folds and of the models.
        train: what is learnt from.
        validation: texts that take no part in the folds.
        run: the folder in which fits are written down.
        progress: where steps are reported.
        among: what to try; all candidates if not given.

    Raises:
        DataError: a class has fewer texts than there are folds.
    """
    began = time.perf_counter()
    check_folds(train.labels, settings.folds, SENTIMENTS)
    texts = train
    if 0 < settings.rows < len(train):
        _, taken = stratified_split(train.labels, settings.rows / len(train), seed)
        texts = train.take(taken)
    tried = candidates(settings, seed) if among is None else among
    folds = list(
        StratifiedKFold(settings.folds, shuffle=True, random_state=seed).split(
            np.zeros(len(texts)), texts.labels
        )
    )
    key = (settings.model_dump(mode="json"), seed, train.sha256, validation.sha256)
    done = _Done(run / DONE, hashlib.sha256(json.dumps(key).encode()).hexdigest())
    progress.start("classical models", total=len(tried) * len(folds) + len({c.name for c in tried}))
    try:
        for number, (learnt, judged) in enumerate(folds):
            parts = (texts.take(learnt), texts.take(judged))
            _fit_all(tried, parts, f"fold {number}", done, progress)
        best = {
            name: max(entries, key=lambda c: _mean(done, c, len(folds)))
            for name, entries in _by_name(tried).items()
        }
        _fit_all(list(best.values()), (train, validation), "validation", done, progress)
    finally:
        progress.finish()
    rows = tuple(
        sorted(
            (_row(candidate, done, len(folds)) for candidate in best.values()),
            key=lambda row: row.rank,
            reverse=True,
        )
    )
    return Leaderboard(
        folds=len(folds),
        rows_used=len(texts),
        features=int(max(done[c, "validation"]["features"] for c in best.values())),
        components=None,
        seconds=round(time.perf_counter() - began, 1),
        tried=len(tried),
        warnings=(),
        verdict=verdict(rows),
        rows=rows,
    )


def verdict(rows: Sequence[Row]) -> str:
    """Say which model is best on validation, and how the lexicon does."""
    judged = {row.head: row.unseen for row in rows if row.unseen}
    lexicon = judged.pop(Lexicon.NAME, None)
    said = []
    if judged:
        best = max(judged, key=lambda name: judged[name].balanced_accuracy)
        said.append(
            f"Of the models without a Transformer that learn, {best} is the best on validation: "
            f"balanced accuracy {judged[best].balanced_accuracy:.4f}, accuracy "
            f"{judged[best].accuracy:.4f}."
        )
    if lexicon:
        said.append(
            "The lexicon (VADER), which learns nothing, has a balanced accuracy of "
            f"{lexicon.balanced_accuracy:.4f} there."
        )
    return " ".join(said)


class _Done:
    """The fits that were done, in a file that is replaced after each."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._found: dict[str, Any] = {"of": key, "fits": {}}
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["of"] == key and isinstance(kept["fits"], dict):
                self._found = kept
        except (OSError, ValueError, KeyError, TypeError):
            pass  # absent, damaged, or of other settings or texts: done again

    def __contains__(self, of: tuple[Candidate, str]) -> bool:
        return self._name(*of) in self._found["fits"]

    def __getitem__(self, of: tuple[Candidate, str]) -> Fit:
        found: Fit = self._found["fits"][self._name(*of)]
        return found

    def __setitem__(self, of: tuple[Candidate, str], fit: Fit) -> None:
        self._found["fits"][self._name(*of)] = fit
        replace(self._path, json.dumps(self._found, indent=1))

    @staticmethod
    def _name(candidate: Candidate, part: str) -> str:
        choice = json.dumps([candidate.vectors, candidate.params])
        return f"{candidate.name}, {choice}, {part}"


def _fit_all(
    tried: Sequence[Candidate],
    parts: tuple[Texts, Texts],
    name: str,
    done: _Done,
    progress: Progress,
) -> None:
    """Fit candidates on the first part and judge them on the second, where that is not done."""
    by_vectors: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in tried:
        if (candidate, name) in done:
            progress.advance()
        else:
            by_vectors[json.dumps(candidate.vectors)].append(candidate)
    train, judged = parts
    for group in by_vectors.values():
        began = time.perf_counter()
        vectoriser = vectorise(group[0].vectors)
        learnt = vectoriser.fit_transform(train.cleaned if group[0].cleaned else train.raw)
        vectors_s = time.perf_counter() - began
        began = time.perf_counter()
        given = vectoriser.transform(judged.cleaned if group[0].cleaned else judged.raw)
        reading_s = time.perf_counter() - began
        for candidate in group:
            done[candidate, name] = _fit(
                candidate, (learnt, train.labels), (given, judged.labels), vectors_s, reading_s
            )
            progress.advance()


def _fit(
    candidate: Candidate,
    train: tuple[Any, NDArray[np.int64]],
    judged: tuple[Any, NDArray[np.int64]],
    vectors_s: float,
    reading_s: float,
) -> Fit:
    began = time.perf_counter()
    model = candidate.fit(*train)
    fit_s = vectors_s + time.perf_counter() - began
    began = time.perf_counter()
    called = model.predict(judged[0])
    predict_s = reading_s + time.perf_counter() - began
    found = report(judged[1], np.eye(len(SENTIMENTS))[called], SENTIMENTS)
    return {
        **{name: found[name] for name in MEASURES},
        "fit_s": round(fit_s, 3),
        "predict_us": round(predict_s / len(called) * 1e6, 2),
        "features": train[0].shape[1] if hasattr(train[0], "shape") else 0,
    }


def _by_name(tried: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in tried:
        found[candidate.name].append(candidate)
    return found


def _mean(done: _Done, candidate: Candidate, folds: int) -> float:
    return float(np.mean(_over(done, candidate, folds, "balanced_accuracy")))


def _over(done: _Done, candidate: Candidate, folds: int, measure: str) -> list[float]:
    return [done[candidate, f"fold {number}"][measure] for number in range(folds)]


def _row(candidate: Candidate, done: _Done, folds: int) -> Row:
    def score(measure: str) -> Score:
        values = _over(done, candidate, folds, measure)
        return Score(
            mean=round(float(np.mean(values)), DIGITS), sd=round(float(np.std(values)), DIGITS)
        )

    final = done[candidate, "validation"]
    return Row(
        head=candidate.name,
        resampling=candidate.resampling,
        params=candidate.told,
        balanced_accuracy=score("balanced_accuracy"),
        macro_f1=score("macro_f1"),
        accuracy=score("accuracy"),
        fit_s=score("fit_s").mean,
        predict_us=score("predict_us").mean,
        unseen=Unseen(**{name: final[name] for name in MEASURES}),
    )
