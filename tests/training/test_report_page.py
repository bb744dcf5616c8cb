"""The report of a run: whole, half-way, and with files that are broken or hostile."""

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_sample import (
    EXPORT,
    account,
    history,
    write_json,
    write_predictions,
    write_run,
    write_settings,
)

from training.errors import RunError
from training.reporting import curves, write_curves, write_report

pytest.importorskip("matplotlib", reason='needs matplotlib: pip install "sentistream[train]"')

VOID = {"meta", "link", "br", "img", "input"}
HOSTILE = '<script>alert("x")</script>|`*$_{&'
ALL_FILES = (
    *("data.json", "curves.csv", "leaderboard.json", "validation.json"),
    *("export.json", "test.json", "test_predictions.npz", "elsewhere.json"),
)


class Outline(HTMLParser):
    """What a page is made of, and whether each element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run with its report; nothing changes it."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "face-1.2.0")
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def row(text: str, first: str) -> list[str]:
    """Return the cells of the first row of a Markdown table that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_finished_run_has_every_figure_and_table(page: str) -> None:
    outline = Outline(page)
    assert outline.every("html") == [{"lang": "en"}]
    # Four curves, two confusion matrices, two reliability diagrams, two sorts of groups.
    assert len(outline.every("figure")) == len(outline.every("svg")) == 10
    alternatives = [a["aria-label"] for a in outline.every("div") if a.get("role") == "img"]
    assert len(alternatives) == 10
    assert all(alternatives)
    assert len(outline.every("caption")) == len(outline.every("table")) > 10
    assert {cell.get("scope") for cell in outline.every("th")} == {"row", "col"}
    assert "not there yet" not in page


def test_identifiers_are_unique_and_links_lead_somewhere(page: str) -> None:
    outline = Outline(page)
    names = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(names) == len(set(names))
    links = {a.get("href") or a.get("xlink:href") or "" for _, a in outline.tags} - {""}
    assert {link.removeprefix("#") for link in links} <= set(names)


def test_a_page_loads_nothing_and_runs_nothing(page: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|<script|<link|<img|<iframe|\bsrc=", page)
    assert all(found.startswith("#") for found in re.findall(r"url\(([^)]*)", page))


def test_the_same_run_gives_the_same_report(run: Path, page: str) -> None:
    write_report(run)
    assert (run / "report.html").read_text(encoding="utf-8") == page
    assert not list(run.glob("*.part"))


def test_the_tables_hold_the_numbers_of_the_files(run: Path) -> None:
    text = (run / "report.md").read_text(encoding="utf-8")
    test = json.loads((run / "test.json").read_text())
    counts = np.array(test["confusion"])
    classes = text[text.index("## Classes") :]
    _, precision, recall, _, f1, faces = row(classes, "fear")
    assert precision == f"{counts[1, 1] / counts[:, 1].sum():.4f}"
    assert recall == f"{counts[1, 1] / 74:.4f}"
    assert f1 == f"{2 * counts[1, 1] / (74 + counts[:, 1].sum()):.4f}"
    assert faces == "74"
    assert f"**Accuracy** {test['accuracy']:.4f}; 95 %: " in text
    assert "epoch 17 are kept" in text
    assert row(text, "ferplus, test split")[1:4] == ["3,526", "0.7204", "0.6304"]
    assert "0.921 are found" in text
    assert "By width of the face: 32-64 px 0.800 of 134." in text
    assert "takes 0.34 of the time" in text


def test_an_unfinished_run_says_what_to_run(tmp_path: Path) -> None:
    write_settings(tmp_path)
    html, text = (path.read_text(encoding="utf-8") for path in write_report(tmp_path))
    for stage in ("finetune", "export", "heads", "bundle"):
        assert f"not there yet: run `python -m training {stage}`" in text
        assert f"not there yet: run <code>python -m training {stage}</code>" in html
    assert "| finetuning.phases.1.learning_rate | 0.0004 |" in text
    assert not Outline(html).every("figure")


def test_variants_that_were_not_tried_are_said_to_be_missing(tmp_path: Path) -> None:
    write_settings(tmp_path)
    write_json(tmp_path / "export.json", {**EXPORT, "variants": []})
    _, text = write_report(tmp_path)
    assert "not there yet: run `python -m training variants`" in text.read_text(encoding="utf-8")


@pytest.mark.parametrize("absent", ALL_FILES)
def test_a_report_can_do_without_any_single_file(
    run: Path, tmp_path: Path, absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.reporting.report.page", lambda document: "")  # takes seconds
    for name in (*ALL_FILES, "config.json"):
        if name != absent:
            (tmp_path / name).write_bytes((run / name).read_bytes())
    _, text = write_report(tmp_path)
    said = "without comparing" if absent == "leaderboard.json" else "not there yet"
    assert said in text.read_text(encoding="utf-8")


def test_before_the_test_split_the_validation_faces_are_shown(tmp_path: Path) -> None:
    write_settings(tmp_path)
    write_predictions(tmp_path, 3.2, np.random.default_rng(0))
    (tmp_path / "test.json").unlink()
    (tmp_path / "test_predictions.npz").unlink()
    _, text = write_report(tmp_path)
    assert "on the 981 validation faces" in text.read_text(encoding="utf-8")


def test_a_folder_without_settings_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no config\.json, so it is no run"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["config.json", *ALL_FILES])
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    write_settings(tmp_path)
    (tmp_path / name).write_text('{"half": [')
    with pytest.raises(RunError, match=re.escape(str(tmp_path / name))):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(confusion=[[1]]), "the confusion matrix is not 2 x 2"),
        (lambda m: m.update(n=5), "does not count 5"),
        (lambda m: m.pop("ece"), "ece: Field required"),
    ],
)
def test_metrics_that_cannot_be_are_refused(
    tmp_path: Path, change: Callable[[dict[str, object]], object], said: str
) -> None:
    write_settings(tmp_path)
    metrics: dict[str, object] = {
        "n": 2,
        **dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "ece"), 0.5),
        "recall": {"a": 1.0, "b": 0.0},
        "confusion": [[1, 0], [1, 0]],
    }
    change(metrics)
    write_json(tmp_path / "test.json", metrics)
    with pytest.raises(RunError, match=said):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": np.array([0, 7])}, "labels are not all from 0 to 6"),
        ({"widths": np.array([1])}, r"widths has the shape \(1,\)"),
        ({"probabilities": np.full((2, 7), np.nan)}, "probabilities is not finite"),
        ({"labels": np.array([], dtype=int)}, "there are no labels"),
        ({"names": np.array([{}, {}])}, "allow_pickle"),
    ],
)
def test_predictions_that_cannot_be_are_refused(
    tmp_path: Path, changed: dict[str, np.ndarray], said: str
) -> None:
    write_settings(tmp_path)
    arrays = {
        "labels": np.array([0, 1]),
        "probabilities": np.full((2, 7), 1 / 7),
        "uncalibrated": np.full((2, 7), 1 / 7),
        "names": np.array(["a", "b"]),
        "widths": np.array([100, 100]),
        "brightness": np.array([1.0, 2.0]),
    }
    np.savez(tmp_path / "test_predictions.npz", **{**arrays, **changed})
    with pytest.raises(RunError, match=said):
        write_report(tmp_path)


