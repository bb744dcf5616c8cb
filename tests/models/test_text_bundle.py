"""Text bundles: which are taken, and why others are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tokenizers
from bundle_files import edit, rehash
from onnx import TensorProto, helper, numpy_helper
from text_bundles import LIGHT, TINY
from tokenizers import processors

from models.bundle import kind_of, load_bundle, load_text_bundle, text_folder
from models.errors import BundleError
from models.options import TextOptions
from models.scorer import Scorer
from models.text_encoder import TextEncoder
from models.texts import TextScorer

FILES = ["encoder.onnx", "head.ubj", "calibration.json", "tokenizer.json", "MODEL_CARD.md"]


@pytest.fixture(params=[TINY, LIGHT])
def copy(request: pytest.FixtureRequest, bundles: Path, tmp_path: Path) -> Path:
    """Return a copy of a text bundle that may be spoilt."""
    folder = tmp_path / "text" / request.param
    shutil.copytree(bundles / "text" / request.param, folder)
    return folder


@pytest.fixture
def tiny(bundles: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundles / "text" / TINY, tmp_path / "tiny"))


def write_encoder(folder: Path, name: str, width: int, *, rows: int = 30) -> None:
    """Replace the encoder by one with another input, width or number of word pieces."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", name], ["rows"]),
            helper.make_node("ReduceSum", ["rows", "axis"], ["features"], keepdims=0),
        ],
        "encoder",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width])],
        [
            numpy_helper.from_array(np.ones((rows, width), np.float32), "table"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(
        helper.make_model(graph, opset_imports=[opset], ir_version=9), folder / "encoder.onnx"
    )
    rehash(folder)


def test_a_bundle_is_found_by_its_version_by_active_and_by_the_settings(bundles: Path) -> None:
    texts = bundles / "text"
    assert load_text_bundle(texts).folder == texts / TINY
    assert load_text_bundle(texts / LIGHT).manifest.head == "softmax"
    assert kind_of(texts) == "text"
    assert kind_of(bundles / "face") == "face"
    assert text_folder(bundles) == texts
    assert text_folder(bundles, TextOptions(bundle=LIGHT)) == texts / LIGHT
    assert text_folder(bundles, TextOptions(bundle="none")) is None


@pytest.mark.parametrize(
    ("version", "expected"), [("", TINY), (LIGHT, LIGHT), (TINY, TINY), ("none", None)]
)
def test_the_setting_chooses_what_scores_texts(
    bundles: Path, version: str, expected: str | None
) -> None:
    scorer = Scorer.from_folder(bundles, text=TextOptions(bundle=version))
    assert scorer.versions["text"] == expected


def test_a_version_that_is_not_there_is_refused(bundles: Path) -> None:
    with pytest.raises(BundleError, match=r"text/heavy-9 is no bundle"):
        Scorer.from_folder(bundles, text=TextOptions(bundle="heavy-9"))


def test_without_a_folder_of_texts_none_are_scored(bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "face").symlink_to(bundles / "face")
    assert text_folder(tmp_path) is None
    assert Scorer.from_folder(tmp_path).versions["text"] is None


@pytest.mark.parametrize("name", FILES)
def test_a_changed_or_missing_file_is_named(copy: Path, name: str) -> None:
    if not (copy / name).exists():
        assert load_text_bundle(copy).manifest.head == "softmax"
        return
    with (copy / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match=rf"{name} was changed: SHA-256 is \w{{64}}, "):
        load_text_bundle(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=rf"{name} is missing"):
        load_text_bundle(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["classes"].reverse(), "classes are"),
        (lambda m: m.update(name="face"), "name"),
        (lambda m: m.update(schema_version=2), "schema_version"),
        (lambda m: m.update(head="tree"), "head"),
        (lambda m: m["preprocessing"].update(max_tokens=4), r"preprocessing.max_tokens"),
        (lambda m: m["preprocessing"]["cleaning"].update(emoji="gone"), r"cleaning.emoji"),
        (lambda m: m["preprocessing"]["cleaning"].update(more=1), r"cleaning.more"),
        (lambda m: m.update(input_size=112), "input_size"),
        (lambda m: m["files"].pop("tokenizer.json"), r"does not list tokenizer.json"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    copy: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(copy, change)
    with pytest.raises(BundleError, match=message):
        load_text_bundle(copy)


def test_a_head_of_trees_has_to_be_there(bundles: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundles / "text" / LIGHT, tmp_path / "light"))
    edit(folder, lambda manifest: manifest.update(head="xgboost"))
    with pytest.raises(BundleError, match=r"does not list head.ubj"):
        load_text_bundle(folder)


def test_a_bundle_of_the_other_kind_is_refused(bundles: Path) -> None:
    with pytest.raises(BundleError, match="name"):
        load_text_bundle(bundles / "face")
    with pytest.raises(BundleError, match="name"):
        load_bundle(bundles / "text")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder.onnx", "no model that ONNX Runtime can open"),
        ("head.ubj", "no XGBoost model"),
        ("tokenizer.json", "no tokenizer"),
    ],
)
def test_files_that_are_no_models_are_refused(tiny: Path, name: str, message: str) -> None:
    (tiny / name).write_bytes(b"no model")
    rehash(tiny)
    with pytest.raises(BundleError, match=message):
        TextScorer(load_text_bundle(tiny))


def test_an_encoder_with_other_inputs_is_refused(tiny: Path) -> None:
    write_encoder(tiny, "input", 8)
    with pytest.raises(BundleError, match=r"the inputs are \['input'\], not ids and mask"):
        TextScorer(load_text_bundle(tiny))


def test_an_encoder_of_another_width_is_refused(tiny: Path) -> None:
    write_encoder(tiny, "ids", 5)
    with pytest.raises(BundleError, match=r"output is \(n, \*\[5\]\), the manifest says \(n, 8\)"):
        TextScorer(load_text_bundle(tiny))


def test_an_encoder_with_too_few_word_pieces_is_refused(tiny: Path) -> None:
    write_encoder(tiny, "ids", 8, rows=10)
    with pytest.raises(BundleError, match=r"cannot take the numbers of the tokenizer, 0 to 29"):
        TextScorer(load_text_bundle(tiny))


def test_a_head_for_other_features_is_refused(tiny: Path) -> None:
    write_encoder(tiny, "ids", 5)
    edit(tiny, lambda manifest: manifest.update(feature_count=5))
    with pytest.raises(BundleError, match="takes 8 features, the manifest says 5"):
        TextScorer(load_text_bundle(tiny))


def test_logits_have_to_be_as_many_as_classes(bundles: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundles / "text" / LIGHT, tmp_path / "light"))
    write_encoder(folder, "ids", 4)
    edit(folder, lambda manifest: manifest.update(feature_count=4))
    with pytest.raises(BundleError, match="softmax takes 3 logits, the encoder gives 4"):
        TextScorer(load_text_bundle(folder))


def test_a_tokenizer_without_marks_is_refused(tiny: Path) -> None:
    path = tiny / "tokenizer.json"
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    tokenizer.save(str(path))
    rehash(tiny)
    with pytest.raises(BundleError, match="adds no marks"):
        TextScorer(load_text_bundle(tiny))


def test_an_encoder_tells_whether_it_has_to_know_the_filling(bundles: Path) -> None:
    assert TextEncoder(bundles / "text" / TINY / "encoder.onnx", 8).masked
    assert not TextEncoder(bundles / "text" / LIGHT / "encoder.onnx", 3).masked


def test_half_a_text_bundle_gets_no_manifest(tiny: Path) -> None:
    (tiny / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"tokenizer.json is missing"):
        rehash(tiny)
