"""Smaller number formats: what is measured, and which one may ship."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')

import xgboost  # noqa: E402

from training import cost  # noqa: E402
from training import variants as trying  # noqa: E402
from training.config import Config, Export, Network  # noqa: E402
from training.datasets.faces import Faces  # noqa: E402
from training.errors import ExportError, RunError  # noqa: E402
from training.export import open_encoder, to_onnx  # noqa: E402
from training.network import build  # noqa: E402
from training.progress import Progress  # noqa: E402
from training.variants import (  # noqa: E402
    Variant,
    choose,
    objection,
    shipped_encoder,
    try_variants,
)

NETWORK = Network(weights="none", input_size=32)
FP32 = Variant("fp32", 12, 0.85, 0.78, 1.0)
FP16 = Variant("fp16", 6, 0.85, 0.78, 1.1)
INT8 = Variant("int8", 4, 0.847, 0.77, 0.5)


def config(precision: trying.Precision) -> Config:
    return Config(network=NETWORK, export=Export(precision=precision))


@pytest.fixture(scope="module")
def exported(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with an encoder and a head."""
    run = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    network = build(NETWORK, class_count=7)
    network.reset_classifier(0)  # type: ignore[operator]
    (run / "encoder.onnx").write_bytes(to_onnx(network, 32))
    (run / "export.json").write_text('{"parity": 0.0, "logits": false}')
    features = open_encoder(run / "encoder.onnx", 32).encode(faces.images)
    booster = xgboost.train(
        {"objective": "multi:softprob", "num_class": 7, "max_depth": 2},
        xgboost.DMatrix(features, faces.labels),
        num_boost_round=3,
    )
    booster.save_model(run / "head.ubj")
    return run


@pytest.fixture
def run(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(trying, "REPEATS", 3)
    return Path(shutil.copytree(exported, tmp_path / "run"))


def attempt(run: Path, faces: Faces, precision: trying.Precision) -> list[Variant]:
    return try_variants(config(precision), run, faces, faces, progress=Progress())


def test_every_format_is_measured_and_reported(
    run: Path, faces: Faces, capsys: pytest.CaptureFixture[str]
) -> None:
    found = attempt(run, faces, "fp32")
    assert [variant.name for variant in found] == ["fp32", "fp16", "int8"]
    assert [variant.shipped for variant in found] == [True, False, False]
    assert found[0].time_ratio == 1
    assert found[0].batch_independent
    assert found[2].batch_independent
    assert found[2].bytes < found[1].bytes < found[0].bytes
    report = json.loads((run / "export.json").read_text())
    assert report["parity"] == 0
    wanted = {"name", "bytes", "accuracy", "balanced_accuracy", "time_ratio", "shipped", "note"}
    for entry in report["variants"]:
        assert wanted <= entry.keys()
        assert entry["note"]
    assert shipped_encoder(run) == run / "encoder.onnx"
    assert {path.name for path in run.iterdir()} == {"encoder.onnx", "export.json", "head.ubj"}
    assert capsys.readouterr().out == ""  # standard output is for results


def test_a_format_that_is_asked_for_is_kept_until_its_head_changes(
    run: Path, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "LARGEST_LOSS", 1.0)
    attempt(run, faces, "int8")
    path = shipped_encoder(run)
    assert path == run / "encoder.int8.onnx"
    assert open_encoder(path, 32).encode(faces.images).dtype == np.float32
    (run / "head.ubj").write_bytes(b"another head")
    with pytest.raises(RunError, match="judged with another encoder or head"):
        shipped_encoder(run)


def test_a_format_that_costs_accuracy_is_refused_with_the_figures(
    run: Path, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "LARGEST_LOSS", -1.0)
    with pytest.raises(ExportError, match=r'precision is "int8".*points; allowed are'):
        attempt(run, faces, "int8")
    assert {path.name for path in run.iterdir()} == {"encoder.onnx", "export.json", "head.ubj"}


def test_a_run_without_a_head_is_refused(tmp_path: Path, faces: Faces) -> None:
    with pytest.raises(RunError, match=r"head\.ubj is missing; run"):
        attempt(tmp_path, faces, "fp32")


def test_a_run_whose_formats_nobody_tried_ships_its_encoder(tmp_path: Path) -> None:
    assert shipped_encoder(tmp_path) == tmp_path / "encoder.onnx"


def test_a_format_may_ship_if_it_is_faster_and_keeps_the_accuracy() -> None:
    assert objection(INT8, FP32) == ""  # 0.3 points are allowed, to the last digit
    assert choose("auto", [FP32, FP16, INT8]) == "int8"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"accuracy": 0.8469}, "a loss of 0.31 points"),
        ({"time_ratio": 0.95}, "0.95 of the time"),
        ({"batch_independent": False}, "depend on the batch"),
    ],
)
def test_a_format_may_not_ship_otherwise(change: dict[str, float], why: str) -> None:
    worse = replace(INT8, **change)
    assert why in objection(worse, FP32)
    assert choose("auto", [FP32, FP16, worse]) == "fp32"


def test_a_slow_format_ships_only_if_it_is_asked_for() -> None:
    assert choose("auto", [FP32, FP16]) == "fp32"
    assert choose("fp16", [FP32, FP16]) == "fp16"
    assert choose("fp32", [FP32, INT8]) == "fp32"


def test_what_is_timed_takes_turns() -> None:
    calls: list[str] = []
    times = cost.interleaved(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=4
    )
    assert {name: len(found) for name, found in times.items()} == {"a": 4, "b": 4}
    pairs = [set(calls[at : at + 2]) for at in range(0, len(calls), 2)]
    assert all(pair == {"a", "b"} for pair in pairs)
