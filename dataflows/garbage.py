"""How Python's garbage collector is to treat a process that works through a stream."""

import gc
from typing import Final

__all__ = ["calm_collector"]

# Python's own are 700, 10 and 10. What the flow drops goes at once, by counting references; cycles
# are few. With the state in memory, the search for them took a fifth of the time of the panes.
THRESHOLDS: Final = (50_000, 20, 20)


def calm_collector() -> None:
    """Leave what is there now out of all searches for cycles, and search less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
