"""A document as Markdown: the numbers of the page, without its figures."""

import re
from collections.abc import Iterable

from training.reporting.document import (
    Block,
    Document,
    Missing,
    Pictures,
    Section,
    Table,
    Text,
    Tiles,
    number,
)

__all__ = ["markdown"]

# Signs that Markdown or the HTML in it would read as more than text. An underscore within a word
# is text.
SPECIAL = re.compile(r"[\\`*\[\]|]|(?<!\w)_|_(?!\w)")


def markdown(document: Document) -> str:
    """Return a document as Markdown, in GitHub's form of tables."""
    parts = [f"# {_plain(document.title)}", _plain(document.introduction)]
    parts += [_section(section) for section in document.sections]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    return "\n\n".join([f"## {_plain(section.title)}", *map(_block, section.blocks)])


def _block(block: Block) -> str:
    match block:
        case Text(text):
            return _plain(text)
        case Missing(what, stage):
            return f"**{_plain(what)}** not there yet: run `python -m training {stage}`"
        case Table():
            return _table(block)
        case Tiles(tiles):
            return "\n".join(
                f"- **{_plain(tile.name)}** "
                + _plain("; ".join([number(tile.value), *tile.details]))
                for tile in tiles
            )
        case Pictures(pictures, numbers):
            lines = [f"- {_plain(picture.alt)}" for picture in pictures]
            return "\n\n".join(["\n".join(lines), *map(_table, numbers)])


def _table(table: Table) -> str:
    return "\n".join(
        [
            f"**{_plain(table.caption)}**",
            "",
            _row(table.columns),
            "|---" * len(table.columns) + "|",
            *(_row(map(number, row)) for row in table.rows),
        ]
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\g<0>", text)
