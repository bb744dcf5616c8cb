"""axe-core finds nothing to complain of, whatever the page shows."""

from __future__ import annotations

from typing import Any

import pytest
from axe import violations
from browsing import MARKS

pytestmark = MARKS

TOKEN = "right"  # noqa: S105 - made up
DARK = pytest.param("dark", marks=pytest.mark.nightly)
schemes = pytest.mark.parametrize("scheme", ["light", DARK])


@schemes
def test_the_live_page_without_and_with_data(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    page.goto(dashboard.url)
    page.wait_for_selector('#badge[data-state="stale"]')
    page.wait_for_selector("#empty", state="visible")
    page.wait_for_selector(f'html[data-mantine-color-scheme="{scheme}"]')
    assert violations(page) == []

    running = camera()
    page.wait_for_selector('#badge[data-state="live"]')
    page.wait_for_selector("#feed .ag-row")
    page.wait_for_selector("#mix .main-svg")
    assert violations(page) == []

    page.click("#source")
    page.get_by_role("option", name="camera-2").wait_for()
    assert violations(page) == []
    page.keyboard.press("Escape")

    running.stop()
    page.wait_for_selector('#badge[data-state="stale"]')
    assert violations(page) == []
    redis_server.stop()
    page.wait_for_selector('#badge[data-state="disconnected"]')
    assert violations(page) == []


@schemes
def test_the_live_page_on_a_phone(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": 390, "height": 844})
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    camera()
    page.goto(dashboard.url)
    page.wait_for_selector('#badge[data-state="live"]')
    page.locator("#feed").scroll_into_view_if_needed()  # its rows are not drawn before
    page.wait_for_selector("#feed .ag-row")
    assert violations(page) == []
    page.click("#menu")
    page.wait_for_selector("#source", state="visible")
    assert violations(page) == []


@pytest.mark.parametrize(
    ("scheme", "language"),
    [("light", "fr"), pytest.param("dark", "en", marks=pytest.mark.nightly)],
)
@pytest.mark.parametrize("place", ["history?compare=source&other=camera-2", "pipeline"])
def test_the_other_pages(
    redis_server: Any,
    start_dashboard: Any,
    camera: Any,
    page: Any,
    scheme: str,
    place: str,
    language: str,
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    camera()
    page.goto(f"{dashboard.url}/{place}{'&' if '?' in place else '?'}lang={language}")
    page.wait_for_selector('#badge[data-state="live"]')
    if place == "pipeline":
        page.wait_for_selector("#workers .ag-row")
    else:
        page.wait_for_selector("#other-valence .main-svg")
    assert page.get_attribute("html", "lang") == language
    assert violations(page) == []


@schemes
def test_the_login_page_and_the_refusals(start_dashboard: Any, page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    dashboard = start_dashboard(REDIS__URL="redis://127.0.0.1:1/0", DASHBOARD__TOKEN=TOKEN)
    page.goto(dashboard.url)
    page.get_by_label("Token").wait_for()
    assert violations(page) == []
    while "Please wait" not in page.inner_text("h1"):
        page.get_by_label("Token").fill("wrong")
        with page.expect_navigation():
            page.get_by_role("button").click()
        assert violations(page) == []


def test_what_breaks_a_rule_is_found(start_dashboard: Any, page: Any) -> None:
    dashboard = start_dashboard(REDIS__URL="redis://127.0.0.1:1/0", DASHBOARD__TOKEN=TOKEN)
    page.goto(dashboard.url)
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert [found.split(" ")[0] for found in violations(page)] == ["button-name"]
