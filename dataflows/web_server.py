"""A web server that says where it listens once it does."""

from __future__ import annotations

import os
import socket
from typing import Final

import uvicorn

from models.errors import ServiceError

__all__ = ["HEADER_BYTES", "WebServer", "listen", "trusted_proxies"]

HEADER_BYTES: Final = 16_384  # of all headers of a request together


class WebServer(uvicorn.Server):
    """Prints `NAME: ADDRESS` when it is ready.

    Args:
        config: of uvicorn.
        name: what is served.
        host: what it was asked to listen on.
    """

    def __init__(self, config: uvicorn.Config, name: str, host: str) -> None:
        super().__init__(config)
        self._name, self._host = name, host

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell the address."""
        await super().startup(sockets)
        if self.started and sockets:
            host = f"[{self._host.strip('[]')}]" if ":" in self._host else self._host
            print(f"{self._name}: http://{host}:{sockets[0].getsockname()[1]}", flush=True)


def trusted_proxies() -> str:
    """Return the addresses of those whose `X-Forwarded-…` is believed: nobody, unless told.

    By itself uvicorn believes all programs of this machine.
    """
    return os.environ.get("FORWARDED_ALLOW_IPS", "")


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Args:
        host: an address or name.
        port: the port.
        setting: the variable that sets the port, for the message.

    Raises:
        ServiceError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family)
    except OSError as error:
        raise ServiceError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another with "
            f"{setting} (0 takes a free one)"
        ) from error
