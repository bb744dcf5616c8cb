"""The sections of a report that tell how a bundle was made."""

import json
from collections.abc import Iterator, Mapping
from functools import partial

from pydantic import JsonValue

from training.config import CONFIG_FILE
from training.reporting import figures
from training.reporting.curves import CURVES, Curves, kept_epoch, panels
from training.reporting.document import Block, Cell, Missing, Picture, Pictures, Table, Text
from training.reporting.results import (
    DATA,
    EXPORT,
    LEADERBOARD,
    STAGES,
    VALIDATION,
    DataAccount,
    Export,
    Leaderboard,
    Validation,
)

__all__ = [
    "data",
    "export",
    "fingerprint",
    "flat",
    "head",
    "leaderboard",
    "learning",
    "missing",
    "settings",
]

SPLITS = ("train", "validation", "test")
BROKEN_SHOWN = 100  # files; more would bury the rest of the report
MEGABYTE = 1_000_000


def missing(what: str, file: str) -> Missing:
    """Return the line for a file that is not there."""
    return Missing(what, STAGES[file])


def data(account: DataAccount | None) -> Iterator[Block]:
    """Yield the data sets, their classes and what was wrong with them."""
    if account is None:
        yield missing("Data sets", DATA)
        return
    yield Table(
        "Faces that could be read, by data set; the first one is the target",
        (
            *("data set", "format", *SPLITS, "learnt from", "left out"),
            *("duplicates removed", "broken", "terms"),
        ),
        [
            (
                f"{source.name} ({source.title})" if source.title else source.name,
                source.format,
                *(source.split_rows.get(split) for split in SPLITS),
                source.learnt_from,
                source.left_out,
                source.duplicates_removed,
                len(source.broken),
                source.terms,
            )
            for source in account.sources
        ],
    )
    yield Text(
        "Left out: faces of a class that has no meaning here. Duplicates: training faces whose "
        "pixels also stand in the validation faces or in a test split."
    )
    splits = [split for split in SPLITS if split in account.classes]
    names = list(dict.fromkeys(name for split in splits for name in account.classes[split]))
    rows: list[tuple[Cell, ...]] = [
        (name, *(account.classes[split].get(name, 0) for split in splits)) for name in names
    ]
    totals = [sum(account.classes[split].values()) for split in splits]
    yield Table(
        "Faces of each class of the target, after splitting",
        ("class", *splits),
        [*rows, ("all", *totals)],
    )
    yield Table(
        "What the class names of the data sets mean here",
        ("data set", "its name", "faces", "our class"),
        [
            (source.name, own, count, ours or "left out")
            for source in account.sources
            for own, (count, ours) in source.classes.items()
        ],
    )
    broken = [
        (source.name, file, why)
        for source in account.sources
        for file, why in source.broken.items()
    ]
    if not broken:
        yield Text("No file was broken.")
        return
    yield Table("Broken files, not used", ("data set", "file", "why"), broken[:BROKEN_SHOWN])
    if len(broken) > BROKEN_SHOWN:
        yield Text(f"And {len(broken) - BROKEN_SHOWN:,} more, which {DATA} lists.")


def learning(curves: Curves | None) -> Iterator[Block]:
    """Yield the learning curves."""
    if curves is None or not len(curves["epoch"]):
        yield missing("Learning curves", CURVES)
        return
    kept = kept_epoch(curves)
    if kept is not None:
        row = kept - 1
        yield Text(
            f"{len(curves['epoch'])} epochs. The averaged weights of epoch {kept} are kept: the "
            f"lowest validation loss of the last phase, {curves['ema_validation_loss'][row]:.4f}, "
            f"with accuracy {curves['ema_validation_accuracy'][row]:.4f}. Training is measured on "
            "augmented pictures and with label smoothing, so its curve does not compare with the "
            "others in height."
        )
    captions = ("Loss", "Accuracy", "Balanced accuracy", "Learning rate")
    yield Pictures(
        tuple(
            Picture(caption, _ends(panel), partial(figures.draw_curves, panel=panel))
            for caption, panel in zip(captions, panels(curves), strict=True)
        ),
        (
            Table(
                "learning curves",
                tuple(name.replace("_", " ").replace("ema", "averaged") for name in curves),
                [
                    (int(epoch), int(phase) + 1, f"{rate:.2e}", *map(float, values))
                    for epoch, phase, rate, *values in zip(*curves.values(), strict=True)
                ],
            ),
        ),
    )


def head(validation: Validation | None) -> Iterator[Block]:
    """Yield what the head was fitted with, and how that was asked for."""
    if validation is None:
        yield missing("Head", VALIDATION)
        return
    metrics = validation.metrics
    fitted = {**metrics.params, "rounds": metrics.rounds, "temperature": metrics.temperature}
    yield _settings("What the head was fitted with", fitted)
    if validation.settings:
        yield _settings("Settings of the head", {"head": validation.settings})


