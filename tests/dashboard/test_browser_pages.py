"""Pause, export, history, shared addresses, the feed and the keyboard, in a real Chromium."""

from __future__ import annotations

import csv
import io
import time
import urllib.request
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from browsing import MARKS, badge, even, grow, line
from waiting import PATIENCE_S

from dataflows.panes import Pane

pytestmark = MARKS

HAPPY = Pane(10, 10, 9000, 8_100_000, 9000, 0, 0, 10, 0, 0, 0, 10, 0, 0, 0)
SAD = Pane(10, 10, -9000, 8_100_000, 9000, 10, 0, 0, 0, 0, 0, 0, 10, 0, 0)
ASKED = "new URLSearchParams(location.search)"
DRAWN = "(document.querySelector('#valence .js-plotly-plot')?.data?.[2] ?? {x: [], y: []})"


def past(writer: Any, source: str, seconds: int, pane: Pane, until: int | None = None) -> int:
    """Write a pane for each of the last seconds and return the newest of them."""
    newest = until or int(time.time())
    for second in range(newest - seconds + 1, newest + 1):
        for name in (source, "*"):
            writer.pane(name, second, pane)
    for name in (source, "*"):
        writer.seen(name, newest)
    return newest


def test_pausing_holds_what_is_drawn_and_resuming_catches_up(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    camera()
    page.goto(dashboard.url)
    badge(page, "live")
    grow(page, 2)
    page.click("#pause")
    page.wait_for_selector('#pause[aria-pressed="true"]')
    page.wait_for_function("document.getElementById('pause').textContent === 'Resume'")
    page.wait_for_function(f"{ASKED}.has('end')")
    held = 1000 * int(parse_qs(urlsplit(page.url).query)["end"][0])
    page.wait_for_function(f"{DRAWN}.x.at(-1) === {held}")
    page.wait_for_timeout(2500)
    assert line(page)[0][-1] == held
    badge(page, "live")  # the link is told all the same
    page.click("#pause")
    page.wait_for_function(f"{DRAWN}.x.at(-1) > {held} + 2000")
    assert even(line(page)[0])
    page.wait_for_function(f"!{ASKED}.has('end')")


def test_the_export_holds_what_is_drawn(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    camera()
    page.goto(dashboard.url)
    badge(page, "live")
    grow(page, 2)
    page.click("#pause")
    page.wait_for_selector('#pause[aria-pressed="true"]')
    page.wait_for_timeout(500)
    with page.expect_download() as download:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    times, values = line(page)
    assert [datetime.fromisoformat(row["time"]).timestamp() * 1000 for row in rows] == times
    assert [float(row["valence"]) if row["valence"] else None for row in rows] == values
    assert sum(int(row["n"]) for row in rows) > 0


def test_a_late_correction_moves_a_drawn_point(
    redis_server: Any, start_dashboard: Any, writer: Any, page: Any
) -> None:
    newest = past(writer, "camera-1", 60, HAPPY)
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    page.goto(dashboard.url)
    page.wait_for_function(f"{DRAWN}.y.at(-1) === 0.9")
    writer.pane("*", newest - 30, SAD)
    at = (newest - 30) * 1000
    page.wait_for_function(f"{DRAWN}.y[{DRAWN}.x.indexOf({at})] === 0.72")
    # Behind the range of ten seconds that the rolling mean sums nothing has changed.
    assert page.evaluate(f"{DRAWN}.y[{DRAWN}.x.indexOf({at + 10_000})]") == 0.9


def test_history_is_scrubbed_compared_and_shared(
    redis_server: Any, start_dashboard: Any, writer: Any, page: Any
) -> None:
    now = int(time.time())
    past(writer, "camera-1", 300, SAD, until=now - 1800)
    past(writer, "camera-2", 300, HAPPY, until=now)
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    page.goto(dashboard.url)
    page.wait_for_function(f"{DRAWN}.y.at(-1) === 0.9")
    page.get_by_role("link", name="History").click()
    page.wait_for_function("document.title.startsWith('History')")
    assert page.is_visible("#scrub")
    assert not page.is_visible("#feed")
    # Back by the button until the sad half hour is shown.
    for _step in range(12):
        page.click("#earlier")
    page.wait_for_function(f"{DRAWN}.y.at(-1) === -0.9")
    page.wait_for_function(f"{ASKED}.get('end') === '{now - 1800}'")
    # Two periods: the sad one, and the one before, of which nothing is stored.
    page.get_by_text("Two periods").click()
    page.wait_for_function(
        "document.getElementById('other-summary').textContent.includes('nothing stored')"
    )
    # Two sources.
    page.get_by_text("Two sources").click()
    page.click("#other")
    page.get_by_role("option", name="camera-1").click()
    page.wait_for_function(
        "document.querySelector('#other-valence .js-plotly-plot').data?.[2]?.y.at(-1) === -0.9"
    )
    # The address is enough for somebody else.
    page.wait_for_function(f"{ASKED}.get('other') === 'camera-1'")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function(
        "document.querySelector('#other-valence .js-plotly-plot')?.data?.[2]?.y.at(-1) === -0.9"
    )
    page.wait_for_function(f"{DRAWN}.y.at(-1) === -0.9")
    # Back to what is new.
    page.click("#newest")
    page.wait_for_function(f"{DRAWN}.y.at(-1) === 0.9")
    page.get_by_role("link", name="Live").click()
    page.wait_for_function("document.title.startsWith('Live')")
    page.go_back()
    page.wait_for_function("document.title.startsWith('History')")
    page.click("#earlier")
    page.wait_for_function(f"Number({ASKED}.get('end')) > 0")
    page.get_by_role("link", name="Live").click()
    page.wait_for_function(f"{ASKED}.get('end') === null")
    page.go_back()
    page.wait_for_function("document.title.startsWith('History')")
    page.wait_for_function(f"Number({ASKED}.get('end')) > 0")
    page.go_forward()
    page.wait_for_function("document.title.startsWith('Live')")


def test_the_feed_waits_while_it_is_read_and_tells_a_prediction_in_full(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    camera()
    page.goto(dashboard.url)
    badge(page, "live")
    rows = "document.querySelectorAll('#feed .ag-center-cols-container .ag-row')"
    page.wait_for_function(f"{rows}.length >= 9")
    page.wait_for_timeout(3000)
    page.evaluate("document.querySelector('#feed .ag-body-viewport').scrollTop = 80")
    page.wait_for_selector("#new", state="visible")
    page.wait_for_function("/^[0-9]+ new$/.test(document.getElementById('new').textContent)")
    page.click("#new")
    page.wait_for_selector("#new", state="hidden")
    page.wait_for_function("document.querySelector('#feed .ag-body-viewport').scrollTop === 0")
    page.click("#pause")
    page.locator("#feed .ag-row [col-id=source]").first.click()
    told = page.locator("#detail, .mantine-Modal-content").last
    told.wait_for(state="visible")
    page.get_by_role("rowheader", name="disgust").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("rowheader", name="disgust").wait_for(state="detached")
    # And once more the same.
    page.locator("#feed .ag-row [col-id=source]").first.click()
    page.get_by_role("rowheader", name="disgust").wait_for()


def test_an_alert_appears_and_is_marked_on_the_line(
    redis_server: Any, start_dashboard: Any, writer: Any, page: Any
) -> None:
    newest = past(writer, "camera-1", 120, HAPPY)
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    page.goto(f"{dashboard.url}/?source=camera-1")
    page.wait_for_function(f"{DRAWN}.y.at(-1) === 0.9")
    page.locator("#alerts-note").get_by_text("none lasts now").wait_for()
    writer.alert("valence_shift", "camera-1", newest - 30)
    marks = "document.querySelector('#valence .js-plotly-plot').data[3]"
    page.wait_for_function(f"{marks}.x[0] === {(newest - 30) * 1000}")
    row = page.locator("#alerts .ag-center-cols-container .ag-row").first
    row.wait_for()
    told = row.inner_text()
    assert "Valence has shifted" in told
    assert "\u22120.42, before +0.31" in told
    page.wait_for_function("document.getElementById('alerts-note').textContent === '1 last now'")
    writer.alert("valence_shift", "camera-1", newest - 30, newest)
    page.get_by_text("over", exact=True).wait_for()
    assert page.locator("#alerts .ag-center-cols-container .ag-row").count() == 1


def test_the_pipeline_page_shows_workers_and_what_was_rejected(
    redis_server: Any, start_dashboard: Any, camera: Any, writer: Any, page: Any
) -> None:
    camera()
    fields = {"reason": "bad_json", "topic": "events", "partition": 1, "offset": 41}
    writer.client.xadd(writer.keys.rejections, fields | {"detail": "<b>no</b> JSON", "time": 1})
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    page.goto(f"{dashboard.url}/pipeline?lang=fr")
    page.wait_for_selector("#workers .ag-row")
    assert "w0" in page.inner_text("#workers")
    page.get_by_text("events 1 41").wait_for()
    page.get_by_text("<b>no</b> JSON").wait_for()
    assert page.inner_text("#lag-total-value") == "7"
    assert page.inner_text("#memory-used-value").endswith("MiB")
    page.get_by_role("heading", name="Processus").wait_for()
    assert not page.is_visible("#valence")


def test_a_cell_of_the_heatmap_chooses_its_source(
    redis_server: Any, start_dashboard: Any, writer: Any, page: Any
) -> None:
    past(writer, "camera-1", 120, SAD)
    past(writer, "camera-2", 120, HAPPY)
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    page.goto(dashboard.url)
    page.wait_for_function(
        "document.querySelector('#heat .js-plotly-plot')?.data?.[0]?.z?.[1]?.at(-2) === 0.9"
    )
    area = page.locator("#heat .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.25)
    page.wait_for_function("document.getElementById('source').value === 'camera-1'")
    page.wait_for_function(f"{DRAWN}.y.at(-1) === -0.9")
    page.wait_for_function(f"{ASKED}.get('source') === 'camera-1'")


def test_everything_is_reached_with_the_keyboard(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    camera()
    page.goto(dashboard.url)
    badge(page, "live")
    seen: list[str] = []
    for _step in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "() => { const e = document.activeElement;"
            " return e.closest('.range') ? 'range' : e.id || e.closest('[id]')?.id; }"
        )
        seen.append(name)
    first = list(dict.fromkeys(seen))
    places = ("to-live", "to-history", "to-pipeline")
    tools = ("source", "range", "pause", "csv", "language-en", "language-fr", "scheme")
    assert [name for name in first if name in places + tools] == [*places, *tools]
    assert "feed" in first
    # With the keyboard alone: to the history, and back in time.
    page.focus("#to-history")
    page.keyboard.press("Enter")
    page.wait_for_function("document.title.startsWith('History')")
    page.focus("#earlier")
    page.keyboard.press("Enter")
    page.wait_for_function(f"{ASKED}.has('end')")


def test_on_a_phone_the_controls_are_in_a_drawer(
    redis_server: Any, start_dashboard: Any, camera: Any, page: Any
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    camera()
    page.goto(dashboard.url)
    badge(page, "live")
    assert not page.is_visible("#source")
    page.click("#menu")
    page.wait_for_selector("#source", state="visible")
    assert page.get_attribute("#menu", "aria-expanded") == "true"
    page.get_by_text("15\u202fmin", exact=True).click()
    page.wait_for_function(f"{DRAWN}.x.length === 900")
    page.keyboard.press("Escape")
    page.wait_for_selector("#source", state="hidden")
    page.wait_for_function("document.activeElement.id === 'menu'")
    for place in ("history", "pipeline"):
        page.click(f"#to-{place}")
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_every_place_has_its_own_address(redis_server: Any, start_dashboard: Any) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    pages: list[str] = []
    for path in ("/history", "/pipeline", "/"):  # the first one asked is none that Dash knows
        with urllib.request.urlopen(dashboard.url + path, timeout=PATIENCE_S) as answer:  # noqa: S310 - ours
            pages.append(answer.read().decode())
    assert all("page.js" in page for page in pages)
