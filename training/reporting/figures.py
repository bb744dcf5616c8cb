"""The figures: drawn on Matplotlib's objects, without the global state of its pyplot.

Colours are those of Okabe and Ito, which stay apart for all kinds of colour vision; dashes and
markers say the same without colour. In a page each of them becomes a variable of its style sheet,
so that a figure follows the light or dark scheme.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Line",
    "Panel",
    "Whiskers",
    "draw_confusion",
    "draw_curves",
    "draw_groups",
    "draw_reliability",
    "png",
    "svg",
]

INK, MUTED, GRID, PAPER = "#1b1f24", "#59636e", "#d5d9de", "#fdfdfc"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
SHADE = "#0073b3"  # blue, with a name of its own: in the dark it lies below text
# Names of the variables in the style sheet of a page.
VARIABLES: Final = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    SHADE: "shade",
}
LINES: Final = ((BLUE, "-", "o"), (ORANGE, (0, (5, 2)), "s"), (GREEN, (0, (1, 1.2)), "^"))
WIDTH = 4.6  # inches: about a telephone's width, so that text stays legible on one
STRONGEST = 0.75  # opacity of a whole row in one cell: any more, and its text is hard to read


@dataclass(frozen=True)
class Line:
    """One curve: float64 [epochs] each."""

    label: str
    epochs: NDArray[np.float64]
    values: NDArray[np.float64]
    style: int  # its place in LINES, the same for the same thing in all figures


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis.

    Attributes:
        title: what is measured.
        lines: what is drawn.
        phases: epochs with which a further phase starts.
        kept: the epoch whose weights are kept.
    """

    title: str
    lines: tuple[Line, ...]
    phases: tuple[float, ...] = ()
    kept: int | None = None


@dataclass(frozen=True)
class Whiskers:
    """A share with the ends of its interval, and what it belongs to."""

    name: str
    value: float
    low: float
    high: float


