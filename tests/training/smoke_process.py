"""Runs `python -m training` on smoke settings, as a user does."""

import subprocess
import sys
from pathlib import Path

from waiting import wait_for

ROOT = Path(__file__).parents[2]
DEADLINE_S = 1800  # of a run on smoke settings: far more than it takes, also on a slow machine


class Smoke:
    """Starts commands with one file of settings."""

    def __init__(self, settings: str) -> None:
        self._settings = f"training/configs/{settings}"

    def start(self, command: str, run: Path, *more: object) -> subprocess.Popen[bytes]:
        options = ["--config", self._settings, "--run", run, *more]
        return subprocess.Popen(
            [sys.executable, "-m", "training", command, *map(str, options)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self, command: str, run: Path, *more: object) -> None:
        process = self.start(command, run, *more)
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, errors.decode()


def history(run: Path) -> list[str]:
    return (run / "curves.csv").read_text().splitlines()


def wait_for_epochs(process: subprocess.Popen[bytes], run: Path, epochs: int) -> None:
    """Wait until so many epochs are in the curves, under a header, and have been drawn."""

    def check() -> None:
        assert process.poll() is None, "it ended too early"

    def drawn() -> bool:
        return (run / "curves.png").exists() and len(history(run)) > epochs

    wait_for(drawn, check=check, patience_s=DEADLINE_S)
