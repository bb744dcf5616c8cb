"""The demo as a newcomer sees it: one command, and a page that moves."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromium import ARGUMENTS, CHROMIUM, patient

from dataflows.settings import load_settings
from infra.ports import Ports
from models.bundle import text_folder

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("clean_environment")]

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from infra.cli import app; app()", "up", "--demo"]
VALENCE = "document.querySelector('#valence .js-plotly-plot')?.data?.[2]?.x"


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")
def test_the_page_of_the_demo_comes_alive_and_its_line_grows() -> None:
    with Ports() as ports:
        port = ports.free()
    with demo("--port", str(port)), playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = patient(browser.new_page(viewport={"width": 1440, "height": 1000}))
        for attempt in range(120):
            try:
                page.goto(f"http://127.0.0.1:{port}/")
                break
            except playwright_api.Error:
                assert attempt < 119, "the dashboard did not come up"
                page.wait_for_timeout(500)
        page.wait_for_selector('#badge[data-state="live"]')
        page.wait_for_function(f"({VALENCE}?.length ?? 0) > 3")
        end = page.evaluate(f"{VALENCE}.at(-1)")
        page.wait_for_function(f"{VALENCE}.at(-1) >= {end} + 5000")
        assert page.locator("#badge").get_attribute("data-state") == "live"
        for source in ("camera-1", "camera-2", "camera-3", "group-photo"):
            page.wait_for_selector(f'.ag-cell:has-text("{source}")')
        browser.close()


def test_the_summary_accounts_for_every_event_of_the_demo() -> None:
    with demo("--seconds", "25") as process:
        assert process.stdout is not None
        output = process.stdout.read()
        assert process.wait() == 0
    summary = json.loads(output.splitlines()[-1])
    assert summary["events_in"] == summary["scored"] + summary["rejected"]
    assert summary["rejected"] == 0
    sources = summary["sources"]
    chat = {"chat"} if text_folder(load_settings().bundles) else set()
    assert set(sources) == {"camera-1", "camera-2", "camera-3", "group-photo"} | chat
    assert sum(source["events"] for source in sources.values()) == summary["scored"]
    assert sum(source["observations"] for source in sources.values()) == summary["observations"]
    # The video goes from sorrow to laughter every 20 s, on every camera.
    for name in ("camera-1", "camera-2", "camera-3"):
        assert sources[name]["sadness"] > 0
        assert sources[name]["happiness"] > 0
    assert sources["group-photo"]["observations"] == 5 * sources["group-photo"]["events"]
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", summary["dashboard"])
