"""In which language a request is to be answered.

`?lang=` chooses one and is remembered, so that a shared address is read in the language in which
it was sent; else the browser's own wishes count.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from dashboard.language import DEFAULT, LANGUAGES
from dataflows.callers import Scope, headers_of

__all__ = ["COOKIE", "Preference", "preference_of", "preferred"]

COOKIE: Final = "sentistream_language"


class Preference(NamedTuple):
    """What a request asks for.

    Attributes:
        language: a key of `LANGUAGES`.
        new: whether it is to be remembered from now on.
    """

    language: str
    new: bool


def preference_of(scope: Scope) -> Preference:
    """Return the language of a request or websocket."""
    headers = headers_of(scope)
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("lang", [""])[-1]
    remembered = _cookie(headers.get("cookie", ""))
    wished = preferred(headers.get("accept-language", ""))
    language = next((one for one in (asked, remembered) if one in LANGUAGES), wished)
    return Preference(language, asked in LANGUAGES and asked != remembered)


def preferred(header: str) -> str:
    """Return the best language for an `Accept-Language` header (RFC 9110, 12.5.4)."""
    wishes: list[tuple[float, str]] = []
    for part in header.split(",")[:20]:
        name, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        if name.split("-")[0].lower() in LANGUAGES and quality > 0:
            wishes.append((quality, name.split("-")[0].lower()))
    return max(wishes, key=lambda wish: wish[0], default=(1.0, DEFAULT))[1]


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
