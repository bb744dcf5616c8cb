"""What the page tells in words: what it waits for, and how its figures are to be used."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dashboard.language import gettext as _

__all__ = ["responsible_use", "waiting"]


def waiting(address: str, prefix: str) -> Component:
    """Return what is shown before the first event.

    Args:
        address: the Redis address, without credentials.
        prefix: the prefix of the keys in Redis.
    """
    return html.Section(
        [
            html.Span(className="pulse"),
            html.H2(_("Waiting for the first event")),
            html.P(
                [
                    _("Reading "),
                    html.Code(address),
                    _(" with the prefix "),
                    html.Code(prefix),
                    _(
                        ". The charts appear here by themselves as soon as a face or a text "
                        "has been scored."
                    ),
                ]
            ),
            html.P(_("Nothing is sending yet? Start a producer:")),
            html.Pre("sentistream produce --video FILE --source camera-1"),
        ],
        className="card empty",
    )


def responsible_use() -> Component:
    """Return the footer: what the figures are, what is kept, what the law asks."""
    return html.Footer(
        [
            html.P(
                [
                    html.Strong(_("What this shows. ")),
                    _(
                        "The emotion that a face or a text expresses, as a model reads it, which "
                        "is not what a person feels. It errs, and it errs differently between "
                        "groups of people. Bands take observations as independent, which the "
                        "frames of one camera are not quite."
                    ),
                ]
            ),
            html.P(
                [
                    html.Strong(_("What is kept. ")),
                    _(
                        "Counts, sums and the newest predictions. No picture is stored, unless "
                        "small ones of faces are switched on; those last five minutes."
                    ),
                ]
            ),
            html.P(
                [
                    html.Strong(_("What the law says. ")),
                    _(
                        "In the European Union the AI Act forbids inferring emotions at work and "
                        "in education (Art. 5(1)(f)), and asks to inform the people who are "
                        "exposed to such a system (Art. 50(3))."
                    ),
                ]
            ),
        ],
        className="notice",
    )
