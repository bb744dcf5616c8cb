"""The learning curves of a run: written after each epoch, read by the report."""

import csv
import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.errors import RunError
from training.reporting import figures
from training.reporting.files import replace

__all__ = ["CURVES", "Curves", "is_of_texts", "kept_epoch", "read_curves", "write_curves"]

CURVES: Final = "curves.csv"
PICTURE: Final = "curves.png"
MEASURED: Final = (
    "phase",
    "learning_rate",
    "loss",
    "accuracy",
    "validation_accuracy",
    "validation_balanced_accuracy",
    "validation_loss",
    "ema_validation_accuracy",
    "ema_validation_balanced_accuracy",
    "ema_validation_loss",
)
# Of texts, all but the first one are those of the averaged weights on validation.
TEXTS: Final = ("train_loss", "loss", "accuracy", "balanced_accuracy")

Curves = Mapping[str, NDArray[np.float64]]  # by column, one value an epoch


def write_curves(history: Sequence[Mapping[str, float]], run: Path, best_by: str = "loss") -> None:
    """Write `curves.csv` and `curves.png` into the run, each of them whole.

    Takes less than a second; the first time also imports Matplotlib.

    Args:
        history: what was measured in each epoch, in order; an epoch's number is its place.
        run: the folder, which exists.
        best_by: what chooses the epoch of a run on faces, as in `finetuning.best_by`.

    Raises:
        ImportError: Matplotlib is not installed; the table has been written all the same.
    """
    columns = TEXTS if history and TEXTS[0] in history[0] else MEASURED
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("epoch", *columns))
    for epoch, entry in enumerate(history, 1):
        table.writerow([epoch, *(f"{entry[name]:.6g}" for name in columns)])
    replace(run / CURVES, text.getvalue())
    if history:
        curves = read_curves(run / CURVES)
        draws = [partial(figures.draw_curves, panel=panel) for panel in panels(curves, best_by)[:2]]
        replace(run / PICTURE, figures.png(draws))


def read_curves(path: Path) -> Curves:
    """Return the columns of a table of curves, float64 [epochs] each; there may be no epoch yet.

    Raises:
        RunError: it is not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            rows = list(table)
        found = set(table.fieldnames or ())
        columns = ("epoch", *(TEXTS if TEXTS[0] in found else MEASURED))
        if absent := set(columns) - found:
            raise ValueError(f"no column {', '.join(sorted(absent))}")
        return {name: np.array([float(row[name]) for row in rows]) for name in columns}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise RunError(f"{path} is no table of learning curves ({error!r})") from error


def kept_epoch(curves: Curves, best_by: str = "loss") -> int | None:
    """Return the epoch whose averaged weights are kept.

    For faces it is the one with the lowest loss in the last phase so far, or with the highest mean
    of accuracy and balanced accuracy where `best_by` is "accuracy"; for texts the one with the
    highest balanced accuracy. The first one wins a tie. There is none where no epoch has a finite
    loss.
    """
    if is_of_texts(curves):
        scores = curves["balanced_accuracy"]
        return int(curves["epoch"][scores.argmax()]) if len(scores) else None
    losses, phases = curves["ema_validation_loss"], curves["phase"]
    if best_by == "accuracy":
        both = ("ema_validation_accuracy", "ema_validation_balanced_accuracy")
        losses = -np.mean([curves[name] for name in both], axis=0)
    usable = np.isfinite(losses)
    if not usable.any():
        return None
    losses = np.where(usable & (phases == phases.max()), losses, np.inf)
    return int(curves["epoch"][losses.argmin()]) if np.isfinite(losses).any() else None


def is_of_texts(curves: Curves) -> bool:
    """Tell whether curves are those of a run on texts."""
    return TEXTS[0] in curves


def panels(curves: Curves, best_by: str = "loss") -> tuple[figures.Panel, ...]:
    """Return the diagrams of one run: loss, accuracy, balanced accuracy and, of faces, the rate."""
    epochs = curves["epoch"]
    starts = tuple(epochs[1:][np.diff(curves["phase"]) != 0]) if "phase" in curves else ()

    def panel(title: str, *lines: tuple[str, str, int]) -> figures.Panel:
        drawn = tuple(
            figures.Line(label, epochs, curves[name], style) for label, name, style in lines
        )
        return figures.Panel(title, drawn, starts, kept_epoch(curves, best_by))

    average = "validation, averaged weights"
    if is_of_texts(curves):
        return (
            panel("loss", ("training", "train_loss", 0), (average, "loss", 2)),
            panel("accuracy", (average, "accuracy", 2)),
            panel("balanced accuracy", (average, "balanced_accuracy", 2)),
        )
    return (
        panel(
            "loss",
            ("training", "loss", 0),
            ("validation", "validation_loss", 1),
            (average, "ema_validation_loss", 2),
        ),
        panel(
            "accuracy",
            ("training", "accuracy", 0),
            ("validation", "validation_accuracy", 1),
            (average, "ema_validation_accuracy", 2),
        ),
        panel(
            "balanced accuracy",
            ("validation", "validation_balanced_accuracy", 1),
            (average, "ema_validation_balanced_accuracy", 2),
        ),
        panel("learning rate", ("at the end of the epoch", "learning_rate", 0)),
    )
