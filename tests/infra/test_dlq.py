"""`sentistream dlq` against the real protocol."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from typer.testing import CliRunner, Result
from waiting import wait_for

from dataflows.clients import producer
from dataflows.contract import Record, Rejection, format_time
from dataflows.dead_letters import Outgoing, dead_letter, without_value
from dataflows.settings import Settings, get_settings, load_settings
from dataflows.source import record_of
from dataflows.topics import ensure_topics
from infra import dlq
from infra.cli import app
from infra.dlq import Box
from infra.offsets import OffsetReader
from models.errors import ServiceError

pytestmark = pytest.mark.integration

NOW_MS = 1_790_000_000_000


def invoke(*arguments: object) -> Result:
    get_settings.cache_clear()
    return CliRunner().invoke(app, ["dlq", *map(str, arguments)])


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def box(request: pytest.FixtureRequest, environment: dict[str, str]) -> Settings:
    """Return settings whose topics are there and empty."""
    if request.param == "apache":
        brokers = request.getfixturevalue("kafka_brokers")
        clean = request.getfixturevalue("clean_environment")
        clean.setenv("SENTISTREAM_KAFKA__BROKERS", brokers)
    settings = load_settings()
    ensure_topics(settings)
    return settings


def reject(settings: Settings, *letters: tuple[int, str, Record], short: bool = False) -> None:
    """Write dead letters to a partition."""
    client = producer(settings.kafka)
    for partition, reason, record in letters:
        letter = dead_letter(Rejection(record, reason, f"about {record.offset}"))
        letter = without_value(letter) if short else letter
        put(client, settings.kafka.dlq_topic, partition, letter)
    assert client.flush(30) == 0


def put(client: object, topic: str, partition: int, letter: Outgoing) -> None:
    client.produce(  # type: ignore[attr-defined]
        topic, letter.value, letter.key, partition=partition, headers=list(letter.headers)
    )


def event(settings: Settings, offset: int, value: bytes = b"{", **more: bytes) -> Record:
    headers = tuple({"content-type": b"application/json", **more}.items())
    return Record(settings.kafka.topic, offset % 4, offset, b"k", value, headers, NOW_MS + offset)


def came_back(settings: Settings, count: int) -> list[Record]:
    """Wait for so many records in the topic of events, and see that there are no more."""
    topic = settings.kafka.topic
    reader = dlq.consumer(settings.kafka)
    found: list[Record] = []

    def read() -> bool:
        found.extend(_records(reader, 0.1))
        return len(found) >= count

    try:
        reader.assign([TopicPartition(topic, n, 0) for n in range(settings.kafka.partitions)])
        wait_for(read, lambda: f"{len(found)} of {count} records")
        found += _records(reader, 1.0)
    finally:
        reader.close()
    assert len(found) == count
    return found


def _records(reader: Consumer, timeout: float) -> list[Record]:
    return [record_of(x) for x in reader.consume(1000, timeout=timeout) if x.error() is None]


def test_each_goes_back_once_as_it_was_with_a_marker(box: Settings) -> None:
    events = [event(box, offset) for offset in range(250)]
    reject(box, *((x.offset % 3, ("bad_json", "bad_utf8")[x.offset % 2], x) for x in events))
    dry = invoke("replay", "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "250  would go back in all" in dry.output
    came_back(box, 0)

    some = invoke("replay", "--reason", "bad_utf8")
    assert some.exit_code == 0, some.output
    assert "125  went back: bad_utf8" in some.output
    came_back(box, 125)
    assert "125  went back in all" in invoke("replay").output
    assert "  0  went back in all" in invoke("replay").output

    found = {dict(record.headers)["ce_time"]: record for record in came_back(box, 250)}
    assert len(found) == 250
    for original in events:
        # A broker that sets timestamps itself would give it a new one, so it becomes a header.
        time = format_time(original.timestamp_ms or 0).encode()
        record = found[time]
        assert record.headers == (("ce_time", time), *original.headers, ("x-replayed", b"1"))
        assert (record.key, record.value, record.partition) == (b"k", b"{", original.partition)


def test_what_comes_back_again_is_noticed(box: Settings) -> None:
    looping = event(box, 1, **{"x-replayed": b"1"})
    reject(box, (0, "bad_json", looping), (0, "bad_json", event(box, 2)))
    done = Box(box).replay()
    assert (done.sent.total(), done.looped) == (1, 1)
    assert Box(box).replay().sent.total() == 0
    assert Box(box).replay(again=True).sent.total() == 2
    markers = sorted(dict(record.headers)["x-replayed"] or b"" for record in came_back(box, 3))
    assert markers == [b"1", b"1", b"2"]


def test_a_replay_that_is_cut_off_goes_on_without_a_repeat(
    box: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reject(box, *((0, "bad_json", event(box, offset)) for offset in range(50)))
    monkeypatch.setattr(dlq, "BATCH", 20)
    produce = dlq._Transactions.send
    sent = 0

    def cut_off(self: dlq._Transactions, batch: list[tuple[dlq.DeadLetter, Outgoing]]) -> None:
        nonlocal sent
        sent += 1
        if sent == 2:
            self._group("bad_json").close()  # so that its position cannot be sent
            monkeypatch.setattr(self, "_group", lambda _: (_ for _ in ()).throw(KafkaException(1)))
        produce(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(dlq._Transactions, "send", cut_off)
        with pytest.raises(ServiceError, match="were not sent"):
            Box(box).replay()
    came_back(box, 20)
    assert Box(box).replay().sent.total() == 30
    assert sorted(dict(x.headers)["ce_time"] or b"" for x in came_back(box, 50)) == [
        format_time(NOW_MS + n).encode() for n in range(50)
    ]


def test_a_value_that_was_left_out_is_fetched_from_where_it_stood(box: Settings) -> None:
    client = producer(box.kafka)
    client.produce(box.kafka.topic, b"large", b"k", partition=2)
    assert client.flush(30) == 0
    there = Record(box.kafka.topic, 2, 0, b"k", b"large", (), NOW_MS)
    gone = there._replace(offset=1000)
    reject(box, (0, "broken_image", there), (0, "broken_image", gone), short=True)
    done = invoke("replay")
    assert done.exit_code == 0, done.output
    assert "1  went back in all" in done.output
    assert f"the value of {box.kafka.topic}/2/1000 stands nowhere" in done.output
    assert [record.value for record in came_back(box, 2)] == [b"large", b"large"]


def test_letters_are_listed_and_shown(box: Settings, tmp_path: Path) -> None:
    reject(box, *((1, "bad_json", event(box, offset, b"\xffbytes")) for offset in range(30)))
    reject(box, (2, "bad_time", event(box, 99, "ü".encode())))
    table = invoke("list", "--newest", 5)
    assert table.exit_code == 0, table.output
    assert "6 of 31 dead letters" in table.output
    lines = invoke("list", "--reason", "bad_time", "--json").stdout.splitlines()
    assert [json.loads(line)["original_offset"] for line in lines] == [99]

    shown = invoke("show", 2, 0)
    document = json.loads(shown.stdout)
    assert document["text"] == "ü"
    assert document["headers"] == {"content-type": "application/json"}
    assert document["timestamp"] == "2026-09-21T14:13:20.099Z"
    value = tmp_path / "value"
    binary = invoke("show", 1, 29, "--out", value)
    assert json.loads(binary.stdout)["text"] is None
    assert value.read_bytes() == b"\xffbytes"
    refused = invoke("show", 2, 0, "--out", value)
    assert refused.exit_code == 2
    assert "--out" in refused.output
    assert value.read_bytes() == b"\xffbytes"
    absent = invoke("show", 1, 30)
    assert absent.exit_code == 2
    assert "no dead letter at partition 1, offset 30; it has partition 1: 0 to 29" in absent.output


def test_a_reason_that_does_not_exist_is_refused(environment: dict[str, str]) -> None:
    result = invoke("replay", "--reason", "bad_jsno")
    assert result.exit_code == 2
    assert "bad_json" in result.output


def test_records_of_others_are_left(box: Settings) -> None:
    client = producer(box.kafka)
    client.produce(box.kafka.dlq_topic, b"not ours", partition=0)
    assert client.flush(30) == 0
    reject(box, (0, "bad_json", event(box, 0)))
    assert len(Box(box).newest(10)) == 1
    assert "  1  went back in all" in invoke("replay").output
    came_back(box, 1)


def test_a_forged_letter_moves_nothing_to_another_topic_and_nothing_on_the_terminal(
    box: Settings,
) -> None:
    victim = event(box, 0)._replace(topic=box.kafka.predictions_topic)
    late = event(box, 1)._replace(topic="x[/x]\x1b[2J\u202e", timestamp_ms=2**53)
    reject(box, (0, "bad_json", victim), (0, "bad_json", late))
    reject(box, (1, "no such reason", event(box, 2)), (1, "bad_json", event(box, -3)))
    stamp = event(box, 4, b"{", ce_time=b"1970-01-01T00:00:00Z")._replace(timestamp_ms=2**53)
    reject(box, (2, "bad_json", stamp))

    table = invoke("list")
    assert table.exit_code == 0, table.output
    assert "3 of 5 dead letters" in table.output
    assert "x[/x]" in table.output.replace("\n", "")
    assert "\x1b[2J" not in table.output
    assert "\u202e" not in invoke("show", 0, 1).output
    assert json.loads(invoke("show", 0, 1).stdout)["timestamp"] == 2**53

    replayed = invoke("replay")
    assert "1  went back in all" in replayed.output
    assert "2  were left: they name another topic" in replayed.output
    (back,) = came_back(box, 1)
    assert dict(back.headers)["ce_time"] == b"1970-01-01T00:00:00Z"
    with OffsetReader(box.kafka) as reader:
        assert sum(reader.read(box.kafka.predictions_topic, "end").values()) == 0
