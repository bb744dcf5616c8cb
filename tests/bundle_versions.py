"""A folder of bundles whose versions a test may add to, break and change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import text_bundles

import models
from models.bundle import write_manifest

__all__ = ["FACE", "add_version", "own_bundles"]

FACE = (Path(models.__file__).parent / "face" / "ACTIVE").read_text().strip()


def own_bundles(root: Path) -> Path:
    """Write the tiny text bundles and a copy of the face bundle of the package."""
    text_bundles.write_bundles(root)
    packaged = (root / "face").resolve()
    (root / "face").unlink()
    shutil.copytree(packaged / FACE, root / "face" / FACE)
    (root / "face" / "ACTIVE").write_text(f"{FACE}\n")
    return root


def add_version(folder: Path, of: str, version: str) -> Path:
    """Add a version with the models of another one."""
    shutil.copytree(folder / of, folder / version)
    manifest = json.loads((folder / version / "manifest.json").read_text())
    del manifest["files"]
    write_manifest(folder / version, **(manifest | {"version": version}))
    return folder / version
