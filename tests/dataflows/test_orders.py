"""Sources leave the state when they are idle, and come back as if they had not."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from streams import Flow, Sent, Stream, recovery

from dataflows.contract import format_time
from dataflows.keys import ALL_SOURCES

pytestmark = pytest.mark.integration

NOW_S = 1_790_000_000
KEPT_S = 7200
IDLE_S = KEPT_S + 3600  # the longest window


def event(source: str, seconds: int) -> Sent:
    value = json.dumps({"emotions": [{"happiness": 1}]}).encode()
    headers = {
        "content-type": b"application/json",
        "ce_time": format_time((NOW_S + seconds) * 1000).encode(),
    }
    return Sent(value, headers, source, partition=0, timestamp_ms=(NOW_S + 10**6) * 1000)


def in_state(folder: Path, step: str) -> set[str]:
    """Return the sources of a step that the recovery store would bring back."""
    (store,) = folder.glob("part-*.sqlite3")
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
        rows = database.execute(
            "SELECT state_key, ser_change IS NOT NULL, MAX(snap_epoch) FROM snaps "
            "WHERE step_id = ? GROUP BY state_key",
            (f"sentiment.{step}",),
        )
        return {key.rpartition("|")[0] or key for key, held, _ in rows if held}


def wait_for_state(flow: Flow, folder: Path, sources: set[str]) -> None:
    flow.wait(lambda: in_state(folder, "panes") == in_state(folder, "rolling") == sources)


def test_an_idle_source_leaves_the_state_and_may_come_back(stream: Stream, tmp_path: Path) -> None:
    folder = tmp_path / "recovery"
    options = recovery(folder)
    variables = {"SENTISTREAM_RETENTION_S": str(KEPT_S)}
    with stream.flow(*options, **variables) as flow:
        stream.send([event("a", 0), event("a", 61), event("b", 100), event("c", 100)])
        flow.settle(4)
        wait_for_state(flow, folder, {"a", "b", "c", ALL_SOURCES})
        stream.send([event("b", IDLE_S + 200), event("c", IDLE_S + 200)])
        flow.settle(6)
        wait_for_state(flow, folder, {"b", "c", ALL_SOURCES})
        stream.send([event("a", IDLE_S + 300), event("a", IDLE_S + 301)])
        flow.settle(8)
        wait_for_state(flow, folder, {"a", "b", "c", ALL_SOURCES})
    panes = {bucket: pane.n for (name, bucket), pane in stream.panes(1).items() if name == "a"}
    assert panes == {
        NOW_S: 1,
        NOW_S + 61: 1,
        NOW_S + IDLE_S + 300: 1,
        NOW_S + IDLE_S + 301: 1,
    }
    assert stream.redis.hget(stream.keys.rolling("a", 3600), "n") == "2"
