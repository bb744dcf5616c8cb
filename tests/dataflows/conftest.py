from __future__ import annotations

import pytest
from streams import Stream


@pytest.fixture
def stream(environment: dict[str, str]) -> Stream:
    """Return the topics and keys of this test."""
    return Stream(environment)
