"""The smoke settings as a user runs them: killed half-way, they go on to the same result."""

import json
import os
import signal
from pathlib import Path

import pytest
from smoke_process import DEADLINE_S, Smoke, history, wait_for_epochs

from models.bundle import load_bundle

pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')

SMOKE = Smoke("smoke.toml")


@pytest.mark.timeout(5400)
def test_a_killed_run_goes_on_to_the_same_validation_loss_and_makes_a_bundle(
    tmp_path: Path,
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    SMOKE.finish("finetune", whole)

    process = SMOKE.start("run", broken, "--out", tmp_path / "face" / "0.0.1")
    wait_for_epochs(process, broken, 3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(history(broken)) < len(history(whole))
    assert not (tmp_path / "face").exists()

    SMOKE.finish("run", broken, "--out", tmp_path / "face" / "0.0.1")
    assert history(broken) == history(whole)  # losses and accuracies of every epoch

    bundle = load_bundle(tmp_path / "face" / "0.0.1")
    assert bundle.manifest.metrics["test"]["n"] == 70
    board = json.loads((broken / "leaderboard.json").read_text())
    assert {row["head"] for row in board["rows"]} == {
        *("xgboost", "lightgbm", "random_forest", "logistic_regression")
    }
    assert all(row["unseen"] for row in board["rows"])
    assert json.loads((broken / "test.json").read_text()) == bundle.manifest.metrics["test"]


def test_ctrl_c_says_how_to_go_on_also_where_the_shell_had_it_ignored(tmp_path: Path) -> None:
    """As after `nohup` or `&` in a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = SMOKE.start("finetune", tmp_path / "run")
    finally:
        signal.signal(signal.SIGINT, before)
    wait_for_epochs(process, tmp_path / "run", 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert b"the same command goes on" in errors
    assert b"Traceback" not in errors
