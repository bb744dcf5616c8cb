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

__all__ = ["CURVES", "Curves", "kept_epoch", "read_curves", "write_curves"]

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
COLUMNS: Final = ("epoch", *MEASURED)

Curves = Mapping[str, NDArray[np.float64]]  # by column, one value an epoch


def write_curves(history: Sequence[Mapping[str, float]], run: Path) -> None:
    """Write `curves.csv` and `curves.png` into the run, each of them whole.

    Takes less than a second; the first time also imports Matplotlib.

    Args:
        history: what was measured in each epoch, in order; an epoch's number is its place.
        run: the folder, which exists.

    Raises:
        ImportError: Matplotlib is not installed; the table has been written all the same.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for epoch, entry in enumerate(history, 1):
        phase, *values = (entry[name] for name in MEASURED)
        table.writerow([epoch, int(phase), *(f"{value:.6g}" for value in values)])
    replace(run / CURVES, text.getvalue())
    if history:
        curves = read_curves(run / CURVES)
        draws = [partial(figures.draw_curves, panel=panel) for panel in panels(curves)[:2]]
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
        if absent := set(COLUMNS).difference(table.fieldnames or ()):
            raise ValueError(f"no column {', '.join(sorted(absent))}")
        return {name: np.array([float(row[name]) for row in rows]) for name in COLUMNS}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise RunError(f"{path} is no table of learning curves ({error!r})") from error


def kept_epoch(curves: Curves) -> int | None:
    """Return the epoch with the lowest loss of the averaged weights in the last phase so far.

    The first one wins a tie. There is none where no epoch has a finite loss.
    """
    losses, phases = curves["ema_validation_loss"], curves["phase"]
    usable = np.isfinite(losses)
    if not usable.any():
        return None
    losses = np.where(usable & (phases == phases.max()), losses, np.inf)
    return int(curves["epoch"][losses.argmin()]) if np.isfinite(losses).any() else None


def panels(curves: Curves) -> tuple[figures.Panel, ...]:
    """Return the diagrams of one run: loss, accuracy, balanced accuracy, learning rate."""
    epochs, phases = curves["epoch"], curves["phase"]
    starts = tuple(epochs[1:][np.diff(phases) != 0])

    def panel(title: str, *lines: tuple[str, str, int]) -> figures.Panel:
        drawn = tuple(
            figures.Line(label, epochs, curves[name], style) for label, name, style in lines
        )
        return figures.Panel(title, drawn, starts, kept_epoch(curves))

    average = "validation, averaged weights"
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
