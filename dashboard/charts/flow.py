"""How the stream keeps up: events a second, latency and lag, one above the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashboard.charts.parts import Figure, Floats, Look, axis, bucket_sums, layout, listed
from dashboard.series import Series
from dashboard.theme import Palette
from dataflows.panes import FIELDS

__all__ = ["flow"]

_EVENTS: Final = FIELDS.index("events")
# Lower and upper end of each part, as shares of the height.
_PARTS: Final = ((0.72, 1.0), (0.36, 0.64), (0.0, 0.28))


def flow(
    series: Series,
    end: int,
    look: Look,
    vitals: tuple[Floats, Floats, Floats],
    titles: Sequence[str],
) -> Figure:
    """Return the chart.

    Args:
        series: panes of one source at the resolution of the scale.
        end: newest shown second (epoch s).
        look: how the chart looks.
        vitals: times (epoch ms), latency p95 (ms) and lag (records) of the workers.
        titles: names of the three parts.
    """
    scale, colours = look.scale, look.colours
    width = scale.bucket_s
    rows = series.window(look.last_bucket(end) + width - series.resolution_s, scale.range_s)
    rates = bucket_sums(rows, series.resolution_s, width)[:, _EVENTS] / width
    times, latency, lag = vitals
    moments = times.tolist()
    base = layout(look)
    line = {"type": "scatter", "mode": "lines", "line": {"width": 1.5, "color": colours.accent}}
    return {
        "data": [
            {
                "type": "bar",
                "x": look.bucket_times(end),
                "y": listed(rates, 3),
                "offset": 0,
                "width": width * 900,
                "marker": {"color": colours.accent, "line": {"width": 0}},
                "hovertemplate": "%{y:.1f}<extra></extra>",
            },
            line
            | {
                "x": moments,
                "y": listed(latency, 1),
                "yaxis": "y2",
                "hovertemplate": "%{y:.0f} ms<extra></extra>",
            },
            line
            | {
                "x": moments,
                "y": listed(lag, 0),
                "yaxis": "y3",
                "hovertemplate": "%{y:.0f}<extra></extra>",
            },
        ],
        "layout": base
        | {
            f"yaxis{number or ''}": _part(colours, domain)
            for number, domain in zip(("", 2, 3), _PARTS, strict=True)
        }
        | {
            "xaxis": base["xaxis"] | {"anchor": "y3"},
            "margin": {"l": 50, "r": 14, "t": 22, "b": 40},
            "annotations": [
                {
                    "text": title,
                    "xref": "paper",
                    "yref": "paper",
                    "x": 0,
                    "y": top,
                    "xanchor": "left",
                    "yanchor": "bottom",
                    "showarrow": False,
                    "font": {"size": 11, "color": colours.muted},
                }
                for title, (_, top) in zip(titles, _PARTS, strict=True)
            ],
        },
    }


def _part(colours: Palette, domain: tuple[float, float]) -> dict[str, Any]:
    return axis(colours) | {
        "domain": list(domain),
        "rangemode": "tozero",
        "nticks": 3,
        "fixedrange": True,
    }
