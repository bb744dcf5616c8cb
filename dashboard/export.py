"""The points of the valence line as CSV: what the chart shows, and the counts behind it."""

from __future__ import annotations

import csv
import io
import math
from datetime import UTC, datetime
from typing import Final

from dashboard.charts.parts import Look
from dashboard.charts.valence import points
from dashboard.scales import Scale
from dashboard.series import Series
from dashboard.theme import palette
from dataflows.panes import FIELDS, Pane, statistics

__all__ = ["COLUMNS", "csv_text"]

COLUMNS: Final = ("time", "valence", "valence_ci95", "confidence", *FIELDS)


def csv_text(series: Series, end: int, scale: Scale) -> str:
    """Return a header and one line a point, oldest first.

    `time` is the start of the newest second or bucket of the rolling window, in UTC; what is not
    defined is left empty.

    Args:
        series: panes of one source at the resolution of the scale.
        end: newest shown second (epoch s).
        scale: the shown range.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    times, sums = points(series, end, Look(scale, palette(dark=False)))
    for moment, row in zip(times.tolist(), sums.tolist(), strict=True):
        numbers = [
            f"{value:.4f}" if math.isfinite(value) else "" for value in statistics(Pane(*row))
        ]
        stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        writer.writerow([stamp, *numbers, *row])
    return text.getvalue()
