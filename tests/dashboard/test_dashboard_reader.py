"""The reader keeps the store equal to a real Redis: history, updates, restarts, losses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dashboard.polling import Poll
from dashboard.reader import Reader
from dashboard.redis_client import end, public_address
from dashboard.status import status
from dashboard.store import TOTAL, Store
from dataflows.keys import ALL_SOURCES, Keys
from dataflows.panes import EMPTY, Pane

pytestmark = pytest.mark.integration

NOW = int(time.time())


class Scene:
    """A reader at work, and waiting until the store is as expected."""

    def __init__(self, url: str) -> None:
        self.store = Store()
        self._event = asyncio.Event()
        self.reader = Reader(url, Keys(), self.store, self._event.set)

    async def until(self, condition: Callable[[Store], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition(self.store):
                self._event.clear()
                # A look every half second as well: what has changed may not be ours to signal.
                try:
                    await asyncio.wait_for(self._event.wait(), 0.5)
                except TimeoutError:
                    continue


def play(url: str, scenario: Callable[[Scene], Awaitable[None]]) -> Store:
    async def run() -> Store:
        scene = Scene(url)
        task = asyncio.create_task(scene.reader.run())
        try:
            await scenario(scene)
        finally:
            await end(task)
        return scene.store

    return asyncio.run(run())


def events(store: Store, source: str = ALL_SOURCES) -> int:
    series = store.series(source)
    if series is None or series.newest is None:
        return 0
    return series.total(series.newest, 3600).events


def test_history_is_read_and_then_followed_without_a_gap(redis_server: Any, writer: Any) -> None:
    for second in range(200):
        writer.face("camera-1", NOW - 200 + second)
    writer.heartbeat()

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: events(store) == 200)
        assert status(scene.store, time.monotonic()).state == "live"
        assert [worker.worker for worker in scene.store.workers] == ["w0"]
        for second in range(50):
            writer.face("camera-1", NOW + second)
        await scene.until(lambda store: events(store) == 250)
        await scene.until(lambda store: len(store.feed) == 250)
        # A late event corrects a pane far back.
        writer.face("camera-1", NOW - 100.5)
        await scene.until(lambda store: events(store) == 251)
        total = scene.store.series(ALL_SOURCES)
        assert total is not None
        assert total.total(NOW - 101, 1).events == 2

    store = play(redis_server.url, scenario)
    assert [row.key for row in store.feed] == sorted((row.key for row in store.feed), reverse=True)


def test_a_source_is_loaded_when_it_is_asked_for(redis_server: Any, writer: Any) -> None:
    for second in range(90):
        writer.face("lobby:door:1", NOW - 90 + second)
        writer.face("camera-2", NOW - 90 + second)

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: events(store) == 180)
        assert set(scene.store.sources) == {"lobby:door:1", "camera-2"}
        await scene.until(lambda store: events(store, "lobby:door:1") == 90)
        writer.face("lobby:door:1", NOW)
        await scene.until(lambda store: events(store, "lobby:door:1") == 91)
        assert scene.store.tracked == (TOTAL, ("lobby:door:1", 1))
        # An unknown source is loaded too: it is just empty.
        await scene.until(lambda store: store.series("nobody") is not None)

    play(redis_server.url, scenario)


def test_coarse_panes_follow_late_corrections(redis_server: Any, writer: Any) -> None:
    for second in range(0, 7200, 30):
        writer.face("camera-1", NOW - 7200 + second)

    def seen(store: Store, size: int, events: int) -> bool:
        series = store.series("camera-1", size)
        if series is None or series.newest is None:
            return False
        return series.total(series.newest, 7260).events == events

    async def scenario(scene: Scene) -> None:
        for size in (10, 60):
            await scene.until(lambda store, size=size: seen(store, size, 240))
        writer.face("camera-1", NOW - 5000)
        for size in (10, 60):
            await scene.until(lambda store, size=size: seen(store, size, 241))
            series = scene.store.series("camera-1", size)
            assert series is not None
            bucket = (NOW - 5000) // size * size
            held = writer.client.hget(writer.keys.pane(size, "camera-1", bucket), str(bucket))
            assert series.total(bucket, size).encode() == held

    play(redis_server.url, scenario)


def test_alerts_and_rejections_are_shown_each_once(redis_server: Any, writer: Any) -> None:
    writer.face("camera-1", NOW)
    writer.alert("silent", "camera-1", NOW - 50)
    place = {"reason": "bad_json", "topic": "t", "partition": 0, "offset": 7, "detail": ""}
    for _twice in range(2):
        writer.client.xadd(writer.keys.rejections, place)
    writer.client.xadd(writer.keys.alerts, {"id": "broken"})

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: len(store.alerts) == 1)
        assert [row.offset for row in scene.store.rejections] == ["7"]
        assert scene.store.memory.used > 0
        writer.alert("silent", "camera-1", NOW - 50, NOW)
        await scene.until(lambda store: next(iter(store.alerts.values())).ended == NOW)
        assert len(scene.store.alerts) == 1
        await scene.until(lambda store: store.vitals.newest > 0)

    play(redis_server.url, scenario)


def test_the_sum_over_all_sources_need_not_be_listed(redis_server: Any, writer: Any) -> None:
    for second in range(30):
        writer.face("camera-1", NOW - 30 + second)
    writer.client.zrem(writer.keys.sources, ALL_SOURCES)

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: events(store) == 30)

    play(redis_server.url, scenario)


def test_a_redis_that_is_away_is_reported_and_found_again(redis_server: Any, writer: Any) -> None:
    writer.face("camera-1", NOW)

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: events(store) == 1)
        redis_server.stop()
        await scene.until(lambda store: store.redis == "down")
        assert events(scene.store) == 1  # the last values stay
        # It comes back empty, and its ids start again.
        redis_server.start()
        await scene.until(lambda store: store.redis == "up" and store.empty)
        writer.forget()
        writer.face("camera-2", NOW + 1)
        await scene.until(lambda store: events(store) == 1 and "camera-2" in store.sources)
        assert "camera-1" not in scene.store.sources

    play(redis_server.url, scenario)


def test_a_flushed_redis_is_noticed_while_the_connection_stays(
    redis_server: Any, writer: Any
) -> None:
    for second in range(20):
        writer.face("camera-1", NOW - second)

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: events(store) == 20)
        writer.client.flushall()
        writer.forget()
        # Ids that lie before those we have read, as after a restored backup or a clock set back.
        writer.client.xadd(writer.keys.updates, {"source": "*", "bucket": 1, "pane": "x"}, id="1-1")
        await scene.until(lambda store: store.empty)
        assert scene.store.redis == "up"

    play(redis_server.url, scenario)


def test_entries_that_were_trimmed_before_they_were_read_are_not_missed(
    redis_server: Any, writer: Any
) -> None:
    writer.face("camera-1", NOW)

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: events(store) == 1)
        with writer.client.pipeline(transaction=True) as pipe:
            # Both in one step, so that the reader sees nothing but the result.
            for name in (ALL_SOURCES, "camera-1"):
                pane = Pane(n=1, events=9, neutral=1, neutral_face=1)
                pipe.hset(writer.keys.pane(1, name, NOW), str(NOW), pane.encode())
                fields = {"source": name, "bucket": NOW, "pane": pane.encode()}
                pipe.xadd(writer.keys.updates, fields)
            fields = {"source": "other", "bucket": NOW, "pane": EMPTY.encode()}
            pipe.xadd(writer.keys.updates, fields, maxlen=1, approximate=False)
            pipe.execute()
        await scene.until(lambda store: events(store) == 9)

    play(redis_server.url, scenario)


def test_unreadable_entries_are_left_out(redis_server: Any, writer: Any) -> None:
    writer.client.hset(writer.keys.pane(1, ALL_SOURCES, NOW), "later", "1,2,3")
    writer.seen(ALL_SOURCES, NOW)

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: store.redis == "up")
        for fields in (
            {"source": "*", "bucket": "x", "pane": EMPTY.encode()},
            {"source": "*", "bucket": NOW, "pane": "1,2"},
            {"source": "*", "bucket": NOW, "pane": Pane(n=10**30, events=1).encode()},
            {"nothing": "here"},
        ):
            writer.client.xadd(writer.keys.updates, fields)
        writer.client.xadd(writer.keys.events, {"prediction": "{"})
        writer.client.xadd(writer.keys.events, {"other": "field"})
        writer.face("camera-1", NOW)
        await scene.until(lambda store: events(store) == 1)
        assert len(scene.store.feed) == 1

    play(redis_server.url, scenario)


def test_a_fault_of_ours_is_shown_and_survived(
    redis_server: Any,
    writer: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer.face("camera-1", NOW)
    faults = [RuntimeError("a fault")]
    sources = Poll.sources

    async def faulty(self: Poll, client: Any) -> dict[str, int]:
        if faults:
            raise faults.pop()
        return await sources(self, client)

    monkeypatch.setattr(Poll, "sources", faulty)

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: store.redis == "down")
        await scene.until(lambda store: store.redis == "up" and events(store) == 1)

    play(redis_server.url, scenario)
    assert "a fault" in caplog.text


def test_a_silent_stream_is_not_taken_for_a_dead_server(redis_server: Any, writer: Any) -> None:
    writer.face("camera-1", NOW)
    seen: list[str] = []

    async def scenario(scene: Scene) -> None:
        await scene.until(lambda store: events(store) == 1)
        for _ in range(14):  # seven seconds: longer than the socket timeout
            await asyncio.sleep(0.5)
            seen.append(scene.store.redis)

    play(redis_server.url, scenario)
    assert set(seen) == {"up"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://user:secret@redis.example/2?password=secret", "rediss://redis.example/2"),
        ("redis://u:p@[::1]:7000/0", "redis://[::1]:7000/0"),
        ("unix://user:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis://:secret@host:port/0", "redis://host/0"),
    ],
)
def test_the_shown_address_has_no_credentials(url: str, shown: str) -> None:
    assert public_address(url) == shown
