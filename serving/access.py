"""Who may use the API: loopback only, or a token; no other web page; not too often.

An ASGI middleware around everything, so that no route can be forgotten:

- Without a token the `Host` must be a loopback name: otherwise a page of another site could reach
  the API by rebinding its DNS name to 127.0.0.1.
- With a token every request must carry it as `Authorization: Bearer`. Who sends wrong ones has to
  wait.
- A request of a browser that could change something must come from an origin that may use the API.

`/healthz` and `/readyz` answer to anyone, and say nothing of what is processed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from dataflows.api_options import ApiSettings
from dataflows.callers import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    address_of,
    bearer,
    headers_of,
    is_loopback,
    same_token,
    split_url,
)
from dataflows.throttle import Throttle
from serving.problems import Problem
from serving.rates import Rates

__all__ = ["Access"]

_log = logging.getLogger(__name__)

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
THE_TOKEN: Final = "token"  # noqa: S105 - the key of its bucket


class Access:
    """Lets a request through to `app` only if it may use the API.

    Args:
        app: what is guarded.
        settings: token, origins and rate.
        refused: told of every request that may not, with the kind of the problem.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        app: App,
        settings: ApiSettings,
        refused: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._refused = refused
        token = settings.token.get_secret_value() if settings.token else ""
        self._token = token.encode() if token else None
        self._origins = frozenset(settings.cors_origins)
        self._throttle = Throttle(clock)
        self._rates = Rates(settings.requests_per_minute, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        try:
            self._check(scope, headers_of(scope))
        except Problem as problem:
            self._refused(problem.kind)
            await problem.response()(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        """See that a request may pass.

        Raises:
            Problem: `forbidden`, `unauthorized` or `too_many_requests`.
        """
        if scope["path"] in OPEN_PATHS:
            return
        self._check_site(scope, headers)
        address = address_of(scope)
        if self._token is not None:
            self._check_token(headers, address, self._token)
        # All who have the token are one; without it there are but the addresses.
        wait_s = self._rates.wait_s(address if self._token is None else THE_TOKEN)
        if wait_s:
            raise Problem(
                "too_many_requests", f"more than {self._rates.per_minute} requests a minute", wait_s
            )

    def _check_site(self, scope: Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if self._token is None and not is_loopback(split_url(f"//{host}").hostname or ""):
            raise Problem(
                "forbidden",
                "without a token the API answers only to localhost and 127.0.0.1; to reach it by "
                "another name, set SENTISTREAM_API__TOKEN",
            )
        origin = headers.get("origin")
        if scope["method"] in SAFE_METHODS or origin is None or origin in self._origins:
            return  # only browsers name an origin, and of all requests that change something
        if split_url(origin).netloc != host or not host:
            raise Problem(
                "forbidden",
                f"pages of {origin[:200]} may not use the API; SENTISTREAM_API__CORS_ORIGINS names "
                "those that may",
            )

    def _check_token(self, headers: dict[str, str], address: str, token: bytes) -> None:
        given = bearer(headers)
        if not given:
            raise Problem("unauthorized", "send the token as `Authorization: Bearer TOKEN`")
        # Before the token is looked at: what comes too soon must not learn whether it was right.
        if wait_s := self._throttle.client_wait_s(address):
            raise Problem("too_many_requests", "too many wrong tokens have been tried", wait_s)
        if not same_token(given, token):
            self._throttle.failed(address)
            if wait_s := self._throttle.client_wait_s(address):
                _log.warning("too many wrong tokens from %s: %.0f s wait", address, wait_s)
            raise Problem("unauthorized", "that is not the token")
