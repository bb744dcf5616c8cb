"""What `infra.bench_dashboard` measures with: stored history, a writer, and many plain clients."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.request import urlopen

import redis

from dataflows.keys import (
    ALL_SOURCES,
    BUCKETS_PER_BLOCK,
    EVENTS_MAXLEN,
    EXPIRY_S,
    HEARTBEAT_EXPIRY_S,
    Keys,
)
from dataflows.panes import EMPTY, Pane
from models.observation import EXPRESSIONS, observe_face

__all__ = ["HISTORY_S", "Feeder", "fill", "serve_clients", "writing"]

HISTORY_S: Final = 24 * 3600
_FACES: Final = 64
_CALLBACK: Final = "_dash-ws-callback"


def fill(client: redis.Redis, keys: Keys, sources: list[str], newest: int) -> None:
    """Write a day of panes, at every resolution as far back as it is kept.

    Args:
        client: where to.
        keys: names of the keys.
        sources: names of the sources; their sum is written too.
        newest: the last second (epoch s).
    """
    generator = random.Random(7)  # noqa: S311 - a load, no secret
    pool = [_pane(generator, 3).encode() for _ in range(_FACES)]
    for source in (*sources, ALL_SOURCES):
        pipeline = client.pipeline(transaction=False)
        for resolution, kept_s in EXPIRY_S.items():
            span = resolution * BUCKETS_PER_BLOCK
            oldest = Keys.block(resolution, newest - min(kept_s, HISTORY_S))
            for block in range(oldest, newest + 1, span):
                buckets = range(block, min(block + span, newest + 1), resolution)
                fields: dict[Any, Any] = {str(at): generator.choice(pool) for at in buckets}
                pipeline.hset(keys.pane(resolution, source, block), mapping=fields)
        pipeline.zadd(keys.sources, {source: newest * 1000})
        pipeline.execute()


class Feeder:
    """Writes as the flow does: events of every source, and the panes that follow from them.

    Args:
        client: where to.
        keys: names of the keys.
        sources: names of the sources.
        events: of each source in a second.
        feed: predictions in a second, for the feed of the page; with them comes a heartbeat.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        sources: list[str],
        events: int = 1,
        feed: int = 0,
    ) -> None:
        self._client, self._keys, self._sources = client, keys, sources
        self._events, self._feed = events, feed
        self._generator = random.Random(11)  # noqa: S311 - a load, no secret
        self._coarse: dict[tuple[str, int, int], Pane] = {}

    def busy(self, events: int, feed: int) -> Feeder:
        """Return a writer of the same sources that writes more."""
        return Feeder(self._client, self._keys, self._sources, events, feed)

    def write(self, second: int) -> float:
        """Write the panes of a second (epoch s) and return when they were written (epoch s)."""
        panes = {source: _pane(self._generator, self._events) for source in self._sources}
        total = EMPTY
        for pane in panes.values():
            total = total.merge(pane)
        pipeline = self._client.pipeline(transaction=False)
        for source, pane in {**panes, ALL_SOURCES: total}.items():
            for size in EXPIRY_S:
                start = second // size * size
                place = source, size, start
                self._coarse[place] = self._coarse.get(place, EMPTY).merge(pane)
                pipeline.hset(
                    self._keys.pane(size, source, start), str(start), self._coarse[place].encode()
                )
            pipeline.zadd(self._keys.sources, {source: second * 1000})
            fields: dict[Any, Any] = {"source": source, "bucket": second, "pane": pane.encode()}
            pipeline.xadd(self._keys.updates, fields, maxlen=100_000, approximate=True)
        self._write_feed(pipeline, second)
        self._coarse = {p: pane for p, pane in self._coarse.items() if p[2] > second - 120}
        written = time.time()
        pipeline.execute()
        return written

    def _write_feed(self, pipeline: Any, second: int) -> None:  # noqa: ANN401 - of redis-py
        """Write predictions and a heartbeat into a pipeline."""
        for number in range(self._feed):
            record = _prediction(self._generator.choice(self._sources), second, number)
            pipeline.xadd(self._keys.events, {"prediction": record}, maxlen=EVENTS_MAXLEN)
        if self._feed:
            key = self._keys.worker("load-1")
            rate = self._events * len(self._sources)
            fields = {"at": second, "events_per_s": rate, "latency_p95": 120, "lag": 0}
            pipeline.hset(key, mapping=fields)
            pipeline.expire(key, HEARTBEAT_EXPIRY_S)


