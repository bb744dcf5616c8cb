"""Whether the API runs and can do its work, and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError
from starlette.responses import JSONResponse, Response

from serving.answers import State
from serving.documents import answers
from serving.drift_metrics import DriftMetrics, read_drift
from serving.flow_metrics import Beats, FlowMetrics
from serving.problems import Problem
from serving.services import Services

__all__ = ["router"]

RETRY_S: Final = 2.0
ReadT = TypeVar("ReadT")
TOLD_S: Final = 2.0  # a scrape is not to fail since Redis is slow


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["operation"])
    beats = Beats(services.figures.client, services.figures.keys)

    @routes.get("/healthz", summary="Whether the process runs", responses=answers(State))
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @routes.get(
        "/readyz",
        summary="Whether models, Redis and Kafka are there",
        responses=answers(State, 503),
    )
    async def readyz() -> JSONResponse:
        services.batcher.current()
        redis, kafka = await _redis_answers(services), await services.publisher.answers()
        parts = {"models": "up", "redis": _word(redis), "kafka": _word(kafka)}
        if not (redis and kafka):
            away = [name for name, state in parts.items() if state == "down"]
            raise Problem("not_ready", f"{' and '.join(away)} does not answer", RETRY_S, **parts)
        return JSONResponse({"status": "ready", **parts})

    @routes.get(
        "/metrics",
        summary="Metrics of the API and of the flow for Prometheus",
        responses=answers(None, media="text/plain"),
        response_class=Response,
    )
    async def metrics() -> Response:
        services.metrics.set_models(services.batcher.current().versions)
        flow = FlowMetrics(await _in_time(beats.read()))
        drift = DriftMetrics(await _in_time(read_drift(services.figures)) or [])
        parts = (generate_latest(part) for part in (services.metrics.registry, flow, drift))
        return Response(b"".join(parts), headers={"content-type": CONTENT_TYPE_LATEST})

    return routes


def _word(up: bool) -> str:
    return "up" if up else "down"


async def _in_time(reading: Awaitable[ReadT]) -> ReadT | None:
    """Return what Redis tells, None where it does not answer in time."""
    try:
        async with asyncio.timeout(TOLD_S):
            return await reading
    except (RedisError, OSError, TimeoutError):
        return None


async def _redis_answers(services: Services) -> bool:
    try:
        await services.figures.client.ping()
    except (RedisError, OSError):
        return False
    return True
