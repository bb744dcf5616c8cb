"""Alerts of a running flow: in Redis and on their topic, the same after a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streams import Sent, Stream, recovery

from dataflows.contract import format_time

pytestmark = pytest.mark.integration

START = 1_790_000_000
QUICK = {
    "SENTISTREAM_ALERTS__WINDOW_S": "5",
    "SENTISTREAM_ALERTS__HOLD_S": "3",
    "SENTISTREAM_ALERTS__MIN_OBSERVATIONS": "5",
    "SENTISTREAM_ALERTS__BASELINE_S": "30",
    "SENTISTREAM_ALERTS__SILENT_S": "20",
}


def event(source: str, second: int, emotion: str) -> Sent:
    """A face scored elsewhere, two a second."""
    headers = {
        "content-type": b"application/json",
        "ce_source": source.encode(),
        "ce_time": format_time((START + second) * 1000).encode(),
    }
    value = json.dumps({"emotions": [{emotion: 0.9, "neutral": 0.1}] * 2}).encode()
    return Sent(value, headers, key=source, timestamp_ms=(START + second) * 1000)


def alerts(stream: Stream) -> dict[str, dict[str, str]]:
    """Return the newest entry of each id."""
    return {fields["id"]: fields for _, fields in stream.redis.xrange(stream.keys.alerts)}


def test_a_change_of_mood_and_a_silence_are_told(stream: Stream, tmp_path: Path) -> None:
    options = recovery(tmp_path / "recovery")
    before = [event(source, second, "happiness") for second in range(60) for source in "abc"]
    moods = {"a": "anger", "c": "happiness"}
    after = [event(name, second, moods[name]) for second in range(60, 100) for name in moods]
    with stream.flow(*options, **QUICK) as flow:
        stream.send(before)
        flow.settle(len(before))
        assert alerts(stream) == {}
        stream.send(after)
        flow.settle(len(before) + len(after))
        silent = f"silent/b/{START + 59}"
        flow.wait(lambda: silent in alerts(stream))
        flow.process.kill()
        flow.process.wait()
    found = alerts(stream)
    assert found[silent]["state"] == "firing"
    assert {fields["rule"] for fields in found.values() if fields["source"] == "a"} == {
        "valence_shift",
        "negative_share",
    }
    (shift,) = (fields for fields in found.values() if fields["id"].startswith("valence_shift/a/"))
    assert 60 <= int(shift["started"]) - START <= 65
    assert float(shift["value"]) < float(shift["baseline"])

    # What fires is remembered over the crash, and ends.
    with stream.flow(*options, **QUICK) as flow:
        stream.send([event("b", second, "happiness") for second in range(130, 140)])
        flow.wait(lambda: alerts(stream)[silent]["state"] == "resolved")
        # A Redis that has lost the alerts is told again of those that last.
        stream.redis.delete(*stream.redis.keys(f"{stream.keys.prefix}:*"))
        flow.wait(lambda: shift["id"] in alerts(stream))
    assert alerts(stream)[shift["id"]] == shift
    records = stream.records(stream.settings.kafka.alerts_topic)
    told = [json.loads(record.value() or b"") for record in records]
    ends = [one for one in told if one["id"] == silent and one["state"] == "resolved"]
    assert ends
    assert {one["ended"] for one in ends} == {START + 130}
    assert {one["id"] for one in told} >= found.keys()
