"""The notebooks run from top to bottom, and are committed without what they show."""

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')
nbformat = pytest.importorskip(
    "nbformat", reason='needs nbformat: pip install "sentistream[notebooks]"'
)
nbclient = pytest.importorskip(
    "nbclient", reason='needs nbclient: pip install "sentistream[notebooks]"'
)

NOTEBOOKS = sorted(Path(__file__).parents[2].joinpath("training", "notebooks").glob("*.ipynb"))
LIMIT_S = 1500  # for one cell, and for all of a notebook: ten times what the longest takes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which all of them run: what one has made, the next one uses."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            marks=[
                pytest.mark.timeout(LIMIT_S),
                *([] if path == NOTEBOOKS[0] else [pytest.mark.nightly]),
            ],
        )
        for path in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=LIMIT_S, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert any(cell.outputs for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_there_are_six_notebooks() -> None:
    assert [path.stem[0] for path in NOTEBOOKS] == ["1", "2", "3", "4", "5", "6"]
