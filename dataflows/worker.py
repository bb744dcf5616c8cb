"""What one worker knows of its sources, shared by the steps that run in it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

from dataflows.head import NO_HEAD, Head

__all__ = ["Worker", "any_restored", "this_worker"]


@dataclass(slots=True)
class Worker:
    """Of one worker, which is a thread.

    Attributes:
        sources: newest event time (epoch ms) of those that have minutes in its state.
        resumed: those whose minutes came from a snapshot and have to be told again.
        restored: whether anything was accepted before the last start.
        head: of the sources that the worker has read.
        asked: minutes that were asked to tell their panes for a Redis that has lost them.
        written: minutes that have told them, and are in Redis.
    """

    sources: dict[str, int] = field(default_factory=dict)
    resumed: set[str] = field(default_factory=set)
    restored: bool = False
    head: Head = NO_HEAD
    asked: int = 0
    written: int = 0


def any_restored() -> bool:
    """Whether any worker of this process goes on with what was accepted before the last start."""
    return any(worker.restored for worker in list(_by_thread.values()))


_by_thread: Final[dict[int, Worker]] = {}


def this_worker() -> Worker:
    """Return what the calling worker knows.

    `threading.local` does not do: Python forgets the threads of Bytewax, which it has not started,
    whenever they let go of the interpreter's lock.
    """
    worker = _by_thread.get(threading.get_ident())
    return worker or _by_thread.setdefault(threading.get_ident(), Worker())
