"""Requests that arrive together share a batch of the models, off the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

from models.errors import ContentError
from models.isolation import FAILED, score_apart
from models.scorer import Content, Scored, Scorer
from serving.metrics import Metrics
from serving.problems import Problem

__all__ = ["Batcher", "Scoring"]

_log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
# While one batch is worked on, its end often on one core alone, the next one has begun.
RUNNERS: Final = 2
RETRY_S: Final = 1.0


class Scoring(NamedTuple):
    """What became of one content, and by which models."""

    result: Scored | ContentError
    scorer: Scorer


class _Waiting(NamedTuple):
    content: Content
    done: asyncio.Future[Scoring]


class Batcher:
    """A bounded queue before the models; use it on one event loop.

    Args:
        current: returns the scorer in use; asked for every batch, so models change between two.
        batch: most contents of one batch.
        threads: of the models, each of which works on one picture at a time.
        most: contents that may wait.
        gather_s: how long a content waits at most for others.
        metrics: told of every batch.
    """

    def __init__(
        self,
        current: Callable[[], Scorer],
        batch: int,
        threads: int,
        most: int,
        gather_s: float,
        metrics: Metrics,
    ) -> None:
        self.current = current
        self._batch = batch
        # More would have to wait for each other, and the runners share the threads.
        self._pictures = max(1, threads // RUNNERS)
        self._most = most
        self._gather_s = gather_s
        self._metrics = metrics
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._taking = asyncio.Lock()
        self._working = 0  # batches, and calls
        self._pool = ThreadPoolExecutor(RUNNERS, thread_name_prefix="scoring")
        self._runners: list[asyncio.Task[None]] = []
        metrics.waiting.set_function(lambda: float(len(self._waiting)))

    async def start(self) -> None:
        """Begin to score."""
        self._runners = [asyncio.create_task(self._run()) for _ in range(RUNNERS)]

    async def stop(self) -> None:
        """End; what still waits is given up."""
        for runner in self._runners:
            runner.cancel()
        await asyncio.gather(*self._runners, return_exceptions=True)
        while self._waiting:
            self._waiting.popleft().done.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def check_room(self, count: int = 1) -> None:
        """See that so many contents may wait.

        Raises:
            Problem: `busy`.
        """
        if len(self._waiting) + count > self._most:
            raise Problem(
                "busy",
                f"{len(self._waiting)} contents wait for the models; {self._most} may",
                RETRY_S,
            )

    async def score(self, contents: Sequence[Content]) -> list[Scoring]:
        """Score contents, maybe together with those of others; in order.

        Raises:
            Problem: `busy`.
        """
        self.check_room(len(contents))
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(content, loop.create_future()) for content in contents]
        self._waiting += waiting
        self._arrived.set()
        try:
            return [await one.done for one in waiting]
        finally:
            for one in waiting:
                one.done.cancel()  # where the request was given up; else it is done

    async def call(self, work: Callable[[], ResultT]) -> ResultT:
        """Run what uses the models otherwise, in turn with the batches.

        Raises:
            Problem: `busy`.
        """
        if self._working >= self._most:
            raise Problem("busy", f"{self._working} requests are being worked on", RETRY_S)
        self._working += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._working -= 1

    async def _run(self) -> None:
        while True:
            async with self._taking:
                await self._arrived.wait()
                await self._gather()
                batch = self._take()
            if batch:
                await self._work(batch)

    async def _gather(self) -> None:
        """Wait for others, but no longer once the batch is full or nobody comes any more."""
        until = time.monotonic() + self._gather_s
        before = 0
        while before < len(self._waiting) and not self._full() and time.monotonic() < until:
            before = len(self._waiting)
            await asyncio.sleep(self._gather_s / 4)

    def _full(self) -> bool:
        pictures = sum(one.content.image is not None for one in self._waiting)
        return len(self._waiting) >= self._batch or pictures >= self._pictures

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        room = self._pictures
        while self._waiting and len(batch) < self._batch:
            one = self._waiting[0]
            if not one.done.done():  # else nobody waits for it any more
                room -= one.content.image is not None
                if room < 0:
                    break
                batch.append(one)
            self._waiting.popleft()
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _work(self, batch: Sequence[_Waiting]) -> None:
        scorer = self.current()
        contents = [one.content for one in batch]
        begun = time.perf_counter()
        self._working += 1
        try:
            loop = asyncio.get_running_loop()
            results = await loop.run_in_executor(self._pool, score_apart, scorer, contents)
        except Exception as error:
            _log.exception("a batch of %d contents could not be scored", len(batch))
            for one in batch:
                if not one.done.done():
                    one.done.set_exception(Problem("internal", type(error).__name__))
            return
        finally:
            self._working -= 1
        self._metrics.batch_size.observe(len(batch))
        self._metrics.scoring_seconds.observe(time.perf_counter() - begun)
        for one, result in zip(batch, results, strict=True):
            if not one.done.done():
                one.done.set_result(Scoring(_told(result), scorer))


def _told(result: Scored | ContentError) -> Scored | ContentError:
    """Keep the text of an exception, which may quote what came in, to the log."""
    if isinstance(result, ContentError) and result.reason == FAILED:
        return ContentError(FAILED, f"the models failed on it: {type(result.__cause__).__name__}")
    return result
