"""What `infra.bench_dashboard` measures with: stored history, a writer, and many plain clients."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final
from urllib.request import urlopen

import redis

from dataflows.keys import ALL_SOURCES, BUCKETS_PER_BLOCK, EXPIRY_S, Keys
from dataflows.panes import EMPTY, Pane
from models.observation import EXPRESSIONS, observe_face

__all__ = ["HISTORY_S", "Feeder", "fill", "serve_clients"]

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
    """Writes as the flow does: one event of every source, and the panes that follow from them."""

    def __init__(self, client: redis.Redis, keys: Keys, sources: list[str]) -> None:
        self._client, self._keys, self._sources = client, keys, sources
        self._generator = random.Random(11)  # noqa: S311 - a load, no secret
        self._coarse: dict[tuple[str, int, int], Pane] = {}

    def write(self, second: int) -> float:
        """Write the panes of a second (epoch s) and return when they were written (epoch s)."""
        panes = {source: _pane(self._generator, 1) for source in self._sources}
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
        self._coarse = {p: pane for p, pane in self._coarse.items() if p[2] > second - 120}
        written = time.time()
        pipeline.execute()
        return written


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


def _pane(generator: random.Random, faces: int) -> Pane:
    """Return the pane of so many events with a face each."""
    pane = EMPTY
    for _ in range(faces):
        weights = [generator.random() for _ in EXPRESSIONS]
        total = sum(weights)
        pane = pane.merge(Pane.of([observe_face([weight / total for weight in weights])]))
    return pane