def draw_curves(axes: Axes, panel: Panel) -> None:
    """Draw curves over epochs, with the starts of the phases and the kept epoch."""
    for line in panel.lines:
        colour, dashes, marker = LINES[line.style]
        axes.plot(
            *(line.epochs, line.values),
            color=colour,
            linestyle=dashes,
            marker=marker,
            markersize=3 if len(line.epochs) < 40 else 0,
            linewidth=1.6,
            label=line.label,
        )
    for number, start in enumerate(panel.phases, 2):
        axes.axvline(start - 0.5, color=MUTED, linewidth=0.8)
        axes.annotate(
            f"phase {number}",
            (start - 0.5, 1),
            (3, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
            color=MUTED,
        )
    if panel.kept is not None:
        axes.axvline(panel.kept, color=INK, linewidth=1, linestyle=":", label="kept epoch")
    axes.set(xlabel="epoch", ylabel=panel.title)
    axes.locator_params(axis="x", integer=True)
    _legend(axes)


def draw_confusion(
    axes: Axes, matrix: NDArray[np.int64], classes: Sequence[str], *, shares: bool
) -> None:
    """Draw a confusion matrix [true, called]; the shade is the share of the row.

    Args:
        axes: where to.
        matrix: int64 [classes, classes] of counts.
        classes: names of the rows and columns.
        shares: write shares of the row instead of counts.
    """
    size = len(classes)
    part = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    rows, columns = np.divmod(np.arange(size * size), size)
    shades = [(SHADE, STRONGEST * float(share)) for share in part.ravel()]
    axes.bar(columns, 1, 1, rows - 0.5, color=shades, edgecolor=GRID, linewidth=0.5)
    for row, column in zip(rows, columns, strict=True):
        count, share = int(matrix[row, column]), float(part[row, column])
        axes.text(
            *(column, row, f"{share:.2f}" if shares else f"{count:,}"),
            ha="center",
            va="center_baseline",
            color=INK if count else MUTED,
        )
    axes.set_xticks(range(size), classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(size), classes)
    axes.set(xlabel="called", ylabel="true", xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_reliability(
    axes: Axes, points: Sequence[tuple[float, Whiskers]], shares: NDArray[np.float64]
) -> None:
    """Draw accuracy over confidence, and how often there is that confidence.

    Args:
        axes: where to.
        points: mean confidence and accuracy of each bin that is not empty.
        shares: float64 [bins], of all.
    """
    edges = np.linspace(0, 1, len(shares) + 1)
    axes.bar(
        *(edges[:-1], shares, np.diff(edges)),
        align="edge",
        color=GRID,
        edgecolor=MUTED,
        linewidth=0.5,
        label="share of all",
    )
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="calibrated")
    confidence = [x for x, _ in points]
    found = [whiskers for _, whiskers in points]
    axes.errorbar(
        *(confidence, [w.value for w in found], _errors(found)),
        fmt="o-",
        color=BLUE,
        markersize=4,
        linewidth=1.2,
        capsize=2,
        label="accuracy, 95 %",
    )
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    _legend(axes)


def draw_groups(axes: Axes, groups: Sequence[Whiskers], overall: float, label: str) -> None:
    """Draw the accuracy of groups, one below the other, and that of all."""
    places = range(len(groups))
    axes.axvline(overall, color=MUTED, linewidth=1, linestyle="--", label="all")
    axes.errorbar(
        *([group.value for group in groups], places),
        xerr=_errors(groups),
        fmt="o",
        color=BLUE,
        markersize=5,
        capsize=3,
        label="accuracy, 95 %",
    )
    axes.set_yticks(places, [group.name for group in groups])
    axes.set(xlabel="accuracy", ylabel=label, ylim=(len(groups) - 0.5, -0.5))
    _legend(axes)


def svg(draw: Callable[[Axes], None], name: str, *, height: float) -> str:
    """Return a figure as an SVG element to stand in a page.

    Args:
        draw: draws it.
        name: unlike those of the other figures of the page; it begins all identifiers.
        height: as a share of the width.
    """
    text = _save([draw], "svg", (WIDTH, WIDTH * height), {"metadata": {"Date": None}}).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>|<defs>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'(<svg\b)[^>]*(viewBox="[^"]*")[^>]*>', r'\1 \2 aria-hidden="true">', text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return re.sub(r"\n\s*", "\n", text).strip()


def png(draws: Sequence[Callable[[Axes], None]]) -> bytes:
    """Return figures side by side as one PNG on a light ground."""
    return _save(draws, "png", (WIDTH * len(draws), WIDTH * 0.7), {"dpi": 120, "facecolor": PAPER})


def _save(
    draws: Sequence[Callable[[Axes], None]],
    kind: str,
    size: tuple[float, float],
    options: dict[str, Any],
) -> bytes:
    from matplotlib.figure import Figure

    file = io.BytesIO()
    with _style(), warnings.catch_warnings():
        # Text is measured in one font and, in a page, shown in another that may have more signs.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=size, layout="constrained")
        for draw, axes in zip(draws, figure.subplots(1, len(draws), squeeze=False)[0], strict=True):
            draw(axes)
        figure.savefig(file, format=kind, **options)
    return file.getvalue()


def _style() -> AbstractContextManager[None]:
    """Return the context in which figures are drawn; text and ticks are made only on saving."""
    from matplotlib import rc_context

    own: Any = {
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
        "axes.edgecolor": MUTED,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "none",
        "font.family": ["DejaVu Sans"],
        "font.size": 9.0,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "savefig.facecolor": "none",
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "sentistream",  # the same figure gives the same identifiers
        "text.parse_math": False,  # names come from files
    }
    return rc_context(own)


def _legend(axes: Axes) -> None:
    """Put the legend above the axes, where it hides no data."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=2,
        borderaxespad=0.2,
        handlelength=2.4,
        columnspacing=1.2,
    )


def _errors(found: Sequence[Whiskers]) -> NDArray[np.float64]:
    """Return float64 [2, n], the lengths below and above."""
    return np.array([(w.value - w.low, w.high - w.value) for w in found]).reshape(-1, 2).T
