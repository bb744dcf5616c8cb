"""Pictures named by a CSV file with the columns `image` and `label`, and perhaps `split`.

Paths are relative to the file's own folder. Without `split` everything is training data; with it,
each row says `train`, `validation` or `test`.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from models.observation import EXPRESSIONS
from training.datasets.faces import SPLITS, Sample, Split
from training.errors import DataError

TITLE: Final = "a table of pictures"
TERMS: Final = "the user's own"
CLASSES: Final[Mapping[str, str | None]] = {name: name for name in EXPRESSIONS}


def samples(path: Path, split: Split) -> Iterator[Sample]:
    """Give the pictures of one split, in the order of the table; missing ones without content.

    Raises:
        DataError: the table cannot be read, lacks a column, or names an unknown split.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = {"image", "label"} - set(table.fieldnames or ())
            if missing:
                raise DataError(f"{path} has no column {', '.join(sorted(missing))}")
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from error
    for line, row in enumerate(rows, start=2):
        own = row.get("split") or "train"
        if own not in SPLITS:
            raise DataError(f"{path}, line {line}: split is {own!r}, not one of {list(SPLITS)}")
        name = row["image"] or ""  # a row may be cut short
        if own == split:
            yield Sample(name, _read(path.parent / name), (row["label"] or "").strip())


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
