"""The state of fine-tuning between two epochs, kept in one file that is replaced in one step."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from training.errors import RunError

__all__ = ["Checkpoint", "read", "write"]

FILE = "checkpoint.pt"


@dataclass
class Checkpoint:
    """Everything that the next epoch depends on.

    `epoch` and `step` count finished ones, in all phases. `optimizer` and `schedule` are those of
    the current phase. There is no state of random generators in it: every epoch seeds them from the
    run's seed and its own number, which makes a resumed run equal to an uninterrupted one. `best`
    holds the averaged weights of the epoch of the last phase that was best on validation.
    `teacher` holds the averaged weights of the last phase where they teach the current one.
    """

    epoch: int
    step: int
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    best: dict[str, Any]
    history: list[dict[str, float]] = field(default_factory=list)
    teacher: dict[str, Any] = field(default_factory=dict)


def write(state: Checkpoint, run: Path) -> None:
    """Replace the run's checkpoint; a crash leaves the old one or the new one, whole.

    Raises:
        RunError: the disk does not take it; the old one is still there.
    """
    part = run / f"{FILE}.part"
    try:
        torch.save(vars(state), part)
        part.replace(run / FILE)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as the latter
        part.unlink(missing_ok=True)
        raise RunError(f"cannot write the checkpoint {run / FILE}: {error}") from error


def read(run: Path) -> Checkpoint | None:
    """Return the run's checkpoint, or nothing when it has none yet.

    Raises:
        RunError: the file is there and is no checkpoint.
    """
    path = run / FILE
    if not path.exists():
        return None
    try:
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises what its content makes it raise
        raise RunError(f"{path} is no checkpoint ({error!r}); remove it to start again") from error
