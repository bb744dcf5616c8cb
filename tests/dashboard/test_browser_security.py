"""What the browser enforces: the content security policy, and the origin of a websocket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from browsing import MARKS
from chromium import wait_until

pytestmark = MARKS

TRACE = "document.querySelector('#valence .js-plotly-plot')?.data?.[2]"
SETTLE_MS = 1000  # for complaints that come twice


@pytest.fixture
def another_site() -> Iterator[str]:
    """The address of an empty page of another origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def scheme(page: Any, name: str) -> None:
    """Wait until page, grid and chart have a colour scheme."""
    page.wait_for_selector(f'html[data-mantine-color-scheme="{name}"]')
    page.wait_for_function(f"document.body.dataset.agThemeMode === '{name}'")


def complaint(page: Any, problems: list[str], of: str) -> None:
    """Wait until the browser has complained of something."""
    wait_until(page, lambda: any(of in problem for problem in problems), of)


@pytest.mark.parametrize(
    ("first", "second"),
    [("light", "dark"), pytest.param("dark", "light", marks=pytest.mark.nightly)],
)
def test_everything_works_under_the_policy(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any, first: str, second: str
) -> None:
    # `page` fails the test at the first violation.
    page.emulate_media(color_scheme=first)
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    answer = page.goto(dashboard.url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    page.wait_for_selector("#empty", state="visible")
    camera()
    page.wait_for_selector('#badge[data-state="live"]')
    page.wait_for_selector("#feed .ag-row .kind")  # an expression within the grid
    scheme(page, first)
    colour = page.evaluate(f"{TRACE}.line.color")

    page.click("#source")
    page.get_by_role("option", name="camera-2").click()
    page.wait_for_function("document.getElementById('expression-value').textContent === 'sadness'")
    page.get_by_text("1 min", exact=True).click()
    page.wait_for_function(f"{TRACE}.x.length === 60")

    page.click("#scheme")
    scheme(page, second)
    page.wait_for_function(f"{TRACE}.line.color !== '{colour}'")
    area = page.locator("#mix .nsewdrag").first.bounding_box()
    newest = area["x"] + 0.98 * area["width"]
    page.mouse.move(newest, area["y"] + area["height"] / 2)
    page.wait_for_selector("#mix .hoverlayer .legend, #mix .hoverlayer .hovertext")


def test_the_policy_stops_what_is_not_ours(
    redis_server: Any, start_dashboard: Any, page: Any, problems: list[str], another_site: str
) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    page.goto(dashboard.url)
    page.wait_for_selector('#badge[data-state="stale"]')
    assert problems == []
    page.evaluate(
        """site => {
            const script = document.createElement('script');
            script.textContent = 'window.stolen = true';
            document.body.append(script);
            new Image().src = `${site}/picture`;
            return fetch(site, {mode: 'no-cors'}).catch(() => null);
        }""",
        another_site,
    )
    # The browser tells of each some time after it has stopped it.
    for name in ("script-src-elem", "img-src", "connect-src"):
        complaint(page, problems, f"violation: {name}")
    page.wait_for_timeout(SETTLE_MS)
    assert page.evaluate("window.stolen") is None
    problems.clear()


def test_a_page_of_another_site_gets_no_websocket_and_no_frame(
    start_dashboard: Any, page: Any, another_site: str, problems: list[str]
) -> None:
    dashboard = start_dashboard(REDIS__URL="redis://127.0.0.1:1/0")
    address = dashboard.url.replace("http", "ws") + "/_dash-ws-callback"
    attempt = """address => new Promise(done => {
        const socket = new WebSocket(address);
        socket.onopen = () => { socket.close(); done('open'); };
        socket.onerror = () => done('refused');
    })"""
    page.goto(dashboard.url)
    assert page.evaluate(attempt, address) == "open"
    page.goto(another_site)
    assert page.evaluate(attempt, address) == "refused"
    page.evaluate(
        """address => new Promise(done => {
            const frame = document.createElement('iframe');
            frame.onload = done;
            frame.src = address;
            document.body.append(frame);
        })""",
        dashboard.url,
    )
    complaint(page, problems, "frame-ancestors")
    assert page.frames[1].url.startswith("chrome-error://")
    page.wait_for_timeout(SETTLE_MS)
    problems.clear()
