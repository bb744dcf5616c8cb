"""A way to a server on this machine, which may be slow, or lead to another one later."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from typing import Self

__all__ = ["Way"]

BLOCK = 65_536


class Way:
    """Passes connections on.

    Attributes:
        target: the port of the server, for connections that are still to come.
        port: where it listens.
    """

    def __init__(self, target: int, delay_s: Callable[[bytes], float] = lambda first: 0.0) -> None:
        """Lead to a port; wait for so many seconds after the first bytes of a connection."""
        self.target = target
        way = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                first = self.request.recv(BLOCK)
                time.sleep(delay_s(first))
                with socket.create_connection(("127.0.0.1", way.target)) as server:
                    server.sendall(first)
                    back = threading.Thread(target=_pass_on, args=(server, self.request))
                    back.start()
                    _pass_on(self.request, server)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until one side has had enough."""
    with contextlib.suppress(OSError):
        while data := source.recv(BLOCK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
