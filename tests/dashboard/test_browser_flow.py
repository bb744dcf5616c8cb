"""The page over the real flow: killed, and started again."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from browsing import MARKS, badge, even, grow, line
from streams import Sent, Stream, recovery

from models.wheels import fetch

pytestmark = MARKS

EVENT = Sent(json.dumps({"emotions": [{"happiness": 1}]}).encode(), key="camera-1")


def test_the_badge_tells_when_the_flow_goes_and_comes_back(
    environment: dict[str, str], start_dashboard: Any, page: Any, tmp_path: Path
) -> None:
    stream = Stream(environment)
    store = recovery(tmp_path / "recovery")
    dashboard = start_dashboard(
        REDIS__URL=environment["SENTISTREAM_REDIS__URL"],
        REDIS__PREFIX=environment["SENTISTREAM_REDIS__PREFIX"],
    )
    over = threading.Event()
    sent: list[Sent] = []

    def feed() -> None:
        while not over.wait(0.2):
            stream.send([EVENT])
            sent.append(EVENT)

    feeding = threading.Thread(target=feed)
    page.goto(dashboard.url)
    badge(page, "stale")
    try:
        with stream.flow(*store) as flow:
            feeding.start()
            badge(page, "live")
            page.wait_for_selector("#main", state="visible")
            grow(page, 3)
            flow.process.kill()
            badge(page, "stale")
            assert page.is_visible("#main")  # the last values stay
        with stream.flow(*store) as flow:
            badge(page, "live")
            grow(page, 3)
            over.set()
            feeding.join()
            flow.settle(len(sent))
    finally:
        over.set()
    assert even(line(page)[0])
    assert stream.total().events == len(sent)


def test_a_small_picture_is_shown_where_it_is_kept(
    environment: dict[str, str], start_dashboard: Any, page: Any
) -> None:
    stream = Stream(environment)
    stream.send([Sent(fetch("multi_face").read_bytes(), {"ce_id": b"group"}, key="camera-1")])
    with stream.flow(SENTISTREAM_REDIS__THUMBNAILS="true") as flow:
        flow.settle(1)
    dashboard = start_dashboard(
        REDIS__URL=environment["SENTISTREAM_REDIS__URL"],
        REDIS__PREFIX=environment["SENTISTREAM_REDIS__PREFIX"],
    )
    page.goto(dashboard.url)
    page.locator("#feed .ag-row [col-id=source]").first.click()
    page.wait_for_function(
        "[...document.querySelectorAll('img.thumbnail')].filter(i => i.naturalWidth === 96)"
        ".length === 5"
    )
    shown = page.get_attribute("img.thumbnail >> nth=0", "src")
    kept = stream.redis.get(stream.keys.thumbnail("group", 0))
    assert shown == f"data:image/jpeg;base64,{kept}"
    assert base64.b64decode(kept).startswith(b"\xff\xd8")
    assert page.get_attribute("img.thumbnail >> nth=4", "alt") == "Face 5"


def test_a_clock_that_is_ahead_hides_nothing_of_today(
    environment: dict[str, str], start_dashboard: Any, page: Any
) -> None:
    stream = Stream(environment)
    dashboard = start_dashboard(
        REDIS__URL=environment["SENTISTREAM_REDIS__URL"],
        REDIS__PREFIX=environment["SENTISTREAM_REDIS__PREFIX"],
    )
    over = threading.Event()
    days = (2 * 24 * 60 + 5) * 60

    def feed() -> None:
        while not over.wait(0.2):
            ahead_ms = round((time.time() + days) * 1000)
            ahead = replace(EVENT, key="ahead", timestamp_ms=ahead_ms)
            stream.send([EVENT, replace(EVENT, key="camera-2"), ahead])

    feeding = threading.Thread(target=feed)
    with stream.flow() as flow:
        feeding.start()
        try:
            flow.settle(30)
            page.goto(dashboard.url)
            page.wait_for_selector("#main", state="visible")
            grow(page, 3)
            page.wait_for_function(
                "/^(<.)?\\d+.s$/.test(document.querySelector('#age-value')?.innerText)"
            )
            assert abs((line(page)[0][-1] or 0) / 1000 - time.time()) < 60
            page.wait_for_function(
                "Array.from(document.querySelector('#valence .js-plotly-plot').data[2].y)"
                ".filter(Number.isFinite).length > 2"
            )
            page.goto(f"{dashboard.url}/?source=ahead")
            page.wait_for_function(
                "document.querySelector('#age-value')?.innerText === 'in 2\u202fd'"
            )
            assert str(datetime.now(UTC).year) in page.inner_text("#age-note")
        finally:
            over.set()
            feeding.join()
