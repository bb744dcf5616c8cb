"""One page that stays open while much is written: what it and the server hold, and its points."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["Sample", "points", "samples"]

WARM_UP_S: Final = 60
SAMPLES: Final = 12


class Sample(NamedTuple):
    """What is held at a moment.

    Attributes:
        minute: since the first sample.
        heap_mb: the page's JavaScript objects, after a collection of garbage (10^6 bytes).
        nodes: of the page's document, with what is still held of earlier ones.
        listeners: of events in the page.
        server_mb: resident memory of the dashboard process (10^6 bytes).
    """

    minute: float
    heap_mb: float
    nodes: int
    listeners: int
    server_mb: float


def samples(page: Any, pid: int, minutes: int) -> Iterator[Sample]:  # noqa: ANN401 - Playwright's
    """Yield what the page and the server hold, from a minute after the call on.

    Args:
        page: an open page of the dashboard.
        pid: of the dashboard process.
        minutes: between the first and the last.
    """
    session = page.context.new_cdp_session(page)
    page.wait_for_timeout(WARM_UP_S * 1000)
    began = time.monotonic()
    for number in range(SAMPLES + 1):
        wait_s = began + number * minutes * 60 / SAMPLES - time.monotonic()
        page.wait_for_timeout(max(0.0, wait_s * 1000))
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"]
        counters = session.send("Memory.getDOMCounters")
        yield Sample(
            minute=(time.monotonic() - began) / 60,
            heap_mb=heap / 1e6,
            nodes=counters["nodes"],
            listeners=counters["jsEventListeners"],
            server_mb=_resident_bytes(pid) / 1e6,
        )


def points(page: Any, line: str) -> tuple[int, list[float]]:  # noqa: ANN401
    """Return how many points the line has, and the different steps (ms) between them."""
    times = page.evaluate(f"Array.from({line}.data[2].x)")
    return len(times), sorted({later - sooner for sooner, later in pairwise(times)})


def _resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) * 1024
