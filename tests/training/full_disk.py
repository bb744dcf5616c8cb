"""A disk that is full when a bundle's files are copied."""

import shutil
from pathlib import Path

import pytest


def fill_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the copy of the file with this name end half-way."""
    copy = shutil.copyfile

    def full(source: Path, target: Path) -> None:
        if target.name != name:
            copy(source, target)
            return
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("training.packaging.shutil.copyfile", full)
