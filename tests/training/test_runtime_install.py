"""What ``python -m training`` does where the packages of the ``train`` extra are absent."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.bundle import load_bundle

ROOT = Path(__file__).parents[2]
EXTRA = ("torch", "torchvision", "timm", "sklearn", "imblearn", "lightgbm", "matplotlib")


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a Python in which the packages of the extra cannot be imported."""
    code = (
        "import sys\n"
        f"for name in {EXTRA!r}:\n"
        "    sys.modules[name] = None\n"
        "from training.cli import app\n"
        "app(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_without_the_train_extra_the_message_says_what_to_install(
    tiny_tar: Path, tiny_config: Path, tmp_path: Path
) -> None:
    where = ("--data", tiny_tar.parent, "--config", tiny_config, "--run", tmp_path / "run")
    done = without_torch("finetune", *where)
    assert done.returncode == 2
    assert 'pip install "sentistream[train]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_the_committed_bundle_reaches_its_figures_without_torch(data: Path) -> None:
    file = (data / "rafdb.tar").resolve()
    done = without_torch("evaluate", "--bundle", "models/face", "--data", file, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["n"] == 3068
    assert found["accuracy"] >= 0.84
    published = load_bundle(ROOT / "models/face").manifest.metrics["test"]
    assert found["accuracy"] == pytest.approx(published["accuracy"], abs=0.002)
