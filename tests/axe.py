"""Whether a page keeps the rules of accessibility that a program can check: axe-core."""

from __future__ import annotations

from typing import Any

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright")


def violations(page: Any) -> list[str]:
    """Return the rules that a Playwright page breaks, each with the elements that break it."""
    return [
        f"{rule['id']} ({rule['help']}): {node['target']} {node['failureSummary']}"
        for rule in axe.Axe().run(page).response["violations"]
        for node in rule["nodes"]
    ]
