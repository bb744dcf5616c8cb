from __future__ import annotations

import os
from pathlib import Path

import pytest

import models
from models.bundle import Bundle, load_bundle
from models.scorer import Scorer


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """Return the face bundle that comes with the package."""
    folder = os.environ.get("SENTISTREAM_BUNDLES", str(Path(models.__file__).parent))
    return load_bundle(Path(folder) / "face")


@pytest.fixture(scope="session")
def scorer(bundle: Bundle) -> Scorer:
    return Scorer(bundle)
