"""RAF-DB: aligned faces with one of seven expressions, read from one tar file.

Li, Deng and Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression
Recognition in the Wild", CVPR 2017. The data may be used for non-commercial research only; it is
read where the user keeps it and is never copied.
"""

import csv
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from training.datasets.faces import Sample, Split
from training.errors import DataError

TITLE: Final = "RAF-DB (single-label subset, aligned)"
TERMS: Final = "non-commercial research only (terms of the RAF-DB authors)"
CLASSES: Final[Mapping[str, str | None]] = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happiness",
    "5": "sadness",
    "6": "anger",
    "7": "neutral",
}


def samples(path: Path, split: Split) -> Iterator[Sample]:
    """Give the pictures of one split, in the order of its label file `{split}_labels.csv`.

    A picture that the label file names and the archive lacks comes without content. RAF-DB has no
    validation split.

    Raises:
        DataError: the file is missing, or does not hold what a RAF-DB tar holds.
    """
    if split == "validation":
        return
    table = f"{split}_labels.csv"
    content: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                inside = PurePosixPath(member.name)
                wanted = inside.name == table or split in inside.parts
                if wanted and (file := archive.extractfile(member)):
                    content[inside.name] = file.read()
        rows = list(csv.DictReader(io.StringIO(content[table].decode())))
        found = [Sample(row["image"], content.get(row["image"]), row["label"]) for row in rows]
    except KeyError as error:
        raise DataError(f"{path} does not hold RAF-DB's {split} split: no {error}") from error
    except (OSError, tarfile.TarError, ValueError) as error:
        raise DataError(f"{path} cannot be read as RAF-DB's tar file: {error}") from error
    yield from found
