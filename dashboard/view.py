"""What one page says in words and numbers, computed from the state.

Pure: state, choices and the two clocks in, component properties out. Only `live` sends them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

from dashboard.alerts import AlertRow, alert_row
from dashboard.charts.heatmap import MAX_ROWS
from dashboard.charts.shares import FACE_COLUMNS, SENTIMENT_COLUMNS
from dashboard.controls import Controls
from dashboard.drawing import Side, heat_sources
from dashboard.feed import FeedRow
from dashboard.kinds import Apart, apart, kinds_texts
from dashboard.language import gettext as _
from dashboard.language import ngettext
from dashboard.status import status
from dashboard.store import Store
from dashboard.texts import (
    MISSING,
    THIN_SPACE,
    age_text,
    count_text,
    decimal_text,
    percent_text,
    span_text,
)
from dashboard.theme import EXPRESSION_ORDER, SENTIMENT_ORDER
from dashboard.workers import catch_up_text, describe
from dataflows.keys import ALL_SOURCES, EXPIRY_S
from dataflows.panes import EMPTY, Pane, statistics

__all__ = ["Props", "connection", "shown_place", "source_options", "texts"]

RowT = TypeVar("RowT", FeedRow, AlertRow)
# (component id, property) → value
Props = dict[tuple[str, str], Any]

RATE_S: Final = 10  # complete seconds over which events are counted
TODAY_S: Final = 12 * 3600  # a time that is further away has its date
SHOWN_ROWS: Final = 100
SHOWN_ALERTS: Final = 50
SHOWN_SOURCES: Final = 1000
HEAT_ROW_PX: Final = 18
HEAT_FRAME_PX: Final = 64


def connection(store: Store, now: float) -> Props:
    """Return what the badge says, which must be told even when there is nothing else to tell."""
    judged = status(store, now)
    return {("status", "data"): {"state": judged.state, "detail": judged.detail}}


def shown_place(store: Store, controls: Controls) -> Props:
    """Return what can be seen and how high it is, to be told before charts are drawn in it."""
    pipeline = controls.place == "pipeline"
    height = HEAT_FRAME_PX + HEAT_ROW_PX * max(4, len(heat_sources(store)))
    return {
        ("heat-area", "style"): {"height": f"{height}px"},
        ("empty", "hidden"): not store.empty or pipeline,
        ("main", "hidden"): store.empty or pipeline,
        ("pipeline", "hidden"): not pipeline,
    }


def texts(
    store: Store, shown: Iterable[Side], controls: Controls, now: float, wall: float
) -> Props:
    """Return everything on the page that is not a chart.

    Args:
        store: the state.
        shown: what each side shows.
        controls: the viewer's choices.
        now: the clock of `store.updated_at`, in seconds.
        wall: the time of day (epoch s).
    """
    options = source_options(store, (controls.source, controls.other))
    props: Props = {
        **connection(store, now),
        ("source", "data"): options,
        ("zone", "children"): _("event time, {zone}").format(zone=controls.zone.spaced),
    }
    if controls.place == "live":
        lags = any(math.isfinite(worker.lag) for worker in store.workers)
        props["flow-note", "children"] = catch_up_text(store.vitals.catch_up_s()) if lags else ""
        rows = islice(_of(store.feed, controls.source), SHOWN_ROWS)
        props["feed-rows", "data"] = [_row(row, controls, wall) for row in rows]
        alerts = list(_of(reversed(store.alerts.values()), controls.source))
        props["alerts", "rowData"] = [alert_row(a, controls.zone) for a in alerts[:SHOWN_ALERTS]]
        lasting = sum(alert.ended is None for alert in alerts)
        props["alerts-note", "children"] = (
            _("{count} last now").format(count=lasting) if lasting else _("none lasts now")
        )
    if controls.place == "history":
        props |= {("other", "data"): options} | _scrubber(store, controls)
    props |= _heat(store)
    for side in shown:
        props |= _side(store, side, controls, wall)
    return props


def source_options(store: Store, chosen: Iterable[str]) -> list[dict[str, str]]:
    """Return the choices of the source filter; the chosen ones are there even without data."""
    newest_first = sorted(store.sources, key=lambda name: (-store.sources[name], name))
    names = set(newest_first[:SHOWN_SOURCES]) | (set(chosen) - {ALL_SOURCES})
    return [
        {"value": ALL_SOURCES, "label": _("All sources")},
        *({"value": name, "label": name} for name in sorted(names)),
    ]


def _heat(store: Store) -> Props:
    count = len(store.sources)
    note = count_text(count, ngettext("source", "sources", count))
    if count > MAX_ROWS:
        note = _("{shown} of {all}").format(shown=MAX_ROWS, all=note)
    return {("heat-note", "children"): note}


def _scrubber(store: Store, controls: Controls) -> Props:
    """Return the ends of the scrubber: as far back as panes of the resolution are stored."""
    newest = (store.newest_event_ms(ALL_SOURCES) or 0) // 1000
    kept = EXPIRY_S[controls.scale.resolution_s] - controls.range_s
    moment = newest if controls.end is None else controls.end
    zone = controls.zone
    return {
        ("scrub", "min"): newest - max(kept, controls.range_s),
        ("scrub", "max"): newest,
        ("scrub", "step"): controls.scale.step_s,
        ("scrub-from", "children"): zone.date_and_clock((moment - controls.range_s) * 1000),
        ("scrub-to", "children"): zone.date_and_clock(moment * 1000),
        # While it is fixed the viewer holds it.
        **({("scrub", "value"): newest} if controls.end is None else {}),
    }


def _side(store: Store, side: Side, controls: Controls, wall: float) -> Props:
    """Return the figures of one side, each with its change against the period before."""
    total = before = recent = EMPTY
    if side.series is not None and side.end is not None:
        total = side.series.total(side.end, controls.range_s)
        begin = side.end - controls.range_s
        if side.series.reaches(begin - controls.range_s * 9 // 10):  # else it is a scrap of one
            before = side.series.total(begin, controls.range_s)
    seconds = store.series(side.source) if not side.prefix else None
    if seconds is not None and side.end is not None:
        newest = store.end(side.source, seconds) if controls.end is None else side.end
        recent = seconds.total((newest or side.end) - 1, RATE_S)  # the newest is still filling
    named = _figures(total, before, controls)
    width = span_text(controls.scale.rolling_s)
    rolling = {"rolling-note": _("{width} rolling mean with its 95 % band").format(width=width)}
    if side.prefix:
        named = {name: text for name, text in named.items() if name.startswith("share-")}
    else:
        named |= _rate(store, recent, before, controls) | _age(store, controls, wall)
        named |= kinds_texts(_apart(store, side, total, controls))
    named |= rolling
    if controls.compare != "none":
        named |= _heading(side, total, controls)
    return {(f"{side.prefix}{name}", "children"): text for name, text in named.items()}


def _apart(store: Store, side: Side, total: Pane, controls: Controls) -> Apart:
    """Return faces and texts apart, from the sources that the heatmap has for all of them."""
    end = side.end
    if side.source != ALL_SOURCES or end is None:
        return apart(total, [total])
    resolution = controls.scale.heat_resolution_s
    rows = (store.series(name, resolution) for name in heat_sources(store))
    return apart(total, (row.total(end, controls.range_s) for row in rows if row is not None))


def _heading(side: Side, total: Pane, controls: Controls) -> dict[str, str]:
    """Return what stands above one of two sides."""
    source = _("All sources") if side.source == ALL_SOURCES else side.source
    mean = statistics(total)
    if side.end is None or not total.n:
        return {"title": source, "summary": _("nothing stored for this period")}
    return {
        "title": _("{source}, until {moment}").format(
            source=source, moment=controls.zone.date_and_clock(side.end * 1000)
        ),
        "summary": _("valence {valence} ± {half_width}, confidence {confidence}, {count}").format(
            valence=decimal_text(mean.valence, sign=True),
            half_width=decimal_text(mean.valence_ci95, 3),
            confidence=percent_text(mean.confidence),
            count=count_text(total.n, ngettext("observation", "observations", total.n)),
        ),
    }


def _figures(total: Pane, before: Pane, controls: Controls) -> dict[str, str]:
    now, then = statistics(total), statistics(before)
    digits = 2 if now.valence_ci95 >= 0.01 else 3  # never "± 0.00", which would claim certainty
    half_width = decimal_text(now.valence_ci95, digits)
    row, old = tuple(total), tuple(before)
    counts = {n: row[c] for n, c in zip(EXPRESSION_ORDER, FACE_COLUMNS, strict=True)}
    olds = {n: old[c] for n, c in zip(EXPRESSION_ORDER, FACE_COLUMNS, strict=True)}
    faces = sum(counts.values())
    dominant = max(counts, key=lambda name: counts[name])
    share = counts[dominant] / faces if faces else math.nan
    old_share = olds[dominant] / sum(olds.values()) if any(olds.values()) else math.nan
    named = {
        "valence-value": decimal_text(now.valence, sign=True),
        "valence-spread": f"± {half_width}" if math.isfinite(now.valence_ci95) else "",
        "valence-note": count_text(total.n, ngettext("observation", "observations", total.n)),
        "valence-change": _change(decimal_text(now.valence - then.valence, sign=True), controls),
        "expression-value": _expression(dominant) if faces else MISSING,
        "expression-spread": percent_text(share) if faces else "",
        "expression-note": _("of {faces}").format(
            faces=count_text(faces, ngettext("face", "faces", faces))
        ),
        "expression-change": _change(_points(share - old_share), controls),
        "confidence-value": percent_text(now.confidence),
        "confidence-change": _change(_points(now.confidence - then.confidence), controls),
    }
    for name, count in counts.items():
        named[f"share-{name}"] = percent_text(count / faces) if faces else MISSING
    for name, column in zip(SENTIMENT_ORDER, SENTIMENT_COLUMNS, strict=True):
        named[f"share-of-{name}"] = percent_text(row[column] / total.n) if total.n else MISSING
    return named


def _rate(store: Store, recent: Pane, before: Pane, controls: Controls) -> dict[str, str]:
    rate, old = recent.events / RATE_S, before.events / controls.range_s
    change = f"{(rate / old - 1) * 100:+.0f}".replace("-", "\u2212") + "\u202f%" if old else MISSING
    return {
        "rate-value": decimal_text(rate, 1),
        "rate-note": describe(store.workers, store.vitals.latency_ms),
        "rate-change": _change(change, controls),
    }


def _age(store: Store, controls: Controls, wall: float) -> dict[str, str]:
    newest_ms = store.newest_event_ms(controls.source)
    if newest_ms is None:
        return {"age-value": MISSING, "age-note": _("no event"), "age-change": ""}
    moment = controls.zone.at(newest_ms, dated=abs(wall - newest_ms / 1000) >= TODAY_S)
    # What the age usually was: that of one moment says little. Known of all sources together.
    known = controls.source == ALL_SOURCES
    longer = store.vitals.age_change_s(controls.range_s) if known else math.nan
    text = decimal_text(longer, 1, sign=True)
    change = text if text == MISSING else f"{text}{THIN_SPACE}s"
    return {
        "age-value": age_text(wall - newest_ms / 1000),
        "age-note": _("newest {moment}").format(moment=moment),
        "age-change": _change(change, controls),
    }


def _change(text: str, controls: Controls) -> str:
    """Return a change with what it is against; nothing when there is nothing to compare."""
    if text == MISSING:
        return ""
    period = span_text(controls.range_s)
    return _("{change} against the {period} before").format(change=text, period=period)


def _points(difference: float) -> str:
    """Return a difference of shares in percentage points."""
    text = decimal_text(difference * 100, 0, sign=True)
    return text if text == MISSING else _("{number} points").format(number=text)


def _expression(name: str) -> str:
    return _(name)


def _of(rows: Iterable[RowT], source: str) -> Iterator[RowT]:
    return (row for row in rows if source in (ALL_SOURCES, row.source))


def _row(row: FeedRow, controls: Controls, wall: float) -> dict[str, Any]:
    tomorrow = row.time_ms / 1000 - wall > TODAY_S
    label = _expression(row.label) if row.faces else MISSING if row.text else _("none")
    return {
        "id": row.key,
        "time": controls.zone.at(row.time_ms, dated=tomorrow),
        "source": row.source,
        "faces": row.faces,
        "expression": f"{label} + {row.more}" if row.more else label,
        "kind": row.label if row.faces else "",
        "text": _text(row),
        "said": row.text,
        "confidence": MISSING if row.confidence is None else percent_text(row.confidence),
        "valence": MISSING if row.valence is None else decimal_text(row.valence, sign=True),
    }


def _text(row: FeedRow) -> str:
    """Return the sentiment of a text, with its language where the model does not know it."""
    if not row.text:
        return MISSING
    return f"{_(row.text)} ({row.language})" if row.language else _(row.text)
