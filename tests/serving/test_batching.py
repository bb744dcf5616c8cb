"""What arrives together shares a batch, as far as that makes nobody wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from models.errors import ContentError
from models.scorer import Content, Scored, Scorer
from serving.batching import Batcher
from serving.metrics import Metrics
from serving.problems import Problem

PICTURE = Content(image=b"picture")
TEXT = Content(text="text")


class Counting:
    """Notes its batches, and gives each content a result of its own."""

    def __init__(self) -> None:
        self.batches: list[list[Content]] = []
        self.failing = False

    def score(self, contents: Sequence[Content]) -> list[Scored | ContentError]:
        self.batches.append([*contents])
        if self.failing:
            raise RuntimeError("a secret")
        return [ContentError("empty_text", f"{content}") for content in contents]


def scored(
    contents: Sequence[Content], threads: int, batch: int = 32, gather_s: float = 0.0
) -> Counting:
    """Return what has scored contents that arrive at once, each by a request of its own."""
    counting = Counting()

    async def run() -> None:
        scorer = cast("Scorer", counting)
        batcher = Batcher(lambda: scorer, batch, threads, 100, gather_s, Metrics())
        await batcher.start()
        found = await asyncio.gather(*(batcher.score([content]) for content in contents))
        await batcher.stop()
        for content, (one,) in zip(contents, found, strict=True):
            assert isinstance(one.result, ContentError)
            assert str(one.result) == f"{content}"  # everybody has its own

    asyncio.run(run())
    assert sum(map(len, counting.batches)) == len(contents)
    return counting


def test_texts_that_arrive_together_share_a_batch() -> None:
    assert [len(batch) for batch in scored([TEXT] * 8, threads=2).batches] == [8]
    assert [len(batch) for batch in scored([TEXT] * 8, threads=2, batch=4).batches] == [4, 4]


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (2, 1), (4, 2), (16, 8)])
def test_a_batch_has_no_more_pictures_than_there_are_threads_for(threads: int, most: int) -> None:
    found = scored([PICTURE] * 16, threads).batches
    assert {len(batch) for batch in found} == {most}


def test_texts_between_pictures_go_along_in_their_order() -> None:
    found = scored([TEXT, PICTURE, TEXT, PICTURE, TEXT], threads=2).batches
    # Two threads work on them, and either may be the first.
    assert sorted(found, key=len) == [[PICTURE, TEXT], [TEXT, PICTURE, TEXT]]


def test_a_content_waits_for_others_that_come_soon() -> None:
    """Not asked is how long: a batch of all would also be right, one of each would not."""
    counting = Counting()

    async def run() -> None:
        scorer = cast("Scorer", counting)
        batcher = Batcher(lambda: scorer, 32, 2, 100, 4.0, Metrics())
        await batcher.start()
        first = asyncio.create_task(batcher.score([TEXT]))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(batcher.score([TEXT])) for _ in range(31)]
        await asyncio.gather(first, *rest)
        await batcher.stop()

    asyncio.run(run())
    assert [len(batch) for batch in counting.batches] == [32]


def test_what_is_given_up_is_not_scored() -> None:
    counting = Counting()

    async def run() -> None:
        scorer = cast("Scorer", counting)
        batcher = Batcher(lambda: scorer, 32, 2, 100, 0.0, Metrics())
        waiting = [asyncio.create_task(batcher.score([one])) for one in (PICTURE, TEXT, TEXT)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[1].cancel()
        await asyncio.sleep(0)
        await batcher.start()
        await waiting[2]
        await batcher.stop()

    asyncio.run(run())
    assert counting.batches == [[TEXT]]


def test_what_still_waits_at_the_end_is_given_up() -> None:
    async def run() -> None:
        scorer = cast("Scorer", Counting())
        batcher = Batcher(lambda: scorer, 32, 2, 1, 0.0, Metrics())
        waiting = asyncio.create_task(batcher.score([TEXT]))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="1 contents wait for the models; 1 may"):
            await batcher.score([TEXT])
        await batcher.stop()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())


def test_what_breaks_the_models_is_told_without_its_words() -> None:
    counting = Counting()
    counting.failing = True

    async def run() -> list[Scored | ContentError]:
        scorer = cast("Scorer", counting)
        batcher = Batcher(lambda: scorer, 32, 2, 100, 0.0, Metrics())
        await batcher.start()
        found = await batcher.score([TEXT, TEXT])
        await batcher.stop()
        return [one.result for one in found]

    for result in asyncio.run(run()):
        assert isinstance(result, ContentError)
        assert (result.reason, str(result)) == (
            "scoring_failed",
            "the models failed on it: RuntimeError",
        )
