"""Forwards what the page "Try it" asks for to the REST API, and nothing else.

A browser speaks to the dashboard alone: the API lets no foreign page in, and its token stays here.
Each request has to come from a page of ours, as its `Origin` shows, and is bounded in bytes, in
time, and in how many there are at once. What goes wrong on the way is told as the API tells it:
problem details (RFC 9457).
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Final, NamedTuple

import httpx
from fastapi import APIRouter, Request, Response
from pydantic import SecretStr
from starlette.requests import ClientDisconnect

from dataflows.callers import split_url
from dataflows.settings import Settings

__all__ = ["ROUTES", "Api", "Forwarder", "api_of"]

ROUTES: Final = {
    "/try/predict": "/v1/predict",
    "/try/events": "/v1/events",
    "/try/feedback": "/v1/feedback",
}
MOST_AT_ONCE: Final = 16  # bodies that are in memory
MOST_ANSWER_BYTES: Final = 8 * 2**20  # a thousand faces with their receipts
GRACE_S: Final = 5.0  # beyond what the API itself gives an answer
CONNECT_S: Final = 3.0
PROBLEM: Final = "application/problem+json"
LOCAL: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared
TITLES: Final = {
    "not_our_page": "The request does not come from a page of the dashboard.",
    "body_too_large": "The body is too large.",
    "slow_body": "The body did not arrive in time.",
    "busy": "Too many requests at once; try again.",
    "api_away": "The API does not answer.",
    "api_refuses": "The API does not take the dashboard's token.",
    "api_wrong": "The API answers something else than expected.",
    "api_slow": "The API has not answered in time.",
}

_log = logging.getLogger(__name__)


class Api(NamedTuple):
    """Where the API is, and what it takes.

    Attributes:
        url: its address, without a path.
        token: what it demands, None if nothing.
        max_body_bytes: of one request.
        timeout_s: within which it answers.
        max_picture_bytes: of one picture.
        max_text: characters of one text.
        max_pixels: of one picture.
    """

    url: str
    token: SecretStr | None
    max_body_bytes: int
    timeout_s: float
    max_picture_bytes: int
    max_text: int
    max_pixels: int


def api_of(settings: Settings) -> Api:
    """Return where the settings say that the API is."""
    options = settings.api
    host = LOCAL.get(options.host, options.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{options.port}"
    return Api(
        (settings.dashboard.api_url or address).rstrip("/"),
        options.token,
        options.max_body_bytes,
        options.timeout_s,
        min(options.max_body_bytes, settings.limits.max_bytes),
        options.max_text,
        settings.limits.max_pixels,
    )


class _Refusal(Exception):
    """What is answered instead of the API's own answer."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason

    def response(self) -> Response:
        document = {
            "type": f"urn:sentistream:problem:{self.reason}",
            "title": TITLES[self.reason],
            "status": self.status,
            "detail": str(self),
            "reason": self.reason,
        }
        return Response(json.dumps(document), self.status, media_type=PROBLEM)


class Forwarder:
    """Asks the API on behalf of our pages; `close` ends its connections.

    Args:
        api: where it is.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._at_once = 0
        self._refused = False  # our token, by the newest answer that says anything of it
        # The API is ours: neither proxies nor passwords of the environment are for it.
        self._client = httpx.AsyncClient(
            base_url=api.url,
            timeout=httpx.Timeout(api.timeout_s + GRACE_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=MOST_AT_ONCE),
            trust_env=False,
        )

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter()
        for path in ROUTES:
            routes.add_api_route(path, self._answer, methods=["POST"], include_in_schema=False)
        return routes

    async def close(self) -> None:
        """End the connections."""
        await self._client.aclose()

    async def _answer(self, request: Request) -> Response:
        try:
            _check_origin(request)
            if self._at_once >= MOST_AT_ONCE:
                raise _Refusal(429, "busy", f"{MOST_AT_ONCE} requests are on their way already")
            self._at_once += 1
            try:
                return await self._ask(request, await self._body(request))
            finally:
                self._at_once -= 1
        except _Refusal as refusal:
            return refusal.response()
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it

    async def _body(self, request: Request) -> bytes:
        most, limit_s = self._api.max_body_bytes, self._api.timeout_s
        body = bytearray()
        try:
            async with asyncio.timeout(limit_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > most:
                        raise _Refusal(413, "body_too_large", f"the limit is {most} bytes")
        except TimeoutError:
            detail = f"{len(body)} bytes have come within {limit_s:g} s, not all"
            raise _Refusal(408, "slow_body", detail) from None
        return bytes(body)

    async def _ask(self, request: Request, body: bytes) -> Response:
        kind = request.headers.get("content-type", "application/octet-stream")
        headers = {b"content-type": kind.encode("latin-1")}  # as it came, whatever it is
        if self._api.token:
            headers[b"authorization"] = b"Bearer " + self._api.token.get_secret_value().encode()
        wanted = {"receipt": "true"} if request.query_params.get("receipt") == "true" else {}
        url = self._api.url
        try:
            async with (
                asyncio.timeout(self._api.timeout_s + GRACE_S),
                self._client.stream(
                    "POST", ROUTES[request.url.path], params=wanted, content=body, headers=headers
                ) as answer,
            ):
                content = bytearray()
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > MOST_ANSWER_BYTES:
                        raise _Refusal(502, "api_wrong", f"{url} answers without an end")
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout):
            limit_s = self._api.timeout_s + GRACE_S
            raise _Refusal(504, "api_slow", f"{url} has not answered in {limit_s:g} s") from None
        except httpx.HTTPError as error:
            _log.warning("the API at %s does not answer: %s", url, type(error).__name__)
            detail = f"nothing answers at {url}; start it with `python -m serving`"
            raise _Refusal(502, "api_away", detail) from None
        return self._checked(answer, bytes(content))

    def _checked(self, answer: httpx.Response, content: bytes) -> Response:
        """Return the API's answer, as far as it is one."""
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind not in ("application/json", PROBLEM):
            detail = f"{self._api.url} answers {answer.status_code} with {kind or 'no type'!r}"
            raise _Refusal(502, "api_wrong", detail)
        if answer.status_code != 429:  # which follows some refusals
            self._refused = answer.status_code in (401, 403)
        if self._refused:
            # The viewer has logged in rightly; it is the dashboard that may not ask.
            raise _Refusal(
                502,
                "api_refuses",
                f"{self._api.url} answers {answer.status_code}; set SENTISTREAM_API__TOKEN of the "
                "dashboard to the API's token",
            )
        headers = {"cache-control": "no-store"}
        if "retry-after" in answer.headers:
            headers["retry-after"] = answer.headers["retry-after"]
        return Response(content, answer.status_code, headers, kind)


def _check_origin(request: Request) -> None:
    """See that a page of ours asks: browsers name the origin of every POST, and do not lie.

    Raises:
        _Refusal: another page, or no browser at all.
    """
    origin, site = request.headers.get("origin", ""), request.headers.get("sec-fetch-site")
    own = bool(origin) and split_url(origin).netloc == request.headers.get("host")
    if not own or site not in (None, "same-origin"):
        raise _Refusal(403, "not_our_page", "programs ask the API itself, see docs/api.md")
