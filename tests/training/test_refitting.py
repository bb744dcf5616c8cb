"""A head refitted with corrections: from Kafka to a new bundle, and all that is refused."""

import json
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import TINY
from numpy.typing import NDArray
from PIL import Image
from tiny_rafdb import jpeg, write_tar
from typer import Typer
from typer.testing import CliRunner, Result

from dataflows.clients import producer
from dataflows.feedback import Correction, correction_record
from dataflows.settings import Settings
from dataflows.topics import ensure_topics
from infra.cli import app as sentistream
from models.bundle import load_bundle
from models.encoder import Encoder
from models.head import Head
from models.observation import EXPRESSIONS
from training.cli import app
from training.datasets.expw_frames import LabelledFace
from training.frames import SeenFace, SeenPhoto
from training.frames_feedback import corrections_of, main

pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')

START = datetime(2026, 11, 26, tzinfo=UTC)
COUNT = 84  # corrections: 21 of them are held out


class Made(NamedTuple):
    """A finished tiny run, its bundle, and corrections of a source that it is mistaken about."""

    folder: Path
    run: Path
    bundles: Path
    corrections: tuple[Correction, ...]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def pictures() -> NDArray[np.uint8]:
    """Return pictures of another camera, bright and blue, uint8 [COUNT, 32, 32, 3]."""
    faces = []
    for number in range(COUNT):
        with Image.open(BytesIO(jpeg(number % 7, 77_000 + number))) as picture:
            faces.append(np.asarray(picture.convert("RGB").resize((32, 32)), np.float32))
    blue = np.stack(faces) * 0.5 + np.array((0, 40, 120), np.float32)
    pixels: NDArray[np.uint8] = blue.clip(0, 255).astype(np.uint8)
    return pixels


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("refitting")
    write_tar(folder / "tiny.tar", {"train": 12, "test": 3})
    (folder / "tiny.toml").write_text(f"{TINY}feature_share = 0.05\n")  # quick fits
    run, out = folder / "run", folder / "models" / "face" / "0.0.1"
    done = invoke(
        *("run", "--config", folder / "tiny.toml", "--data", folder, "--run", run, "--out", out)
    )
    assert done.exit_code == 0, done.output
    bundle = load_bundle(out)
    features = Encoder.of(bundle).encode(pictures())
    said = Head(bundle).predict(features).argmax(axis=1)
    return Made(
        folder,
        run,
        folder / "models",
        tuple(
            Correction(
                id=f"camera/{number}",
                face=0,
                time=START + timedelta(seconds=number),
                bundle="face/0.0.1",
                predicted=EXPRESSIONS[said[number]],
                label=EXPRESSIONS[(number + 3) % 7],
                features=tuple(features[number].tolist()),
            )
            for number in range(COUNT)
        ),
    )


Refit = Callable[..., Result]


@pytest.fixture
def refit(made: Made, tmp_path: Path) -> Refit:
    """Return a command that refits with the given corrections."""

    def command(corrections: Iterable[Correction | str], *more: object) -> Result:
        path = tmp_path / "feedback.jsonl"
        lines = (x if isinstance(x, str) else x.model_dump_json() for x in corrections)
        path.write_text("".join(f"{line}\n" for line in lines))
        return heads(made, path, *more)

    return command


