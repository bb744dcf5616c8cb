"""`python -m serving`: serves the REST API until it is told to stop."""

from __future__ import annotations

import logging
import sys

import uvicorn

from dataflows.callers import require_token
from dataflows.settings import get_settings
from dataflows.web_server import HEADER_BYTES, WebServer, listen, trusted_proxies
from models.errors import SentiStreamError
from models.live import LiveScorer
from models.scorer import Content
from serving.app import create_app

__all__ = ["main"]

SHUTDOWN_S = 2  # streams have no end of their own
WARM_UP = "A text that is long enough to guess its language."


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = get_settings()
        host = settings.api.host
        token = settings.api.token.get_secret_value() if settings.api.token else None
        require_token("the API", "SENTISTREAM_API__TOKEN", host, token)
        live = LiveScorer.from_folder(
            settings.bundles,
            settings.detector,
            settings.limits,
            settings.threads,
            keep_crops=True,  # for the features of a correction; never kept longer than a request
            text=settings.text,
        )
        live.current().score([Content(text=WARM_UP)])  # loads what is loaded when first needed
        app = create_app(settings, live.current, lambda: live.uses)
        listener = listen(host, settings.api.port, "SENTISTREAM_API__PORT")
    except SentiStreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        h11_max_incomplete_event_size=HEADER_BYTES,
        forwarded_allow_ips=trusted_proxies(),
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    with listener:
        try:
            WebServer(config, "SentiStream API", host).run(sockets=[listener])
        except KeyboardInterrupt:  # uvicorn raises the signal again after its orderly end
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
