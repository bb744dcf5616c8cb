"""FER+: small grey faces of FER2013 with the votes of ten people.

Barsoum, Zhang, Canton Ferrer and Zhang, "Training Deep Networks for Facial Expression Recognition
with Crowd-Sourced Label Distribution", ICMI 2016. Pictures: `NAME.npz` with `images` (uint8
[n, 48, 48]) and `names` [n]. Votes: `NAME_labels.csv` beside it, with the columns `image`, `usage`
(Training, PublicTest, PrivateTest) and one for each class and for `unknown` and `NF` (no face).
"""

import csv
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from training.datasets.faces import Sample, Split
from training.errors import DataError

TITLE: Final = "FER+"
TERMS: Final = "research only (terms of FER2013; the votes are Microsoft's, MIT)"
CLASSES: Final[Mapping[str, str | None]] = {
    "surprise": "surprise",
    "fear": "fear",
    "disgust": "disgust",
    "happiness": "happiness",
    "sadness": "sadness",
    "anger": "anger",
    "neutral": "neutral",
    # Not among our classes: a face that most people called one of these is left out.
    "contempt": None,
    "unknown": None,
    "NF": None,
}
USAGE: Final[Mapping[Split, str]] = {
    "train": "Training",
    "validation": "PublicTest",
    "test": "PrivateTest",
}


def samples(path: Path, split: Split) -> Iterator[Sample]:
    """Give the faces of one split with the shares of their votes, in the order of the table.

    Raises:
        DataError: pictures or votes are missing or do not fit together.
    """
    table = path.with_name(f"{path.stem}_labels.csv")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = arrays["images"]
            place = {str(name): index for index, name in enumerate(arrays["names"])}
        with table.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["usage"] == USAGE[split]]
        found = [
            Sample(
                row["image"],
                images[place[row["image"]]] if row["image"] in place else None,
                {name: int(row[name]) for name in CLASSES if int(row[name])},
            )
            for row in rows
        ]
    except KeyError as error:
        raise DataError(f"{path} and {table.name} do not hold FER+: no {error}") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} and {table.name} cannot be read as FER+: {error}") from error
    yield from found
