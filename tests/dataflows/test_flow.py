"""The whole flow, as a process, over the real protocols."""

from __future__ import annotations

import io
import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from PIL import Image, ImageEnhance
from streams import ROOT, Sent, Stream
from waiting import PATIENCE_S

from dataflows.contract import format_time
from dataflows.panes import EMPTY, FIELDS, Pane, statistics
from infra import embedded
from infra.ports import Ports
from infra.supervisor import Supervisor
from models.observation import EXPRESSIONS, observe_face
from models.wheels import fetch

pytestmark = pytest.mark.integration

NOW_S = 1_790_000_000  # any moment will do: nothing may depend on the clock
SENT_MS = (NOW_S + 900) * 1000  # no event is ahead of this
JSON = {"content-type": b"application/json"}


def at(seconds: float, **headers: bytes) -> dict[str, bytes]:
    return {"ce_time": format_time(round(seconds * 1000)).encode(), **headers}


def edge(*rows: list[float]) -> bytes:
    """Return an event with faces that were scored at the edge."""
    faces = [dict(zip(EXPRESSIONS, row, strict=True)) for row in rows]
    return json.dumps({"emotions": faces}).encode()


def random_row(generator: random.Random) -> list[float]:
    row = [generator.random() for _ in EXPRESSIONS]
    return [value / sum(row) for value in row]


def expected_panes(
    events: list[tuple[str, float, list[list[float]]]], resolution: int
) -> dict[tuple[str, int], Pane]:
    """What a plain sequential program computes."""
    result: dict[tuple[str, int], Pane] = {}
    for source, seconds, rows in events:
        pane = Pane.of([observe_face(row) for row in rows])
        for name in (source, "*"):
            bucket = math.floor(seconds) // resolution * resolution
            result[name, bucket] = result.get((name, bucket), EMPTY).merge(pane)
    return result


def test_panes_and_windows_are_those_of_a_plain_sequential_program(any_stream: Stream) -> None:
    stream = any_stream
    generator = random.Random(7)
    events, sent = [], []
    for _ in range(3000):
        source = generator.choice(["a", "b:c", "ü"])
        seconds = NOW_S + generator.randrange(0, 800_000) / 1000
        rows = [random_row(generator) for _ in range(generator.randrange(3))]
        events.append((source, seconds, rows))
        headers = at(seconds, **JSON)
        sent.append(Sent(edge(*rows), headers, key=source, timestamp_ms=SENT_MS))
    stream.send(sent)
    with stream.flow("-w", "2") as flow:
        flow.settle(len(sent))
    assert stream.count(stream.settings.kafka.dlq_topic) == 0
    for resolution in (1, 10, 60):
        assert stream.panes(resolution) == expected_panes(events, resolution)
    seconds_panes = expected_panes(events, 1)
    for source in ("a", "b:c", "ü", "*"):
        buckets = {bucket: pane for (name, bucket), pane in seconds_panes.items() if name == source}
        newest = max(buckets)
        for window in (10, 60, 300, 3600):
            total = EMPTY
            for bucket, pane in buckets.items():
                if newest - window < bucket <= newest:
                    total = total.merge(pane)
            fields = stream.redis.hgetall(stream.keys.rolling(source, window))
            assert fields["as_of"] == str(newest)
            assert tuple(int(fields[name]) for name in FIELDS) == total
            assert float(fields["valence"]) == pytest.approx(statistics(total).valence, abs=1e-4)
    newest_ms = dict(stream.redis.zrange(stream.keys.sources, 0, -1, withscores=True))
    assert newest_ms == {
        name: max(round(seconds * 1000) for source, seconds, _ in events if source == name)
        for name in ("a", "b:c", "ü")
    }
    last = {}
    for _, entry in stream.redis.xrange(stream.keys.updates):
        last[entry["source"], int(entry["bucket"])] = Pane.decode(entry["pane"])
    assert last == seconds_panes
    assert 0 < stream.redis.ttl(stream.keys.pane(1, "a", NOW_S)) <= 2 * 3600
    assert 0 < stream.redis.ttl(stream.keys.pane(60, "a", NOW_S)) <= 7 * 86_400


