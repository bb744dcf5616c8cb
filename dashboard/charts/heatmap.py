"""Valence by source and time: where something happens among many sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dashboard.charts.parts import (
    Figure,
    Look,
    N,
    axis,
    bucket_sums,
    layout,
    listed,
    means,
    plain,
)
from dashboard.series import Series

__all__ = ["FEW", "MAX_ROWS", "heatmap"]

FEW: Final = 5  # a mean of fewer observations is faded
MAX_ROWS: Final = 50


def heatmap(sources: Mapping[str, Series | None], end: int, look: Look) -> Figure:
    """Return the chart, one row a source from top to bottom.

    Args:
        sources: name → panes at the heatmap's resolution, `None` while they are being read.
        end: newest shown second (epoch s).
        look: how the chart looks.
    """
    scale, colours = look.scale, look.colours
    times = look.bucket_times(end)
    last = look.last_bucket(end) + scale.bucket_s
    rows: list[list[float | None]] = []
    counts: list[list[int]] = []
    few: list[list[int | None]] = []
    for series in sources.values():
        if series is None:
            rows.append([None] * len(times))
            counts.append([0] * len(times))
            few.append([None] * len(times))
            continue
        window = series.window(last - series.resolution_s, scale.range_s)
        sums = bucket_sums(window, series.resolution_s, scale.bucket_s)
        n = sums[:, N].tolist()
        rows.append(listed(means(sums)[0], 3))
        counts.append(n)
        few.append([1 if 0 < count < FEW else None for count in n])
    cells = {
        "type": "heatmap",
        "x": [time + scale.bucket_s * 500 for time in times],  # their middles
        "y": list(sources),
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
    }
    return {
        "data": [
            cells
            | {
                "z": rows,
                "customdata": counts,
                "zmin": -1,
                "zmax": 1,
                "colorscale": colours.diverging,
                "hovertemplate": "<b>%{y}</b> %{z:+.2f}<br>n = %{customdata}<extra></extra>",
            },
            cells
            | {
                "z": few,
                "zmin": 0,
                "zmax": 1,
                "colorscale": [[0, colours.veil], [1, colours.veil]],
                "hoverinfo": "skip",
            },
        ],
        "layout": layout(look)
        | {
            "hovermode": "closest",
            "margin": {"l": 130, "r": 14, "t": 8, "b": 40},
            "yaxis": axis(colours)
            | {
                "type": "category",
                "autorange": "reversed",
                "fixedrange": True,
                "showgrid": False,
                "tickfont": {"size": 11},
                "labelalias": {name: _label(name) for name in sources if name != _label(name)},
            },
        },
    }


def _label(name: str) -> str:
    return plain(name if len(name) <= 18 else f"{name[:8]}\u2026{name[-9:]}")
