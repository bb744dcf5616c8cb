"""Pictures in one folder for each class.

`ROOT/SPLIT/CLASS/PICTURE`, with the splits `train`, `validation` and `test`, of which any may be
absent; or `ROOT/CLASS/PICTURE`, which is all training data.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from models.observation import EXPRESSIONS
from training.datasets.faces import SPLITS, Sample, Split
from training.errors import DataError

TITLE: Final = "folders of pictures"
TERMS: Final = "the user's own"
CLASSES: Final[Mapping[str, str | None]] = {name: name for name in EXPRESSIONS}


def samples(path: Path, split: Split) -> Iterator[Sample]:
    """Give the pictures of one split, by class and name. Hidden files are passed over.

    Raises:
        DataError: there is no such folder, or no picture in it.
    """
    if not path.is_dir():
        raise DataError(f"there is no folder {path}")
    divided = any((path / name).is_dir() for name in SPLITS)
    if split != "train" and not divided:
        return
    root = path / split if divided else path
    if split != "train" and not root.is_dir():
        return
    files = sorted(
        file
        for file in root.glob("*/*")
        if file.is_file() and not file.name.startswith(".") and not file.parent.name.startswith(".")
    )
    if not files:
        raise DataError(f"{root} holds no pictures; expected are folders named as the classes")
    for file in files:
        name = file.relative_to(path).as_posix()
        try:
            yield Sample(name, file.read_bytes(), file.parent.name)
        except OSError:
            yield Sample(name, None, file.parent.name)
