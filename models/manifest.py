"""What stands in a bundle's manifest, and the names of its files."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.observation import EXPRESSIONS, SENTIMENTS
from models.options import TextCleaning

__all__ = [
    "ACTIVE",
    "ALIGNED_LANDMARKS",
    "CALIBRATION",
    "CARD",
    "CLASSES",
    "ENCODER",
    "HEAD",
    "MANIFEST",
    "OPTIONAL",
    "PREVIOUS",
    "REFERENCE",
    "SCHEMA",
    "TOKENIZER",
    "VERSION",
    "Calibration",
    "FileEntry",
    "Manifest",
    "Preprocessing",
    "Strict",
    "TextManifest",
    "TextPreprocessing",
    "required_files",
]

SCHEMA = 1
MANIFEST, CARD = "manifest.json", "MODEL_CARD.md"
ACTIVE, PREVIOUS = "ACTIVE", "PREVIOUS"
ENCODER, HEAD, CALIBRATION = "encoder.onnx", "head.ubj", "calibration.json"
TOKENIZER = "tokenizer.json"
REFERENCE = "reference.json"
OPTIONAL = (REFERENCE,)  # a bundle may have it, and then it is listed and hashed like the others
CLASSES = {"face": EXPRESSIONS, "text": SENTIMENTS}
VERSION = r"^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$"  # also the name of a folder

# Where the eyes, the nose and the mouth corners lie in RAF-DB's aligned crops, as shares of the
# side: medians of the detector's own landmarks over 280 training crops of 100 px.
ALIGNED_LANDMARKS = (
    (0.272, 0.332),
    (0.724, 0.335),
    (0.492, 0.562),
    (0.306, 0.741),
    (0.672, 0.745),
)


def required_files(name: str, head: str = "xgboost") -> tuple[str, ...]:
    """Return the files that a bundle of a kind, with a kind of head, must have."""
    trees = (HEAD,) if head == "xgboost" else ()
    tokenizer = (TOKENIZER,) if name == "text" else ()
    return (ENCODER, *trees, CALIBRATION, *tokenizer, CARD)


class Strict(BaseModel):
    """A part of a bundle: nothing unknown in it, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(Strict):
    """Size and hash of one file of a bundle."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=1)


class Preprocessing(Strict):
    """How an aligned crop becomes the encoder's input: float32 NCHW, `(pixel - mean) / scale`."""

    colour: Literal["RGB"] = "RGB"
    mean: float = 127.5
    scale: float = Field(default=127.5, gt=0)
    landmarks: tuple[tuple[float, float], ...] = Field(
        default=ALIGNED_LANDMARKS, min_length=5, max_length=5
    )


class TextPreprocessing(Strict):
    """How a text becomes the encoder's input: cleaned, and cut into word pieces."""

    cleaning: TextCleaning
    max_tokens: int = Field(ge=8, le=512)
    languages: tuple[str, ...] = ("en",)  # ISO 639-1 codes of what it was trained on


class TrainingData(Strict):
    """One data set that went into a bundle, with the terms under which it may be used."""

    name: str
    split: str
    items: int = Field(ge=1)
    terms: str


class _Manifest(Strict):
    schema_version: Literal[1] = 1
    version: str = Field(pattern=VERSION)
    created: datetime
    architecture: str
    classes: tuple[str, ...]
    feature_count: int = Field(ge=1)
    training_data: tuple[TrainingData, ...] = Field(min_length=1)
    metrics: dict[str, Any]
    files: dict[str, FileEntry]


class Manifest(_Manifest):
    """What a face bundle says of itself."""

    name: Literal["face"]
    preprocessing: Preprocessing = Preprocessing()
    input_size: int = Field(ge=16, le=1024)

    @property
    def required(self) -> tuple[str, ...]:
        """The files that it must have."""
        return required_files("face")


class TextManifest(_Manifest):
    """What a text bundle says of itself.

    With the head `softmax` the encoder gives the logits of the classes, and there are no trees.
    """

    name: Literal["text"]
    preprocessing: TextPreprocessing
    head: Literal["xgboost", "softmax"] = "xgboost"

    @property
    def required(self) -> tuple[str, ...]:
        """The files that it must have."""
        return required_files("text", self.head)


class Calibration(Strict):
    """Temperature scaling: `softmax(log(p) / temperature)` (Guo et al. 2017)."""

    schema_version: Literal[1] = 1
    method: Literal["temperature"] = "temperature"
    temperature: float = Field(default=1.0, gt=0)
