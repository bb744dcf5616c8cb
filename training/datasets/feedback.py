"""Corrections by people, exported from Kafka: JSON Lines, one correction a line.

A record carries the features that the head saw, so that a head can be fitted again without keeping
anyone's picture. A picture is in it only where its owner agreed to that.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from models.observation import EXPRESSIONS
from training.datasets.faces import Sample, Split
from training.errors import DataError

TITLE: Final = "corrections by people"
TERMS: Final = "the user's own"
CLASSES: Final[Mapping[str, str | None]] = {name: name for name in EXPRESSIONS}


class Correction(BaseModel):
    """One line of the file.

    Attributes:
        schema_version: 1.
        id: the event's id.
        face: the index of the face in the event's prediction, from 0.
        time: when the correction was made, with its time zone.
        bundle: name and version of the bundle that predicted, such as `face/1.0.0`.
        predicted: the class that it gave.
        label: the class that a person says is right.
        features: the face's features as that bundle's encoder gave them.
        note: free text.
        picture: the aligned crop as an encoded picture in base64, with consent only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str = Field(min_length=1)
    face: int = Field(ge=0)
    time: AwareDatetime
    bundle: str = Field(pattern=r"^face/.+$")
    predicted: str
    label: str
    features: tuple[float, ...] = Field(min_length=1)
    note: str = ""
    picture: str | None = None


def corrections(path: Path) -> Iterator[Correction]:
    """Give the corrections of a file, in its order.

    Raises:
        DataError: the file cannot be read, or a line is not as above; the message names the line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _parse(line, f"{path}, line {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the corrections {path}: {error}") from error


def samples(path: Path, split: Split) -> Iterator[Sample]:
    """Give the corrections as training data; one without a picture comes without content.

    Raises:
        DataError: as `corrections`, or a picture is not base64.
    """
    if split != "train":
        return
    for entry in corrections(path):
        name = f"{entry.id}#{entry.face}"
        try:
            picture = base64.b64decode(entry.picture, validate=True) if entry.picture else None
        except binascii.Error as error:
            raise DataError(f"{path}: the picture of {name} is not base64: {error}") from error
        yield Sample(name, picture, entry.label)


def _parse(line: str, place: str) -> Correction:
    try:
        return Correction.model_validate_json(line)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'line'}: {item['msg']}" for item in error.errors()
        )
        raise DataError(f"{place}: {wrong}") from error
