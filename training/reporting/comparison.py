"""Two runs side by side: what was set differently, and what came of it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.reporting import figures, intervals, scores
from training.reporting.curves import CURVES, is_of_texts
from training.reporting.document import (
    Block,
    Cell,
    Document,
    Picture,
    Pictures,
    Section,
    Signed,
    Table,
    Text,
)
from training.reporting.files import replace
from training.reporting.judgement import confusion_numbers, confusion_picture
from training.reporting.markdown import markdown
from training.reporting.page import page
from training.reporting.results import Results, read
from training.reporting.run_files import TEST, VALIDATION
from training.reporting.sections import flat, missing

__all__ = ["compare", "write_comparison"]

MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "ece": "calibration error",
}
OVERLAID = {
    "ema_validation_loss": "validation loss, averaged weights",
    "ema_validation_accuracy": "validation accuracy, averaged weights",
    "ema_validation_balanced_accuracy": "validation balanced accuracy, averaged weights",
    "loss": "training loss",
}
OVERLAID_TEXTS = {
    "loss": "validation loss, averaged weights",
    "accuracy": "validation accuracy, averaged weights",
    "balanced_accuracy": "validation balanced accuracy, averaged weights",
    "train_loss": "training loss",
}
COLUMNS = ("A", "B", "B minus A")


class Pair(NamedTuple):
    """Both runs."""

    first: Results
    second: Results


def compare(first: Path, second: Path) -> str:
    """Return a comparison of two runs as Markdown.

    Raises:
        RunError: one of the folders is no run, or a file in it is broken; the message names it.
    """
    return markdown(document(Pair(read(first), read(second))))


def write_comparison(first: Path, second: Path, out: Path) -> None:
    """Write a comparison of two runs as one HTML file, with their curves in the same figures.

    Raises:
        RunError: one of the folders is no run, or a file in it is broken; the message names it.
        ImportError: Matplotlib is not installed.
        OSError: the file cannot be written.
    """
    replace(out, page(document(Pair(read(first), read(second)))))


def document(pair: Pair) -> Document:
    """Return the comparison of two runs."""
    parts = {
        "Settings that differ": _settings(pair),
        "Result": _measures(pair),
        "Classes": _classes(pair),
        "Learning curves": _curves(pair),
        "Confusion matrices": _confusions(pair),
    }
    return Document(
        title=f"{pair.first.name} and {pair.second.name}",
        introduction=(
            f"A is {pair.first.name}, B is {pair.second.name}. Differences are B minus A; only the "
            "calibration error is better when it is lower."
        ),
        sections=tuple(Section(title, tuple(blocks)) for title, blocks in parts.items()),
    )


def _settings(pair: Pair) -> Iterator[Block]:
    one, two = _all_settings(pair.first), _all_settings(pair.second)
    names = [name for name in dict.fromkeys([*one, *two]) if one.get(name) != two.get(name)]
    if not names:
        yield Text("None: both runs have the same settings and the same data.")
        return
    yield Table(
        "Settings and data fingerprints that differ",
        ("setting", "A", "B"),
        [(name, one.get(name), two.get(name)) for name in names],
    )


def _all_settings(results: Results) -> dict[str, Cell]:
    """Return the settings of a run and, where it has been fitted, of its head."""
    head = results.validation.settings if results.validation else {}
    # A run keeps the settings of its head beside the head, as that may be fitted again.
    return flat({**results.settings, **({"head": head} if head else {})})


def _measures(pair: Pair) -> Iterator[Block]:
    tests = pair.first.test, pair.second.test
    held = tuple(r.validation.metrics if r.validation else None for r in pair)
    for caption, file, found in (
        ("Test split", TEST, tests),
        (f"Validation {pair.first.things}", VALIDATION, held),
    ):
        one, two = found
        if one is None or two is None:
            yield missing(f"{caption}, {_absent(one, two)}", file)
            continue
        yield Table(
            caption,
            ("measure", *COLUMNS),
            [
                *(
                    (title, *_difference(getattr(one, name), getattr(two, name)))
                    for name, title in MEASURES.items()
                ),
                (pair.first.things, one.n, two.n, None),
            ],
        )
        if not np.array_equal(one.counts.sum(axis=1), two.counts.sum(axis=1)):
            yield Text(
                f"{caption}: not the same ones in both runs, so the differences mean little."
            )
    yield from _paired(pair)


def _paired(pair: Pair) -> Iterator[Block]:
    """Yield what the same faces tell of the difference in accuracy, one by one."""
    one, two = pair.first.predictions, pair.second.predictions
    if one is None or two is None:
        return
    if not (np.array_equal(one.names, two.names) and np.array_equal(one.labels, two.labels)):
        yield Text(
            f"The test {pair.first.things} are not the same, so they cannot be compared one by one."
        )
        return
    only_one = int((one.right & ~two.right).sum())
    only_two = int((two.right & ~one.right).sum())
    n = len(one.labels)
    low, high = intervals.paired(only_one, only_two, n)
    if low <= 0 <= high:
        verdict = f"The interval holds 0: these {pair.first.things} do not tell the two apart."
    else:
        verdict = f"The interval leaves out 0: {'B' if low > 0 else 'A'} is the more accurate one."
    yield Text(
        f"Of the same {n:,} {pair.first.things}, {only_one:,} were called rightly by A alone and "
        f"{only_two:,} by B alone: a difference in accuracy of "
        f"{(only_two - only_one) / n:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}. {verdict}"
    )


def _classes(pair: Pair) -> Iterator[Block]:
    one, two = pair.first.test, pair.second.test
    if one is None or two is None or one.classes != two.classes:
        yield missing(f"Test split, {_absent(one, two)}", TEST)
        return
    first, second = scores.by_class(one.counts), scores.by_class(two.counts)
    for name in ("precision", "recall", "f1"):
        yield Table(
            f"{name.replace('f1', 'F1').capitalize()} of each class",
            ("class", *COLUMNS),
            [
                (label, *_difference(float(a), float(b)))
                for label, a, b in zip(
                    one.classes, getattr(first, name), getattr(second, name), strict=True
                )
            ],
        )


def _curves(pair: Pair) -> Iterator[Block]:
    one, two = pair.first.curves, pair.second.curves
    if one is None or two is None:
        yield missing(f"Learning curves, {_absent(one, two)}", CURVES)
        return
    if is_of_texts(one) != is_of_texts(two):
        yield Text(
            "One of the runs is on texts and the other on faces: their curves differ in kind."
        )
        return
    pictures = []
    for column, title in (OVERLAID_TEXTS if is_of_texts(one) else OVERLAID).items():
        lines = tuple(
            figures.Line(f"{letter}: {results.name}", curves["epoch"], curves[column], style)
            for style, (letter, results, curves) in enumerate(
                (("A", pair.first, one), ("B", pair.second, two))
            )
        )
        panel = figures.Panel(title.partition(",")[0], lines)
        ends = "; ".join(f"{line.label} ends at {line.values[-1]:.4g}" for line in lines)
        pictures.append(
            Picture(
                title.capitalize(),
                f"{title.capitalize()}: {ends}.",
                partial(figures.draw_curves, panel=panel),
            )
        )
    yield Pictures(tuple(pictures))


def _confusions(pair: Pair) -> Iterator[Block]:
    named = (("A", pair.first), ("B", pair.second))
    tests = [
        (f"{letter}: {results.name}", results.test) for letter, results in named if results.test
    ]
    if tests:
        yield Text("Test split; rows are the true class, columns the one it was called.")
        yield Pictures(
            tuple(
                confusion_picture(
                    test, f"Shares of the row, {name}", shares=True, things=pair.first.things
                )
                for name, test in tests
            ),
            tuple(confusion_numbers(test, f"confusion matrix of {name}") for name, test in tests),
        )
    if len(tests) < len(pair):
        yield missing(f"Confusion matrix, {_absent(pair.first.test, pair.second.test)}", TEST)


def _difference(one: float, two: float) -> tuple[float, float, Signed]:
    return one, two, Signed(two - one)


def _absent(one: object, two: object) -> str:
    """Say which of the two runs lacks something."""
    return " and ".join(name for name, found in (("A", one), ("B", two)) if found is None)
