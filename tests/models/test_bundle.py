from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_files import edit, rehash

from models.bundle import Bundle, load_bundle, write_manifest
from models.encoder import Encoder
from models.errors import BundleError
from models.head import Head


@pytest.fixture
def copy(bundle: Bundle, tmp_path: Path) -> Path:
    """Return a copy of the bundle, with its ACTIVE file."""
    folder = tmp_path / "face" / bundle.manifest.version
    shutil.copytree(bundle.folder, folder)
    (tmp_path / "face" / "ACTIVE").write_text(bundle.manifest.version + "\n")
    return folder


def test_a_bundle_is_found_by_its_version_and_by_active(copy: Path) -> None:
    assert load_bundle(copy).manifest == load_bundle(copy.parent).manifest
    assert load_bundle(copy.parent).folder == copy


@pytest.mark.parametrize("name", ["encoder.onnx", "head.ubj", "calibration.json", "MODEL_CARD.md"])
def test_a_changed_file_is_refused_with_both_hashes(copy: Path, name: str) -> None:
    with (copy / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match=rf"{name} was changed: SHA-256 is \w{{64}}, "):
        load_bundle(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "head.ubj").unlink()
    with pytest.raises(BundleError, match=r"head.ubj is missing"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["classes"].reverse(), "classes are"),
        (lambda m: m.update(schema_version=2), "schema_version"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m.pop("training_data"), "training_data"),
        (lambda m: m["files"].pop("head.ubj"), r"does not list head.ubj"),
        (
            lambda m: m["files"].update({"../x": {"sha256": "0" * 64, "bytes": 1}}),
            "outside the bundle",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    copy: Path, change: Callable[[dict], object], message: str
) -> None:
    edit(copy, change)
    with pytest.raises(BundleError, match=message):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("input_size", 64, r"the manifest says \(n, \*\[3, 64, 64\]\)"),
        ("feature_count", 12, r"the manifest says \(n, \*\[12\]\)"),
    ],
)
def test_an_encoder_of_another_shape_is_refused(
    copy: Path, field: str, value: int, message: str
) -> None:
    edit(copy, lambda manifest: manifest["files"].pop("reference.json"))
    edit(copy, lambda manifest: manifest.update({field: value}))
    with pytest.raises(BundleError, match=message):
        Encoder.of(load_bundle(copy))


def test_a_head_for_other_features_is_refused(copy: Path) -> None:
    edit(copy, lambda manifest: manifest["files"].pop("reference.json"))
    edit(copy, lambda manifest: manifest.update(feature_count=12))
    with pytest.raises(BundleError, match="features, the manifest says 12"):
        Head(load_bundle(copy))


@pytest.mark.parametrize(
    ("name", "opened", "message"),
    [("encoder.onnx", Encoder.of, "no model"), ("head.ubj", Head, "no XGBoost model")],
)
def test_files_that_are_no_models_are_refused(
    copy: Path, name: str, opened: Callable[[Bundle], object], message: str
) -> None:
    (copy / name).write_bytes(b"no model")
    rehash(copy)
    with pytest.raises(BundleError, match=message):
        opened(load_bundle(copy))


def test_a_calibration_that_does_not_fit_is_refused(copy: Path) -> None:
    (copy / "calibration.json").write_text('{"temperature": -1}')
    rehash(copy)
    with pytest.raises(BundleError, match="temperature"):
        load_bundle(copy)


def test_an_active_file_that_names_nothing_tells_what_there_is(copy: Path) -> None:
    (copy.parent / "ACTIVE").write_text("../elsewhere")
    with pytest.raises(BundleError, match=f"no bundle there; versions found: {copy.name}"):
        load_bundle(copy.parent)


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"neither manifest.json nor ACTIVE"):
        load_bundle(tmp_path)


def test_no_manifest_is_written_for_half_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"encoder.onnx is missing"):
        write_manifest(tmp_path, name="face")
