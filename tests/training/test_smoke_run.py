"""The smoke settings as a user runs them: killed half-way, they go on to the same result."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.bundle import load_bundle

pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')

ROOT = Path(__file__).parents[2]
DEADLINE_S = 180


def start(command: str, run: Path, *more: object) -> subprocess.Popen[bytes]:
    options = ["--config", "training/configs/smoke.toml", "--run", run, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "training", command, *map(str, options)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors.decode()


def history(run: Path) -> list[str]:
    return (run / "curves.csv").read_text().splitlines()


def wait_for_epochs(process: subprocess.Popen[bytes], run: Path, epochs: int) -> None:
    """Wait until so many epochs are in the curves, under a header."""
    deadline = time.monotonic() + DEADLINE_S
    while not (run / "curves.csv").exists() or len(history(run)) <= epochs:
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.timeout(600)
def test_a_killed_run_goes_on_to_the_same_validation_loss_and_makes_a_bundle(
    tmp_path: Path,
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(start("finetune", whole))

    process = start("run", broken, "--out", tmp_path / "face" / "0.0.1")
    wait_for_epochs(process, broken, 3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(history(broken)) < len(history(whole))
    assert not (tmp_path / "face").exists()

    finish(start("run", broken, "--out", tmp_path / "face" / "0.0.1"))
    assert history(broken) == history(whole)  # losses and accuracies of every epoch

    bundle = load_bundle(tmp_path / "face" / "0.0.1")
    assert bundle.manifest.metrics["test"]["n"] == 70
    board = json.loads((broken / "leaderboard.json").read_text())
    assert {row["head"] for row in board["rows"]} == {
        *("xgboost", "lightgbm", "random_forest", "logistic_regression")
    }
    assert all(row["unseen"] for row in board["rows"])
    assert json.loads((broken / "test.json").read_text()) == bundle.manifest.metrics["test"]


@pytest.mark.timeout(300)
def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    process = start("finetune", tmp_path / "run")
    wait_for_epochs(process, tmp_path / "run", 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert b"the same command goes on" in errors
    assert b"Traceback" not in errors
