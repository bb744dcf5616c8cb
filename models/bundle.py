"""Model bundles: a folder with an encoder, a head, its calibration and a manifest.

There is one kind for faces and one for texts.

A bundle is used only if every file has the hash that the manifest names and if classes, shapes
and schema agree; otherwise loading is refused with what does not fit.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from models.errors import BundleError
from models.manifest import (
    ACTIVE,
    ALIGNED_LANDMARKS,
    CALIBRATION,
    CARD,
    CLASSES,
    ENCODER,
    HEAD,
    MANIFEST,
    OPTIONAL,
    REFERENCE,
    SCHEMA,
    TOKENIZER,
    VERSION,
    Calibration,
    FileEntry,
    Manifest,
    Preprocessing,
    Strict,
    TextManifest,
    TextPreprocessing,
    required_files,
)
from models.options import TextOptions
from models.reference import Reference

__all__ = [
    "ACTIVE",
    "ALIGNED_LANDMARKS",
    "CALIBRATION",
    "CARD",
    "ENCODER",
    "HEAD",
    "TOKENIZER",
    "VERSION",
    "AnyBundle",
    "Bundle",
    "Calibration",
    "Manifest",
    "Preprocessing",
    "TextBundle",
    "TextManifest",
    "TextPreprocessing",
    "active_folder",
    "kind_of",
    "load_bundle",
    "load_text_bundle",
    "text_folder",
    "write_manifest",
]

NO_TEXT: Final = "none"  # in place of a version


class AnyBundle(Strict):
    """A checked bundle; every file in it has the hash of the manifest."""

    folder: Path
    manifest: Manifest | TextManifest
    calibration: Calibration
    reference: Reference | None = None  # what a stream is held against, if the bundle has it

    @property
    def encoder(self) -> Path:
        """Path of the ONNX encoder."""
        return self.folder / ENCODER

    @property
    def head(self) -> Path:
        """Path of the XGBoost head in UBJ."""
        return self.folder / HEAD


class Bundle(AnyBundle):
    """A bundle for faces."""

    manifest: Manifest


class TextBundle(AnyBundle):
    """A bundle for texts."""

    manifest: TextManifest

    @property
    def tokenizer(self) -> Path:
        """Path of the tokenizer."""
        return self.folder / TOKENIZER


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


def text_folder(bundles: Path, options: TextOptions | None = None) -> Path | None:
    """Return where the text bundle in use is looked for; None where texts are not scored.

    Args:
        bundles: the folder of all bundles.
        options: which one; by default that of `ACTIVE`, if there is any.
    """
    version = (options or TextOptions()).bundle
    folder = bundles / "text"
    if version == NO_TEXT or not (version or folder.exists()):
        return None
    return folder / version


def kind_of(path: Path) -> str:
    """Return the name in the manifest of a bundle, such as `face`, without checking more.

    Raises:
        BundleError: there is no manifest, or no name in it.
    """
    file = active_folder(path) / MANIFEST
    try:
        return str(json.loads(file.read_bytes())["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{file} is no manifest: {error!r}") from error


def load_bundle(path: Path) -> Bundle:
    """Load and check the face bundle in `path` (a version, or a folder with `ACTIVE`).

    Raises:
        BundleError: something is missing, changed or does not agree; the message says which.
    """
    folder = active_folder(path)
    manifest = _read(folder / MANIFEST, Manifest)
    calibration = _checked(folder, manifest)
    reference = _reference(folder, manifest)
    return Bundle(folder=folder, manifest=manifest, calibration=calibration, reference=reference)


def load_text_bundle(path: Path) -> TextBundle:
    """Load and check the text bundle in `path`, as `load_bundle` does.

    Raises:
        BundleError: something is missing, changed or does not agree; the message says which.
    """
    folder = active_folder(path)
    manifest = _read(folder / MANIFEST, TextManifest)
    calibration = _checked(folder, manifest)
    reference = _reference(folder, manifest)
    return TextBundle(
        folder=folder, manifest=manifest, calibration=calibration, reference=reference
    )


def _checked(folder: Path, manifest: Manifest | TextManifest) -> Calibration:
    """Check what a manifest names, and return the calibration."""
    expected = CLASSES[manifest.name]
    if manifest.classes != expected:
        raise BundleError(
            f"{folder}: classes are {list(manifest.classes)}, expected are {list(expected)} "
            "in this order"
        )
    missing = [name for name in manifest.required if name not in manifest.files]
    if missing:
        raise BundleError(f"{folder}: the manifest does not list {', '.join(missing)}")
    for name, entry in manifest.files.items():
        _check_file(folder, name, entry)
    return _read(folder / CALIBRATION, Calibration)


def _reference(folder: Path, manifest: Manifest | TextManifest) -> Reference | None:
    if REFERENCE not in manifest.files:
        return None
    reference = _read(folder / REFERENCE, Reference)
    found = len(reference.classes), len(reference.centre)
    expected = len(manifest.classes), manifest.feature_count
    if found != expected:
        raise BundleError(
            f"{folder / REFERENCE} is for {found[0]} classes and {found[1]} features, the manifest "
            f"says {expected[0]} and {expected[1]}"
        )
    return reference


def write_manifest(folder: Path, **fields: Any) -> Manifest | TextManifest:  # noqa: ANN401
    """Hash the files in `folder` and write the manifest with these `fields`.

    Raises:
        BundleError: a file is missing or a field does not fit the schema.
    """
    kind = TextManifest if fields["name"] == "text" else Manifest
    wanted = required_files(fields["name"], fields.get("head", "xgboost"))
    also = [name for name in OPTIONAL if (folder / name).is_file()]
    files = {name: _entry(folder / name) for name in (*wanted, *also)}
    try:
        manifest = kind(**fields, files=files)
    except ValidationError as error:
        raise BundleError(f"{folder}: {error}") from error
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def _entry(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise BundleError(f"{path.parent}: {path.name} is missing")
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


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
