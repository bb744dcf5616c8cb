"""The names of the files that the stages leave in the folder of a run."""

from pathlib import Path
from typing import Final

from training.config import CONFIG_FILE
from training.reporting.curves import CURVES

__all__ = [
    "CLASSICAL",
    "DATA",
    "ELSEWHERE",
    "EXPORT",
    "FACES",
    "LEADERBOARD",
    "LIGHT",
    "LIGHT_TEST",
    "PREDICTIONS",
    "STAGES",
    "TEST",
    "TEXTS",
    "TRAITS",
    "VALIDATION",
    "remake",
]

DATA, LEADERBOARD, VALIDATION = "data.json", "leaderboard.json", "validation.json"
EXPORT, TEST, PREDICTIONS = "export.json", "test.json", "test_predictions.npz"
ELSEWHERE = "elsewhere.json"
# Of texts alone.
CLASSICAL, LIGHT, LIGHT_TEST = "classical.json", "light/validation.json", "light/test.json"
# The stage of `python -m training` that writes each file.
STAGES: Final = {
    CONFIG_FILE: "finetune",
    DATA: "finetune",
    CURVES: "finetune",
    EXPORT: "export",
    LEADERBOARD: "heads",
    VALIDATION: "heads",
    TEST: "bundle",
    PREDICTIONS: "bundle",
    ELSEWHERE: "bundle",
    CLASSICAL: "classical",
    LIGHT: "light",
    LIGHT_TEST: "light",
}
FACES: Final = "faces"
TEXTS: Final = "texts"
# What is kept of each face or text beside its label and what was said of it.
TRAITS: Final = {
    FACES: ("widths", "brightness"),
    TEXTS: ("words", "emoji", "hashtag", "language"),
}


def remake(path: Path) -> str:
    """Say which stage writes a file anew."""
    stage = STAGES.get(f"{path.parent.name}/{path.name}") or STAGES[path.name]
    return f"`python -m training {stage}` writes it anew once it is removed"