@contextmanager
def writing(feeder: Feeder) -> Iterator[None]:
    """Write a second a second meanwhile."""
    stop = threading.Event()

    def write() -> None:
        second = int(time.time()) + 1
        while not stop.wait(max(0.0, second - time.time())):
            feeder.write(second)
            second += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def serve_clients(url: str, count: int, seconds: float) -> list[int]:
    """Open so many plain websockets that answer as pages do; return the messages of each."""
    return asyncio.run(_clients(url, count, seconds))


async def _clients(url: str, count: int, seconds: float) -> list[int]:
    with urlopen(f"{url}/_dash-dependencies") as answer:  # noqa: S310 - our own server
        dependencies = json.load(answer)
    clients = [_client(url, seconds, dependencies) for _ in range(count)]
    return list(await asyncio.gather(*clients))


async def _client(url: str, seconds: float, dependencies: list[dict[str, Any]]) -> int:
    """Behave as one page, and return how many messages it was sent."""
    from websockets.asyncio.client import connect

    renderer = uuid.uuid4().hex
    address = f"{url.replace('http', 'ws', 1)}/{_CALLBACK}"
    controls = {"place": "live", "source": ALL_SOURCES, "range": "300", "visible": True}
    received = 0
    async with connect(address, origin=url, max_size=None) as socket:  # type: ignore[arg-type]
        request = {
            "type": "callback_request",
            "rendererId": renderer,
            "requestId": uuid.uuid4().hex,
            "payload": _live_callback(dependencies, renderer),
        }
        await socket.send(json.dumps(request))
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                text = await asyncio.wait_for(socket.recv(), left)
            except TimeoutError:
                break
            for message in _messages(text):
                received += 1
                if message["type"] == "get_props_request":
                    answer = {
                        "type": "get_props_response",
                        "rendererId": renderer,
                        "requestId": message["requestId"],
                        "payload": {"data": controls},
                    }
                    await socket.send(json.dumps(answer))
    return received


def _messages(text: str | bytes) -> Iterator[dict[str, Any]]:
    decoded = json.loads(text)
    yield from decoded if isinstance(decoded, list) else [decoded]


def _live_callback(dependencies: list[dict[str, Any]], page: str) -> dict[str, Any]:
    """Return the request that starts the callback which pushes what changes."""
    live = next(one for one in dependencies if one.get("persistent"))
    return {
        "output": live["output"],
        "outputs": [],
        "inputs": [],
        "changedPropIds": [],
        "state": [{"id": "page", "property": "data", "value": page}],
    }


def _prediction(source: str, second: int, number: int) -> str:
    """Return the record of one event with a happy face."""
    time_text = datetime.fromtimestamp(second, UTC).isoformat(timespec="milliseconds")
    face = {"box": [10, 10, 60, 60], "emotion": "happiness", "confidence": 0.8, "valence": 0.6}
    record = {
        "id": f"{source}/{second}/{number}",
        "source": source,
        "time": time_text.replace("+00:00", "Z"),
        "faces": [face],
        "text": None,
        "sentiment": "positive",
        "valence": 0.6,
    }
    return json.dumps(record)


def _pane(generator: random.Random, faces: int) -> Pane:
    """Return the pane of so many events with a face each."""
    pane = EMPTY
    for _ in range(faces):
        weights = [generator.random() for _ in EXPRESSIONS]
        total = sum(weights)
        pane = pane.merge(Pane.of([observe_face([weight / total for weight in weights])]))
    return pane