def test_late_events_are_dead_letters_by_the_order_in_their_partition(any_stream: Stream) -> None:
    stream = any_stream

    def event(source: str, seconds: int, partition: int) -> Sent:
        headers = at(NOW_S + seconds, **JSON)
        value = edge([0, 0, 0, 1, 0, 0, 0])
        return Sent(value, headers, source, partition, timestamp_ms=(NOW_S + 5000) * 1000)

    stream.send(
        [
            event("a", 2000, 0),
            event("a", 1100, 0),  # 900 s behind: just in time
            event("a", 1099, 0),  # late
            event("b", 5, 0),  # another source
            event("a", 5, 1),  # another partition
        ]
    )
    with stream.flow() as flow:
        flow.settle(5)
    assert stream.reasons() == {"a": ["too_late"]}
    assert stream.total("a").events == 3
    assert stream.total("*").events == 4


def png_bomb() -> bytes:
    """Return a PNG of 20 000 x 20 000 pixels in a few tens of kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(200_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


def test_bad_input_is_dead_lettered_and_the_flow_goes_on(any_stream: Stream) -> None:
    stream = any_stream
    photo = fetch("multi_face").read_bytes()
    ahead = format_time(round((time.time() + 3600) * 1000)).encode()
    bad = {
        "empty_value": (b"", {}),
        "unknown_type": (random.Random(1).randbytes(5000), {}),
        "broken_image": (photo[: len(photo) // 2], {}),
        "too_many_pixels": (png_bomb(), {}),
        "too_large": (random.Random(2).randbytes(30_000_000), {"content-type": b"image/jpeg"}),
        "unsupported_type": (b"GIF89a" + bytes(50), {}),
        "no_known_field": (b'{"a": 1}', JSON),
        "bad_base64": (b'{"image": "%%%"}', JSON),
        "bad_utf8": (b"\xff\xfe\xfa", {"content-type": b"text/plain"}),
        "bad_time": (photo, {"ce_time": b"half past nine"}),
        "future_time": (photo, {"ce_time": ahead}),
        "no_text_bundle": (b"a text", {}),
    }
    good = [
        Sent(photo),
        Sent(photo, {"x-unknown": b"1", "ce_extension": b"2"}, key="with headers"),
        Sent(photo, {"content-type": b"IMAGE/JPEG; charset=binary"}, key="upper case"),
        Sent(edge([0, 0, 0, 1, 0, 0, 0])[:-1] + b', "more": 1}', JSON, key="unknown field"),
    ]
    events = [Sent(value, headers, key=reason) for reason, (value, headers) in bad.items()]
    # The good ones come last: they show that the flow went on.
    stream.send([*events, *good])
    with stream.flow(SENTISTREAM_TEXT__BUNDLE="none") as flow:
        flow.settle(len(events) + len(good))
        peak_kib = _peak_memory_kib(flow.process.pid)
    assert stream.reasons() == {reason: [reason] for reason in bad}
    assert stream.total("*").events == len(good)
    assert stream.total(stream.settings.kafka.topic).n == 5  # five faces, no key, no header
    assert stream.total("upper case").n == stream.total("with headers").n == 5
    # 20 000 x 20 000 pixels alone would be 1.2 GB.
    assert peak_kib < 1_000_000

    letters = stream.records(stream.settings.kafka.dlq_topic)
    for letter in letters:
        reason = (letter.key() or b"").decode()
        value, headers = bad[reason]
        assert (letter.value() or b"") == value
        found = dict(letter.headers() or [])
        assert found.keys() == headers.keys() | {
            "x-reason",
            "x-detail",
            "x-topic",
            "x-partition",
            "x-offset",
            "x-timestamp",
        }
        assert found["x-topic"].decode() == stream.settings.kafka.topic
        assert found["x-detail"]


def _peak_memory_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("the kernel does not tell the peak memory")


def test_every_accepted_event_has_one_prediction(stream: Stream) -> None:
    photo = fetch("multi_face").read_bytes()
    blank = io.BytesIO()
    Image.new("RGB", (320, 200)).save(blank, "PNG")
    stream.send(
        [
            Sent(photo, {"ce_id": b"seven", "ce_source": b"gate"}, key="other"),
            Sent(blank.getvalue(), key="empty room"),
            Sent(edge([0, 0, 0, 0.9, 0, 0.1, 0]), JSON, key="edge"),
        ]
    )
    with stream.flow() as flow:
        flow.settle(3)
    records = stream.records(stream.settings.kafka.predictions_topic)
    found = {(one.key() or b"").decode(): json.loads(one.value() or b"") for one in records}
    assert found.keys() == {"gate", "empty room", "edge"}
    gate = found["gate"]
    assert gate["id"] == "seven"
    assert len(gate["faces"]) == 5
    for face in gate["faces"]:
        left, top, right, bottom = face["box"]
        assert 0 <= left < right <= 1000
        assert 0 <= top < bottom <= 667
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert face["confidence"] == pytest.approx(max(face["probabilities"].values()), abs=1e-3)
        assert face["probabilities"][face["emotion"]] == max(face["probabilities"].values())
    assert found["empty room"]["faces"] == []
    assert found["empty room"]["sentiment"] is None
    assert found["edge"]["faces"][0]["box"] is None
    assert found["edge"]["valence"] == pytest.approx(0.8)
    assert found["edge"]["sentiment"] == "positive"
    assert stream.total("empty room") == EMPTY._replace(events=1)
    feed = [json.loads(e["prediction"]) for _, e in stream.redis.xrange(stream.keys.events)]
    assert sorted(entry["id"] for entry in feed) == sorted(entry["id"] for entry in found.values())
    headers = dict(records[0].headers() or [])
    assert headers["ce_type"] == b"sentistream.prediction"


def photos(count: int) -> list[bytes]:
    """Return different pictures of real faces, small enough to be quick."""
    originals = [
        Image.open(fetch(name)).convert("RGB")
        for name in ("multi_face", "single_face", "posed_surprise", "posed_anger")
    ]
    generator = random.Random(3)
    result = []
    for index in range(count):
        image = originals[index % len(originals)]
        side = generator.randrange(180, 420)
        image = image.resize((side, round(side * image.height / image.width)))
        image = ImageEnhance.Brightness(image).enhance(generator.uniform(0.6, 1.4))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=generator.randrange(60, 95))
        result.append(buffer.getvalue())
    return result


def test_batches_and_workers_do_not_change_the_panes(
    stream: Stream, record_property: Callable[[str, object], None]
) -> None:
    """Equal to the last integer, but for a probability within float noise of a rounding edge."""
    sent = [
        Sent(photo, at(NOW_S + index // 4), f"camera-{index % 5}", timestamp_ms=SENT_MS)
        for index, photo in enumerate(photos(600))
    ]
    stream.send(sent)
    found = {}
    for batch, workers in ((1, 1), (7, 1), (64, 1), (7, 2)):
        name = f"b{batch}w{workers}"
        variant = stream.variant(name)
        with variant.flow("-w", str(workers), SENTISTREAM_BATCH=str(batch)) as flow:
            flow.settle(len(sent))
        assert variant.count(variant.settings.kafka.dlq_topic) == 0
        found[name] = variant.panes(1)
    reference = found.pop("b1w1")
    assert sum(pane.n for (source, _), pane in reference.items() if source == "*") >= 600
    on_the_edge = 0
    for panes in found.values():
        assert panes.keys() == reference.keys()
        for key, pane in panes.items():
            other = reference[key]
            if pane != other:
                # One unit of one observation at the most for each face on the edge.
                assert (pane.n, pane.events) == (other.n, other.events)
                assert abs(pane.valence_sum - other.valence_sum) <= 2
                assert abs(pane.confidence_sum - other.confidence_sum) <= 2
                on_the_edge += key[0] != "*"
    record_property("panes_on_a_rounding_edge", on_the_edge)
    print(f"panes with a probability on a rounding edge: {on_the_edge} of {3 * len(reference)}")
    assert on_the_edge <= 12


def test_a_kill_in_the_middle_changes_nothing(any_stream: Stream, tmp_path: Path) -> None:
    stream = any_stream
    generator = random.Random(11)
    events, sent = [], []
    for index in range(6000):
        source, seconds = f"s{index % 3}", NOW_S + index / 10
        rows = [random_row(generator)]
        events.append((source, seconds, rows))
        headers = at(seconds, **JSON)
        sent.append(Sent(edge(*rows), headers, source, timestamp_ms=SENT_MS))
    store = tmp_path / "recovery"
    store.mkdir()
    subprocess.run([sys.executable, "-m", "bytewax.recovery", store, "2"], check=True)
    arguments = ("-r", str(store), "-s", "1", "-b", "0")
    for start in (0, 2000, 4000):
        stream.send(sent[start : start + 2000])
        with stream.flow(*arguments) as flow:
            flow.settle(start + 1500)
            os.kill(flow.process.pid, signal.SIGKILL)
    with stream.flow(*arguments) as flow:
        flow.settle(len(sent))
    for resolution in (1, 10, 60):
        assert stream.panes(resolution) == expected_panes(events, resolution)
    window = dict.fromkeys(("s0", "s1", "s2", "*"), EMPTY)
    for (source, _), pane in expected_panes(events, 1).items():
        window[source] = window[source].merge(pane)
    for source, total in window.items():
        fields = stream.redis.hgetall(stream.keys.rolling(source, 3600))
        assert tuple(int(fields[name]) for name in FIELDS) == total


@pytest.mark.kafka
def test_a_dead_letter_that_its_topic_refuses_goes_without_its_value(
    environment: dict[str, str], kafka_brokers: str
) -> None:
    """The user's own dead-letter topic, with a lower limit than the topic of events."""
    environment["SENTISTREAM_KAFKA__BROKERS"] = kafka_brokers
    admin = AdminClient({"bootstrap.servers": kafka_brokers})
    topic = environment["SENTISTREAM_KAFKA__DLQ_TOPIC"]
    limit = {"max.message.bytes": "10000"}
    admin.create_topics([NewTopic(topic, num_partitions=1, config=limit)])[topic].result()
    stream = Stream(environment)
    broken = b"\xff\xd8\xff" + random.Random(4).randbytes(50_000)
    surrogate = b'{"emotions": [{"\\ud800": 1}]}'
    stream.send(
        [Sent(broken, {"x-mine": b"1"}, "a"), Sent(surrogate, key="b"), Sent(b"\1", key="c")]
    )
    with stream.flow() as flow:
        flow.settle(3)
        assert flow.process.poll() is None
    letters = {(one.key() or b""): one for one in stream.records(topic)}
    headers = dict(letters[b"a"].headers() or [])
    assert letters[b"a"].value() is None
    assert headers["x-value-bytes"] == str(len(broken)).encode()
    assert (headers["x-reason"], headers["x-mine"]) == (b"broken_image", b"1")
    assert letters[b"b"].value() == surrogate
    assert b"ud800" in (dict(letters[b"b"].headers() or [])["x-detail"] or b"")
    assert letters[b"c"].value() == b"\1"


