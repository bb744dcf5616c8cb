"""What the charts have in common: how they look, and means of many panes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dashboard.language import decimal_point
from dashboard.scales import Scale
from dashboard.series import Integers
from dashboard.texts import percent_text
from dashboard.theme import FONT, Palette
from dataflows.panes import FIELDS, Z95

__all__ = [
    "Figure",
    "Floats",
    "Look",
    "axis",
    "bars",
    "blank",
    "bucket_sums",
    "layout",
    "listed",
    "means",
    "percent_axis",
    "plain",
]

Figure = dict[str, Any]
Floats = NDArray[np.float64]

N: Final = FIELDS.index("n")
_SUM, _SQUARES = (FIELDS.index(name) for name in ("valence_sum", "valence_sq_sum"))


# The day stands below the first time of it. Plotly's own formats name the year as well, so that in
# a narrow chart one day would be written over the next.
_DAY_MS: Final = 24 * 3600 * 1000
_TICKS: Final = [
    {"dtickrange": [None, 59_999], "value": "%H:%M:%S\n%-d %b"},
    {"dtickrange": [60_000, _DAY_MS - 1], "value": "%H:%M\n%-d %b"},
    {"dtickrange": [_DAY_MS, None], "value": "%-d %b\n%Y"},
]


class Look(NamedTuple):
    """How a viewer's charts look.

    Attributes:
        scale: the shown range and its steps.
        colours: the colour scheme.
        touch: whether dragging must scroll the page instead of zooming.
        fixed_end: newest second (epoch s) that is shown if it does not move with the data.
    """

    scale: Scale
    colours: Palette
    touch: bool = False
    fixed_end: int | None = None

    def bucket_times(self, end: int) -> list[int]:
        """Return the starts (epoch ms) of the columns up to that of the second `end`."""
        width, last = self.scale.bucket_s, self.last_bucket(end)
        return (np.arange(last - self.scale.range_s + width, last + 1, width) * 1000).tolist()

    def last_bucket(self, end: int) -> int:
        """Return the start (epoch s) of the column with the second `end`."""
        return end // self.scale.bucket_s * self.scale.bucket_s


def bucket_sums(rows: Integers, resolution_s: int, bucket_s: int) -> Integers:
    """Return the sums of neighbouring rows by column, of shape (columns, 15)."""
    sums: Integers = rows.reshape(-1, bucket_s // resolution_s, rows.shape[-1]).sum(axis=1)
    return sums


def means(sums: Integers) -> tuple[Floats, Floats]:
    """Return mean valence and its 95 % half-width for each row of sums; NaN where undefined."""
    n, total, squares = sums[..., N], sums[..., _SUM], sums[..., _SQUARES]
    mean = np.full(n.shape, np.nan)
    np.divide(total, n * 1000, out=mean, where=n > 0)
    variance = np.full(n.shape, np.nan)
    # Integers up to the division, as in `dataflows.panes.statistics`: nothing cancels.
    np.divide(n * squares - total**2, n * (n - 1), out=variance, where=n > 1)
    half_width = np.full(n.shape, np.nan)
    np.divide(Z95 * np.sqrt(variance), np.sqrt(n) * 1000, out=half_width, where=n > 1)
    return mean, half_width


def listed(values: Floats, digits: int = 4) -> list[float | None]:
    """Return a list for JSON: rounded to what can be seen, `None` for what is undefined."""
    return [None if value != value else value for value in np.round(values, digits).tolist()]


def bars(
    counts: Integers, look: Look, end: int, styles: Sequence[tuple[str, str, str]]
) -> list[dict[str, Any]]:
    """Return the traces of columns that are stacked to 100 %.

    Args:
        counts: of shape (columns, kinds).
        look: how the chart looks.
        end: newest shown second (epoch s).
        styles: name, colour and pattern of each kind, the lowest in the stack first.
    """
    total = counts.sum(axis=1, keepdims=True)
    shares = np.full(counts.shape, np.nan)
    np.divide(counts * 100, total, out=shares, where=total > 0)
    times = look.bucket_times(end)
    return [
        {
            "type": "bar",
            "name": name,
            "x": times,
            "y": listed(shares[:, column], digits=2),
            "customdata": counts[:, column].tolist(),
            "offset": 0,
            "width": look.scale.bucket_s * 900,  # milliseconds: nine tenths of the bucket
            "marker": {
                "color": colour,
                "line": {"width": 0},
                "pattern": {
                    "shape": pattern,
                    "fillmode": "overlay",
                    "fgcolor": look.colours.surface,
                    "fgopacity": 0.55,
                    "size": 6,
                    "solidity": 0.22,
                },
            },
            "hovertemplate": "%{y:.0f} % (%{customdata})",
        }
        for column, (name, colour, pattern) in enumerate(styles)
    ]


def blank(colours: Palette) -> Figure:
    """Return a figure with nothing in it, for the first paint and for a source without data."""
    base = _layout(colours, touch=True)
    hidden = {"visible": False, "fixedrange": True}
    return {"data": [], "layout": base | {"xaxis": hidden, "yaxis": hidden}}


def layout(look: Look) -> dict[str, Any]:
    """Return the layout that all charts share; their own axes are added to it."""
    # The viewer's zoom survives every push, until another range or moment is chosen.
    revision = f"{look.scale.range_s} {look.fixed_end}"
    days = look.scale.range_s > 24 * 3600
    return _layout(look.colours, touch=look.touch) | {
        "uirevision": revision,
        "xaxis": axis(look.colours)
        | {
            "type": "date",
            "nticks": 6,
            "tickangle": 0,
            "tickformatstops": _TICKS,
            "ticklabelstandoff": 4,
            "hoverformat": "%d %b %H:%M" if days else "%H:%M:%S",
            "showgrid": False,
        },
    }


def percent_axis(colours: Palette) -> dict[str, Any]:
    """Return a fixed axis from 0 to 100 %."""
    return axis(colours) | {
        "range": [0, 100],
        "tickvals": [0, 25, 50, 75, 100],
        "ticktext": [percent_text(share) for share in (0, 0.25, 0.5, 0.75, 1)],
        "fixedrange": True,
    }


def axis(colours: Palette) -> dict[str, Any]:
    """Return what all axes share."""
    return {
        "gridcolor": colours.grid,
        "linecolor": colours.grid,
        "zeroline": False,
        "automargin": False,
        "ticks": "",
    }


def _layout(colours: Palette, *, touch: bool) -> dict[str, Any]:
    return {
        "autosize": True,
        "margin": {"l": 50, "r": 14, "t": 8, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": colours.muted},
        "showlegend": False,
        "separators": f"{decimal_point()}\u202f",
        "hovermode": "x",
        "hoverlabel": {
            "bgcolor": colours.surface,
            "bordercolor": colours.grid,
            "font": {"family": FONT, "size": 12, "color": colours.text},
        },
        "dragmode": False if touch else "zoom",
    }


def plain(text: str) -> str:
    """Return text from outside for a title or a tick, which Plotly takes for a kind of HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
