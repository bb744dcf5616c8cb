"""Reads bodies within limits: each on its own, and all together. Nothing touches the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import Request

from serving.problems import Problem

__all__ = ["Bodies"]

TOGETHER: Final = 8  # bodies of the largest size that may be in memory at once
RETRY_S: Final = 1.0


class Bodies:
    """Keeps count of what all requests hold in memory.

    Args:
        most: bytes of one body.
        timeout_s: within which it has to arrive.
    """

    def __init__(self, most: int, timeout_s: float) -> None:
        self._most = most
        self._timeout_s = timeout_s
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that are in memory now."""
        return self._held

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body, which counts until the end of the block.

        Raises:
            Problem: `body_too_large`, by the header or as soon as more has come; `slow_body`;
                `empty_value`; `busy` if all bodies together are too much.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._most:
            raise self._too_large(f"{declared} bytes")
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._timeout_s):
                    async for chunk in request.stream():
                        self._held += len(chunk)
                        body += chunk
                        if len(body) > self._most:
                            raise self._too_large("more")
                        if self._held > TOGETHER * self._most:
                            raise Problem("busy", "too many large bodies at once", RETRY_S)
            except TimeoutError:
                detail = f"{len(body)} bytes have come within {self._timeout_s:g} s, not all"
                raise Problem("slow_body", detail) from None
            if not body:
                raise Problem("empty_value", "the body is empty")
            yield bytes(body)
        finally:
            self._held -= len(body)

    def _too_large(self, found: str) -> Problem:
        return Problem("body_too_large", f"the body has {found}; the limit is {self._most} bytes")
