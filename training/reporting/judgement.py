"""The sections of a report that tell how good a bundle is."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from training.elsewhere import MEASURES, Elsewhere
from training.metrics import expected_calibration_error
from training.reporting import figures, intervals, scores
from training.reporting.document import (
    Block,
    Picture,
    Pictures,
    Table,
    Text,
    Tile,
    Tiles,
)
from training.reporting.judged import Predictions
from training.reporting.results import Metrics, Results
from training.reporting.run_files import ELSEWHERE, FACES, PREDICTIONS, TEST, VALIDATION
from training.reporting.sections import missing

__all__ = [
    "classes",
    "confusion",
    "confusion_numbers",
    "confusion_picture",
    "elsewhere",
    "headline",
]


def headline(results: Results) -> Iterator[Block]:
    """Yield the measures on the test split with their intervals."""
    held = results.validation.metrics if results.validation else None
    if results.test is None:
        yield missing("Result on the test split", TEST)
        if held is None:
            yield missing(f"Result on the validation {results.things}", VALIDATION)
            return
        yield Text(
            f"Until then, on the {held.n:,} validation {results.things} that chose the head:"
        )
        yield Tiles(_tiles(held, held, held.ece_before))
        return
    test, predictions = results.test, results.predictions
    yield Text(
        f"{test.n:,} {results.things} of the test split, which took no part in any choice. "
        f"Intervals are 95 %: Wilson's for accuracy, resampled {results.things} for the rest."
    )
    if predictions is None:
        yield Tiles(_tiles(test, held, None))
        yield missing("Predictions on the test split", PREDICTIONS)
        return
    if not np.array_equal(_confusion(predictions), test.counts):
        yield Text(
            f"{TEST} and {PREDICTIONS} do not agree: one of them is of another bundle, and what "
            "follows mixes the two."
        )
    before = expected_calibration_error(predictions.labels, predictions.uncalibrated)
    yield Tiles(_tiles(test, held, before, predictions))


def elsewhere(found: Elsewhere | None) -> Iterator[Block]:
    """Yield the measures on other data and on photographs, and the cost of a face."""
    if found is None:
        yield missing("Results on other data", ELSEWHERE)
        return
    if found.also:
        yield Table("Test splits of the other data sets", ("data", *MEASURES), found.rows())
    if found.photographs:
        yield from map(Text, found.photographs.paragraphs())
    if found.cost:
        yield Text(found.cost.sentence())
    if found == Elsewhere():
        yield Text("This run has no other data with a test split, and was not asked for its cost.")


def confusion(metrics: Metrics | None, things: str = FACES) -> Iterator[Block]:
    """Yield the confusion matrix."""
    if metrics is None:
        yield missing("Confusion matrix of the test split", TEST)
        return
    yield Text("Rows are the true class, columns the one it was called; shades are row shares.")
    yield Pictures(
        tuple(
            confusion_picture(metrics, caption, shares=shares, things=things)
            for caption, shares in (("Counts", False), ("Shares of the row", True))
        ),
        (confusion_numbers(metrics, "confusion matrix, counts"),),
    )


def confusion_picture(
    metrics: Metrics, caption: str, *, shares: bool, things: str = FACES
) -> Picture:
    """Return the figure of a confusion matrix."""
    matrix = metrics.counts
    wrong = matrix - np.diag(np.diag(matrix))
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    return Picture(
        caption,
        f"{caption} of the confusion matrix: {np.diag(matrix).sum():,} of {metrics.n:,} "
        f"{things} called rightly; most often confused: {metrics.classes[row]}, called "
        f"{metrics.classes[column]}, {wrong.max():,} times.",
        partial(figures.draw_confusion, matrix=matrix, classes=metrics.classes, shares=shares),
        height=0.92,
    )


def confusion_numbers(metrics: Metrics, caption: str) -> Table:
    """Return the counts of a confusion matrix."""
    return Table(
        caption,
        ("true, and called", *metrics.classes),
        [(name, *row) for name, row in zip(metrics.classes, metrics.confusion, strict=True)],
    )


def classes(metrics: Metrics | None, things: str = FACES) -> Iterator[Block]:
    """Yield the measures of each class."""
    if metrics is None:
        yield missing("Measures of each class", TEST)
        return
    found, hits = scores.by_class(metrics.counts), np.diag(metrics.counts)
    yield Table(
        "Each class on the test split; the interval is that of the recall",
        ("class", "precision", "recall", "95 % interval", "F1", things),
        [
            (
                *(name, float(found.precision[row]), float(found.recall[row])),
                str(intervals.wilson(int(hits[row]), int(found.support[row]))),
                *(float(found.f1[row]), int(found.support[row])),
            )
            for row, name in enumerate(metrics.classes)
        ],
    )


def _tiles(
    metrics: Metrics,
    held: Metrics | None,
    before: float | None,
    predictions: Predictions | None = None,
) -> tuple[Tile, ...]:
    counts = metrics.counts
    balanced, f1 = intervals.means(counts)
    ends: dict[str, intervals.Interval | None] = {
        "accuracy": intervals.wilson(int(np.trace(counts)), metrics.n),
        "balanced_accuracy": balanced,
        "macro_f1": f1,
        "ece": None,
    }
    titles = ("Accuracy", "Balanced accuracy", "Macro F1", "Calibration error (ECE)")
    if predictions is not None:
        ends["ece"] = intervals.calibration(predictions.labels, predictions.probabilities)
    tiles = []
    for title, (name, interval) in zip(titles, ends.items(), strict=True):
        details = [f"95 %: {interval}"] if interval else []
        if name == "ece" and before is not None:
            details.append(_before(before, predictions))
        if held is not None and held is not metrics:
            details.append(f"validation: {getattr(held, name):.4f}")
        tiles.append(Tile(title, getattr(metrics, name), tuple(details)))
    return tuple(tiles)


def _before(value: float, predictions: Predictions | None) -> str:
    text = f"before calibration: {value:.4f}"
    if predictions is None:
        return text
    return f"{text} ({intervals.calibration(predictions.labels, predictions.uncalibrated)})"


def _confusion(predictions: Predictions) -> NDArray[np.int64]:
    size = predictions.probabilities.shape[1]
    pairs = predictions.labels * size + predictions.probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=size * size).reshape(size, size)
