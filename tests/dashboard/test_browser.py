"""The dashboard in a real Chromium, over a real Redis protocol: what a person would see."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from browsing import MARKS, badge, even, grow, line
from way import Way

pytestmark = MARKS


def test_from_the_first_event_through_filter_range_and_theme(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    # A server without a password takes the default user with any.
    url = redis_server.url.replace("://", "://default:s3cr3t@")
    dashboard = start_dashboard(REDIS__URL=url)
    page.goto(dashboard.url)
    badge(page, "stale")
    assert page.get_attribute("html", "lang") == "en"
    assert page.is_visible("#empty")
    assert not page.is_visible("#main")
    awaited = page.inner_text("#empty")
    assert redis_server.url in awaited
    assert "s3cr3t" not in page.content()
    assert "sentistream:v1" in awaited
    assert "sentistream produce --video FILE --source camera-1" in awaited

    camera()
    badge(page, "live")
    page.wait_for_selector("#main", state="visible")
    assert not page.is_visible("#empty")
    grow(page, 4)
    times, values = line(page)
    assert even(times)
    assert len(times) == 300
    assert values[-1] is not None
    assert abs(values[-1]) <= 1
    page.wait_for_selector("#feed .ag-row")
    page.wait_for_function("document.getElementById('rate-note').textContent.includes('worker')")
    # Both charts have been drawn in the width of their cards, though they were hidden at first.
    for name in ("valence", "mix"):
        box = page.locator(f"#{name} .main-svg").first.bounding_box()
        card = page.locator(f".card:has(#{name})").bounding_box()
        assert 0.8 * card["width"] < box["width"] <= card["width"]

    # Times are those of the viewer, named.
    assert page.inner_text("#zone") == "event time, Asia/Tokyo"
    hour = page.evaluate("new Date().getHours()")
    assert page.inner_text("#age-note").split()[1].startswith((f"{hour:02}", f"{hour - 1:02}"))

    # One source.
    page.click("#source")
    page.keyboard.type("camera-2")
    page.get_by_role("option", name="camera-2").click()
    page.wait_for_function(
        "document.getElementById('expression-value').textContent === 'sadness'"
        " && document.getElementById('share-happiness').textContent.startsWith('0')"
    )
    page.wait_for_function(
        "[...document.querySelectorAll('#feed .ag-row [col-id=source]')]"
        ".every(cell => cell.textContent === 'camera-2')"
    )
    grow(page, 2)
    assert even(line(page)[0])

    # One minute.
    page.get_by_text("1\u202fmin", exact=True).click()
    page.wait_for_function(
        "document.querySelector('#valence .js-plotly-plot').data[2].x.length === 60"
    )

    # Zoom is kept while new points come.
    area = page.locator("#valence .nsewdrag").first.bounding_box()
    y = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * 0.3, y)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.7, y, steps=8)
    page.mouse.up()
    shown = "document.querySelector('#valence .js-plotly-plot').layout.xaxis"
    page.wait_for_function(f"{shown}.autorange === false")
    zoomed = page.evaluate(f"{shown}.range")
    grow(page, 2)
    assert page.evaluate(f"{shown}.range") == zoomed

    # Dark and back.
    light = page.evaluate("document.querySelector('#valence .js-plotly-plot').data[2].line.color")
    page.click("#scheme")
    page.wait_for_selector('html[data-mantine-color-scheme="dark"]')
    page.wait_for_function(
        f"document.querySelector('#valence .js-plotly-plot').data[2].line.color !== '{light}'"
    )
    page.wait_for_function("document.body.dataset.agThemeMode === 'dark'")
    page.click("#scheme")
    page.wait_for_selector('html[data-mantine-color-scheme="light"]')


def test_the_badge_tells_when_redis_goes_and_comes_back(
    redis_server: Any, start_dashboard: Any, writer: Any, camera: Any, page: Any
) -> None:
    redis_server.stop()
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    page.goto(dashboard.url)
    badge(page, "disconnected")
    redis_server.start()
    badge(page, "stale")
    first = camera()
    badge(page, "live")
    page.wait_for_selector("#main", state="visible")
    first.stop()
    badge(page, "stale")
    page.wait_for_function(
        "document.getElementById('badge-detail').textContent.includes('no new data')"
    )
    redis_server.stop()
    badge(page, "disconnected")
    assert page.is_visible("#main")  # the last values stay
    redis_server.start()  # empty: it has lost everything
    writer.forget()
    page.wait_for_selector("#empty", state="visible")
    camera()
    badge(page, "live")
    page.wait_for_selector("#main", state="visible")
    grow(page, 2)
    assert even(line(page)[0])


def test_the_badge_tells_when_the_dashboard_server_goes_and_comes_back(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    port = dashboard.url.rsplit(":", 1)[1]
    camera()
    page.goto(dashboard.url)
    badge(page, "live")
    assert dashboard.stop(signal.SIGKILL) == -signal.SIGKILL
    badge(page, "disconnected")
    page.evaluate("window.sameWindow = true")
    start_dashboard(REDIS__URL=redis_server.url, DASHBOARD__PORT=port)
    badge(page, "live")
    grow(page, 2)
    assert even(line(page)[0])
    assert page.evaluate("window.sameWindow") is True  # healed without a reload


def test_with_a_token_a_browser_logs_in_once(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    token = "tést token"  # noqa: S105 - made up
    dashboard = start_dashboard(REDIS__URL=redis_server.url, DASHBOARD__TOKEN=token)
    camera()
    assert page.goto(dashboard.url).status == 401
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button").click()
    page.get_by_text("That is not the token").wait_for()
    page.get_by_label("Token").fill(token)
    page.get_by_role("button").click()
    badge(page, "live")
    assert "token" not in page.url
    assert token not in "".join(dashboard.log)


def test_a_page_whose_token_no_longer_holds_asks_for_the_new_one(
    redis_server: Any, start_dashboard: Any, page: Any
) -> None:
    token = "one of two tokens"  # noqa: S105 - made up
    dashboard = start_dashboard(REDIS__URL=redis_server.url, DASHBOARD__TOKEN=token)
    page.goto(dashboard.url)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button").click()
    badge(page, "stale")
    dashboard.stop()
    port = dashboard.url.rsplit(":", 1)[1]
    start_dashboard(
        REDIS__URL=redis_server.url,
        DASHBOARD__PORT=port,
        DASHBOARD__TOKEN="the other token",  # noqa: S106 - made up,  # noqa: S106
    )
    page.get_by_label("Token").wait_for()


@pytest.mark.nightly
def test_a_page_connects_over_a_slow_way(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    camera()

    def delay_s(first: bytes) -> float:
        return 8.0 if b"upgrade: websocket" in first.lower() else 0.0

    with Way(int(dashboard.url.rsplit(":", 1)[1]), delay_s) as way:
        page.goto(f"http://127.0.0.1:{way.port}")
        badge(page, "live")
        page.wait_for_selector("#main", state="visible")
        grow(page, 2)


def test_a_phone_has_no_sideways_scrolling(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    camera()
    page.goto(dashboard.url)
    badge(page, "live")
    page.wait_for_selector("#valence .main-svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # On its side the charts take the room.
    page.set_viewport_size({"width": 844, "height": 390})
    fits = "element => Math.abs(element.clientWidth - element._fullLayout.width) < 1"
    page.wait_for_function(f"({fits})(document.querySelector('#valence .js-plotly-plot'))")
    assert page.evaluate("document.querySelector('#valence .js-plotly-plot').clientWidth") > 390
