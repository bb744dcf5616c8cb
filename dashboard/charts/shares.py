"""Shares over time, stacked to 100 %: the seven expressions, and the three sentiments."""

from __future__ import annotations

from typing import Final

from dashboard.charts.parts import Figure, Look, bars, bucket_sums, layout, percent_axis
from dashboard.series import Integers, Series
from dashboard.theme import EXPRESSION_ORDER, PATTERNS, SENTIMENT_ORDER, SENTIMENT_PATTERNS
from dataflows.panes import FIELDS

__all__ = ["FACE_COLUMNS", "SENTIMENT_COLUMNS", "expressions", "sentiments"]

# Columns of a pane that count faces by expression, and observations by sentiment.
FACE_COLUMNS: Final = [
    FIELDS.index("neutral_face" if name == "neutral" else name) for name in EXPRESSION_ORDER
]
SENTIMENT_COLUMNS: Final = [FIELDS.index(name) for name in SENTIMENT_ORDER]


def expressions(series: Series, end: int, look: Look) -> Figure:
    """Return the shares of the seven expressions among faces.

    Args:
        series: panes of one source at the resolution of the scale.
        end: newest shown second (epoch s).
        look: how the chart looks.
    """
    colours = look.colours.expressions
    styles = [(name, colours[name], PATTERNS[name]) for name in EXPRESSION_ORDER]
    return _stacked(series, end, look, FACE_COLUMNS, styles)


def sentiments(series: Series, end: int, look: Look) -> Figure:
    """Return the shares of the three sentiments among faces and texts, as for `expressions`."""
    colours = look.colours.sentiments
    styles = [(name, colours[name], SENTIMENT_PATTERNS[name]) for name in SENTIMENT_ORDER]
    return _stacked(series, end, look, SENTIMENT_COLUMNS, styles)


def _stacked(
    series: Series, end: int, look: Look, columns: list[int], styles: list[tuple[str, str, str]]
) -> Figure:
    width, resolution = look.scale.bucket_s, series.resolution_s
    rows = series.window(look.last_bucket(end) + width - resolution, look.scale.range_s)
    counts: Integers = bucket_sums(rows, resolution, width)[:, columns]
    return {
        "data": bars(counts, look, end, styles),
        "layout": layout(look)
        | {
            "barmode": "stack",
            "hovermode": "x unified",
            "yaxis": percent_axis(look.colours),
        },
    }
