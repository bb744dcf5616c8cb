"""The heads that a search compares, and the settings that it tries of each."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from models.observation import EXPRESSIONS
from models.runtime import thread_count
from training.config import Head
from training.heads.boosting import booster_params
from training.heads.pipeline import HeadPipeline
from training.heads.resampling import AdaptiveAdasyn

__all__ = ["RESAMPLINGS", "Candidate", "Resampling", "candidates"]

Resampling = Literal["none", "weights", "adasyn"]
RESAMPLINGS: Final[tuple[Resampling, ...]] = ("none", "weights", "adasyn")
HELD_SHARE: Final = 0.1  # of a fold's training rows, which stop a booster
LINEAR_STEPS: Final = 2000  # ample for lbfgs; its ConvergenceWarning is let through


@dataclass(frozen=True)
class Candidate:
    """One head with one kind of resampling.

    Attributes:
        name: of the head.
        resampling: what is done about the sizes of the classes.
        pipeline: scaler, components, sampler and model, as far as the head needs them.
        grid: values to try by the name of the parameter; all combinations are fitted.
    """

    name: str
    resampling: Resampling
    pipeline: HeadPipeline
    grid: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def points(self) -> int:
        """How many settings are tried."""
        return len(ParameterGrid(self.grid))


class _Model(NamedTuple):
    name: str
    before: list[tuple[str, Any]]
    model: Any
    grid: dict[str, list[Any]]
    boosted: bool


def candidates(
    settings: Head,
    feature_count: int,
    seed: int,
    threads: int = 0,
    classes: tuple[str, ...] = EXPRESSIONS,
) -> list[Candidate]:
    """Return every head with every kind of resampling, each as a pipeline that is not fitted.

    XGBoost comes first and sees all features, as it does when it ships. The others see principal
    components of the scaled ones; they only have to say whether another head is better.

    Args:
        settings: of the heads.
        feature_count: of a row.
        seed: of everything that is drawn.
        threads: of each model; 0 is one for each core.
        classes: names of the labels.
    """
    return [
        _candidate(head, resampling, settings, seed, classes)
        for head in _heads(settings, feature_count, seed, thread_count(threads))
        for resampling in RESAMPLINGS
    ]


def _candidate(
    head: _Model, resampling: Resampling, settings: Head, seed: int, classes: tuple[str, ...]
) -> Candidate:
    steps = [(name, clone(step)) for name, step in head.before]
    grid = {f"model__{name}": values for name, values in head.grid.items()}
    if resampling == "adasyn":
        steps.append(("resample", AdaptiveAdasyn(seed=seed, classes=classes)))
        grid["resample__neighbours"] = [settings.adasyn_neighbours]
        grid["resample__share"] = [settings.adasyn_share]
    if resampling == "weights":
        grid["weight_power"] = [settings.weight_power]
    steps.append(("model", clone(head.model)))
    pipeline = HeadPipeline(steps, held_share=HELD_SHARE if head.boosted else 0.0, seed=seed)
    return Candidate(head.name, resampling, pipeline, grid)


def _heads(settings: Head, feature_count: int, seed: int, threads: int) -> list[_Model]:
    scaled: list[tuple[str, Any]] = [("scale", StandardScaler())]
    if 0 < settings.components < feature_count:
        # From the covariance: exact, and cheaper than an SVD of many more rows than features.
        pca = PCA(settings.components, svd_solver="covariance_eigh", random_state=seed)
        scaled.append(("components", pca))
    xgboost = XGBClassifier(
        n_estimators=settings.search_rounds,
        early_stopping_rounds=settings.patience,
        tree_method="hist",
        random_state=seed,
        n_jobs=threads,
    )
    lightgbm = LGBMClassifier(
        n_estimators=settings.search_rounds,
        early_stopping_round=settings.patience,
        learning_rate=settings.learning_rate,
        subsample=settings.row_share,
        subsample_freq=1,
        colsample_bytree=settings.feature_share,
        reg_lambda=settings.l2,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
        n_jobs=threads,
    )
    forest = RandomForestClassifier(settings.trees, random_state=seed, n_jobs=threads)
    linear = LogisticRegression(max_iter=LINEAR_STEPS)
    depths = sorted({2, settings.depth})
    boosters = {name: [value] for name, value in booster_params(settings).items()}
    return [
        _Model("xgboost", [], xgboost, {**boosters, "max_depth": depths}, boosted=True),
        _Model("lightgbm", scaled, lightgbm, {"num_leaves": [4, 8]}, boosted=True),
        _Model("random_forest", scaled, forest, {"min_samples_leaf": [2, 8]}, boosted=False),
        _Model("logistic_regression", scaled, linear, {"C": [0.001, 0.01]}, boosted=False),
    ]
