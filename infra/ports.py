"""Free loopback ports that no second stack of the same machine takes in between."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterable
from typing import Self

from models.errors import ServiceError

__all__ = ["LOOPBACK", "Ports"]

LOOPBACK = "127.0.0.1"
# Below Linux's range for outgoing connections (32768 and up), one of which could take a port
# between our look at it and the server's bind.
FIRST, LAST = 20_000, 32_000
TRIES = 200


class Ports:
    """Hands out free ports and holds a claim on each until it is closed.

    A port that is free now may be taken before the server that is meant to have it has started.
    Among stacks of this machine that is ruled out by a claim: a socket in Linux's abstract
    namespace, which the kernel frees when this process ends in whatever way.
    """

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up all claims."""
        while self._claims:
            self._claims.pop().close()

    def free(self, preferred: Iterable[int] = ()) -> int:
        """Return a port that nothing listens on: the first free one of `preferred`, else any.

        Raises:
            ServiceError: none could be found.
        """
        others = (random.randint(FIRST, LAST) for _ in range(TRIES))  # noqa: S311 - no secret
        for port in (*preferred, *others):
            if self._claim(port):
                return port
        raise ServiceError(f"no free port was found on {LOOPBACK} in {FIRST}..{LAST}")

    def _claim(self, port: int) -> bool:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0sentistream-port-{port}")
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                # As servers do: connections of a server that has just stopped do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((LOOPBACK, port))
        except OSError as error:
            claim.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        self._claims.append(claim)
        return True
