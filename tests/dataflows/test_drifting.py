"""Drift of a running flow: in Redis and as alerts, the same after a crash."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from streams import Sent, Stream, recovery
from text_bundles import sentence

import models
from dataflows.contract import format_time
from dataflows.drift import HOUR_S
from dataflows.keys import DRIFT_EXPIRY_S
from models.observation import SENTIMENTS
from models.options import TextOptions
from models.reference import BINS, confidence_bin
from models.scorer import Content, Scored, Scorer

pytestmark = pytest.mark.integration

START = 1_790_000_000 // HOUR_S * HOUR_S
LIGHT = "1.0.0-light"
VARIABLES = {"SENTISTREAM_TEXT__BUNDLE": LIGHT, "SENTISTREAM_DRIFT__MIN_OBSERVATIONS": "40"}


def drift(stream: Stream) -> dict[tuple[str, str], dict[str, object]]:
    """Return what Redis holds, by source and name of the field."""
    found = {}
    for source in ("chat", "desk", "*"):
        key = stream.keys.drift(source, START)
        for name, value in stream.redis.hgetall(key).items():
            found[source, name] = json.loads(value)
    return found


def test_hours_in_redis_are_the_plain_counts_and_a_shift_is_told_also_after_a_crash(
    stream: Stream, tmp_path: Path
) -> None:
    generator = random.Random(3)
    texts = [
        ("chat" if index % 3 else "desk", START + index * 60, sentence(generator, "positive", 8))
        for index in range(200)  # three hours and twenty minutes
    ]
    edge = Sent(
        b'{"emotions": [{"anger": 1.0}]}',
        {"content-type": b"application/json", "ce_time": format_time(START * 1000).encode()},
        "desk",
        timestamp_ms=START * 1000,
    )
    events = [
        Sent(
            words.encode(),
            {"content-type": b"text/plain", "ce_time": format_time(at * 1000).encode()},
            source,
            timestamp_ms=at * 1000,
        )
        for source, at, words in texts
    ]
    expected = plain(texts)
    options = recovery(tmp_path / "recovery")
    with stream.flow(*options, **VARIABLES) as flow:
        stream.send([edge, *events[:90]])
        flow.settle(91)
        time.sleep(2)  # so that there is a snapshot to go back to
        flow.process.kill()
        flow.process.wait()
    with stream.flow(*options, **VARIABLES) as flow:
        stream.send(events[90:])
        flow.settle(201)
        flow.wait(lambda: counts(stream) == expected)
        told = f"mix_drift/*/{START}"
        flow.wait(lambda: told in {f["id"] for _, f in stream.redis.xrange(stream.keys.alerts)})
        before = drift(stream)
        assert 0 < stream.redis.ttl(stream.keys.drift("*", START)) <= DRIFT_EXPIRY_S
        stream.redis.delete(*(stream.keys.drift(s, START) for s in ("chat", "desk", "*")))
        stream.redis.delete(stream.keys.witness(0))
        flow.wait(lambda: drift(stream) == before)
    records = [
        json.loads(r.value() or b"") for r in stream.records(stream.settings.kafka.alerts_topic)
    ]
    assert told in {record["id"] for record in records}
    first = before["*", f"{START}:text:{LIGHT}"]
    assert (first["n"], first["verdict"]) == (60, "drift")
    assert before["desk", f"{START}:text:{LIGHT}"]["verdict"] == "few"


def counts(stream: Stream) -> dict[tuple[str, str], tuple[object, ...]]:
    return {
        key: (found["n"], found["classes"], found["confidence"])
        for key, found in drift(stream).items()
    }


def plain(texts: list[tuple[str, int, str]]) -> dict[tuple[str, str], tuple[object, ...]]:
    """Score and count one text after the other."""
    scorer = Scorer.from_folder(Path(models.__file__).parent, text=TextOptions(bundle=LIGHT))
    found: dict[tuple[str, str], tuple[int, dict[str, int], list[int]]] = {}
    for source, at, words in texts:
        (scored,) = scorer.score([Content(text=words)])
        assert isinstance(scored, Scored)
        (seen,) = scored.observations
        for name in (source, "*"):
            key = name, f"{at // HOUR_S * HOUR_S}:text:{LIGHT}"
            n, classes, bins = found.get(key) or (0, dict.fromkeys(SENTIMENTS, 0), [0] * BINS)
            classes[seen.sentiment] += 1
            bins[confidence_bin(seen.confidence)] += 1
            found[key] = n + 1, classes, bins
    return dict(found)