def test_names_from_files_are_only_text(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<b>run"
    write_settings(folder)
    found = account()
    found["sources"][0].update(name=HOSTILE, terms=HOSTILE, broken={HOSTILE: HOSTILE})
    found["sources"][0]["classes"] = {HOSTILE: [1, None]}
    write_json(folder / "data.json", found)
    test = json.loads((run / "test.json").read_text())
    test["recall"] = {f"{HOSTILE}{index}": value for index, value in enumerate(range(7))}
    write_json(folder / "test.json", test)
    with np.load(run / "test_predictions.npz") as file:
        arrays = dict(file)
    arrays["names"] = np.full(len(arrays["labels"]), HOSTILE)
    arrays["widths"] = np.full(len(arrays["labels"]), 100)
    np.savez(folder / "test_predictions.npz", **arrays)
    html, text = (path.read_text(encoding="utf-8") for path in write_report(folder))
    assert not {"script", "b"} & {tag for tag, _ in Outline(html).tags}
    assert "<script" not in html + text
    assert "&lt;script&gt;" in html
    assert "All faces have the same width of the picture (100 px)" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_files_of_two_bundles_are_not_taken_for_one(run: Path, tmp_path: Path) -> None:
    write_settings(tmp_path)
    write_predictions(tmp_path, 1.0, np.random.default_rng(3))
    (tmp_path / "test.json").write_bytes((run / "test.json").read_bytes())
    _, text = write_report(tmp_path)
    assert "do not agree" in text.read_text(encoding="utf-8")


def test_curves_can_be_read_back(tmp_path: Path) -> None:
    entries = history(np.random.default_rng(0))
    write_curves(entries, tmp_path)
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 21)]
    assert [row["phase"] for row in rows] == ["0"] * 8 + ["1"] * 12
    found = curves.read_curves(tmp_path / "curves.csv")
    for name in curves.MEASURED:
        assert found[name].tolist() == pytest.approx([entry[name] for entry in entries], rel=1e-5)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.part"))


def test_the_kept_epoch_is_the_first_best_one_of_the_last_phase() -> None:
    def kept(*entries: tuple[float, float]) -> int | None:
        phases, losses = np.array(entries).T
        epochs = np.arange(1.0, len(entries) + 1)
        return curves.kept_epoch({"epoch": epochs, "phase": phases, "ema_validation_loss": losses})

    assert kept((0, 0.1), (1, 0.5), (1, 0.4), (1, 0.4)) == 3
    assert kept((0, np.nan), (0, 0.5)) == 2
    assert kept((0, np.nan)) is None


def test_the_kept_epoch_is_the_one_that_the_settings_chose() -> None:
    found = {
        "epoch": np.arange(1.0, 4.0),
        "phase": np.ones(3),
        "ema_validation_loss": np.array([0.3, 0.4, 0.5]),
        "ema_validation_accuracy": np.array([0.8, 0.9, 0.9]),
        "ema_validation_balanced_accuracy": np.array([0.8, 0.7, 0.8]),
    }
    assert curves.kept_epoch(found) == 1
    assert curves.kept_epoch(found, "accuracy") == 3


def test_curves_of_the_first_epoch_can_be_drawn(tmp_path: Path) -> None:
    write_curves([], tmp_path)
    assert not (tmp_path / "curves.png").exists()
    write_curves(history(np.random.default_rng(0))[:1], tmp_path)
    assert (tmp_path / "curves.png").exists()
