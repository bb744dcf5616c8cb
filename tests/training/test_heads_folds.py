"""No resampled or scaled row reaches a validation fold: spies follow every row by its number.

The first column of the features is the number of the row. The spies stand in for the steps of the
pipelines that `candidates` builds, and `search` runs them.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("imblearn", reason='needs imblearn: pip install "sentistream[train]"')

from sklearn.preprocessing import StandardScaler

from training.config import Head
from training.heads.candidates import Candidate, candidates
from training.heads.resampling import AdaptiveAdasyn
from training.heads.search import search
from training.progress import Progress

SETTINGS = Head(
    folds=3,
    components=0,
    search_rounds=4,
    patience=2,
    trees=4,
    adasyn_neighbours=3,
    adasyn_share=0.8,
)
COUNTS = (14, 9, 12, 36, 24, 10, 30)
ROWS = sum(COUNTS)
LOG: list[tuple[str, list[float]]] = []  # outlives the clones that the search makes


def numbers(x: NDArray[np.float32]) -> list[float]:
    return [float(value) for value in x[:, 0]]


class SpyScaler(StandardScaler):  # type: ignore[misc]
    """Scales all but the number of the row."""

    def fit(self, x: NDArray[np.float32], y: object = None, sample_weight: object = None) -> Any:
        LOG.append(("scaled on", numbers(x)))
        return super().fit(x, y)

    def transform(self, x: NDArray[np.float32], copy: object = None) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = super().transform(x)
        scaled[:, 0] = x[:, 0]
        return scaled


class SpyAdasyn(AdaptiveAdasyn):
    """Notes what goes in and what comes out."""

    def _fit_resample(
        self, x: NDArray[np.float32], y: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        LOG.append(("resampled", numbers(x)))
        rows, labels = super()._fit_resample(x, y)
        LOG.append(("made", numbers(rows[len(x) :])))
        return rows, labels


def spy_on(model: Any) -> Any:
    """Return the same model, of a class that notes the rows that it meets."""
    kind = type(model)

    def fit(self: Any, x: NDArray[np.float32], y: NDArray[np.int64], **options: Any) -> Any:
        LOG.append(("fitted on", numbers(x)))
        for held, _ in options.get("eval_set", []):
            LOG.append(("stopped by", numbers(held)))
        return kind.fit(self, x, y, **options)

    def predict(self: Any, x: NDArray[np.float32], **options: Any) -> Any:
        LOG.append(("predicted", numbers(x)))
        return kind.predict(self, x, **options)

    spy = type(f"Spy{kind.__name__}", (kind,), {"fit": fit, "predict": predict})
    return spy(**model.get_params())


def spied(candidate: Candidate) -> Candidate:
    """Return a candidate whose scaler, sampler and model are spies."""
    steps = dict(candidate.pipeline.steps)
    spies = {"model": spy_on(steps["model"])}
    if "scale" in steps:
        spies["scale"] = SpyScaler()
    if "resample" in steps:
        spies["resample"] = SpyAdasyn(**steps["resample"].get_params())
    return dataclasses.replace(candidate, pipeline=candidate.pipeline.set_params(**spies))


CANDIDATES = {(c.name, c.resampling): c for c in candidates(SETTINGS, 6, seed=1, threads=1)}


@pytest.fixture
def rows() -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Return overlapping classes, in mixed order, and forget what earlier spies saw."""
    LOG.clear()
    rng = np.random.default_rng(5)
    labels = rng.permutation(np.repeat(np.arange(7), COUNTS)).astype(np.int64)
    features = rng.normal(0, 1.0, (ROWS, 6)).astype(np.float32)
    features[:, 1] += labels
    features[:, 0] = np.arange(ROWS)
    yield features, labels
    LOG.clear()


def check_that_folds_are_kept_apart(candidate: Candidate) -> None:
    """Fail if a row that was scored is not an original one, or was used in the fit before."""
    scored: Counter[float] = Counter()
    used: dict[str, set[float]] = {}
    for what, seen in LOG:
        if what != "predicted":
            used.setdefault(what, set()).update(seen)
            continue
        assert set(seen) <= set(range(ROWS)), "a synthetic row was scored"
        for step, rows in used.items():
            assert not rows & set(seen), f"scored rows were {step}"
        originals = used["fitted on"] - used.get("made", set())
        assert originals <= set(range(ROWS))
        assert not used["fitted on"] & used.get("stopped by", set())
        assert not used.get("resampled", set()) & used.get("stopped by", set())
        assert not used.get("scaled on", set()) & used.get("stopped by", set())
        assert originals | used.get("stopped by", set()) | set(seen) == set(range(ROWS))
        scored.update(seen)
        used = {}
    # With every combination of parameters, every row is scored once.
    assert scored == Counter(dict.fromkeys(map(float, range(ROWS)), candidate.points))


@pytest.mark.parametrize("which", CANDIDATES, ids="-".join)
def test_scored_rows_are_originals_that_no_step_was_fitted_on(
    which: tuple[str, str], rows: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    candidate = spied(CANDIDATES[which])
    search(*rows, SETTINGS, 1, Progress(), among=[candidate])
    check_that_folds_are_kept_apart(candidate)
    events = {what for what, seen in LOG if seen}
    assert ("made" in events) == (candidate.resampling == "adasyn")
    assert ("scaled on" in events) == (candidate.name != "xgboost")
    assert ("stopped by" in events) == (candidate.name in ("xgboost", "lightgbm"))


def test_the_spies_notice_rows_that_were_resampled_before_the_folds(
    rows: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> None:
    candidate = spied(CANDIDATES["logistic_regression", "none"])
    leaked = AdaptiveAdasyn(neighbours=3).fit_resample(*rows)
    search(*leaked, SETTINGS, 1, Progress(), among=[candidate])
    with pytest.raises(AssertionError, match="a synthetic row was scored"):
        check_that_folds_are_kept_apart(candidate)


def test_the_spies_notice_a_scaler_that_was_fitted_before_the_folds(
    rows: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> None:
    candidate = spied(CANDIDATES["logistic_regression", "none"])
    SpyScaler().fit(rows[0])
    search(*rows, SETTINGS, 1, Progress(), among=[candidate])
    with pytest.raises(AssertionError, match="scored rows were scaled on"):
        check_that_folds_are_kept_apart(candidate)
