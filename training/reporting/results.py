"""The files that the stages leave in the folder of a run, read and checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError, model_validator

from training.config import CONFIG_FILE
from training.elsewhere import Elsewhere
from training.errors import RunError
from training.reporting.curves import CURVES, Curves, read_curves
from training.reporting.judged import Predictions, read_predictions
from training.reporting.run_files import (
    CLASSICAL,
    DATA,
    ELSEWHERE,
    EXPORT,
    FACES,
    LEADERBOARD,
    LIGHT,
    LIGHT_TEST,
    PREDICTIONS,
    STAGES,
    TEST,
    TEXTS,
    TRAITS,
    VALIDATION,
    remake,
)

__all__ = [
    "DataAccount",
    "Export",
    "Leaderboard",
    "Metrics",
    "Results",
    "Validation",
    "read",
]

Content = TypeVar("Content")


class SourceAccount(BaseModel):
    """What was found in one data set."""

    name: str
    format: str
    title: str = ""
    terms: str = ""
    split_rows: dict[str, int]
    learnt_from: int | None = None
    classes: dict[str, tuple[int, str | None]] = {}  # own name: count, our name
    broken: dict[str, str] = {}  # file: what is wrong with it
    left_out: int = 0
    duplicates_removed: int = 0
    sha256: str = ""


class DataAccount(BaseModel):
    """All data sets, the target first, and the target's faces of each class by split."""

    sources: list[SourceAccount]
    classes: dict[str, dict[str, int]] = {}


class Metrics(BaseModel):
    """The values of training.metrics.report."""

    n: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    ece: float
    recall: dict[str, float]
    confusion: list[list[int]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the rows and columns of the confusion matrix."""
        return tuple(self.recall)

    @property
    def counts(self) -> NDArray[np.int64]:
        """The confusion matrix, int64 [true, called]."""
        return np.array(self.confusion, dtype=np.int64)

    @model_validator(mode="after")
    def _counts_belong_together(self) -> "Metrics":
        size = len(self.recall)
        if [len(row) for row in self.confusion] != [size] * size:
            raise ValueError(f"the confusion matrix is not {size} x {size}, as the recalls are")
        if min(map(min, self.confusion)) < 0 or sum(map(sum, self.confusion)) != self.n:
            raise ValueError(f"the confusion matrix does not count {self.n}")
        return self


class HeadMetrics(Metrics):
    """The head on the validation data, and what was chosen by them."""

    ece_before: float | None = None
    rounds: int | None = None
    temperature: float | None = None
    regularisation: float | None = None
    params: dict[str, JsonValue] = {}


class Validation(BaseModel):
    """A fitted head."""

    settings: dict[str, JsonValue] = {}
    metrics: HeadMetrics


class Spread(BaseModel):
    """A measure over the folds."""

    mean: float
    sd: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.sd:.4f}"


class Unseen(BaseModel):
    """A head on the validation faces, which the encoder has not seen."""

    accuracy: float
    balanced_accuracy: float
    macro_f1: float


class Candidate(BaseModel):
    """One head in the cross-validation."""

    head: str
    resampling: str | None = None
    params: dict[str, JsonValue] = {}
    balanced_accuracy: Spread
    macro_f1: Spread
    accuracy: Spread
    fit_s: float
    predict_us: float
    unseen: Unseen | None = None


class Leaderboard(BaseModel):
    """Heads that were compared by cross-validation on training features, best first."""

    folds: int
    rows_used: int
    features: int
    components: int | None = None
    seconds: float
    tried: int
    warnings: list[str] = []
    verdict: str
    rows: list[Candidate]


class Variant(BaseModel):
    """One precision of the exported encoder; `time_ratio` is against fp32 in the same run."""

    name: str
    bytes: int
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    time_ratio: float | None = None
    shipped: bool
    note: str = ""


class Export(BaseModel):
    """The exported encoder; `parity` is its largest distance from the network's output."""

    parity: float
    compared: int
    features: int
    bytes: int
    variants: list[Variant] = []


@dataclass(frozen=True)
class Results:
    """All that is in the folder of a run; what no stage has written yet is None."""

    name: str
    settings: dict[str, JsonValue]
    data: DataAccount | None
    curves: Curves | None
    leaderboard: Leaderboard | None
    validation: Validation | None
    export: Export | None
    test: Metrics | None
    predictions: Predictions | None
    elsewhere: Elsewhere | None
    classical: Leaderboard | None = None
    light: Validation | None = None
    light_test: Metrics | None = None

    @property
    def best_by(self) -> str:
        """What chose the epoch of a run on faces: "loss" or "accuracy"."""
        finetuning = self.settings.get("finetuning")
        return str(finetuning.get("best_by", "loss")) if isinstance(finetuning, dict) else "loss"

    @property
    def things(self) -> str:
        """What was learnt from, in the plural: faces or texts."""
        return _things(self.settings)


def _things(settings: Mapping[str, JsonValue]) -> str:
    return TEXTS if settings.get("kind") == "text" else FACES


def read(run: Path) -> Results:
    """Read the folder of a run.

    Raises:
        RunError: the folder has no settings, or one of its files is not as it has to be; the
            message names the file.
    """
    settings = _json(run / CONFIG_FILE, dict[str, JsonValue])
    if settings is None:
        raise RunError(
            f"{run}: there is no {CONFIG_FILE}, so it is no run; "
            f"`python -m training {STAGES[CONFIG_FILE]} --run {run}` starts one"
        )
    curves = run / CURVES
    return Results(
        name=run.resolve().name,
        settings=settings,
        data=_json(run / DATA, DataAccount),
        curves=read_curves(curves) if curves.exists() else None,
        leaderboard=_json(run / LEADERBOARD, Leaderboard),
        validation=_json(run / VALIDATION, Validation),
        export=_json(run / EXPORT, Export),
        test=_json(run / TEST, Metrics),
        predictions=read_predictions(run / PREDICTIONS, TRAITS[_things(settings)]),
        elsewhere=_json(run / ELSEWHERE, Elsewhere),
        classical=_json(run / CLASSICAL, Leaderboard),
        light=_json(run / LIGHT, Validation),
        light_test=_json(run / LIGHT_TEST, Metrics),
    )


def _json(path: Path, kind: type[Content]) -> Content | None:
    """Return the checked content of a file, or nothing where there is no file."""
    try:
        return TypeAdapter(kind).validate_python(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:3]
        )
        raise RunError(f"{path} is not as expected ({wrong}); {remake(path)}") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); {remake(path)}") from error
