"""The stages from data sets to a bundle, through the command line."""

import json
from pathlib import Path

import pytest
from full_disk import fill_at
from tiny_rafdb import jpeg, write_tar
from typer.testing import CliRunner, Result

from models.bundle import load_bundle
from training.cli import app

torch = pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def options(tiny_tar: Path, tiny_config: Path, tmp_path: Path) -> list[object]:
    return ["--data", tiny_tar.parent, "--config", tiny_config, "--run", tmp_path / "run"]


def test_one_command_makes_a_bundle_that_loads_and_can_be_measured(
    options: list[object], tiny_tar: Path, tmp_path: Path
) -> None:
    out, run = tmp_path / "face" / "0.0.1", tmp_path / "run"
    made = invoke("run", *options, "--out", out, "--activate")
    assert made.exit_code == 0, made.output
    bundle = load_bundle(tmp_path / "face")  # through ACTIVE
    assert bundle.folder == out
    assert bundle.manifest.input_size == 32
    assert [entry.items for entry in bundle.manifest.training_data] == [70]
    card = (out / "MODEL_CARD.md").read_text()
    assert "non-commercial" in card
    assert "Art. 5(1)(f)" in card
    assert '"max_rounds": 5' in card
    assert {path.name for path in run.iterdir()} >= {
        *("settings.toml", "config.json", "data.json", "checkpoint.pt", "curves.csv", "curves.png"),
        *("encoder.onnx", "export.json", "validation.json", "head.ubj"),
        *("test.json", "test_predictions.npz", "report.html", "report.md"),
    }
    assert not list(run.rglob("*.part*"))

    measured = invoke("evaluate", "--bundle", tmp_path / "face", "--data", tiny_tar, "--json")
    assert measured.exit_code == 0, measured.output
    found = json.loads(measured.stdout)
    assert found == bundle.manifest.metrics["test"]
    assert found["n"] == 21
    assert sum(map(sum, found["confusion"])) == 21

    again = invoke("run", *options, "--out", out)
    assert again.exit_code == 2
    assert "a version never changes" in again.output

    before = (run / "encoder.onnx").stat().st_mtime_ns
    second = invoke("run", *options, "--out", tmp_path / "face" / "0.0.2")
    assert second.exit_code == 0, second.output
    assert (run / "encoder.onnx").stat().st_mtime_ns == before
    assert load_bundle(tmp_path / "face").manifest.version == "0.0.1"  # not asked to activate

    compared = invoke("compare", run, run, "--out", tmp_path / "both.html")
    assert compared.exit_code == 0, compared.output
    assert (tmp_path / "both.html").is_file()


def test_a_stage_names_the_one_that_it_needs(options: list[object], tmp_path: Path) -> None:
    for command, needed in (("export", "finetune"), ("heads", "export"), ("bundle", "heads")):
        result = invoke(command, *options)
        assert result.exit_code == 2
        assert f"python -m training {needed}" in result.output
    assert not (tmp_path / "run" / "face").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("batch_size = 8", "batch_size = 4"), "finetuning.batch_size: 8 there, 4 now"),
        (("seed = 20", "seed = 21"), "data.seed: 20 there, 21 now"),
    ],
)
def test_a_changed_setting_is_refused(
    options: list[object], tiny_config: Path, change: tuple[str, str], said: str
) -> None:
    tiny_config.write_text(tiny_config.read_text().replace("[data]", "[data]\nseed = 20"))
    assert invoke("finetune", *options).exit_code == 0
    tiny_config.write_text(tiny_config.read_text().replace(*change))
    result = invoke("finetune", *options)
    assert result.exit_code == 2
    assert said in result.output


def test_a_folder_that_is_no_version_is_refused_before_anything_starts(
    options: list[object], tmp_path: Path
) -> None:
    result = invoke("run", *options, "--out", tmp_path / "my bundle")
    assert result.exit_code == 2
    assert "'my bundle' is no version" in result.output
    assert not (tmp_path / "run").exists()


def test_data_without_a_test_split_is_refused_before_anything_is_learnt(
    options: list[object], tiny_tar: Path, tmp_path: Path
) -> None:
    write_tar(tiny_tar, {"train": 3, "test": 0})
    result = invoke("run", *options)
    assert result.exit_code == 2
    assert "'tiny', the first one, has no test split" in result.output
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_further_data_are_judged_where_they_have_a_test_split(
    options: list[object], tiny_config: Path, tmp_path: Path
) -> None:
    for split, label in (("train", 0), ("train", 1), ("test", 2), ("test", 3)):
        folder = tmp_path / "mine" / split / ("joy" if label % 2 else "fear")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{label}.jpg").write_bytes(jpeg(label, label))
    (tmp_path / "a.jpg").write_bytes(jpeg(0, 9))
    (tmp_path / "table.csv").write_text("image,label\na.jpg,anger\n")
    with tiny_config.open("a") as file:
        file.write(
            '[export]\nremark = "Seen by nobody."\n'
            '[[data.sources]]\nname = "mine"\nformat = "folder"\npath = "mine"\n'
            'classes = { joy = "happiness" }\n'
            '[[data.sources]]\nname = "table"\nformat = "csv"\npath = "table.csv"\n'
        )
    result = invoke("run", *options, "--out", tmp_path / "face" / "1.0.0")
    assert result.exit_code == 0, result.output
    metrics = load_bundle(tmp_path / "face" / "1.0.0").manifest.metrics
    assert metrics["also"].keys() == {"mine"}
    assert metrics["also"]["mine"]["n"] == 2
    card = (tmp_path / "face" / "1.0.0" / "MODEL_CARD.md").read_text()
    assert "| mine, test split | 2 |" in card
    assert "learnt from. Seen by nobody.\n" in card


def test_a_class_option_without_a_meaning_is_refused(tiny_tar: Path) -> None:
    result = invoke("evaluate", "--bundle", "models/face", "--data", tiny_tar, "--class", "joy")
    assert result.exit_code == 2
    assert "--class 'joy' is not NAME=EXPRESSION" in result.output


def test_a_full_disk_leaves_no_half_bundle(
    options: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in ("finetune", "export", "heads"):
        assert invoke(stage, *options).exit_code == 0
    fill_at("head.ubj", monkeypatch)
    result = invoke("bundle", *options, "--out", tmp_path / "face" / "1")
    assert result.exit_code == 2
    assert "No space left on device" in result.output
    assert list((tmp_path / "face").iterdir()) == []


def test_a_data_set_that_nothing_knows_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"what is this")
    result = invoke("evaluate", "--bundle", "models/face", "--data", tmp_path / "x.bin")
    assert result.exit_code == 2
    assert "x.bin" in result.output