def test_a_broker_that_is_gone_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    with Ports() as ports, Supervisor(tmp_path) as supervisor:
        port = ports.free()
        supervisor.start(embedded.broker(port))
        stream = Stream(environment | {"SENTISTREAM_KAFKA__BROKERS": f"127.0.0.1:{port}"})
        stream.send([Sent(edge([0, 0, 0, 1, 0, 0, 0]), JSON)])
        with stream.flow() as flow:
            flow.settle(1)
            supervisor.stop()
            flow.wait(lambda: "WARNING dataflows.clients: Kafka:" in flow.said())


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SENTISTREAM_KAFKA__BROKERS", "127.0.0.1:1", "no Kafka broker answers at 127.0.0.1:1"),
        ("SENTISTREAM_REDIS__URL", "redis://:hunter2@127.0.0.1:1/0", "no Redis answers at 127"),
        ("SENTISTREAM_REDIS__URL", "http://x", "is no Redis URL"),
        ("SENTISTREAM_KAFKA__CLIENT", '{"sasl.mechansim": "PLAIN"}', "No such configuration"),
        ("SENTISTREAM_BUNDLES", "/nowhere", "is no bundle"),
        ("SENTISTREAM_LATENES_S", "1", "did you mean SENTISTREAM_LATENESS_S"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(
    environment: dict[str, str],
    pick: Callable[[float, float], float],
    variable: str,
    value: str,
    message: str,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bytewax.run", "dataflows.sentiment"],
        cwd=ROOT,
        env=os.environ | {variable: value},
        capture_output=True,
        text=True,
        timeout=pick(15, PATIENCE_S),  # as promised, on a quiet machine
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
