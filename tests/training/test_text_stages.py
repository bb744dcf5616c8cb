"""The stages from texts to bundles, through the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disk import fill_at
from typer.testing import CliRunner, Result

pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')
pytest.importorskip("transformers", reason='needs transformers: pip install "sentistream[train]"')

from tiny_text import write_config, write_splits, write_weights

from models.bundle import load_text_bundle
from models.errors import ContentError
from models.texts import TextScorer
from training.cli import app
from training.text.written import written


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class World:
    """Data, settings and the run that is made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = write_splits(folder / "tweets")
        self.config = write_config(folder / "tiny.toml", write_weights(folder / "weights"))
        self.run = folder / "run"
        self.out = folder / "text" / "0.1.0"

    @property
    def options(self) -> list[object]:
        return ["--data", self.folder, "--config", self.config, "--run", self.run]

    def json(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run / name).read_text())
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a world in which everything was made; nothing changes it."""
    world = World(tmp_path_factory.mktemp("made"))
    world.config.write_text(world.config.read_text().replace("search = false\nmax_f", "max_f"))
    result = invoke("run", *world.options, "--out", world.out, "--activate")
    assert result.exit_code == 0, result.output
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world in which nothing was made yet."""
    return World(tmp_path)


def test_one_command_makes_both_bundles_and_a_report(made: World) -> None:
    bundle = load_text_bundle(made.out.parent)  # through ACTIVE
    assert bundle.folder == made.out
    assert bundle.manifest.preprocessing.max_tokens == 24
    assert [entry.items for entry in bundle.manifest.training_data] == [144]
    assert {path.name for path in made.run.iterdir()} >= {
        *("settings.toml", "config.json", "data.json", "checkpoint.pt", "curves.csv", "curves.png"),
        *("encoder.onnx", "export.json", "validation.json", "head.ubj", "classical.json"),
        *("test.json", "test_predictions.npz", "report.html", "report.md"),
    }
    light = load_text_bundle(made.out.parent / "0.1.0-light")
    assert light.manifest.head == "softmax"
    assert light.manifest.feature_count == 3
    assert not light.head.exists()
    assert not list(made.folder.rglob("*.part*"))


def test_both_bundles_score_texts(made: World) -> None:
    for version in ("", "0.1.0-light"):
        scorer = TextScorer(load_text_bundle(made.out.parent / version))
        found = scorer.score(["I love the garden café 😍", "@user http"])
        assert not isinstance(found[0], ContentError)
        assert sum(found[0].probabilities) == pytest.approx(1)
        assert isinstance(found[1], ContentError)


