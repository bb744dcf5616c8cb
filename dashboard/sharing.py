"""Charts of the newest state, each drawn once for all pages that show the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from copy import copy
from itertools import tee

from dashboard.controls import Controls
from dashboard.drawing import Chart, Side, charts
from dashboard.language import current
from dashboard.store import Store

__all__ = ["Shared", "seen"]


class Shared:
    """Charts by what they depend on: the panes, the choices and the language, but no clock."""

    def __init__(self) -> None:
        self._state: Hashable = None
        self._drawn: dict[Hashable, Iterator[tuple[str, Chart]]] = {}

    def charts(
        self, store: Store, controls: Controls, shown: list[Side]
    ) -> Iterator[tuple[str, Chart]]:
        """Yield what `drawing.charts` does; nobody may change it."""
        state = store.version, store.vitals.newest
        if state != self._state:
            self._state = state
            self._drawn.clear()
        key = controls, current(), *seen(shown)
        if key not in self._drawn:
            (self._drawn[key],) = tee(charts(store, controls, shown), 1)
        # A copy begins where its original stands, which is never moved.
        return copy(self._drawn[key])


def seen(shown: Iterable[Side]) -> tuple[Hashable, ...]:
    """Return what the charts of these sides depend on."""
    return tuple((side.series, side.series and side.series.version, side.end) for side in shown)
