"""Rolling mean of valence with its 95 % band, and the alerts on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from dashboard.charts.parts import Figure, Floats, Look, N, axis, layout, listed, means
from dashboard.series import Integers, Series, rolling_sums
from dashboard.texts import decimal_text

__all__ = ["Marker", "Points", "points", "valence"]

TICKS: Final = (-1, -0.5, 0, 0.5, 1)


class Marker(NamedTuple):
    """A moment (epoch s) to be marked, and its name."""

    at: int
    name: str


class Points(NamedTuple):
    """What the line shows: times (epoch s), and the sums of the panes of each, (points, 15)."""

    times: Integers
    sums: Integers


def points(series: Series, end: int, look: Look) -> Points:
    """Return the points of the line.

    Args:
        series: panes of one source at the resolution of the scale.
        end: newest shown second (epoch s).
        look: how the chart looks.
    """
    _, resolution, step, rolling, *_ = look.scale
    last = end // step * step
    rows = series.window(last, look.scale.range_s + rolling - resolution)
    sums = rolling_sums(rows, rolling // resolution)[step // resolution - 1 :: step // resolution]
    return Points(np.arange(last - look.scale.range_s + step, last + 1, step), sums)


def valence(series: Series, end: int, look: Look, markers: Sequence[Marker] = ()) -> Figure:
    """Return the chart; the arguments are those of `points`."""
    times, sums = points(series, end, look)
    mean, half_width = means(sums)
    # A gap keeps the line open; the band goes on with no width, since a fill cannot have holes.
    level = _carry(mean)
    width = np.nan_to_num(half_width)
    x = (times * 1000).tolist()
    colours = look.colours
    edge = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    shown = [marker for marker in markers if times[0] <= marker.at <= times[-1]]
    return {
        "data": [
            edge | {"y": listed(np.clip(level - width, -1, 1))},
            edge
            | {
                "y": listed(np.clip(level + width, -1, 1)),
                "fill": "tonexty",
                "fillcolor": colours.band,
            },
            {
                "x": x,
                "y": listed(mean),
                "customdata": [
                    list(pair) for pair in zip(listed(half_width), sums[:, N].tolist(), strict=True)
                ],
                "mode": "lines",
                "line": {"width": 2, "color": colours.accent},
                "connectgaps": False,
                "hovertemplate": "<b>%{y:+.2f}</b> ± %{customdata[0]:.2f}"
                "<br>n = %{customdata[1]}<extra></extra>",
            },
            {
                "x": [marker.at * 1000 for marker in shown],
                "y": [0.93] * len(shown),
                "customdata": [marker.name for marker in shown],
                "mode": "markers",
                "marker": {"symbol": "triangle-down", "size": 12, "color": colours.alert},
                "hovertemplate": "%{customdata}<extra></extra>",
            },
        ],
        "layout": layout(look)
        | {
            "yaxis": axis(colours)
            | {
                "range": [-1, 1],
                "tickvals": TICKS,
                "ticktext": [decimal_text(at, 1, sign=True) for at in TICKS],
                "fixedrange": True,
            },
            "shapes": [
                _half(0, 1, colours.positive),
                _half(-1, 0, colours.negative),
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "y0": 0,
                    "y1": 0,
                    "line": {"width": 1, "color": colours.muted, "dash": "dot"},
                    "layer": "below",
                },
            ],
        },
    }


def _carry(values: Floats) -> Floats:
    """Return the values with each gap filled by the last value before it (zero at the start)."""
    known = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.accumulate(known)
    return np.where(last < 0, 0.0, values[last])


def _half(low: float, high: float, colour: str) -> dict[str, Any]:
    return {
        "type": "rect",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": low,
        "y1": high,
        "fillcolor": colour,
        "line": {"width": 0},
        "layer": "below",
    }
