"""Changes the files of a bundle, so that tests can see what is made of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.bundle import write_manifest


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest, which then may not agree with the files."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def rehash(folder: Path) -> None:
    """Write a manifest that agrees with the files, whatever they are."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]
    write_manifest(folder, **manifest)
