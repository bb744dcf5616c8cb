"""What the stages of a run on texts leave in its folder, and how they find it again."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from models.text_encoder import Ids
from training.features import cached
from training.progress import Progress
from training.reporting.files import replace

__all__ = ["compared", "features_of", "read_kept", "sha256", "write"]


def features_of(
    encoder: Path, ids: Sequence[Ids], cache: Path, progress: Progress
) -> NDArray[np.float32]:
    """Return the features [n, k] of texts as word pieces, from the cache where they are.

    Args:
        encoder: the ONNX file.
        ids: the word pieces.
        cache: a folder, which is made.
        progress: where steps are reported.
    """
    from training.export import feature_count
    from training.text.variants import encode

    count = feature_count(encoder)
    digest = hashlib.sha256(encoder.read_bytes())
    digest.update(json.dumps(ids).encode())
    shape = (len(ids), count)
    return cached(digest.hexdigest(), shape, cache, lambda: encode(encoder, count, ids, progress))


def read_kept(path: Path, settings: BaseModel) -> dict[str, Any] | None:
    """Return what a stage wrote, if it is whole and of these settings."""
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        same = kept["settings"] == settings.model_dump(mode="json")
        whole = isinstance(kept["metrics"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return kept if same and whole else None


def compared(path: Path) -> str | None:
    """Return what a comparison with classical models said, if there is one."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["verdict"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path: Path, content: dict[str, Any]) -> None:
    """Replace a file of JSON."""
    replace(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
