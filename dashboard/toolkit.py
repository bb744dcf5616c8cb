"""Small parts of which the panels are made."""

from __future__ import annotations

from typing import Any, Final

from dash import dcc, html
from dash.development.base_component import Component

from dashboard.language import current
from dashboard.texts import MISSING

__all__ = ["card", "figure", "graph", "graph_area", "hidden", "label", "legend", "place_for"]

_GRAPH: Final = {"displayModeBar": False, "scrollZoom": False, "doubleClick": "reset"}
# What Plotly writes on axes of time, where its own English does not do.
_SHORT_MONTHS: Final = {
    "fr": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.".split(),  # noqa: SIM905
}


def figure(name: str, title: str, *, spread: bool = False, note: str = "") -> Component:
    """Return one number with its title, its spread, a note and how it has changed."""
    value = [html.Span(MISSING, id=f"{name}-value")]
    if spread:
        value.append(html.Span("", id=f"{name}-spread", className="spread"))
    return html.Div(
        [
            html.Dt(title),
            html.Dd(value, className="value"),
            html.Dd(note, id=f"{name}-note", className="note"),
            html.Dd("", id=f"{name}-change", className="note change"),
        ],
        className=f"card figure {name}",
    )


def card(
    title: str,
    note: Any,  # noqa: ANN401 - any children
    *children: Component,
    aside: Any = None,  # noqa: ANN401
    only: str = "",
) -> Component:
    """Return a titled part of the page.

    Args:
        title: its heading.
        note: what is said beside the heading.
        children: its content.
        aside: what stands at the right of the heading.
        only: the place where it is shown, everywhere if empty.
    """
    head = [html.H2(title), html.P(note, className="note"), html.Span(aside, className="aside")]
    return html.Section(
        [html.Div(head, className="head"), *children],
        className=f"card only-{only}" if only else "card",
    )


def graph_area(name: str, text: str) -> Component:
    """Return the place of a chart, with what a screen reader says of it."""
    return html.Div(id=place_for(name), role="group", className="plot-area", **label(text))


def graph(name: str, figure: Any) -> Component:  # noqa: ANN401 - Dash's own annotation differs
    """Return the chart itself, with its first figure."""
    chart: Component = dcc.Graph(
        id=name, figure=figure, config=_config(), responsive=True, style={"height": "100%"}
    )
    return chart


def place_for(name: str) -> str:
    """Return the id of the place of a part that comes later."""
    return f"{name}-area"


def _config() -> Any:  # noqa: ANN401 - Dash has a type of its own for it
    months = _SHORT_MONTHS.get(current())
    if months is None:
        return _GRAPH
    words = {"dictionary": {}, "format": {"shortMonths": months}}
    return _GRAPH | {"locale": current(), "locales": {current(): words}}


def legend(names: dict[str, str], share: str) -> Component:
    """Return the kinds (class → name) with a swatch each; `share` begins the id of its figure."""
    return html.Ul(
        [
            html.Li(
                [
                    html.Span(className=f"swatch {kind}", **hidden()),
                    html.Span(name),
                    html.Span(MISSING, id=f"{share}{kind}", className="share"),
                ]
            )
            for kind, name in names.items()
        ],
        className="legend",
    )


def hidden() -> dict[str, Any]:
    """Return what hides a part from screen readers."""
    return {"aria-hidden": "true"}


def label(text: str) -> dict[str, Any]:
    """Return what a screen reader calls a part."""
    return {"aria-label": text}
