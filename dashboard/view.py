"""What one page shows, computed from the state: texts, charts, feed.

Pure: state, choices and the two clocks in, component properties out. Only `live` sends them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from dashboard import figures
from dashboard.controls import Controls
from dashboard.feed import FeedRow
from dashboard.figures import Figure
from dashboard.series import Series
from dashboard.status import status
from dashboard.store import Store
from dashboard.texts import MISSING, age_text, count_text, decimal_text, percent_text
from dashboard.theme import EXPRESSION_ORDER, palette
from dashboard.workers import describe
from dataflows.keys import ALL_SOURCES
from dataflows.panes import EMPTY, Pane, statistics

__all__ = ["Chart", "Props", "charts", "connection", "source_options", "texts"]

# (component id, property) → value
Props = dict[tuple[str, str], Any]

RATE_S: Final = 10  # complete seconds over which events are counted
SHOWN_ROWS: Final = 50
SHOWN_SOURCES: Final = 1000


class Chart(NamedTuple):
    """A figure, and what everything in it but its data depends on."""

    style: tuple[object, ...]
    figure: Figure


def charts(series: Series, controls: Controls) -> dict[str, Chart]:
    """Return the charts of a page by component id."""
    colours = palette(dark=controls.dark)
    if series.newest is None:
        return {
            name: Chart(("blank", controls.dark), figures.blank(colours))
            for name in ("valence", "mix")
        }
    style = (controls.range_s, controls.dark, controls.touch)
    range_s, touch = controls.range_s, controls.touch
    return {
        "valence": Chart(style, figures.valence(series, range_s, colours, touch=touch)),
        "mix": Chart(style, figures.mix(series, range_s, colours, touch=touch)),
    }


def connection(store: Store, now: float) -> Props:
    """Return what the badge says, which must be told even when there is nothing else to tell."""
    judged = status(store, now)
    return {("status", "data"): {"state": judged.state, "detail": judged.detail}}


def texts(store: Store, series: Series, controls: Controls, now: float, wall: float) -> Props:
    """Return everything on the page that is not a chart.

    Args:
        store: the state.
        series: panes of the chosen source.
        controls: the viewer's choices.
        now: the clock of `store.updated_at`, in seconds.
        wall: the time of day (epoch s).
    """
    props: Props = {
        **connection(store, now),
        ("source", "data"): source_options(store, controls.source),
        ("zone", "children"): f"event time, {controls.zone.name.replace('_', ' ')}",
        ("empty", "hidden"): not store.empty,
        ("main", "hidden"): store.empty,
        ("feed", "rowData"): [
            _row(row, controls) for row in islice(_of(store.feed, controls.source), SHOWN_ROWS)
        ],
    }
    if series.newest is None:
        range_total, rate_total = EMPTY, EMPTY
    else:
        range_total = series.total(series.newest, controls.range_s)
        # The newest second is still filling.
        rate_total = series.total(series.newest - 1, RATE_S)
    return props | dict(_figures(store, range_total, rate_total, controls, wall))


def source_options(store: Store, chosen: str) -> list[dict[str, str]]:
    """Return the choices of the source filter; the chosen one is there even without data."""
    newest_first = sorted(store.sources, key=lambda name: (-store.sources[name], name))
    names = set(newest_first[:SHOWN_SOURCES]) | ({chosen} - {ALL_SOURCES})
    return [
        {"value": ALL_SOURCES, "label": "All sources"},
        *({"value": name, "label": name} for name in sorted(names)),
    ]


def _figures(
    store: Store, total: Pane, recent: Pane, controls: Controls, wall: float
) -> Iterator[tuple[tuple[str, str], str]]:
    mean, half_width, confidence = statistics(total)
    yield ("valence-value", "children"), decimal_text(mean, sign=True)
    digits = 2 if half_width >= 0.01 else 3  # never "± 0.00", which would claim certainty
    spread = f"± {decimal_text(half_width, digits)}" if math.isfinite(half_width) else ""
    yield ("valence-spread", "children"), spread
    yield ("valence-note", "children"), count_text(total.n, "observation", "observations")

    row = tuple(total)
    counts = {
        name: row[column]
        for name, column in zip(EXPRESSION_ORDER, figures.face_columns(), strict=True)
    }
    faces = sum(counts.values())
    dominant = max(counts, key=lambda name: counts[name])
    yield ("expression-value", "children"), dominant if faces else MISSING
    share = percent_text(counts[dominant] / faces) if faces else ""
    yield ("expression-spread", "children"), share
    yield ("expression-note", "children"), f"of {count_text(faces, 'face', 'faces')}"
    for name, count in counts.items():
        text = percent_text(count / faces) if faces else MISSING
        yield (f"share-{name}", "children"), text

    yield ("confidence-value", "children"), percent_text(confidence)
    yield ("rate-value", "children"), decimal_text(recent.events / RATE_S, 1)
    yield ("rate-note", "children"), describe(store.workers)

    newest_ms = store.newest_event_ms(controls.source)
    if newest_ms is None:
        yield ("age-value", "children"), MISSING
        yield ("age-note", "children"), "no event"
    else:
        yield ("age-value", "children"), age_text(wall - newest_ms / 1000)
        today = wall - newest_ms / 1000 < 12 * 3600
        clock = controls.zone.clock if today else controls.zone.date_and_clock
        yield ("age-note", "children"), f"newest {clock(newest_ms)}"


def _of(rows: Iterator[FeedRow] | Any, source: str) -> Iterator[FeedRow]:  # noqa: ANN401
    return (row for row in rows if source in (ALL_SOURCES, row.source))


def _row(row: FeedRow, controls: Controls) -> dict[str, Any]:
    return {
        "id": row.key,
        "time": controls.zone.clock(row.time_ms),
        "source": row.source,
        "faces": row.faces,
        "expression": f"{row.label} + {row.more}" if row.more else row.label or "none",
        "kind": row.label,
        "confidence": MISSING if row.confidence is None else percent_text(row.confidence),
        "valence": MISSING if row.valence is None else decimal_text(row.valence, sign=True),
    }
