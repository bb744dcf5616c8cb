"""The comparison of two runs."""

import json
import re
from pathlib import Path

import pytest
from report_sample import CONFIG, write_run, write_settings

from training.errors import RunError
from training.reporting import compare, write_comparison

pytest.importorskip("matplotlib", reason='needs matplotlib: pip install "sentistream[train]"')

SMOOTHER = CONFIG.model_copy(
    update={"finetuning": CONFIG.finetuning.model_copy(update={"label_smoothing": 0.05})}
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two runs on the same faces, of which the second one is the better."""
    folder = tmp_path_factory.mktemp("runs")
    return (
        write_run(folder / "weak", skill=2.6),
        write_run(folder / "strong", skill=3.4, config=SMOOTHER),
    )


def measures(run: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((run / "test.json").read_text())
    return found


def test_differences_have_a_sign_and_the_settings_that_differ_are_named(
    runs: tuple[Path, Path],
) -> None:
    text = compare(*runs)
    one, two = (measures(run)["accuracy"] for run in runs)
    assert f"| accuracy | {one:.4f} | {two:.4f} | +{two - one:.4f} |" in text
    assert "| finetuning.label_smoothing | 0.1 | 0.05 |" in text
    assert "finetuning.weight_decay" not in text
    back = compare(*reversed(runs))
    assert f"| accuracy | {two:.4f} | {one:.4f} | -{two - one:.4f} |" in back


def test_the_same_faces_are_compared_one_by_one(runs: tuple[Path, Path]) -> None:
    text = compare(*runs)
    assert "Of the same 3,068 faces" in text
    assert "B is the more accurate one" in text
    assert "A is the more accurate one" in compare(*reversed(runs))


def test_a_run_does_not_differ_from_itself(runs: tuple[Path, Path]) -> None:
    text = compare(runs[0], runs[0])
    assert "None: both runs have the same settings and the same data." in text
    assert "The interval holds 0" in text


def test_other_data_are_a_difference(runs: tuple[Path, Path], tmp_path: Path) -> None:
    write_settings(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["data_sha256"]["rafdb"] = "f" * 64
    (tmp_path / "config.json").write_text(json.dumps(settings))
    text = compare(runs[0], tmp_path)
    assert re.search(r"\| data_sha256\.rafdb \| \w+ \| f{64} \|", text)
    assert "**Test split, B** not there yet: run `python -m training bundle`" in text
    assert "**Learning curves, B** not there yet" in text


def test_the_page_overlays_the_curves_and_shows_both_matrices(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "comparison.html"
    write_comparison(*runs, out)
    page = out.read_text(encoding="utf-8")
    assert page.count("<svg") == 6
    assert page.count(">A: weak</text>") == page.count(">B: strong</text>") == 4
    assert "Shares of the row, A: weak" in page
    assert not re.search(r"https?:|<script|\bsrc=", page)


def test_a_broken_file_of_either_run_is_named(runs: tuple[Path, Path], tmp_path: Path) -> None:
    write_settings(tmp_path)
    (tmp_path / "test.json").write_text("{")
    for pair in ((runs[0], tmp_path), (tmp_path, runs[0])):
        with pytest.raises(RunError, match=re.escape(str(tmp_path / "test.json"))):
            compare(*pair)
