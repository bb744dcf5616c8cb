"""What a report says, before it becomes a page or Markdown.

All text here is plain: each writer escapes it in its own way, once, where it writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Block",
    "Cell",
    "Document",
    "Missing",
    "Picture",
    "Pictures",
    "Section",
    "Signed",
    "Table",
    "Text",
    "Tile",
    "Tiles",
    "number",
]

DIGITS = 4  # as many as training.metrics keeps


class Signed(float):
    """A difference, which is written with its sign."""


Cell = str | int | float | None


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Missing:
    """A file that no stage has written yet, and the stage that does."""

    what: str
    stage: str


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


@dataclass(frozen=True)
class Tile:
    """One headline number and what has to be known with it."""

    name: str
    value: float
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tiles:
    """The headline."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Picture:
    """A figure that is drawn only where it can be shown.

    Attributes:
        caption: what stands below it.
        alt: what it shows, for those who cannot see it.
        draw: draws it.
        height: as a share of its width.
    """

    caption: str
    alt: str
    draw: Callable[[Axes], None]
    height: float = 0.66


@dataclass(frozen=True)
class Pictures:
    """Figures side by side, and the numbers behind them, which stand in for them in Markdown."""

    pictures: tuple[Picture, ...]
    numbers: tuple[Table, ...] = ()


Block = Text | Missing | Table | Tiles | Pictures


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    introduction: str
    sections: tuple[Section, ...]


def number(cell: Cell) -> str:
    """Return a cell as text: four digits for a share, the sign of a difference, a dash for none."""
    match cell:
        case None:
            return "–"  # noqa: RUF001 (an en dash: there is no such value)
        case str():
            return cell
        case Signed():
            return f"{cell:+.{DIGITS}f}"
        case float():
            return f"{cell:.{DIGITS}f}"
        case _:
            return f"{cell:,}"
