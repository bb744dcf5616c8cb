"""A document as one HTML file that needs nothing else: no script, no font, no request."""

from collections.abc import Iterator
from html import escape
from importlib import resources
from itertools import count

from training.reporting.document import (
    Block,
    Cell,
    Document,
    Missing,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
    Tiles,
    number,
)
from training.reporting.figures import svg

__all__ = ["page"]

SHORT = 24  # characters: an interval or a setting
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p>{introduction}</p>
<nav aria-label="Sections"><ul>
{links}
</ul></nav>
</header>
{sections}
</main>
</body>
</html>
"""


def page(document: Document) -> str:
    """Return a document as HTML, with its figures drawn.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    names = count(1)
    sections = [_section(section, names) for section in document.sections]
    return PAGE.format(
        title=escape(document.title),
        introduction=escape(document.introduction),
        style=resources.files("training.reporting")
        .joinpath("page.css")
        .read_text(encoding="utf-8"),
        links="\n".join(
            f'<li><a href="#{_anchor(section)}">{escape(section.title)}</a></li>'
            for section in document.sections
        ),
        sections="\n".join(sections),
    )


def _section(section: Section, names: Iterator[int]) -> str:
    anchor = _anchor(section)
    blocks = "\n".join(_block(block, names) for block in section.blocks)
    return (
        f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{escape(section.title)}</h2>\n'
        f"{blocks}\n</section>"
    )


def _anchor(section: Section) -> str:
    return escape(section.title.lower().replace(" ", "-"))


def _block(block: Block, names: Iterator[int]) -> str:
    match block:
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Missing(what, stage):
            return (
                f'<p class="missing"><strong>{escape(what)}</strong> not there yet: run '
                f"<code>python -m training {escape(stage)}</code></p>"
            )
        case Table():
            return _table(block)
        case Tiles(tiles):
            return "\n".join(
                [
                    '<dl class="tiles">',
                    *(
                        f"<div><dt>{escape(tile.name)}</dt>"
                        f'<dd class="value">{number(tile.value)}</dd>'
                        + "".join(f"<dd>{escape(detail)}</dd>" for detail in tile.details)
                        + "</div>"
                        for tile in tiles
                    ),
                    "</dl>",
                ]
            )
        case Pictures(pictures, numbers):
            return "\n".join(
                [
                    '<div class="pictures">',
                    *(_picture(picture, next(names)) for picture in pictures),
                    "</div>",
                    *(_folded(table) for table in numbers),
                ]
            )


def _picture(picture: Picture, index: int) -> str:
    drawn = svg(picture.draw, f"figure{index}", height=picture.height)
    return (
        f'<figure>\n<div role="img" aria-label="{escape(picture.alt)}">\n{drawn}\n</div>\n'
        f"<figcaption>{escape(picture.caption)}</figcaption>\n</figure>"
    )


def _folded(table: Table) -> str:
    return (
        f"<details>\n<summary>Numbers: {escape(table.caption)}</summary>\n{_table(table)}\n"
        "</details>"
    )


def _table(table: Table) -> str:
    caption = escape(table.caption)
    kinds = [_kind([row[column] for row in table.rows]) for column, _ in enumerate(table.columns)]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "\n".join(
        f'<tr><th scope="row"{kinds[0]}>{escape(number(row[0]))}</th>'
        + "".join(
            f"<td{kind}>{escape(number(cell))}</td>"
            for cell, kind in zip(row[1:], kinds[1:], strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    # A region that scrolls has to be reached and named for those who use a keyboard.
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}">\n<table>\n'
        f"<caption><span>{caption}</span></caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _kind(cells: list[Cell]) -> str:
    """Return the class of a column: numbers, text that stays on one line, or text that wraps."""
    if not any(isinstance(cell, str) for cell in cells):
        return ' class="number"'
    return ' class="short"' if all(len(number(cell)) <= SHORT for cell in cells) else ""
