"""The small pages shown instead of the dashboard: the form for the token, and refusals."""

from __future__ import annotations

import html
from typing import Final

from dashboard.headers import small_page_headers
from dashboard.language import current
from dashboard.language import gettext as _

__all__ = ["HEADERS", "explanation", "small_page"]

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem;
color:#1f2329;background:#fff}
input,button{font:inherit;padding:.45rem .7rem}
@media (prefers-color-scheme:dark){body{color:#e9ebee;background:#1a1a1b}}
"""
_PAGE: Final = """<!doctype html><html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>SentiStream</title>
<link rel="icon" href="data:,"><style>{style}</style></head>
<body><main><h1>{title}</h1><p>{text}</p>{form}</main></body></html>"""
_FORM: Final = """<form method="post" action="/login"><label>{token}
<input type="password" name="token" autocomplete="current-password" required autofocus></label>
<button>{button}</button></form>"""
HEADERS: Final = small_page_headers(_STYLE)


def small_page(title: str, text: str, *, form: bool) -> bytes:
    """Return a page that says why the dashboard is not shown, with or without the form."""
    words = {"token": _("Token"), "button": _("Open the dashboard")}
    page = _PAGE.format(
        language=current(),
        style=_STYLE,
        title=html.escape(title),
        text=html.escape(text),
        form=_FORM.format(**words) if form else "",
    )
    return page.encode()


def explanation() -> str:
    """Return why there is a token."""
    return _(
        "This dashboard is reachable from other machines, so it asks for the token that its "
        "operator has set as SENTISTREAM_DASHBOARD__TOKEN. Programs send it as Authorization: "
        "Bearer."
    )
