"""The smoke settings for texts as a user runs them: killed half-way, they go on to the same."""

import os
import signal
from pathlib import Path

import pytest
from smoke_process import Smoke, history, wait_for_epochs

from models.bundle import load_text_bundle

pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')
pytest.importorskip("transformers", reason='needs transformers: pip install "sentistream[train]"')

SMOKE = Smoke("text_smoke.toml")


@pytest.mark.nightly
def test_a_killed_run_goes_on_to_the_same_validation_loss_and_makes_both_bundles(
    tmp_path: Path,
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    out = tmp_path / "text" / "0.0.1"
    SMOKE.finish("finetune", whole)

    process = SMOKE.start("run", broken, "--out", out)
    wait_for_epochs(process, broken, 1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(history(broken)) < len(history(whole))
    assert not out.parent.exists()

    SMOKE.finish("run", broken, "--out", out)
    assert history(broken) == history(whole)  # losses and scores of every epoch
    bundle = load_text_bundle(out)
    assert bundle.manifest.metrics["test"]["n"] == 54
    assert bundle.manifest.metrics["test"]["balanced_accuracy"] > 0.6
    assert load_text_bundle(out.with_name("0.0.1-light")).manifest.head == "softmax"
