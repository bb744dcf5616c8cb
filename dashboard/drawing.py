"""Which charts a page has, drawn from the state. Pure but for what it asks the store to load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from dashboard.alerts import alert_name
from dashboard.charts.flow import flow
from dashboard.charts.heatmap import MAX_ROWS, heatmap
from dashboard.charts.parts import Figure, Look, blank, plain
from dashboard.charts.shares import expressions, sentiments
from dashboard.charts.valence import Marker, valence
from dashboard.controls import Controls
from dashboard.language import gettext as _
from dashboard.series import Series
from dashboard.store import Store
from dashboard.theme import palette
from dataflows.keys import ALL_SOURCES

__all__ = ["GRAPHS", "OTHER", "Chart", "Side", "charts", "heat_sources", "sides"]

OTHER: Final = "other-"  # prefix of the components beside
# Components with a chart.
GRAPHS: Final = ("valence", "mix", "share", "heat", "flow")
BESIDE: Final = tuple(f"{OTHER}{name}" for name in ("valence", "mix", "share"))

_PLAIN: Final[dict[str, Callable[[Series, int, Look], Figure]]] = {
    "mix": expressions,
    "share": sentiments,
}


class Chart(NamedTuple):
    """A figure, and what everything in it but its data depends on."""

    style: tuple[object, ...]
    figure: Figure


class Side(NamedTuple):
    """What one side shows.

    Attributes:
        prefix: of the components.
        source: `*` for all.
        series: its panes; `None` while they are being read.
        end: newest shown second (epoch s), `None` when there is nothing to show.
    """

    prefix: str
    source: str
    series: Series | None
    end: int | None


def sides(store: Store, controls: Controls) -> list[Side]:
    """Return the side that is always there, and the one beside it on the history page."""
    resolution = controls.scale.resolution_s
    series = store.series(controls.source, resolution, line=True)
    newest = store.end(controls.source, series)
    end = newest if controls.end is None else controls.end
    both = [Side("", controls.source, series, end)]
    if controls.place == "history" and controls.compare == "source":
        other = store.series(controls.other, resolution, line=True)
        both.append(Side(OTHER, controls.other, other, end))
    elif controls.place == "history" and controls.compare == "period":
        before = None if end is None else end - (controls.shift_s or controls.range_s)
        both.append(Side(OTHER, controls.source, series, before))
    return both


def charts(store: Store, controls: Controls, shown: list[Side]) -> Iterator[tuple[str, Chart]]:
    """Yield the charts of a page by component, each drawn when it is asked for."""
    colours = palette(dark=controls.dark)
    empty = Chart(("blank", controls.dark), blank(colours))
    for side in shown:
        if side.series is None:
            continue  # what is there stays until it is loaded
        fixed = None if controls.end is None else side.end
        look = Look(controls.scale, colours, controls.touch, fixed)
        style = (controls.range_s, controls.dark, controls.touch, fixed)
        if side.end is None or side.series.newest is None:
            yield from ((f"{side.prefix}{name}", empty) for name in ("valence", *_PLAIN))
        else:
            line = valence(side.series, side.end, look, _markers(store, side.source))
            yield f"{side.prefix}valence", Chart(style, line)
            for name, draw in _PLAIN.items():
                yield side.prefix + name, Chart(style, draw(side.series, side.end, look))
        if not side.prefix:
            yield from _wide(store, controls, side, look, style)


def _markers(store: Store, source: str) -> list[Marker]:
    return [
        Marker(alert.started, alert_name(alert.rule))
        for alert in store.alerts.values()
        if alert.source == source
    ]


def heat_sources(store: Store) -> list[str]:
    """Return the rows of the heatmap: in the order of names, so that none changes its place."""
    return sorted(store.sources)[:MAX_ROWS]


def _wide(
    store: Store, controls: Controls, side: Side, look: Look, style: tuple[object, ...]
) -> Iterator[tuple[str, Chart]]:
    """Yield the heatmap and, on the live page, how the stream keeps up."""
    if side.end is None or side.series is None:
        empty = Chart(("blank", controls.dark), blank(look.colours))
        yield from (("heat", empty), ("flow", empty))
        return
    resolution = controls.scale.heat_resolution_s
    rows = {name: store.series(name, resolution) for name in heat_sources(store)}
    yield "heat", Chart((*style, *rows), heatmap(rows, side.end, look))
    if controls.place == "live":
        # The newest heartbeat may be newer than the newest event.
        until = max(side.end, store.vitals.newest) if controls.end is None else side.end
        vitals = store.vitals.window(until, controls.range_s)
        named = "" if side.source == ALL_SOURCES else f", {plain(side.source)}"
        titles = (
            _("events per second") + named,
            _("latency p95 (ms), all sources"),
            _("lag (records), all sources"),
        )
        drawn = flow(side.series, side.end, look, vitals, titles)
        yield "flow", Chart((*style, side.source), drawn)
