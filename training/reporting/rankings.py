"""The sections of a report that tell which models were compared, and what was fitted."""

from collections.abc import Iterator

from training.reporting.document import Block, Table, Text
from training.reporting.results import Leaderboard, Metrics, Validation
from training.reporting.run_files import (
    CLASSICAL,
    FACES,
    LEADERBOARD,
    LIGHT,
    LIGHT_TEST,
    TEXTS,
    VALIDATION,
)
from training.reporting.sections import missing, plain, settings_table

__all__ = ["classical", "head", "leaderboard", "light"]


def head(validation: Validation | None) -> Iterator[Block]:
    """Yield what the head was fitted with, and how that was asked for."""
    if validation is None:
        yield missing("Head", VALIDATION)
        return
    metrics = validation.metrics
    fitted = {**metrics.params, "rounds": metrics.rounds, "temperature": metrics.temperature}
    yield settings_table("What the head was fitted with", fitted)
    if validation.settings:
        yield settings_table("Settings of the head", {"head": validation.settings})


def leaderboard(found: Leaderboard | None, *, fitted: bool, things: str = FACES) -> Iterator[Block]:
    """Yield the heads that were compared.

    Args:
        found: the comparison.
        fitted: a head has been fitted, so that no comparison is still to come.
        things: what was learnt from.
    """
    if found is None and fitted:
        yield Text("This run fitted its head without comparing it with others (head.search).")
        return
    if found is None:
        yield missing("Comparison of heads", LEADERBOARD)
        return
    yield from _ranking(found, "heads", things)


def classical(found: Leaderboard | None) -> Iterator[Block]:
    """Yield the models without a Transformer that were compared."""
    if found is None:
        yield missing("Comparison of classical models", CLASSICAL)
        return
    yield from _ranking(found, "models", TEXTS)


def light(fitted: Validation | None, test: Metrics | None) -> Iterator[Block]:
    """Yield what the light model, the one without a Transformer that ships, was found to do."""
    if fitted is None:
        yield missing("Light model", LIGHT)
        return
    kinds = {"validation": fitted.metrics, **({"test": test} if test else {})}
    yield Table(
        "The light model: TF-IDF of word pieces and pairs, and logistic regression",
        ("split", "texts", "accuracy", "balanced accuracy", "macro F1", "calibration error"),
        [
            (name, m.n, m.accuracy, m.balanced_accuracy, m.macro_f1, m.ece)
            for name, m in kinds.items()
        ],
    )
    chosen = {
        "C": fitted.metrics.regularisation,
        "temperature": fitted.metrics.temperature,
        "calibration error before": fitted.metrics.ece_before,
    }
    yield settings_table("What it was fitted with", {**fitted.settings, **chosen})
    if test is None:
        yield missing("Light model on the test split", LIGHT_TEST)


def _ranking(found: Leaderboard, what: str, things: str) -> Iterator[Block]:
    """Yield a comparison of models by cross-validation, and the settings of each."""
    yield Text(found.verdict)
    reduced = f", reduced to {found.components} for the slow heads" if found.components else ""
    yield Text(
        f"{found.tried} settings of {what}, {found.folds}-fold cross-validation on "
        f"{found.rows_used:,} {things} with {found.features:,} features{reduced}; "
        f"{found.seconds:.0f} s."
    )
    yield from map(Text, found.warnings)
    yield Table(
        f"{what.capitalize()} at their best settings: mean over the folds ± standard deviation, "
        f"and balanced accuracy on the validation {things}",
        (
            what.removesuffix("s"),
            *("resampling", "balanced accuracy", "macro F1", "accuracy", "validation"),
            *("fit (s)", "predict (µs)"),
        ),
        [
            (
                *(row.head, row.resampling or "none"),
                *map(str, (row.balanced_accuracy, row.macro_f1, row.accuracy)),
                row.unseen.balanced_accuracy if row.unseen else None,
                *(f"{row.fit_s:.1f}", f"{row.predict_us:.0f}"),
            )
            for row in found.rows
        ],
    )
    yield Table(
        "Their settings",
        (what.removesuffix("s"), "resampling", "settings"),
        [
            (
                *(row.head, row.resampling or "none"),
                ", ".join(f"{name} {plain(value)}" for name, value in row.params.items()),
            )
            for row in found.rows
        ],
    )