def test_the_bundle_is_measured_again_with_the_figures_of_its_manifest(made: World) -> None:
    result = invoke("evaluate", "--bundle", made.out.parent, "--data", made.data, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found == load_text_bundle(made.out).manifest.metrics["test"] == made.json("test.json")
    assert found["macro_recall"] == found["balanced_accuracy"]
    assert found["n"] == sum(map(sum, found["confusion"])) == 54
    for by in ("length", "emoji", "hashtag", "language"):
        assert sum(group["n"] for group in found["groups"][by].values()) == 54
    assert found["groups"]["hashtag"]["with"]["n"] == 9
    held = invoke(
        *("evaluate", "--bundle", made.out, "--data", made.data, "--split", "val", "--json")
    )
    assert (
        json.loads(held.stdout)["accuracy"] == made.json("validation.json")["metrics"]["accuracy"]
    )


def test_the_card_has_figures_terms_and_uses(made: World) -> None:
    card = (made.out / "MODEL_CARD.md").read_text()
    found = made.json("test.json")
    assert f"| 54 | {found['balanced_accuracy']:.4f} | {found['accuracy']:.4f} |" in card
    assert "of these tests" in card
    assert "Not for decisions about single persons" in card
    assert "VADER" in card
    assert '"max_tokens": 24' in card
    assert (
        "python -m training light"
        in (made.out.parent / "0.1.0-light" / "MODEL_CARD.md").read_text()
    )


def test_nothing_that_is_kept_has_a_text_of_the_data_in_it(made: World) -> None:
    texts = [text for split in ("train", "val", "test") for _, text in written(split)]
    files = [
        *made.out.glob("*.json"),
        *made.out.glob("*.md"),
        *made.run.glob("*.json"),
        *made.run.glob("report.*"),
    ]
    for path in files:
        content = path.read_text(encoding="utf-8")
        assert not [text for text in texts if text in content], path
    with np.load(made.run / "test_predictions.npz", allow_pickle=False) as kept:
        assert not set(kept["names"].tolist()) & set(texts)
        assert set(kept["language"].tolist()) == {"en"}


def test_the_report_tells_of_texts(made: World) -> None:
    report = (made.run / "report.md").read_text(encoding="utf-8")
    for heading in (
        *("Result", "Data", "Learning curves", "Head", "Confusion matrix", "Classes"),
        *("Calibration", "Groups", "Classical models compared", "Light model", "Export"),
        *("Settings", "Data fingerprint"),
    ):
        assert f"\n## {heading}\n" in report
    for group in ("Accuracy by length", "Accuracy by emoji", "Accuracy by hashtag"):
        assert group in report
    assert "not there yet" not in report
    assert "faces" not in report
    assert "54 texts of the test split" in report


def test_a_second_version_does_not_learn_again_and_an_old_one_is_kept(made: World) -> None:
    again = invoke("run", *made.options, "--out", made.out)
    assert again.exit_code == 2
    assert "a version never changes" in again.output
    files = ("encoder.onnx", "head.ubj", "light/encoder.onnx", "checkpoint.pt")
    before = [(made.run / name).stat().st_mtime_ns for name in files]
    second = invoke("run", *made.options, "--out", made.folder / "other" / "0.2.0")
    assert second.exit_code == 0, second.output
    assert [(made.run / name).stat().st_mtime_ns for name in files] == before
    assert load_text_bundle(made.out.parent).manifest.version == "0.1.0"


def test_two_runs_are_compared(made: World) -> None:
    result = invoke("compare", made.run, made.run, "--out", made.folder / "both.html")
    assert result.exit_code == 0, result.output
    assert "Of the same 54 texts" in result.output


def test_a_stage_names_the_one_that_it_needs(world: World) -> None:
    steps = (
        ("export", "finetune"),
        ("variants", "export"),
        ("heads", "export"),
        ("bundle", "export"),
    )
    for command, needed in steps:
        result = invoke(command, *world.options)
        assert result.exit_code == 2
        assert f"python -m training {needed}" in result.output
    for command in ("finetune", "export"):
        assert invoke(command, *world.options).exit_code == 0
    result = invoke("heads", *world.options)
    assert "python -m training variants" in result.output
    assert invoke("variants", *world.options).exit_code == 0
    result = invoke("bundle", *world.options)
    assert "python -m training heads" in result.output
    assert not (world.run / "text").exists()


def test_a_head_of_another_encoder_is_fitted_again(world: World) -> None:
    whole = world.config.read_text()
    world.config.write_text(whole + '[export]\nprecision = "int8"\n')
    for command in ("finetune", "export", "variants", "heads"):
        assert invoke(command, *world.options).exit_code == 0
    world.config.write_text(whole + '[export]\nprecision = "fp16"\n')
    assert invoke("variants", *world.options).exit_code == 0
    result = invoke("bundle", *world.options)
    assert result.exit_code == 2
    assert "there is no head of these settings and this encoder" in result.output


def test_a_full_disk_leaves_no_half_bundle(
    made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_at("tokenizer.json", monkeypatch)
    for command in ("bundle", "light"):
        result = invoke(command, *made.options, "--out", tmp_path / "text" / "1")
        assert result.exit_code == 2
        assert "No space left on device" in result.output
        assert list((tmp_path / "text").iterdir()) == []


def test_features_that_are_no_numbers_are_refused(world: World) -> None:
    for command in ("finetune", "export", "variants", "heads"):
        assert invoke(command, *world.options).exit_code == 0
    for path in (world.run / "features").iterdir():
        kept = np.load(path)
        kept[3, 2] = np.nan
        np.save(path, kept)
    result = invoke("heads", *world.options)
    assert result.exit_code == 2
    assert "1 of 144 rows have NaN or infinite features, the first ones 3" in result.output
    assert not (world.run / "validation.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("batch_size = 16", "batch_size = 8"), "finetuning.batch_size: 16 there, 8 now"),
        (("max_tokens = 24", "max_tokens = 20"), "network.max_tokens: 24 there, 20 now"),
    ],
)
def test_a_changed_setting_is_refused(world: World, change: tuple[str, str], said: str) -> None:
    assert invoke("finetune", *world.options).exit_code == 0
    world.config.write_text(world.config.read_text().replace(*change))
    result = invoke("export", *world.options)
    assert result.exit_code == 2
    assert said in result.output


def test_data_that_cannot_be_used_are_named_before_anything_is_learnt(world: World) -> None:
    (world.data / "test.tsv").unlink()
    result = invoke("run", *world.options)
    assert result.exit_code == 2
    assert "test.tsv" in result.output
    assert not world.run.exists()


def test_commands_for_texts_refuse_settings_for_faces() -> None:
    for command in ("light", "classical"):
        result = invoke(command, "--config", "training/configs/smoke.toml")
        assert result.exit_code == 2
        assert "is for faces" in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--split", "dev"), "takes --split train, val, test"),
        (("--format", "csv"), "neither --format nor --class"),
    ],
)
def test_options_that_a_text_bundle_does_not_have_are_refused(
    made: World, options: tuple[str, ...], said: str
) -> None:
    result = invoke("evaluate", "--bundle", made.out, "--data", made.data, *options)
    assert result.exit_code == 2
    assert said in result.output


def test_a_text_bundle_is_judged_on_a_folder(made: World) -> None:
    result = invoke("evaluate", "--bundle", made.out, "--data", made.data / "test.tsv")
    assert result.exit_code == 2
    assert "is no folder" in result.output