def heads(made: Made, feedback: Path, *more: object) -> Result:
    return invoke(
        *("heads", "--feedback", feedback, "--run", made.run, "--data", made.folder),
        *("--bundles", made.bundles, *more),
    )


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a run but for refits and the cache of features."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def reports(made: Made) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in made.run.glob("feedback/*/report.json")]


def found(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    content: dict[str, Any] = json.loads(result.stdout)
    return content


@pytest.mark.integration
def test_corrections_go_from_the_topic_into_a_new_bundle(
    made: Made, settings: Settings, tmp_path: Path
) -> None:
    ensure_topics(settings)
    client = producer(settings.kafka)
    first = made.corrections[0]
    older = first.model_copy(
        update={"label": first.predicted, "time": START - timedelta(seconds=1)}
    )
    for correction in (older, *made.corrections):
        client.produce(settings.kafka.feedback_topic, correction_record(correction).value)
    client.flush(10)
    feedback = tmp_path / "feedback.jsonl"
    exported = CliRunner().invoke(sentistream, ["feedback", "export", "--out", str(feedback)])
    assert exported.exit_code == 0, exported.output

    before = files(made.run)
    shutil.copytree(made.bundles, tmp_path / "models")
    out = tmp_path / "models" / "face" / "0.0.2"
    result = found(heads(made, feedback, "--out", out, "--activate", "--force", "--json"))
    assert files(made.run) == before
    assert result["feedback"]["learnt_from"] + result["feedback"]["held_out"] == COUNT
    held = result["held_out"]
    assert held["before"]["n"] == held["after"]["n"] == result["feedback"]["held_out"]
    assert held["after"]["accuracy"] > held["before"]["accuracy"] + 0.2
    assert result["test"]["before"] == _metrics(load_bundle(made.bundles / "face" / "0.0.1"))

    bundle = load_bundle(tmp_path / "models" / "face")  # through ACTIVE
    assert bundle.manifest.version == "0.0.2"
    assert result["test"]["after"] == _metrics(bundle)
    encoders = {
        version: (tmp_path / "models" / "face" / version / "encoder.onnx").read_bytes()
        for version in ("0.0.1", "0.0.2")
    }
    assert encoders["0.0.1"] == encoders["0.0.2"]
    features = np.array([one.features for one in made.corrections], np.float32)
    old = Head(load_bundle(made.bundles / "face" / "0.0.1")).predict(features)
    assert (old.argmax(axis=1) != Head(bundle).predict(features).argmax(axis=1)).any()
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert "Refitted with corrections" in card
    assert result["feedback"]["sha256"] in card
    assert "--feedback" in card
    data = {entry.name: entry.items for entry in bundle.manifest.training_data}
    assert data["corrections by people"] == result["feedback"]["learnt_from"]


def _metrics(bundle: Any) -> dict[str, Any]:
    kept = bundle.manifest.metrics["test"]
    return {name: value for name, value in kept.items() if name not in ("bundle", "split")}


def test_the_same_corrections_give_the_same_head(made: Made, refit: Refit, tmp_path: Path) -> None:
    reports, fitted = [], []
    for version in ("0.0.2", "0.0.3"):
        out = tmp_path / "face" / version
        result = refit(made.corrections, "--out", out, "--force", "--json")
        reports.append(found(result))
        fitted.append([(out / name).read_bytes() for name in ("head.ubj", "calibration.json")])
    assert reports[0] == reports[1]
    assert fitted[0] == fitted[1]


def test_the_weight_is_chosen_and_the_head_fitted_before_the_test_split_is_read(
    made: Made, refit: Refit, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = found(refit(made.corrections, "--force", "--json"))
    folder = made.run / "feedback" / result["feedback"]["sha256"][:12]
    head = (folder / "head.ubj").read_bytes()
    shutil.rmtree(folder)

    def unread(*_: object, **__: object) -> None:
        raise OSError("the test split is being read")

    monkeypatch.setattr("training.refitting.read_split", unread)
    assert "the test split is being read" in refit(made.corrections, "--force").output
    assert (folder / "head.ubj").read_bytes() == head


def test_a_head_that_loses_on_validation_is_refused_unless_forced(
    made: Made, refit: Refit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Any head now loses too much, as only one that gained a whole point would pass.
    monkeypatch.setattr("training.refitting.LARGEST_LOSS", -1.01)
    out = tmp_path / "face" / "0.0.2"
    result = refit(made.corrections, "--out", out)
    assert result.exit_code == 2
    assert "of accuracy on validation" in result.output
    assert "--force" in result.output
    assert not out.exists()
    (report,) = [one for one in reports(made) if one["refused"]]
    assert "test" not in report
    assert "held_out" not in report
    forced = refit(made.corrections, "--out", out, "--force")
    assert forced.exit_code == 0, forced.output
    assert load_bundle(out).manifest.version == "0.0.2"
    assert "| corrections that were held out | 21 |" in forced.stdout
    assert "| test split | 21 |" in forced.stdout
    assert "is refused" not in forced.stdout
    assert "was taken with `--force`" in forced.stdout
    assert [one["refused"] for one in reports(made) if one["forced"]] == [False]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": (0.5,)}, "has 1 features; the encoder of the run gives"),
        ({"features": None}, "features that are no finite numbers"),
        ({"label": "joy"}, "'joy'"),
        ({"predicted": "joy"}, "'joy'"),
        ({"bundle": "text/1.0.0"}, "line 3: bundle"),
        ({"bundle": "face/9.9.9"}, "9.9.9"),
        ({"face": None}, "line 3: face"),
        ({"time": datetime(2026, 11, 26)}, "line 3: time"),
    ],
)
def test_a_wrong_correction_is_named(
    change: dict[str, Any], said: str, made: Made, refit: Refit
) -> None:
    lines: list[Correction | str] = list(made.corrections)
    third = made.corrections[2]
    if change.get("features", 0) is None:
        change = {"features": (1e39, *third.features[1:])}  # above the largest float32
    lines[2] = third.model_copy(update=change)
    result = refit(lines)
    assert result.exit_code == 2, result.output
    assert said in result.output


def test_corrections_of_another_encoder_are_refused(
    made: Made, refit: Refit, tmp_path: Path
) -> None:
    from models.bundle import write_manifest

    bundles = tmp_path / "models"
    shutil.copytree(made.bundles, bundles)
    folder = bundles / "face" / "0.0.1"
    manifest = load_bundle(folder).manifest
    with (folder / "encoder.onnx").open("ab") as file:
        file.write(b"\x7a\x00")  # an unknown empty field
    write_manifest(folder, **manifest.model_dump(exclude={"files"}))
    result = refit(made.corrections, "--bundles", bundles)
    assert result.exit_code == 2
    assert "there are corrections of face/0.0.1, whose encoder" in result.output


def test_too_few_events_are_refused(made: Made, refit: Refit) -> None:
    result = refit(made.corrections[:19])
    assert result.exit_code == 2
    assert "corrections of 19 events; at least 20" in result.output
    assert "cannot read the corrections" in heads(made, made.folder / "none.jsonl").output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--out", "x/face/0.0.2"), "need --feedback"),
        (("--feedback", "f.jsonl"), "needs --run"),
        (("--feedback", "f.jsonl", "--run", "r", "--activate"), "--activate needs --out"),
        (("--feedback", "f.jsonl", "--run", "r", "--config", "c.toml"), "from that folder"),
        (("--feedback", "f.jsonl", "--run", "no-run"), "is no folder of a run"),
    ],
)
def test_options_that_do_not_go_together_are_named(options: tuple[str, ...], said: str) -> None:
    result = invoke("heads", *options)
    assert result.exit_code == 2
    assert said in result.output


def test_a_version_never_changes_and_other_data_are_refused(
    made: Made, refit: Refit, tmp_path: Path
) -> None:
    out = made.bundles / "face" / "0.0.1"
    assert "a version never changes" in refit(made.corrections, "--out", out).output
    write_tar(tmp_path / "tiny.tar", {"train": 12, "test": 4})
    result = refit(made.corrections, "--data", tmp_path)
    assert result.exit_code == 2
    assert "was started with other settings (data_sha256" in result.output


def test_a_run_without_a_head_is_refused(made: Made, refit: Refit, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made.run, run)
    (run / "validation.json").unlink()
    result = refit(made.corrections, "--run", run)
    assert result.exit_code == 2
    assert "has no head yet" in result.output


def test_a_run_on_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('kind = "text"\n')
    (tmp_path / "config.json").write_text("{}")
    result = invoke("heads", "--feedback", tmp_path / "f.jsonl", "--run", tmp_path)
    assert result.exit_code == 2
    assert "is a run on texts" in result.output


def test_labelled_photographs_play_the_person_who_corrects(made: Made) -> None:
    crops = pictures()

    def photo(name: str, *found: int | None) -> SeenPhoto:
        faces = [
            SeenFace(LabelledFace((0, 0, 9, 9), "fear"), 0.0, None, {})
            if number is None
            else SeenFace(
                LabelledFace((0, 0, 9, 9), EXPRESSIONS[number % 7]),
                *(0.9, 0.9),
                {"aligned": crops[number]},
            )
            for number in found
        ]
        return SeenPhoto(name, tuple(faces), len(found))

    bundle = load_bundle(made.bundles / "face" / "0.0.1")
    photos = [photo("b.jpg", None, 4), photo("a.jpg", 2, 3), photo("c.jpg", None)]
    found = corrections_of(bundle, photos)
    assert [(one.id, one.face, one.label) for one in found] == [
        ("a.jpg", 0, EXPRESSIONS[2]),
        ("a.jpg", 1, EXPRESSIONS[3]),
        ("b.jpg", 1, EXPRESSIONS[4]),
    ]
    assert [one.features for one in found] == [made.corrections[row].features for row in (2, 3, 4)]
    assert [one.predicted for one in found] == [
        made.corrections[row].predicted for row in (2, 3, 4)
    ]
    assert corrections_of(bundle, photos[2:]) == []


@pytest.mark.parametrize(
    ("out", "said"), [("there.jsonl", "exists"), ("none/new.jsonl", "a folder that does not exist")]
)
def test_a_file_that_cannot_be_written_is_named_before_photographs_are_read(
    out: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "there.jsonl").write_text("kept\n")
    command = Typer()
    command.command()(main)
    options = {"--bundle": "no-bundle", "--data": "no.tar", "--out": str(tmp_path / out)}
    result = CliRunner().invoke(command, [part for pair in options.items() for part in pair])
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert (tmp_path / "there.jsonl").read_text() == "kept\n"
