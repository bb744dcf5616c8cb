"""How the tests wait for what comes about in time, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["PATIENCE_S", "wait_for"]

PATIENCE_S = 600.0  # a machine that is shared was seen to need minutes for what takes seconds
LOOK_S = 0.05


def wait_for(
    holds: Callable[[], object],
    told: Callable[[], object] = lambda: "it never came true",
    check: Callable[[], object] = lambda: None,
    patience_s: float = PATIENCE_S,
) -> None:
    """Wait until something holds.

    Args:
        holds: asked again and again.
        told: what to say if it never holds.
        check: raises if it is in vain to wait on.
        patience_s: how long, in seconds.
    """
    until = time.monotonic() + patience_s
    while not holds():
        check()
        assert time.monotonic() < until, told()
        time.sleep(LOOK_S)
