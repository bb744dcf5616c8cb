"""Who may read the dashboard: loopback only, or a token; and never another web page.

An ASGI middleware around everything, so that no route can be forgotten:

- Without a token the server listens on loopback only, and the `Host` must be a loopback name:
  otherwise a page of another site could reach it by rebinding its DNS name to 127.0.0.1.
- With a token every request must carry it, as a cookie or as `Authorization: Bearer`.
- A websocket and every request that could change something must come from our own origin.

`/healthz` answers to anyone and says nothing but whether Redis is reached.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from models.errors import SettingsError

__all__ = ["Access", "is_loopback", "require_token"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE: Final = "sentistream_dashboard"
OPEN_PATHS: Final = frozenset({"/healthz"})
LOGIN_PATH: Final = "/login"
MAX_LOGIN_BYTES: Final = 4096
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # "no-referrer" would make the form's Origin "null"
    (b"content-security-policy", b"frame-ancestors 'self'"),
)
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>SentiStream</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem;
color:#1f2329;background:#fff}}input,button{{font:inherit;padding:.45rem .7rem}}
code{{background:#eef0f3;padding:.1rem .3rem}}</style>
<h1>{title}</h1><p>{text}</p>{form}</html>"""
_FORM: Final = """<form method="post" action="/login"><label>Token
<input type="password" name="token" autocomplete="current-password" required autofocus></label>
<button>Open the dashboard</button></form>"""


def is_loopback(host: str) -> bool:
    """Return whether an address or name can only be reached from this machine."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def require_token(host: str, token: str | None) -> None:
    """Check that the dashboard may listen on `host`.

    Raises:
        SettingsError: the address is not loopback and there is no token.
    """
    if not token and not is_loopback(host):
        raise SettingsError(
            f"the dashboard is to listen on {host}, which others can reach: set "
            "SENTISTREAM_DASHBOARD__TOKEN to a long random text, or listen on 127.0.0.1"
        )


class Access:
    """Lets a request through to `app` only if it may read the dashboard.

    Args:
        app: what is guarded.
        token: the token, `None` on loopback.
    """

    def __init__(self, app: App, token: str | None) -> None:
        self._app = app
        self._token = token.encode() if token else None
        # The browser keeps what is derived from the token: it opens nothing but this dashboard.
        self._cookie = (
            hmac.new(self._token, b"sentistream dashboard cookie", hashlib.sha256).hexdigest()
            if self._token
            else ""
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        refusal = self._foreign(scope, headers)
        if refusal:
            await _refuse(scope, send, 403, "Not from here", refusal)
        elif scope["path"] in OPEN_PATHS or self._knows(headers):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "http" and scope["path"] == LOGIN_PATH and scope["method"] == "POST":
            await self._login(await _form(receive), scope, send)
        else:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given and scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
                await self._login(given, scope, send)
            else:
                await _refuse(scope, send, 401, "Please log in", _EXPLANATION, _FORM)

    def _foreign(self, scope: Scope, headers: dict[str, str]) -> str:
        """Return why a request is refused that another web page could have sent."""
        host = headers.get("host", "")
        if self._token is None and scope["path"] not in OPEN_PATHS:
            name = urlsplit(f"//{host}").hostname or ""
            if not is_loopback(name):
                return (
                    "Without a token the dashboard answers only to localhost and 127.0.0.1. To "
                    "reach it by another name, set SENTISTREAM_DASHBOARD__TOKEN."
                )
        if scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
            return ""
        origin = headers.get("origin")
        if origin is None and scope["type"] == "http":
            return ""  # not a browser; browsers name the origin of such requests
        if origin is None or urlsplit(origin).netloc != host:
            return "The request does not come from the dashboard's own page."
        return ""

    def _knows(self, headers: dict[str, str]) -> bool:
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self._token):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._cookie.encode())

    async def _login(self, given: str, scope: Scope, send: Send) -> None:
        if self._token is None or not _same(given, self._token):
            await _refuse(scope, send, 401, "That is not the token", _EXPLANATION, _FORM)
            return
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{COOKIE}={self._cookie}; Path=/; HttpOnly; SameSite=Lax{secure}"
        query = [
            item
            for item in parse_qsl(scope["query_string"].decode("latin-1"))
            if item[0] != "token"
        ]
        path = "/" if scope["path"] == LOGIN_PATH else "/" + scope["path"].lstrip("/")
        target = path + (f"?{urlencode(query)}" if query else "")
        extra = [
            (b"set-cookie", cookie.encode("latin-1")),
            (b"location", target.encode("ascii", "ignore")),
        ]
        await _answer(send, 303, b"", extra)


_EXPLANATION: Final = (
    "This dashboard is reachable from other machines, so it asks for the token that its operator "
    "has set as SENTISTREAM_DASHBOARD__TOKEN. Programs send it as Authorization: Bearer."
)


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}


async def _form(receive: Receive) -> str:
    """Return the field `token` of a posted form; empty when it is too long or not there."""
    body = bytearray()
    while len(body) <= MAX_LOGIN_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
    return ""


async def _refuse(
    scope: Scope, send: Send, code: int, title: str, text: str, form: str = ""
) -> None:
    if scope["type"] == "websocket":
        # Closing before accepting is an HTTP 403 for the client.
        await send({"type": "websocket.close", "code": 1008, "reason": title})
        return
    page = _PAGE.format(title=html.escape(title), text=html.escape(text), form=form)
    await _answer(send, code, page.encode(), [(b"content-type", b"text/html; charset=utf-8")])


async def _answer(send: Send, code: int, body: bytes, extra: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    headers = [*_HEADERS, (b"cache-control", b"no-store"), length, *extra]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
        await send(message)

    return wrapped
