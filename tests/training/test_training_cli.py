"""The stages from a tar file to a bundle, through the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from models.bundle import load_bundle
from models.head import calibrate
from training.cli import app

torch = pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def options(tiny_tar: Path, tiny_config: Path, tmp_path: Path) -> list[object]:
    return ["--data", tiny_tar, "--config", tiny_config, "--run", tmp_path / "run"]


def test_one_command_makes_a_bundle_that_loads_and_can_be_measured(
    options: list[object], tiny_tar: Path, tmp_path: Path
) -> None:
    out = tmp_path / "face" / "0.0.1"
    made = invoke("face", *options, "--out", out)
    assert made.exit_code == 0, made.output
    bundle = load_bundle(tmp_path / "face")  # through ACTIVE
    assert bundle.folder == out
    assert bundle.manifest.input_size == 32
    assert [entry.items for entry in bundle.manifest.training_data] == [70]
    card = (out / "MODEL_CARD.md").read_text()
    assert "non-commercial" in card
    assert "Art. 5(1)(f)" in card

    measured = invoke("evaluate", "--bundle", tmp_path / "face", "--data", tiny_tar, "--json")
    assert measured.exit_code == 0, measured.output
    found = json.loads(measured.stdout)
    assert found == bundle.manifest.metrics["test"]
    assert found["n"] == 21
    assert sum(map(sum, found["confusion"])) == 21

    again = invoke("face", *options, "--out", out)
    assert again.exit_code == 2
    assert "a version never changes" in again.output

    before = (tmp_path / "run" / "encoder.onnx").stat().st_mtime_ns
    second = invoke("face", *options, "--out", tmp_path / "face" / "0.0.2")
    assert second.exit_code == 0, second.output
    assert (tmp_path / "run" / "encoder.onnx").stat().st_mtime_ns == before
    assert load_bundle(tmp_path / "face").manifest.version == "0.0.2"


def test_a_stage_names_the_one_that_it_needs(options: list[object], tmp_path: Path) -> None:
    for command, needed in (("export", "finetune"), ("head", "export")):
        result = invoke(command, *options)
        assert result.exit_code == 2
        assert f"python -m training {needed}" in result.output
    result = invoke("bundle", *options, "--out", tmp_path / "face" / "1")
    assert result.exit_code == 2
    assert "python -m training head" in result.output


def test_a_changed_setting_is_refused(
    options: list[object], tiny_config: Path, tmp_path: Path
) -> None:
    invoke("head", *options)  # fails for want of an encoder, but starts the run
    tiny_config.write_text(tiny_config.read_text().replace("batch_size = 8", "batch_size = 4"))
    result = invoke("finetune", *options)
    assert result.exit_code == 2
    assert "finetuning.batch_size: 8 there, 4 now" in result.output


def test_the_fitted_temperature_undoes_an_overconfident_head() -> None:
    from training.heads import fit_temperature

    rng = np.random.default_rng(3)
    honest = rng.dirichlet(np.ones(7) * 0.5, 20_000)
    labels = (honest.cumsum(1) > rng.random((20_000, 1))).argmax(1)
    overconfident = calibrate(honest, 0.5)
    assert fit_temperature(overconfident, labels) == pytest.approx(2, rel=0.05)
