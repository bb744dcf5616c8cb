"""What is read: sources, rolling windows, panes, the stream of a source, the models in use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import JSONResponse, StreamingResponse

from dataflows.callers import Receive, Scope, Send
from dataflows.contract import SOURCE_CHARS
from dataflows.keys import RESOLUTIONS_S
from models.bundle import AnyBundle
from models.live import Use
from serving.answers import Models, Panes, Rolling, Sources
from serving.documents import answers
from serving.following import follow
from serving.metrics import Metrics
from serving.problems import Problem
from serving.services import Services, in_time, redis_answers

__all__ = ["router"]

MOST_PANES: Final = 7200  # of one answer: two hours of seconds, as long as they are kept
DEFAULT_PANES: Final = 300
END_OF_TIME_S: Final = 253_402_300_800  # the year 10000
RETRY_S: Final = 5.0  # for a stream that has found no place
STREAM: Final = "text/event-stream"
Source = Annotated[
    str,
    Path(min_length=1, max_length=SOURCE_CHARS, description="A source; `*` is all of them."),
]
Second = Annotated[int | None, Query(ge=0, lt=END_OF_TIME_S)]
Resolution = Literal["1", "10", "60"]


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["figures"])
    figures, settings = services.figures, services.settings.api
    places = _Places(settings.max_streams, services.metrics)

    async def newest_ms(source: str) -> int:
        newest = await figures.newest_ms(source)
        if newest is None:
            raise Problem("unknown_source", f"there is no source {source!r}; see /v1/sources")
        return newest

    @routes.get("/v1/sources", summary="All sources", responses=answers(Sources, 503))
    async def sources() -> JSONResponse:
        async with in_time(settings.timeout_s), redis_answers():
            return JSONResponse({"sources": await figures.sources()})

    @routes.get(
        "/v1/rolling/{source:path}",
        summary="The rolling windows of a source",
        responses=answers(Rolling, 422, 503),
    )
    async def rolling(source: Source) -> JSONResponse:
        async with in_time(settings.timeout_s), redis_answers():
            await newest_ms(source)
            return JSONResponse({"source": source, "windows": await figures.rolling(source)})

    @routes.get(
        "/v1/panes/{source:path}",
        summary="The panes of a source",
        description="Those that begin within [from, to), in epoch seconds; by default the newest "
        f"{DEFAULT_PANES}. At most {MOST_PANES} at once. Seconds are kept for 2 h, tens for a day, "
        "minutes for a week.",
        responses=answers(Panes, 422, 503),
    )
    async def panes(
        source: Source,
        start: Annotated[Second, Query(alias="from")] = None,
        end: Annotated[Second, Query(alias="to")] = None,
        resolution: Annotated[Resolution, Query(description="Seconds.")] = "1",
    ) -> JSONResponse:
        step = int(resolution)
        assert step in RESOLUTIONS_S  # noqa: S101 - the type says it
        async with in_time(settings.timeout_s), redis_answers():
            newest = await newest_ms(source) // 1000
            end = newest + 1 if end is None else end
            start = max(0, end - DEFAULT_PANES * step) if start is None else start
            if start > end or end - start > MOST_PANES * step:
                raise Problem(
                    "bad_parameter",
                    f"from {start} to {end} is no span of at most {MOST_PANES * step} s; ask for "
                    "less at once, or for a coarser resolution",
                )
            found = await figures.panes(source, step, start, end)
        return JSONResponse(
            {"source": source, "resolution": step, "from": start, "to": end, "panes": found}
        )

    @routes.get(
        "/v1/stream/{source:path}",
        summary="The changes of a source as server-sent events",
        description="A `snapshot` (rolling windows, panes of the last 5 min), then a `pane` for "
        "every second that changes. Nothing is missed: a client that comes back with "
        "`Last-Event-ID` goes on where it was, or gets a new snapshot.",
        responses=answers(None, 422, 503, media=STREAM),
        response_class=StreamingResponse,
    )
    async def stream(
        source: Source, last_event_id: Annotated[str | None, Header(max_length=64)] = None
    ) -> StreamingResponse:
        async with in_time(settings.timeout_s), redis_answers():
            await newest_ms(source)
        return _Stream(places, follow(figures, source, last_event_id))

    @routes.get("/v1/models", summary="The models in use", responses=answers(Models))
    async def models() -> JSONResponse:
        scorer, uses = services.batcher.current(), services.uses()
        text = None if scorer.texts is None else _model(scorer.texts.bundle, uses.get("text"))
        return JSONResponse({"face": _model(scorer.bundle, uses.get("face")), "text": text})

    return routes


class _Places:
    """For so many streams at once."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._taken = 0
        metrics.streams.set_function(lambda: self._taken)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a place for as long as the context lasts.

        Raises:
            Problem: `busy`.
        """
        if self._taken >= self._most:
            raise Problem("busy", f"{self._most} streams are open already", RETRY_S)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class _Stream(StreamingResponse):
    """A stream of events that has a place from when it is let in to its end, whatever ends it."""

    def __init__(self, places: _Places, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, media_type=STREAM)
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events.

        Raises:
            Problem: `busy`, before anything is sent.
        """
        with self._places.one():
            await super().__call__(scope, receive, send)


def _model(bundle: AnyBundle, use: Use | None) -> dict[str, Any]:
    manifest, refused = bundle.manifest, None
    if use is not None and use.refused is not None:
        refused = {"version": use.refused, "reason": use.reason, "at": use.refused_at}
    return {
        "version": manifest.version,
        "created": manifest.created.isoformat(),
        "architecture": manifest.architecture,
        "classes": list(manifest.classes),
        "metrics": dict(manifest.metrics),
        "since": use.since if use is not None else None,
        "refused": refused,
    }
