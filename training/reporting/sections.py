"""The sections of a report that tell how a bundle was made."""

import json
from collections.abc import Iterator, Mapping
from functools import partial

from pydantic import JsonValue

from training.config import CONFIG_FILE
from training.reporting import figures
from training.reporting.curves import CURVES, Curves, is_of_texts, kept_epoch, panels
from training.reporting.document import Block, Cell, Missing, Picture, Pictures, Table, Text
from training.reporting.results import DataAccount, Export
from training.reporting.run_files import (
    DATA,
    EXPORT,
    FACES,
    STAGES,
    TEXTS,
)

__all__ = [
    "data",
    "export",
    "fingerprint",
    "flat",
    "learning",
    "missing",
    "plain",
    "settings",
    "settings_table",
]

SPLITS = ("train", "validation", "test")
BROKEN_SHOWN = 100  # files; more would bury the rest of the report
MEGABYTE = 1_000_000
LEFT_OUT = {
    FACES: "Left out: faces of a class that has no meaning here. Duplicates: training faces whose "
    "pixels also stand in the validation faces or in a test split.",
    TEXTS: "Left out: texts of which cleaning leaves nothing, in all splits. Duplicates: training "
    "texts that, once cleaned, also stand in the validation or the test split.",
}
HASHED = {FACES: "pixels, labels and names", TEXTS: "texts and labels of all splits"}


def missing(what: str, file: str) -> Missing:
    """Return the line for a file that is not there."""
    return Missing(what, STAGES[file])


def data(account: DataAccount | None, things: str = FACES) -> Iterator[Block]:
    """Yield the data sets, their classes and what was wrong with them."""
    if account is None:
        yield missing("Data sets", DATA)
        return
    yield Table(
        f"{things.capitalize()} that could be read, by data set; the first one is the target",
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
    yield Text(LEFT_OUT[things])
    splits = [split for split in SPLITS if split in account.classes]
    names = list(dict.fromkeys(name for split in splits for name in account.classes[split]))
    rows: list[tuple[Cell, ...]] = [
        (name, *(account.classes[split].get(name, 0) for split in splits)) for name in names
    ]
    totals = [sum(account.classes[split].values()) for split in splits]
    yield Table(
        f"{things.capitalize()} of each class of the target, after splitting",
        ("class", *splits),
        [*rows, ("all", *totals)],
    )
    yield Table(
        "What the class names of the data sets mean here",
        ("data set", "its name", things, "our class"),
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


def learning(curves: Curves | None, best_by: str) -> Iterator[Block]:
    """Yield the learning curves; `best_by` is what chose the epoch of a run on faces."""
    if curves is None or not len(curves["epoch"]):
        yield missing("Learning curves", CURVES)
        return
    kept = kept_epoch(curves, best_by)
    if kept is not None and is_of_texts(curves):
        yield Text(
            f"{len(curves['epoch'])} epochs, of all members one after another where there are "
            f"several. The averaged weights of epoch {kept} have the highest balanced accuracy on "
            f"validation, {curves['balanced_accuracy'][kept - 1]:.4f}; the best ones of each "
            "member are kept. The loss of training is that of texts with hidden words and of "
            "softened labels, so its curve does not compare with the other in height."
        )
    elif kept is not None:
        row = kept - 1
        why = (
            "lowest loss" if best_by == "loss" else "highest mean of accuracy and balanced accuracy"
        )
        yield Text(
            f"{len(curves['epoch'])} epochs. The averaged weights of epoch {kept} are kept: the "
            f"{why} on validation in the last phase, loss "
            f"{curves['ema_validation_loss'][row]:.4f}, accuracy "
            f"{curves['ema_validation_accuracy'][row]:.4f}, balanced accuracy "
            f"{curves['ema_validation_balanced_accuracy'][row]:.4f}. Training is measured on "
            "augmented pictures and with label smoothing, so its curve does not compare with the "
            "others in height."
        )
    drawn = panels(curves, best_by)
    yield Pictures(
        tuple(
            Picture(
                panel.title.capitalize(), _ends(panel), partial(figures.draw_curves, panel=panel)
            )
            for panel in drawn
        ),
        (
            Table(
                "learning curves",
                tuple(name.replace("_", " ").replace("ema", "averaged") for name in curves),
                [
                    tuple(
                        _cell(name, float(value)) for name, value in zip(curves, row, strict=True)
                    )
                    for row in zip(*curves.values(), strict=True)
                ],
            ),
        ),
    )


def export(found: Export | None, things: str = FACES) -> Iterator[Block]:
    """Yield how close the exported encoder is, and what its variants cost."""
    if found is None:
        yield missing("Export", EXPORT)
        return
    yield Text(
        f"The encoder gives {found.features:,} features and takes {_size(found.bytes)}. On "
        f"{found.compared} {things} it is at most {found.parity:.2g} away from the network."
    )
    if not found.variants:
        yield Missing("Variants of the encoder", "variants")
        return
    yield Table(
        f"Variants of the encoder, with time of one {things[:-1]} against fp32 in the same run",
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
    yield settings_table(f"Settings, from {CONFIG_FILE}", own)


def fingerprint(
    found: Mapping[str, JsonValue], account: DataAccount | None, things: str = FACES
) -> Iterator[Block]:
    """Yield the hashes of the data."""
    yield Text(f"SHA-256 of {HASHED[things]} as they were read.")
    hashes = flat({"all": value} if isinstance(value := found.get("data_sha256"), str) else value)
    if account is not None and things == FACES:
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


def settings_table(caption: str, found: Mapping[str, JsonValue]) -> Table:
    """Return settings as a table."""
    return Table(caption, ("setting", "value"), list(flat(dict(found)).items()))


def _ends(panel: figures.Panel) -> str:
    """Say where the curves of a panel begin and end."""
    lines = "; ".join(
        f"{line.label} from {line.values[0]:.4g} to {line.values[-1]:.4g}" for line in panel.lines
    )
    return f"Curves of {panel.title} over {len(panel.lines[0].epochs)} epochs: {lines}."


def _cell(name: str, value: float) -> Cell:
    """Return a value of a column of curves."""
    match name:
        case "epoch":
            return int(value)
        case "phase":
            return int(value) + 1
        case "learning_rate":
            return f"{value:.2e}"
        case _:
            return value


def _size(count: int) -> str:
    return f"{count / MEGABYTE:.1f} MB"
