"""Model bundles: a folder with an encoder, a head, its calibration and a manifest.

A bundle is used only if every file has the hash that the manifest names and if classes, shapes
and schema agree; otherwise loading is refused with what does not fit.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import BundleError
from models.observation import EXPRESSIONS

__all__ = [
    "ALIGNED_LANDMARKS",
    "Bundle",
    "Calibration",
    "Manifest",
    "Preprocessing",
    "active_folder",
    "load_bundle",
    "write_manifest",
]

SCHEMA = 1
MANIFEST, ACTIVE, CARD = "manifest.json", "ACTIVE", "MODEL_CARD.md"
ENCODER, HEAD, CALIBRATION = "encoder.onnx", "head.ubj", "calibration.json"
FILES = (ENCODER, HEAD, CALIBRATION, CARD)
CLASSES = {"face": EXPRESSIONS}
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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Strict):
    """Size and hash of one file of a bundle."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=1)


class Preprocessing(_Strict):
    """How an aligned crop becomes the encoder's input: float32 NCHW, `(pixel - mean) / scale`."""

    colour: Literal["RGB"] = "RGB"
    mean: float = 127.5
    scale: float = Field(default=127.5, gt=0)
    landmarks: tuple[tuple[float, float], ...] = Field(
        default=ALIGNED_LANDMARKS, min_length=5, max_length=5
    )


class TrainingData(_Strict):
    """One data set that went into a bundle, with the terms under which it may be used."""

    name: str
    split: str
    items: int = Field(ge=1)
    terms: str


class Manifest(_Strict):
    """What a bundle says of itself."""

    schema_version: Literal[1] = 1
    name: Literal["face"]
    version: str = Field(pattern=VERSION)
    created: datetime
    architecture: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing = Preprocessing()
    input_size: int = Field(ge=16, le=1024)
    feature_count: int = Field(ge=1)
    training_data: tuple[TrainingData, ...] = Field(min_length=1)
    metrics: dict[str, Any]
    files: dict[str, FileEntry]


class Calibration(_Strict):
    """Temperature scaling: `softmax(log(p) / temperature)` (Guo et al. 2017)."""

    schema_version: Literal[1] = 1
    method: Literal["temperature"] = "temperature"
    temperature: float = Field(default=1.0, gt=0)


class Bundle(_Strict):
    """A checked bundle; every file in it has the hash of the manifest."""

    folder: Path
    manifest: Manifest
    calibration: Calibration

    @property
    def encoder(self) -> Path:
        """Path of the ONNX encoder."""
        return self.folder / ENCODER

    @property
    def head(self) -> Path:
        """Path of the XGBoost head in UBJ."""
        return self.folder / HEAD


def active_folder(path: Path) -> Path:
    """Return the folder of a version: `path` itself, or the one that its `ACTIVE` file names.

    Raises:
        BundleError: there is neither a manifest nor a usable `ACTIVE` file.
    """
    if (path / MANIFEST).is_file():
        return path
    try:
        version = (path / ACTIVE).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BundleError(f"{path} is no bundle: it has neither {MANIFEST} nor {ACTIVE}") from error
    folder = path / version
    if Path(version).name != version or not (folder / MANIFEST).is_file():
        found = sorted(child.parent.name for child in path.glob(f"*/{MANIFEST}"))
        raise BundleError(
            f"{path / ACTIVE} names {version!r}, which is no bundle there; "
            f"versions found: {', '.join(found) or 'none'}"
        )
    return folder


def load_bundle(path: Path) -> Bundle:
    """Load and check the bundle in `path` (a version, or a folder with `ACTIVE`).

    Raises:
        BundleError: something is missing, changed or does not agree; the message says which.
    """
    folder = active_folder(path)
    manifest = _read(folder / MANIFEST, Manifest)
    expected = CLASSES[manifest.name]
    if manifest.classes != expected:
        raise BundleError(
            f"{folder}: classes are {list(manifest.classes)}, expected are {list(expected)} "
            "in this order"
        )
    missing = [name for name in FILES if name not in manifest.files]
    if missing:
        raise BundleError(f"{folder}: the manifest does not list {', '.join(missing)}")
    for name, entry in manifest.files.items():
        _check_file(folder, name, entry)
    return Bundle(
        folder=folder,
        manifest=manifest,
        calibration=_read(folder / CALIBRATION, Calibration),
    )


def write_manifest(folder: Path, **fields: Any) -> Manifest:  # noqa: ANN401
    """Hash the files in `folder` and write the manifest with these `fields`.

    Raises:
        BundleError: a file is missing or a field does not fit the schema.
    """
    files = {}
    for name in FILES:
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{folder}: {name} is missing")
        files[name] = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
    try:
        manifest = Manifest(**fields, files=files)
    except ValidationError as error:
        raise BundleError(f"{folder}: {error}") from error
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(folder: Path, name: str, entry: FileEntry) -> None:
    path = folder / name
    if Path(name).name != name:
        raise BundleError(f"{folder}: the manifest names a file outside the bundle: {name!r}")
    if not path.is_file():
        raise BundleError(f"{folder}: {name} is missing")
    actual = file_sha256(path)
    if actual != entry.sha256:
        raise BundleError(
            f"{path} was changed: SHA-256 is {actual}, the manifest says {entry.sha256}"
        )


ModelT = TypeVar("ModelT", bound=BaseModel)


def _read(path: Path, model: type[ModelT]) -> ModelT:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        details = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'content'}: {item['msg']}"
            for item in error.errors(include_url=False)
        )
        raise BundleError(f"{path} does not fit schema {SCHEMA}: {details}") from error
