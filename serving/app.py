"""Puts the API together: routes, who may use them, what is counted, and how errors are told."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dataflows.callers import App, Message, Receive, Scope, Send
from dataflows.settings import Settings
from models.live import Use
from models.runtime import thread_count
from models.scorer import Scorer
from serving import correcting, health, predicting, reading, sending
from serving.access import Access
from serving.answers import ProblemDetails
from serving.batching import Batcher
from serving.bodies import Bodies
from serving.figures import Figures, connect
from serving.metrics import Metrics
from serving.problems import Problem, of_status
from serving.publishing import Publisher
from serving.receipts import Receipts
from serving.services import Services

__all__ = ["create_api", "create_app"]

_log = logging.getLogger(__name__)

TITLE: Final = "SentiStream API v1"
ROUTERS: Final = (predicting, sending, correcting, reading, health)
STREAMS: Final = "/v1/stream/"


def create_app(
    settings: Settings,
    current: Callable[[], Scorer],
    uses: Callable[[], Mapping[str, Use]] = dict,
) -> App:
    """Return the API as an ASGI application.

    Args:
        settings: of everything.
        current: returns the scorer in use. It is asked for every batch, so that the models can
            change while the API runs; its scorers have to keep the crops of faces.
        uses: returns since when the models are in use, and what was refused, by kind.

    Raises:
        ServiceError: an option of Kafka or the URL of Redis is wrong.
    """
    metrics = Metrics()
    api = create_api(settings, current, uses, metrics)
    app: App = Access(_Counted(api, metrics), settings.api, metrics.refused)
    if settings.api.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.api.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "ce-id", "ce-source", "ce-time"],
            max_age=600,
        )
    return app


def create_api(
    settings: Settings,
    current: Callable[[], Scorer],
    uses: Callable[[], Mapping[str, Use]],
    metrics: Metrics,
) -> FastAPI:
    """Return the routes without what guards them."""
    options = settings.api
    token = options.token.get_secret_value() if options.token else None
    client = connect(settings)
    services = Services(
        settings,
        Batcher(
            current,
            settings.batch,
            thread_count(settings.threads),
            options.queue,
            options.gather_ms / 1000,
            metrics,
        ),
        Bodies(options.max_body_bytes, options.timeout_s),
        Figures(client, settings),
        Publisher(settings),
        Receipts(token),
        metrics,
        uses,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_api: FastAPI) -> AsyncIterator[None]:
        services.publisher.start()
        await services.batcher.start()
        try:
            yield
        finally:
            await services.batcher.stop()
            services.publisher.stop()
            await client.aclose()

    api = FastAPI(
        title=TITLE,
        version=version("sentistream"),
        description="How people appear and what they write: predictions on request, events and "
        "corrections in, exact figures out. Errors are problem details (RFC 9457).",
        lifespan=lifespan,
        # The interactive pages would load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    for module in ROUTERS:
        api.include_router(module.router(services))
    _handle_errors(api, metrics)
    _describe(api)
    return api


def _handle_errors(api: FastAPI, metrics: Metrics) -> None:
    """Answer every error with problem details."""

    def told(problem: Problem, headers: dict[str, str] | None = None) -> Response:
        metrics.refused(problem.kind)
        response = problem.response()
        response.headers.update(headers or {})
        return response

    @api.exception_handler(Problem)
    async def problem(_request: Request, error: Problem) -> Response:
        return told(error)

    @api.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        return told(Problem("bad_parameter", wrong))

    @api.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        detail = f"{request.method} {request.url.path}: {error.detail}"
        return told(of_status(error.status_code, detail), dict(error.headers or {}))

    @api.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return told(Problem("bad_request", "the client hung up"))

    @api.exception_handler(Exception)
    async def failed(_request: Request, error: Exception) -> Response:
        # The server logs it with its traceback; its text may quote what came in.
        return told(Problem("internal", f"{type(error).__name__}; the log of the server has more"))


def _describe(api: FastAPI) -> None:
    """Add to the OpenAPI document what FastAPI cannot know."""
    generate = api.openapi

    def document() -> dict[str, object]:
        if api.openapi_schema is None:
            found = generate()
            components = found.setdefault("components", {})
            schema = ProblemDetails.model_json_schema()
            components.setdefault("schemas", {})[ProblemDetails.__name__] = schema
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            found["security"] = [{"token": []}]
            for path in ("/healthz", "/readyz"):
                found["paths"][path]["get"]["security"] = []
        return api.openapi_schema or {}

    api.openapi = document  # type: ignore[method-assign]


class _Counted:
    """Counts requests and their times by route."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            route = getattr(scope.get("route"), "path", "none").replace(":path", "")
            self._metrics.requests.labels(route, str(status)).inc()
            if not route.startswith(STREAMS):
                seconds = time.perf_counter() - begun
                self._metrics.request_seconds.labels(route).observe(seconds)
