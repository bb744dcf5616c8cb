"""Scripts and styles from memory, and which of Dash's scripts a page needs."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

from dashboard import scripts
from dashboard.files import Files
from dashboard.scripts import generators_script, needed_tags

STYLE = b"main { color: red }" * 100
PAGE = (
    b'<link href="/assets/style.css?m=1"><script src="/first.js?v=2"></script><a href="/history">'
)


class Inner:
    """An application with a page and files, which counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.asked.append(path)
        await receive()
        status = 404 if "missing" in path else 200
        headers = [(b"content-type", b"text/css"), (b"etag", b'"1"')]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = PAGE if path == "/" else STYLE
        await send({"type": "http.response.body", "body": body[:10], "more_body": True})
        await send({"type": "http.response.body", "body": body[10:]})


def ask(
    files: Files,
    path: str,
    client: str = "127.0.0.1",
    method: str = "GET",
    query: str = "",
    **headers: str,
) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(files({**scope, "headers": named, "client": (client, 1)}, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), body


def test_a_file_is_read_once() -> None:
    inner = Inner()
    files = Files(inner)
    first, second = ask(files, "/assets/style.css"), ask(files, "/assets/style.css")
    assert first == second
    assert first[0] == 200
    assert first[2] == STYLE
    assert inner.asked == ["/assets/style.css"]


def test_a_page_and_what_is_sent_are_passed_on() -> None:
    inner = Inner()
    files = Files(inner)
    for _ in range(2):
        assert ask(files, "/")[2] == PAGE
        assert ask(files, "/assets/style.css", method="POST")[2] == STYLE
    assert inner.asked == ["/", "/assets/style.css"] * 2


def test_what_is_missing_is_asked_for_again() -> None:
    inner = Inner()
    files = Files(inner)
    for _ in range(2):
        assert ask(files, "/assets/missing.css")[0] == 404
    assert len(inner.asked) == 2


def test_a_browser_that_has_it_is_told_so() -> None:
    files = Files(Inner())
    for _ in range(2):  # also when it has not been read yet
        status, headers, body = ask(files, "/assets/style.css", if_none_match='"1"')
        assert (status, body) == (304, b"")
        assert headers[b"etag"] == b'"1"'


def test_a_browser_asks_again_for_what_has_no_version() -> None:
    files = Files(Inner())
    for path, query, again in (
        ("/assets/module.js", "", True),
        ("/assets/module.js", "v=1", False),
        ("/_dash-component-suites/a.v1.js", "", False),
    ):
        for headers in ({}, {"if_none_match": '"1"'}):
            answered = ask(files, path, query=query, **headers)[1]
            assert answered.get(b"cache-control") == (b"no-cache" if again else None)


def test_other_machines_get_it_compressed() -> None:
    files = Files(Inner())
    for _ in range(2):
        _, headers, body = ask(files, "/assets/a.css", "192.0.2.1", accept_encoding="br, gzip")
        assert headers[b"content-encoding"] == b"gzip"
        assert headers[b"vary"] == b"accept-encoding"
        assert int(headers[b"content-length"]) == len(body) < len(STYLE)
        assert gzip.decompress(body) == STYLE
    assert ask(files, "/assets/a.css", "192.0.2.1")[2] == STYLE
    assert ask(files, "/assets/a.css", "127.0.0.1", accept_encoding="gzip")[2] == STYLE


def test_what_the_page_names_is_read_ahead() -> None:
    inner = Inner()
    files = Files(inner)
    asyncio.run(files.warm([]))
    assert inner.asked == ["/", "/assets/style.css", "/first.js"]
    assert ask(files, "/first.js")[2].endswith(STYLE)
    assert len(inner.asked) == 3


def test_the_browser_is_told_of_which_scripts_it_will_need_all() -> None:
    files = Files(Inner())
    folder = "/_dash-component-suites"
    for path, told in (
        ("/first.js", True),
        (f"{folder}/dash_mantine_components/dash_mantine_components.v2.js", True),
        (f"{folder}/dash_mantine_components/dash_mantine_components.css", False),
        (f"{folder}/dash/deps/react@18.js", False),
    ):
        for _ in range(2):
            _, headers, body = ask(files, path)
            assert (body == b"//# allFunctionsCalledOnLoad\n" + STYLE) is told
            assert body.endswith(STYLE)
            assert int(headers[b"content-length"]) == len(body)


def test_memory_has_a_limit(monkeypatch: Any) -> None:
    monkeypatch.setattr("dashboard.files._MOST_BYTES", 3 * len(STYLE))
    inner = Inner()
    files = Files(inner)
    for number in range(10):
        ask(files, f"/assets/{number}.css")
    assert sum(len(answer.body) for answer in files._known.values()) <= 4 * len(STYLE)


def test_pages_load_neither_the_table_nor_what_old_browsers_need() -> None:
    folder = "/_dash-component-suites/dash"
    kept = f'<script src="{folder}/deps/react@18.js"></script>\n'
    tags = (
        f'<script src="{folder}/deps/polyfill@7.v4.12.1.min.js"></script>\n{kept}'
        f'<script src="{folder}/dash_table/bundle.js"></script>'
    )
    assert needed_tags(tags) == kept
    script = generators_script()
    assert script.startswith("var regeneratorRuntime;")
    assert "delegateYield" in script
    assert len(script) < 10_000


def test_a_polyfill_that_is_not_known_is_loaded_whole(monkeypatch: Any) -> None:
    monkeypatch.setattr(scripts, "generators_script", lambda: "")
    tags = '<script src="/_dash-component-suites/dash/deps/polyfill@9.js"></script>'
    assert needed_tags(tags) == tags
