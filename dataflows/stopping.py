"""Ends the flow in order: the sources end, and Bytewax writes what is under way and a snapshot."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import time
from types import FrameType
from typing import Final

from models.errors import ServiceError

__all__ = ["NO_USE", "STOPPING", "Stopping"]

_log = logging.getLogger(__name__)

GRACE_S: Final = 1.5  # for a service that is away; a stop is promised within 5 s
NO_USE: Final = 3  # exit code: starting again as it is would be of no use


class Stopping:
    """Whether this process has been asked to end, and why."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._reason: str | None = None

    @property
    def requested(self) -> bool:
        """Whether sources have to end now."""
        return self._since is not None

    def request(self, reason: str | None = None) -> None:
        """Ask for an end.

        Args:
            reason: what went wrong; it becomes the last line of the process, whose exit code is
                then `NO_USE`. None is an end that was wished for.
        """
        if self._since is None:
            self._since = time.monotonic()
            self._reason = reason

    def check(self, what: str) -> None:
        """Give up waiting for a service some seconds after the request.

        Raises:
            ServiceError: the time is over; what is not confirmed is replayed at the next start.
        """
        if self._since is not None and time.monotonic() - self._since > GRACE_S:
            raise ServiceError(
                f"stopped while {what} was away; what it has not confirmed is written again at "
                "the next start"
            )

    def install(self) -> None:
        """Let SIGTERM and SIGINT ask for an end, once; a second signal ends the process at once.

        For the main thread. At the end the reason, if there is one, is told and becomes the exit
        code: Bytewax's own `main` ends with 0, and nothing of ours is called after it.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)
        atexit.register(self._tell)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        _log.info("%s: ending after a last snapshot", signal.Signals(number).name)
        self.request()

    def _tell(self) -> None:
        if self._reason is None:
            return
        print(f"sentistream: {self._reason}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        logging.shutdown()
        os._exit(NO_USE)


STOPPING: Final = Stopping()
