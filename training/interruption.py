"""Ctrl-C that is not lost: what is raised in a destructor or a callback of C code is swallowed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["heed", "remembered"]

_ASKED: Final = threading.Event()


@contextmanager
def remembered() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt at once, and be found by `heed` if that was swallowed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no other one may set handlers, or receives signals
        return
    _ASKED.clear()
    before = signal.signal(signal.SIGINT, _ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def heed() -> None:
    """Stop where it is safe.

    Raises:
        KeyboardInterrupt: somebody has asked for it since `remembered` began.
    """
    if _ASKED.is_set():
        _ASKED.clear()
        raise KeyboardInterrupt


def _ask(_number: int, _frame: FrameType | None) -> None:
    _ASKED.set()
    raise KeyboardInterrupt