def leaderboard(found: Leaderboard | None, *, fitted: bool) -> Iterator[Block]:
    """Yield the heads that were compared.

    Args:
        found: the comparison.
        fitted: a head has been fitted, so that no comparison is still to come.
    """
    if found is None and fitted:
        yield Text("This run fitted its head without comparing it with others (head.search).")
        return
    if found is None:
        yield missing("Comparison of heads", LEADERBOARD)
        return
    yield Text(found.verdict)
    reduced = f", reduced to {found.components} for the slow heads" if found.components else ""
    yield Text(
        f"{found.tried} settings of heads, {found.folds}-fold cross-validation on "
        f"{found.rows_used:,} faces with {found.features:,} features{reduced}; "
        f"{found.seconds:.0f} s."
    )
    yield from map(Text, found.warnings)
    yield Table(
        "Heads at their best settings: mean over the folds ± standard deviation, and balanced "
        "accuracy on the validation faces",
        (
            *("head", "resampling", "balanced accuracy", "macro F1", "accuracy", "validation"),
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
        ("head", "resampling", "settings"),
        [
            (
                *(row.head, row.resampling or "none"),
                ", ".join(f"{name} {plain(value)}" for name, value in row.params.items()),
            )
            for row in found.rows
        ],
    )


def export(found: Export | None) -> Iterator[Block]:
    """Yield how close the exported encoder is, and what its variants cost."""
    if found is None:
        yield missing("Export", EXPORT)
        return
    yield Text(
        f"The encoder gives {found.features:,} features and takes {_size(found.bytes)}. On "
        f"{found.compared} faces it is at most {found.parity:.2g} away from the network."
    )
    if not found.variants:
        yield Missing("Variants of the encoder", "variants")
        return
    yield Table(
        "Variants of the encoder, with time of one face against fp32 in the same run",
        ("variant", "size", "accuracy", "balanced accuracy", "time", "shipped", "note"),
        [
            (
                *(variant.name, _size(variant.bytes)),
                *(variant.accuracy, variant.balanced_accuracy),
                None if variant.time_ratio is None else f"{variant.time_ratio:.2f} ×",  # noqa: RUF001
                "yes" if variant.shipped else "no",
                variant.note,
            )
            for variant in found.variants
        ],
    )


def settings(found: Mapping[str, JsonValue]) -> Iterator[Block]:
    """Yield the settings of the run."""
    own = {name: value for name, value in found.items() if name != "data_sha256"}
    yield _settings(f"Settings, from {CONFIG_FILE}", own)


def fingerprint(found: Mapping[str, JsonValue], account: DataAccount | None) -> Iterator[Block]:
    """Yield the hashes of the data."""
    yield Text("SHA-256 of pixels, labels and names as they were read.")
    hashes = flat({"all": value} if isinstance(value := found.get("data_sha256"), str) else value)
    if account is not None:
        now = {source.name: source.sha256 for source in account.sources}
        if isinstance(value, dict) and value != now:
            yield Text(f"{DATA} is of other data than those that the run was started with.")
    yield Table("Data fingerprint", ("data set", "SHA-256"), list(hashes.items()))


def flat(value: object, name: str = "") -> dict[str, Cell]:
    """Return nested settings as one level, `finetuning.phases.0.epochs` for instance."""
    inner: Mapping[str, object]
    if isinstance(value, dict) and value:
        inner = value
    elif isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        inner = {str(index): entry for index, entry in enumerate(value)}
    else:
        return {name: plain(value)} if name else {}
    return {
        key: cell
        for part, entry in inner.items()
        for key, cell in flat(entry, f"{name}.{part}" if name else part).items()
    }


def plain(value: object) -> str:
    """Return a setting as one line."""
    match value:
        case None | "" | [] | {}:
            return "not set"
        case str():
            return value
        case list():
            return ", ".join(map(plain, value))
        case dict():
            return ", ".join(f"{name} {plain(entry)}" for name, entry in value.items())
        case _:
            return json.dumps(value)


def _settings(caption: str, found: Mapping[str, JsonValue]) -> Table:
    return Table(caption, ("setting", "value"), list(flat(dict(found)).items()))


def _ends(panel: figures.Panel) -> str:
    """Say where the curves of a panel begin and end."""
    lines = "; ".join(
        f"{line.label} from {line.values[0]:.4g} to {line.values[-1]:.4g}" for line in panel.lines
    )
    return f"Curves of {panel.title} over {len(panel.lines[0].epochs)} epochs: {lines}."


def _size(count: int) -> str:
    return f"{count / MEGABYTE:.1f} MB"
