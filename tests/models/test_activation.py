"""Which version is in use, and the way back."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from bundle_versions import FACE, add_version, own_bundles
from onnx import numpy_helper
from text_bundles import LIGHT, TINY

from models.activation import Listed, activate, list_versions, name_active, rollback, verify
from models.bundle import load_bundle, write_manifest
from models.errors import BundleError


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return bundles that this test may change."""
    return own_bundles(tmp_path)


def test_versions_are_listed_with_the_one_in_use_and_the_one_before(own: Path) -> None:
    assert activate(own, "text", LIGHT) == TINY
    assert list_versions(own) == [
        Listed("face", FACE, active=True, previous=False),
        Listed("text", LIGHT, active=True, previous=False),
        Listed("text", TINY, active=False, previous=True),
    ]


def test_a_rollback_goes_back_and_forth(own: Path) -> None:
    with pytest.raises(BundleError, match="knows no version before 'tiny-1'"):
        rollback(own, "text")
    activate(own, "text", LIGHT)
    activate(own, "text", LIGHT)  # again: the way back is not lost
    assert rollback(own, "text") == (LIGHT, TINY)
    assert rollback(own, "text") == (TINY, LIGHT)
    assert [one.name for one in (own / "text").iterdir() if one.name.startswith(".")] == []


def test_what_is_broken_is_not_activated(own: Path) -> None:
    folder = add_version(own / "face", FACE, "broken")
    (folder / "encoder.onnx").write_bytes(b"no model")
    with pytest.raises(BundleError, match=r"encoder.onnx was changed"):
        activate(own, "face", "broken")
    with pytest.raises(BundleError, match="there is no face bundle '9'"):
        activate(own, "face", "9")
    with pytest.raises(BundleError, match="no name of a version"):
        activate(own, "face", "../face")
    assert (own / "face" / "ACTIVE").read_text() == f"{FACE}\n"
    assert not (own / "face" / "PREVIOUS").exists()


def test_a_way_back_to_what_is_broken_is_closed(own: Path) -> None:
    activate(own, "text", LIGHT)
    (own / "text" / TINY / "head.ubj").unlink()
    with pytest.raises(BundleError, match=r"head.ubj is missing"):
        rollback(own, "text")
    assert (own / "text" / "ACTIVE").read_text() == f"{LIGHT}\n"


def test_a_face_encoder_that_gives_no_numbers_is_refused(own: Path) -> None:
    folder = own / "face" / FACE
    model = onnx.load(folder / "encoder.onnx")
    poisoned = 0
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == "float32":
            tensor.CopyFrom(numpy_helper.from_array(values * float("nan"), tensor.name))
            poisoned += 1
    assert poisoned
    onnx.save(model, folder / "encoder.onnx")
    manifest = load_fields(folder)
    write_manifest(folder, **manifest)
    with pytest.raises(BundleError, match="gives what is no number"):
        verify("face", folder)


def load_fields(folder: Path) -> dict[str, object]:
    """Return what the manifest says but for the files."""
    fields: dict[str, object] = json.loads((folder / "manifest.json").read_text())
    del fields["files"]
    return fields


def test_a_folder_that_cannot_be_written_is_told(own: Path) -> None:
    (own / "face" / "PREVIOUS").mkdir()
    (own / "face" / "PREVIOUS" / "x").touch()
    with pytest.raises(BundleError, match=r"cannot be (written|read)"):
        name_active(own / "face", "other")
    assert load_bundle(own / "face").manifest.version == FACE
