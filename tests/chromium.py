"""How the tests start Debian's Chromium."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waiting import PATIENCE_S

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Nothing but the page under test is to be asked for anything.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
POLL_MS = 50


def wait_until(page: Any, condition: Callable[[], object], what: str) -> None:
    """Let a page go on until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"never came true: {what}")
        page.wait_for_timeout(POLL_MS)


def patient(page: Any) -> Any:
    """Return a Playwright page that waits for long, and whose `wait_for_function` asks from here.

    Playwright's own evaluates text again and again within the page, where the content security
    policy of the dashboard rightly forbids it.
    """

    def wait_for_function(expression: str, *, arg: Any = None) -> None:
        wait_until(page, lambda: page.evaluate(expression, arg), expression)

    page.set_default_timeout(1000 * PATIENCE_S)
    page.wait_for_function = wait_for_function
    return page
