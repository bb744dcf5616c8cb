"""Asks the guard of the dashboard without a server, at a time that is set by hand."""

from __future__ import annotations

import asyncio
from typing import Any

from dashboard.access import Access

TOKEN = "correct horse battery staple ✓"  # noqa: S105 - made up


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages
        self.passed = any(message["type"] == "inner" for message in messages)
        start = next((m for m in messages if m["type"] == "http.response.start"), {})
        self.status = start.get("status")
        self.headers = {k.decode(): v.decode() for k, v in start.get("headers", [])}
        self.body = b"".join(m.get("body", b"") for m in messages)


def ask(
    path: str = "/",
    token: str | None = None,
    kind: str = "http",
    method: str = "GET",
    body: bytes = b"",
    client: str = "192.0.2.1",
    scheme: str = "http",
    guard: Access | None = None,
    **headers: str,
) -> Answer:
    """Send one request through `guard`, or a new one; `headers` use `_` for `-`."""
    sent: list[dict[str, Any]] = []
    path, _, query = path.partition("?")
    headers = {"host": "127.0.0.1:8050"} | headers
    scope = {
        "type": kind,
        "path": path,
        "query_string": query.encode(),
        "method": method,
        "scheme": scheme,
        "client": (client, 50_000),
        "headers": [
            (k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()
        ],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run((guard or Access(inner, token))(scope, receive, send))
    return Answer(sent)


async def inner(_scope: Any, _receive: Any, send: Any) -> None:
    """What is guarded."""
    await send({"type": "inner"})
    await send({"type": "http.response.start", "status": 200, "headers": []})


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].split(";")[0]
