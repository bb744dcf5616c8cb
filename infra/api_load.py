"""Clients that ask the REST API over kept connections, with bodies that are made once.

A closed loop asks again as soon as it is answered; an open loop asks at times that are set before,
whatever the answers, and counts an answer's time from when it was to be asked for, so that waiting
for a free client counts too.
"""

from __future__ import annotations

import http.client
import json
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

__all__ = ["Answer", "Target", "closed_loop", "open_loop", "poisson"]

TIMEOUT_S: Final = 60.0
IDLE_S: Final = 2.0  # less than after which the server closes a connection
# More than are ever waiting at half load; what waits for a client would count all the same.
OPEN_CLIENTS: Final = 32


class Target(NamedTuple):
    """What is asked for: always the same."""

    host: str
    port: int
    path: str
    body: bytes
    content_type: str


class Answer(NamedTuple):
    """One answer.

    Attributes:
        asked: when it was (to be) asked for, on `time.perf_counter`.
        done: when all of it was there.
        status: of HTTP; 0 where the connection broke.
        version: of the face model that it names.
    """

    asked: float
    done: float
    status: int
    version: str | None


def closed_loop(target: Target, clients: int, seconds: float) -> list[Answer]:
    """Ask with so many clients for so long; return the answers by the time they were there."""
    until = time.perf_counter() + seconds

    def times() -> Iterator[float]:
        while (now := time.perf_counter()) < until:
            yield now

    return _together(target, [times() for _ in range(clients)])


def open_loop(target: Target, offsets_s: Sequence[float]) -> list[Answer]:
    """Ask at times (seconds from now, in order); return the answers by the time they were there."""
    begun = time.perf_counter()
    lock = threading.Lock()
    left = iter(offsets_s)

    def times() -> Iterator[float]:
        while True:
            with lock:
                offset = next(left, None)
            if offset is None:
                return
            at = begun + offset
            time.sleep(max(0.0, at - time.perf_counter()))
            yield at

    return _together(target, [times() for _ in range(OPEN_CLIENTS)])


def poisson(per_s: float, seconds: float, seed: int = 0) -> list[float]:
    """Return times of arrivals that know nothing of each other, on average `per_s` a second."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    return list(accumulate(chance.expovariate(per_s) for _ in range(round(per_s * seconds))))


def _together(target: Target, clients: Sequence[Iterator[float]]) -> list[Answer]:
    found: list[list[Answer]] = [[] for _ in clients]
    threads = [
        threading.Thread(target=_ask, args=(target, times, answers.append))
        for times, answers in zip(clients, found, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted((one for some in found for one in some), key=lambda answer: answer.done)


def _ask(target: Target, times: Iterator[float], tell: Callable[[Answer], None]) -> None:
    headers = {"content-type": target.content_type}
    connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S)
    used = -math.inf
    for asked in times:
        if time.perf_counter() - used > IDLE_S:
            connection.close()  # the next request opens it again
        used = time.perf_counter()
        try:
            connection.request("POST", target.path, target.body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            tell(Answer(asked, time.perf_counter(), 0, None))
            continue
        done = time.perf_counter()
        ok = response.status == http.HTTPStatus.OK
        version = json.loads(content)["models"]["face"] if ok else None
        tell(Answer(asked, done, response.status, version))
    connection.close()
