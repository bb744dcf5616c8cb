"""The sections of a report that need what was said of each single face."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metrics import CALIBRATION_BINS, expected_calibration_error
from training.reporting import figures, groups, intervals, scores
from training.reporting.document import Block, Picture, Pictures, Table, Text
from training.reporting.judged import Predictions
from training.reporting.run_files import FACES, PREDICTIONS, TEXTS
from training.reporting.sections import missing

__all__ = ["by_group", "calibration", "mistakes"]

MISTAKES_SHOWN = 30
OF_NAMES = {
    FACES: "",
    TEXTS: " The name is the beginning of the SHA-256 of the text, which is not shown here.",
}
# What is compared by ranges: a trait, what it is called, its unit, and how many ranges.
RANGES = {
    FACES: (
        ("widths", "width of the picture", "px", 3),
        ("brightness", "mean brightness, 0 to 255", "", 4),
    ),
    TEXTS: (("words", "length", "words", 4),),
}
# What is compared by value: a trait, and what it is called.
VALUES = {
    FACES: (),
    TEXTS: (("emoji", "emoji"), ("hashtag", "hashtag"), ("language", "guessed language")),
}
NOT_KNOWN = {
    FACES: "Age, skin tone and the like are not known here.",
    TEXTS: "Who wrote a text, and about whom, is not known here.",
}
FEWEST = 30  # of one value; rarer ones are put together
WHAT = "Predictions on the test split"


def calibration(predictions: Predictions | None, things: str = FACES) -> Iterator[Block]:
    """Yield the reliability diagrams before and after calibration."""
    if predictions is None:
        yield missing(WHAT, PREDICTIONS)
        return
    labels = predictions.labels
    yield Text(
        f"Confidence against accuracy in the {CALIBRATION_BINS} bins of the calibration error. "
        "Below the diagonal, a head is surer than it is right."
    )
    kinds = (
        ("before calibration", predictions.uncalibrated),
        ("after calibration", predictions.probabilities),
    )
    found = [(name, p, scores.reliability(labels, p)) for name, p in kinds]
    yield Pictures(
        tuple(_reliability(name, labels, p, bins) for name, p, bins in found),
        tuple(_bins(f"reliability {name}", bins, things) for name, _, bins in found),
    )


def mistakes(
    predictions: Predictions | None, names: tuple[str, ...], things: str = FACES
) -> Iterator[Block]:
    """Yield the most confident mistakes, by name.

    Args:
        predictions: what was said of each.
        names: the classes.
        things: what was judged.
    """
    if predictions is None:
        yield missing(WHAT, PREDICTIONS)
        return
    wrong = int((~predictions.right).sum())
    rows = scores.mistakes(predictions.labels, predictions.probabilities, MISTAKES_SHOWN)
    yield Text(
        f"{wrong:,} of {len(predictions.labels):,} {things} were called wrongly. The first ones "
        f"are worth a look: a hard {things[:-1]}, or a wrong label.{OF_NAMES[things]}"
    )
    yield Table(
        f"The {len(rows)} most confident mistakes; the index counts from 0",
        ("name", "index", "true", "called", "confidence", "probability of the true class"),
        [
            (
                *(str(predictions.names[row]), str(row)),
                *(names[predictions.labels[row]], names[predictions.probabilities[row].argmax()]),
                float(predictions.probabilities[row].max()),
                float(predictions.probabilities[row, predictions.labels[row]]),
            )
            for row in rows
        ],
    )


def by_group(predictions: Predictions | None, things: str = FACES) -> Iterator[Block]:
    """Yield the accuracy on groups."""
    if predictions is None:
        yield missing(WHAT, PREDICTIONS)
        return
    yield Text(
        "Groups that the files themselves tell apart. They also differ in their mix of classes, so "
        f"a gap is a reason to look, not a cause. {NOT_KNOWN[things]}"
    )
    right, pictures, tables = predictions.right, [], []
    found: list[tuple[str, list[tuple[str, int, int]]]] = []
    for trait, label, unit, parts in RANGES[things]:
        cut = groups.split(predictions.traits[trait], right, parts)
        found.append((label, [(group.name(unit), group.hits, group.n) for group in cut]))
    for trait, label in VALUES[things]:
        found.append((label, groups.by_value(predictions.traits[trait], right, FEWEST)))
    for label, cut_by in found:
        if len(cut_by) == 1:
            yield Text(f"All {things} have the same {label} ({cut_by[0][0]}): nothing to compare.")
            continue
        pictures.append(_groups(label, cut_by, float(right.mean())))
        tables.append(
            Table(
                f"Accuracy by {label}",
                ("group", things, "accuracy", "95 % interval"),
                [(name, n, hits / n, str(intervals.wilson(hits, n))) for name, hits, n in cut_by],
            )
        )
    if pictures:
        yield Pictures(tuple(pictures))
    yield from tables


def _reliability(
    name: str, labels: NDArray[np.int64], probabilities: NDArray[Any], bins: scores.Bins
) -> Picture:
    points = [
        (float(confidence), _whiskers(str(index), int(hits), int(n)))
        for index, (n, hits, confidence) in enumerate(zip(*bins, strict=True))
        if n
    ]
    error = expected_calibration_error(labels, probabilities)
    mean = float(probabilities.max(axis=1).mean())
    return Picture(
        f"{name.capitalize()}: calibration error {error:.4f}",
        f"Reliability diagram {name}: calibration error {error:.4f}, mean confidence {mean:.4f}, "
        f"accuracy {bins.hits.sum() / bins.n.sum():.4f}.",
        partial(figures.draw_reliability, points=points, shares=bins.n / bins.n.sum()),
        height=0.8,
    )


def _bins(caption: str, bins: scores.Bins, things: str) -> Table:
    edges = np.linspace(0, 1, len(bins.n) + 1)
    return Table(
        caption,
        ("confidence", things, "mean confidence", "accuracy", "95 % interval"),
        [
            (f"{low:.3f} to {high:.3f}", int(n), float(mean), hits / n, str(_wilson(hits, n)))
            if n
            else (f"{low:.3f} to {high:.3f}", 0, None, None, None)
            for low, high, n, hits, mean in zip(edges[:-1], edges[1:], *bins, strict=True)
        ],
    )


def _groups(label: str, found: list[tuple[str, int, int]], overall: float) -> Picture:
    whiskers = [_whiskers(*group) for group in found]
    told = "; ".join(f"{w.name}: {w.value:.4f}" for w in whiskers)
    return Picture(
        f"By {label}",
        f"Accuracy by {label}: {told}; all: {overall:.4f}.",
        partial(figures.draw_groups, groups=whiskers, overall=overall, label=label),
        height=0.5,
    )


def _whiskers(name: str, hits: int, n: int) -> figures.Whiskers:
    return figures.Whiskers(name, hits / n, *intervals.wilson(hits, n))


def _wilson(hits: np.int64, n: np.int64) -> intervals.Interval:
    return intervals.wilson(int(hits), int(n))
