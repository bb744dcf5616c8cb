"""Scripts and styles, answered from memory.

They do not change while a process runs, and a page asks for a dozen of them at once: through the
framework each takes milliseconds, in a row, before anything can be seen. They are read once, when
the process starts. To other machines they go compressed, once for all. Browsers keep what is named
with a version, and ask again for what is not.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from dashboard.access import App, Message, Receive, Scope, Send, is_loopback
from dashboard.scripts import hinted

__all__ = ["Files"]

_FOLDERS: Final = ("/_dash-component-suites/", "/assets/", "/first.js")
_ADDRESS: Final = re.compile(rb'(?:src|href)="(/[^"]+)"')
_MOST_BYTES: Final = 32 * 2**20  # many times what there is; an address may be spelled in many ways
_COMPRESSED: Final = (b"text/", b"application/javascript", b"application/json", b"image/svg")


class _Answer(NamedTuple):
    headers: dict[bytes, bytes]
    body: bytes


class Files:
    """Answers requests for files of `app` from memory, once it has seen them."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._known: dict[tuple[str, bool], _Answer] = {}
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one connection."""
        asked = scope["type"] == "http" and scope["method"] == "GET"
        if not asked or not scope["path"].startswith(_FOLDERS):
            await self._app(scope, receive, send)
            return
        answer = self._known.get((scope["path"], False)) or await self._read(scope, receive, send)
        if answer is None:
            return
        more = {} if _versioned(scope) else {b"cache-control": b"no-cache"}
        headers = dict(scope["headers"])
        etag = answer.headers.get(b"etag")
        if etag and headers.get(b"if-none-match") == etag:
            await _send(send, 304, answer.headers | more, b"")
            return
        if _packed(scope, answer):
            answer = await self._compressed(scope["path"], answer)
        await _send(send, 200, answer.headers | more, answer.body)

    async def warm(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Read what the page at `/` names, so that the first one does not wait for it.

        Args:
            headers: of the requests that are made.
        """
        page = await self._ask("/", headers)
        for address in _ADDRESS.findall(page.body if page else b""):
            path = urlsplit(address.decode()).path
            if path.startswith(_FOLDERS):
                await self._ask(path, headers)

    async def _ask(self, path: str, headers: list[tuple[bytes, bytes]]) -> _Answer | None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }

        asked = asyncio.Event()

        async def receive() -> Message:
            if asked.is_set():
                await asyncio.Event().wait()  # nobody hangs up
            asked.set()
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_message: Message) -> None:
            return

        return await self._read(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> _Answer | None:
        """Return the answer of the application; pass on what is no file, and return `None`."""
        start: Message = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))

        # Asked for as a whole, whatever the browser has of it already.
        plain = [item for item in scope["headers"] if item[0] not in (b"if-none-match", b"range")]
        await self._app({**scope, "headers": plain}, receive, collect)
        if start.get("status") != 200:
            await send(start)
            await send({"type": "http.response.body", "body": bytes(body)})
            return None
        content = hinted(scope["path"], bytes(body))
        length = {b"content-length": str(len(content)).encode()}
        answer = _Answer(dict(start["headers"]) | length, content)
        if scope["path"].startswith(_FOLDERS):
            self._keep(scope["path"], answer, packed=False)
        return answer

    async def _compressed(self, path: str, answer: _Answer) -> _Answer:
        known = self._known.get((path, True))
        if known is None:
            body = await asyncio.to_thread(gzip.compress, answer.body, 6)
            headers = {
                **answer.headers,
                b"content-encoding": b"gzip",
                b"content-length": str(len(body)).encode(),
                b"vary": b"accept-encoding",
            }
            known = _Answer(headers, body)
            self._keep(path, known, packed=True)
        return known

    def _keep(self, path: str, answer: _Answer, *, packed: bool) -> None:
        if self._bytes > _MOST_BYTES:
            self._known.clear()
            self._bytes = 0
        self._known[path, packed] = answer
        self._bytes += len(answer.body)


def _versioned(scope: Scope) -> bool:
    """Return whether the address changes with the file: that of an imported module does not."""
    return bool(scope.get("query_string")) or not scope["path"].startswith("/assets/")


def _packed(scope: Scope, answer: _Answer) -> bool:
    """Return whether it is worth to send it compressed: not within one machine."""
    client = scope.get("client")
    if client is None or is_loopback(client[0]):
        return False
    accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
    return b"gzip" in accepted and answer.headers.get(b"content-type", b"").startswith(_COMPRESSED)


async def _send(send: Send, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
    if status == 304:
        headers = {name: value for name, value in headers.items() if name != b"content-length"}
    await send({"type": "http.response.start", "status": status, "headers": [*headers.items()]})
    await send({"type": "http.response.body", "body": body})
