"""`python -m dashboard`: serves the live dashboard until it is told to stop."""

from __future__ import annotations

import logging
import socket
import sys

import uvicorn

from dashboard.access import require_token
from dashboard.app import create_app
from dashboard.redis_client import connect
from dataflows.settings import get_settings
from models.errors import SentiStreamError, ServiceError

__all__ = ["main"]

SHUTDOWN_S = 2  # open websockets are closed at once; this is for what does not react


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"SentiStream dashboard: {self._address}", flush=True)


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("dash").setLevel(logging.WARNING)
    try:
        settings = get_settings()
        token = settings.dashboard.token.get_secret_value() if settings.dashboard.token else None
        require_token(settings.dashboard.host, token)
        connect(settings.redis.url.get_secret_value())  # opens nothing; refuses what is no URL
        listener = _listen(settings.dashboard.host, settings.dashboard.port)
    except SentiStreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    app = create_app(settings.redis.url.get_secret_value(), settings.redis.prefix, token)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # it would hold the token of a `?token=` address
        server_header=False,
        ws_max_size=1 << 20,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    with listener:
        try:
            _Server(config, _address(settings.dashboard.host, listener)).run(sockets=[listener])
        except KeyboardInterrupt:  # uvicorn raises the signal again after its orderly end
            return 0
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises:
        ServiceError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family)
    except OSError as error:
        raise ServiceError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another with "
            "SENTISTREAM_DASHBOARD__PORT (0 takes a free one)"
        ) from error


def _address(host: str, listener: socket.socket) -> str:
    name = f"[{host.strip('[]')}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


if __name__ == "__main__":
    sys.exit(main())
