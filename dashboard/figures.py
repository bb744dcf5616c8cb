"""Panes in, Plotly figures out: plain dictionaries, computed from exact integer sums.

Both charts cover the whole range that was asked for, also where there is no data, so that the
automatic time axis is exactly that range. An explicit axis range would undo the viewer's zoom
with each new point.

Times are numbers (epoch ms), which Plotly shows in the zone of the browser; date strings it would
take as they are.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dashboard.series import Integers, Series, rolling_sums
from dashboard.texts import percent_text
from dashboard.theme import EXPRESSION_ORDER, FONT, PATTERNS, Palette
from dataflows.panes import FIELDS, Z95

__all__ = ["BUCKET_S", "ROLLING_S", "STEP_S", "Figure", "blank", "face_columns", "mix", "valence"]

Figure = dict[str, Any]

ROLLING_S: Final = 10  # width of the rolling mean
# Seconds between the points of the valence line by range: never more points than pixels.
STEP_S: Final = {60: 1, 300: 1, 900: 1, 3600: 5}
# Seconds of one bar of the expression mix by range: 30 bars, always.
BUCKET_S: Final = {60: 2, 300: 10, 900: 30, 3600: 120}
_N, _SUM, _SQUARES = (FIELDS.index(name) for name in ("n", "valence_sum", "valence_sq_sum"))


def face_columns() -> list[int]:
    """Return the columns of a pane that count faces, in the order of `EXPRESSION_ORDER`."""
    return [FIELDS.index("neutral_face" if e == "neutral" else e) for e in EXPRESSION_ORDER]


def valence(series: Series, range_s: int, colours: Palette, *, touch: bool) -> Figure:
    """Return the rolling mean of valence with its 95 % band.

    Args:
        series: panes of one source with at least one pane.
        range_s: shown seconds, a key of `STEP_S`.
        colours: the colour scheme.
        touch: whether dragging must scroll the page instead of zooming.
    """
    step = STEP_S[range_s]
    end = _newest(series) // step * step
    sums = rolling_sums(series.window(end, range_s + ROLLING_S - 1), ROLLING_S)[step - 1 :: step]
    times = np.arange(end - range_s + step, end + 1, step) * 1000
    mean, half_width = _means(sums)
    # A gap keeps the line open; the band goes on with no width, since a fill cannot have holes.
    level = _carry(mean)
    width = np.nan_to_num(half_width)
    count = sums[:, _N].tolist()
    halves = _listed(half_width)
    x = times.tolist()
    edge = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    return {
        "data": [
            edge | {"y": _listed(np.clip(level - width, -1, 1))},
            edge
            | {
                "y": _listed(np.clip(level + width, -1, 1)),
                "fill": "tonexty",
                "fillcolor": colours.band,
            },
            {
                "x": x,
                "y": _listed(mean),
                "customdata": [list(pair) for pair in zip(halves, count, strict=True)],
                "mode": "lines",
                "line": {"width": 2, "color": colours.accent},
                "connectgaps": False,
                "hovertemplate": "<b>%{y:+.2f}</b> ± %{customdata[0]:.2f}"
                "<br>%{customdata[1]} observations in 10 s<extra></extra>",
            },
        ],
        "layout": _layout(range_s, colours, touch)
        | {
            "yaxis": _axis(colours)
            | {
                "range": [-1, 1],
                "tickvals": [-1, -0.5, 0, 0.5, 1],
                "ticktext": ["\u22121", "\u22120.5", "0", "+0.5", "+1"],
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


def mix(series: Series, range_s: int, colours: Palette, *, touch: bool) -> Figure:
    """Return the shares of the seven expressions over time, stacked to 100 %.

    The arguments are those of `valence`.
    """
    width = BUCKET_S[range_s]
    last = _newest(series) // width * width
    panes = series.window(last + width - 1, range_s)
    sums: Integers = panes.reshape(range_s // width, width, len(FIELDS)).sum(axis=1)
    counts = sums[:, face_columns()]
    faces = counts.sum(axis=1, keepdims=True)
    shares = np.full(counts.shape, np.nan)
    np.divide(counts * 100, faces, out=shares, where=faces > 0)
    times = (np.arange(last - range_s + width, last + 1, width) * 1000).tolist()
    return {
        "data": [
            {
                "type": "bar",
                "name": name,
                "x": times,
                "y": _listed(shares[:, column], digits=2),
                "customdata": counts[:, column].tolist(),
                "offset": 0,
                "width": width * 900,  # milliseconds: nine tenths of the bucket
                "marker": {
                    "color": colours.expressions[name],
                    "line": {"width": 0},
                    "pattern": {
                        "shape": PATTERNS[name],
                        "fillmode": "overlay",
                        "fgcolor": colours.surface,
                        "fgopacity": 0.55,
                        "size": 6,
                        "solidity": 0.22,
                    },
                },
                "hovertemplate": "%{y:.0f} % (%{customdata})",
            }
            for column, name in enumerate(EXPRESSION_ORDER)
        ],
        "layout": _layout(range_s, colours, touch)
        | {
            "barmode": "stack",
            "hovermode": "x unified",
            "yaxis": _axis(colours)
            | {
                "range": [0, 100],
                "tickvals": [0, 25, 50, 75, 100],
                "ticktext": [percent_text(share) for share in (0, 0.25, 0.5, 0.75, 1)],
                "fixedrange": True,
            },
        },
    }


def blank(colours: Palette) -> Figure:
    """Return a figure with nothing in it, for the first paint and for a source without data."""
    layout = _layout(0, colours, touch=True)
    hidden = {"visible": False, "fixedrange": True}
    return {"data": [], "layout": layout | {"xaxis": hidden, "yaxis": hidden}}


def _means(sums: Integers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean valence and its 95 % half-width for each row of sums; NaN where undefined."""
    n, total, squares = sums[:, _N], sums[:, _SUM], sums[:, _SQUARES]
    mean = np.full(len(sums), np.nan)
    np.divide(total, n * 1000, out=mean, where=n > 0)
    variance = np.full(len(sums), np.nan)
    # Integers up to the division, as in `dataflows.panes.statistics`: nothing cancels.
    np.divide(n * squares - total**2, n * (n - 1), out=variance, where=n > 1)
    half_width = np.full(len(sums), np.nan)
    np.divide(Z95 * np.sqrt(variance), np.sqrt(n) * 1000, out=half_width, where=n > 1)
    return mean, half_width


