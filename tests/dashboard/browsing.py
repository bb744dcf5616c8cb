"""A real Chromium over a running dashboard: what the tests of pages share."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from chromium import CHROMIUM

__all__ = ["MARKS", "Camera", "badge", "even", "grow", "line"]

MARKS = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed"),
]


class Camera:
    """Two sources that go on sending until they are stopped."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            self._writer.face("camera-1", time.time(), "happiness")
            self._writer.face("camera-2", time.time(), "sadness")
            self._writer.heartbeat()


def badge(page: Any, state: str) -> None:
    """Wait for a state of the badge."""
    page.wait_for_selector(f'#badge[data-state="{state}"]')


def line(page: Any) -> list[list[float | None]]:
    """Return times and values of the drawn valence line."""
    drawn: list[list[float | None]] = page.evaluate(
        "() => { const t = document.querySelector('#valence .js-plotly-plot').data[2];"
        " return [Array.from(t.x), Array.from(t.y)]; }"
    )
    return drawn


def grow(page: Any, seconds: int) -> None:
    """Wait until the line ends so many seconds later than now."""
    end = "document.querySelector('#valence .js-plotly-plot')?.data?.[2]?.x?.at(-1) ?? 0"
    before = page.evaluate(end)
    page.wait_for_function(f"{end} >= {before} + {1000 * seconds}")


def even(times: list[float | None]) -> bool:
    """Whether the steps between the times are all the same."""
    return len({b - a for a, b in pairwise(times)}) == 1  # type: ignore[operator]
