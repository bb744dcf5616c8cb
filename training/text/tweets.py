"""Texts with labels: a folder with a tab-separated file for each split."""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.cleaning import clean_text
from models.observation import SENTIMENTS
from models.options import TextCleaning
from training.datasets.split import stratified_split
from training.errors import DataError
from training.text.config import Data
from training.text.written import written

__all__ = ["SPLITS", "Texts", "read_split", "without_known"]

SPLITS: Final = ("train", "val", "test")
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True)
class Texts:
    """Texts and their labels.

    Attributes:
        raw: as they were written.
        cleaned: as the tokenizer gets them.
        labels: int64 [n], places in SENTIMENTS.
        dropped: how many were left out because nothing was left of them.
    """

    raw: tuple[str, ...]
    cleaned: tuple[str, ...]
    labels: NDArray[np.int64]
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Iterable[int]) -> "Texts":
        """Return some of them, in the order of `rows`."""
        rows = list(rows)
        return Texts(
            tuple(self.raw[row] for row in rows),
            tuple(self.cleaned[row] for row in rows),
            self.labels[rows],
            self.dropped,
        )

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each class."""
        counts = np.bincount(self.labels, minlength=len(SENTIMENTS))
        return dict(zip(SENTIMENTS, counts.tolist(), strict=True))

    @property
    def sha256(self) -> str:
        """A hash of texts and labels, which tells whether data changed."""
        digest = hashlib.sha256(self.labels.tobytes())
        for text in self.raw:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()


def read_split(settings: Data, cleaning: TextCleaning, root: Path, split: str) -> Texts:
    """Read one split and clean its texts.

    Raises:
        DataError: the file is missing or is none of this kind, a label is unknown, or a class is
            absent; the message names file and line.
    """
    if settings.format == "written":
        where, rows = f"{settings.name}, {split}", list(written(split))
    else:
        path = root / settings.path / f"{split}.tsv"
        where, rows = str(path), [(label, _as_written(text)) for label, text in _rows(path)]
    cleaned = [clean_text(text, cleaning).text for _, text in rows]
    kept = [row for row, text in enumerate(cleaned) if text]
    texts = Texts(
        tuple(rows[row][1] for row in kept),
        tuple(cleaned[row] for row in kept),
        np.array([SENTIMENTS.index(rows[row][0]) for row in kept], np.int64),
        len(rows) - len(kept),
    )
    if missing := [name for name, count in texts.counts.items() if not count]:
        raise DataError(f"{where}: there is no text of {', '.join(missing)}")
    if 0 < settings.at_most < len(texts):
        _, taken = stratified_split(texts.labels, settings.at_most / len(texts), settings.seed)
        texts = texts.take(taken)
    return texts


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line of a file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            heading = next(rows, None)
            if heading != ["label", "text"]:
                raise DataError(f"{path}: the first line is {heading}, not label TAB text")
            for number, row in enumerate(rows, start=2):
                if len(row) != 2:
                    raise DataError(f"{path}, line {number}: {len(row)} columns, not 2")
                if row[0] not in SENTIMENTS:
                    raise DataError(
                        f"{path}, line {number}: the label {row[0]!r} is none of "
                        f"{', '.join(SENTIMENTS)}"
                    )
                yield row[0], row[1]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _as_written(text: str) -> str:
    """Undo what exporters did to a text: quotes of CSV around and in it, escapes of JSON."""
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        text = text[1:-1].replace('\\""', '"').replace('""', '"')
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


def without_known(texts: Texts, others: Sequence[Texts]) -> Texts:
    """Leave out the texts that, once cleaned and in lower case, also stand in other splits."""
    known = {text.lower() for other in others for text in other.cleaned}
    return texts.take(row for row, text in enumerate(texts.cleaned) if text.lower() not in known)
