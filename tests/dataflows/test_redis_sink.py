"""Writes to Redis wait for it and repeat only what it has not taken."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr
from streams import Sent, Stream
from waiting import PATIENCE_S, wait_for
from way import Way

from dataflows.contract import Record, Rejection
from dataflows.keys import Keys
from dataflows.panes import EMPTY
from dataflows.redis_sink import PaneSink, RejectionSink
from dataflows.rolling import Update
from dataflows.settings import Settings
from infra import embedded
from infra.ports import Ports
from infra.supervisor import Supervisor

pytestmark = pytest.mark.integration

UPDATE = ("a", Update({1: {60: EMPTY._replace(n=2, events=2)}}, {10: EMPTY}, 60, 60_000))


def test_a_redis_that_is_away_is_waited_for(environment: dict[str, str], tmp_path: Path) -> None:
    event = Sent(json.dumps({"emotions": [{"anger": 1}]}).encode(), key="a")
    with Ports() as ports:
        port = ports.free()
        environment |= {"SENTISTREAM_REDIS__URL": f"redis://127.0.0.1:{port}/0"}
        with Supervisor(tmp_path) as servers:
            servers.start(embedded.redis_server(port, tmp_path))
            stream = Stream(environment)
            with stream.flow() as flow:
                stream.send([event])
                flow.settle(1)
                servers.stop()
                stream.send([event] * 50)
                flow.wait(lambda: "trying again in" in flow.said())
                servers.start(embedded.redis_server(port, tmp_path))
                # It came back empty, and what is written is absolute: the panes of this minute
                # hold all events, unless the minute has changed in between.
                flow.settle(50)


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(settings.redis.url.get_secret_value(), decode_responses=True)
    yield client
    client.close()


def test_only_what_was_refused_is_written_again(settings: Settings, client: redis.Redis) -> None:
    """A user who may write panes and no rolling windows, and then may."""
    keys = Keys(settings.redis.prefix)
    allowed = ["~*:pane:*", "~*:sources", "~*:updates", "&*", "+@all"]
    client.execute_command("ACL", "SETUSER", keys.prefix, "on", ">secret", *allowed)
    url = settings.redis.url.get_secret_value().replace("//", f"//{keys.prefix}:secret@")
    there = settings.redis.model_copy(update={"url": SecretStr(url)})
    sink = PaneSink(there).build("step", 0, 1)
    before = refusals(client, "NOPERM")
    writing = threading.Thread(target=sink.write_batch, args=([UPDATE],))
    writing.start()
    wait_for(lambda: refusals(client, "NOPERM") >= before + 3)
    assert client.hexists(keys.pane(1, "a", 60), "60")
    assert writing.is_alive()
    client.execute_command("ACL", "SETUSER", keys.prefix, "~*")
    writing.join(timeout=PATIENCE_S)
    assert not writing.is_alive()
    assert client.hget(keys.rolling("a", 10), "as_of") == "60"
    assert client.xlen(keys.updates) == 1
    sink.close()


def refusals(client: redis.Redis, kind: str) -> int:
    """Return how many commands Redis has refused for this reason."""
    return int(client.info("errorstats").get(f"errorstat_{kind}", {}).get("count", 0))


def test_a_key_of_another_type_makes_room_and_is_kept(
    settings: Settings, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Keys(settings.redis.prefix)
    ours = [
        keys.pane(1, "a", 60),
        keys.rolling("a", 10),
        keys.sources,
        keys.updates,
    ]
    for key in ours:
        client.set(key, f"somebody's, at {key}")
    client.set(keys.witness(0), "this server")
    sink = PaneSink(settings.redis).build("step", 0, 1)
    sink.write_batch([UPDATE])
    assert client.hget(ours[0], "60") == UPDATE[1].panes[1][60].encode()
    assert client.hget(keys.rolling("a", 10), "as_of") == "60"
    assert client.zscore(keys.sources, "a") == 60_000
    assert client.xlen(keys.updates) == 1
    for key in ours:
        (aside,) = client.keys(f"sentistream-aside:*:{key}")
        assert client.get(aside) == f"somebody's, at {key}"
        assert client.ttl(aside) == -1
        assert f"the key {key!r} has not the type of the contract" in caplog.text
    # What else was under the names of panes has to be written again.
    assert not client.exists(keys.witness(0))
    sink.close()


def test_what_is_refused_beside_the_panes_is_left_out(
    settings: Settings, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Keys(settings.redis.prefix)
    client.execute_command("ACL", "SETUSER", keys.prefix, "on", ">secret", "~none", "&*", "+@all")
    url = settings.redis.url.get_secret_value().replace("//", f"//{keys.prefix}:secret@")
    there = settings.redis.model_copy(update={"url": SecretStr(url)})
    sink = RejectionSink(there).build("step", 0, 1)
    sink.write_batch([Rejection(Record("t", 0, 0, None, None, (), None), "bad_json", "no")])
    assert f"an entry of {keys.rejections} is left out" in caplog.text
    client.execute_command("ACL", "SETUSER", keys.prefix, "~*")
    client.set(keys.rejections, "somebody's")
    sink.write_batch([Rejection(Record("t", 0, 1, None, None, (), None), "bad_json", "no")])
    assert [fields["offset"] for _, fields in client.xrange(keys.rejections)] == ["1"]
    sink.close()


def test_after_a_failover_behind_one_address_the_new_server_is_written_to(
    settings: Settings, tmp_path: Path
) -> None:
    keys = Keys(settings.redis.prefix)
    with Ports() as ports, Supervisor(tmp_path) as servers:
        old, new = ports.free(), ports.free()
        for port in (old, new):
            directory = tmp_path / str(port)
            directory.mkdir()
            program = embedded.redis_server(port, directory)
            servers.start(replace(program, name=f"redis-{port}"))
        with Way(old) as way:
            url = SecretStr(f"redis://127.0.0.1:{way.port}/0")
            there = settings.redis.model_copy(update={"url": url})
            sink = PaneSink(there).build("step", 0, 1)
            sink.write_batch([UPDATE])
            way.target = new  # for new connections; the old one stays
            redis.Redis(port=old).execute_command("REPLICAOF", "127.0.0.1", new)
            sink.write_batch([UPDATE])
            assert redis.Redis(port=new).hget(keys.rolling("a", 10), "as_of") == b"60"
            sink.close()


def test_what_was_sent_before_a_new_connection_is_never_written_late(settings: Settings) -> None:
    """Redis holds writes back for longer than the sink waits, which then connects anew."""
    client = redis.Redis.from_url(settings.redis.url.get_secret_value(), decode_responses=True)
    keys = Keys(settings.redis.prefix)
    sink = PaneSink(settings.redis).build("step", 0, 1)
    sink.write_batch([UPDATE])
    before = client.xlen(keys.updates)
    client.client_pause(3500, all=False)
    sink.write_batch([UPDATE])
    time.sleep(0.5)
    # Each writing adds an entry, and the first one was waiting when Redis went on.
    assert client.xlen(keys.updates) == before + 1
    sink.close()
    client.close()


@pytest.mark.parametrize(
    ("harm", "cure", "said"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "maxmemory"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "read only replica"),
    ],
    ids=["full", "replica"],
)
def test_a_redis_that_takes_no_writes_says_why_and_is_tried_until_it_does(
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    harm: str,
    cure: str,
    said: str,
) -> None:
    keys = Keys(settings.redis.prefix)
    with Ports() as ports, Supervisor(tmp_path) as servers:
        port = ports.free()
        servers.start(embedded.redis_server(port, tmp_path))
        url = type(settings.redis.url)(f"redis://127.0.0.1:{port}/0")
        sink = PaneSink(settings.redis.model_copy(update={"url": url})).build("step", 0, 1)
        client = redis.Redis(port=port, decode_responses=True)
        client.execute_command(*harm.split())  # type: ignore[no-untyped-call]
        writing = threading.Thread(target=sink.write_batch, args=([UPDATE],))
        writing.start()
        wait_for(lambda: said in caplog.text, lambda: caplog.text)
        assert writing.is_alive()
        assert f"127.0.0.1:{port}" in caplog.text
        client.execute_command(*cure.split())  # type: ignore[no-untyped-call]
        writing.join(timeout=PATIENCE_S)
        assert not writing.is_alive()
        assert client.hget(keys.pane(1, "a", 60), "60") == UPDATE[1].panes[1][60].encode()
        sink.close()
        client.close()


def test_where_rejected_records_stand_is_told_without_their_values(settings: Settings) -> None:
    client = redis.Redis.from_url(settings.redis.url.get_secret_value(), decode_responses=True)
    record = Record("events", 2, 0, b"key", b"secret", (("ce_source", b"a"),), None)
    rejections = [
        Rejection(record._replace(offset=offset), "bad_json", "no JSON:\x00\ud800 " + "x" * 500)
        for offset in range(30)
    ]
    RejectionSink(settings.redis).build("step", 0, 1).write_batch(rejections)
    entries = [fields for _, fields in client.xrange(Keys(settings.redis.prefix).rejections)]
    assert [fields["offset"] for fields in entries] == [str(offset) for offset in range(10, 30)]
    detail = entries[0].pop("detail")
    assert detail.startswith("no JSON:\ufffd\ufffd x")
    assert len(detail) == 200
    assert entries[0] == {
        "reason": "bad_json",
        "topic": "events",
        "partition": "2",
        "offset": "10",
        "time": "",
    }
    assert "secret" not in str(entries)


def test_a_heartbeat_tells_how_far_partitions_are_read_and_what_was_rejected(
    stream: Stream,
) -> None:
    good = Sent(json.dumps({"emotions": [{"anger": 1}]}).encode(), key="a", partition=0)
    bad = Sent(b"{", {"content-type": b"application/json"}, key="a", partition=1)
    with stream.flow() as flow:
        stream.send([good, good, bad])
        flow.settle(2)

        def told() -> list[object]:
            (name,) = stream.redis.keys(stream.keys.worker("*"))
            beat = stream.redis.hgetall(name)
            partitions = json.loads(beat["partitions"])
            ends = partitions.get("0"), partitions.get("1", {}).get("lag")
            return [json.loads(beat["rejected_by_reason"]), *ends]

        expected = [{"bad_json": 1}, {"position": 2, "end": 2, "lag": 0}, 0]
        flow.wait(lambda: told() == expected)
        (entry,) = [fields for _, fields in stream.redis.xrange(stream.keys.rejections)]
        assert (entry["reason"], entry["partition"], entry["offset"]) == ("bad_json", "1", "0")