def _carry(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values with each gap filled by the last value before it (zero at the start)."""
    known = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.accumulate(known)
    return np.where(last < 0, 0.0, values[last])


def _listed(values: NDArray[np.float64], digits: int = 4) -> list[float | None]:
    """Return a list for JSON: rounded to what can be seen, `None` for what is undefined."""
    return [None if value != value else value for value in np.round(values, digits).tolist()]


def _newest(series: Series) -> int:
    if series.newest is None:
        raise ValueError("a figure needs at least one pane")
    return series.newest


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


def _axis(colours: Palette) -> dict[str, Any]:
    return {
        "gridcolor": colours.grid,
        "linecolor": colours.grid,
        "zeroline": False,
        "automargin": False,
        "ticks": "",
    }


def _layout(range_s: int, colours: Palette, touch: bool) -> dict[str, Any]:
    return {
        "autosize": True,
        "margin": {"l": 50, "r": 14, "t": 8, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": colours.muted},
        "showlegend": False,
        "hovermode": "x",
        "hoverlabel": {
            "bgcolor": colours.surface,
            "bordercolor": colours.grid,
            "font": {"family": FONT, "size": 12, "color": colours.text},
        },
        "dragmode": False if touch else "zoom",
        # The viewer's zoom survives every push, until another range is chosen.
        "uirevision": str(range_s),
        "xaxis": _axis(colours)
        | {
            "type": "date",
            "nticks": 6,
            "tickangle": 0,
            "ticklabelstandoff": 4,
            "hoverformat": "%H:%M:%S",
            "showgrid": False,
        },
    }
