"""`python -m dashboard`: serves the live dashboard until it is told to stop."""

from __future__ import annotations

import logging
import sys

import uvicorn

from dashboard.access import require_token
from dashboard.app import create_app
from dashboard.forwarding import api_of
from dashboard.redis_client import connect
from dataflows.settings import get_settings
from dataflows.web_server import HEADER_BYTES, WebServer, listen, trusted_proxies
from models.errors import SentiStreamError

__all__ = ["main"]

SHUTDOWN_S = 2  # open websockets are closed at once; this is for what does not react


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for name in ("dash", "httpx"):  # they tell of every request
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        settings = get_settings()
        token = settings.dashboard.token.get_secret_value() if settings.dashboard.token else None
        require_token(settings.dashboard.host, token)
        connect(settings.redis.url.get_secret_value())  # opens nothing; refuses what is no URL
        host = settings.dashboard.host
        listener = listen(host, settings.dashboard.port, "SENTISTREAM_DASHBOARD__PORT")
    except SentiStreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    url, window_s = settings.redis.url.get_secret_value(), min(settings.windows)
    app = create_app(url, settings.redis.prefix, token, api_of(settings), window_s)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # it would hold the token of a `?token=` address
        server_header=False,
        http="h11",  # it bounds all headers together, httptools none
        h11_max_incomplete_event_size=HEADER_BYTES,
        ws_max_size=1 << 20,
        forwarded_allow_ips=trusted_proxies(),
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    with listener:
        try:
            WebServer(config, "SentiStream dashboard", host).run(sockets=[listener])
        except KeyboardInterrupt:  # uvicorn raises the signal again after its orderly end
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
