"""Server-sent events of one source: a snapshot, then every changed pane, without a gap.

The newest id of the stream of updates is read before the snapshot, so nothing falls between the
two; a pane that is told twice is the same twice. An event's id is that of the stream, so a browser
that comes back with `Last-Event-ID` goes on behind it, or gets a new snapshot if Redis no longer
has all that came since.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple, cast

from redis.exceptions import RedisError

from serving.figures import Figures, pane_document

__all__ = ["follow"]

BLOCK_MS: Final = 1000  # well below the socket's own time limit
COUNT: Final = 1000
QUIET_ROUNDS: Final = 15  # a comment after so many blocks keeps proxies from hanging up
START: Final = "0-0"
RETRY_MS: Final = 1000
ENTRY_ID: Final = re.compile(r"\d{1,19}-\d{1,19}", re.ASCII)


class _Edges(NamedTuple):
    oldest: str
    newest: str


async def follow(figures: Figures, source: str, last_id: str | None) -> AsyncIterator[bytes]:
    """Yield server-sent events for ever; ends when Redis does not answer.

    Args:
        figures: where from.
        source: the one that is followed.
        last_id: of the event after which to go on, None to begin.
    """
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        place = last_id if last_id is not None and ENTRY_ID.fullmatch(last_id) else None
        quiet = 0
        while True:
            edges = await _edges(figures)
            # Gone on without us, or begun anew: what is in between nobody can tell us.
            if place is None or not _parts(edges.oldest) <= _parts(place) <= _parts(edges.newest):
                place = edges.newest
                yield _event("snapshot", place, await figures.snapshot(source))
            entries = await _read(figures, place)
            for entry_id, fields in entries:
                place = entry_id
                document = _pane(source, fields)
                if document is not None:
                    quiet = 0
                    yield _event("pane", place, document)
            quiet += not entries
            if quiet >= QUIET_ROUNDS:
                quiet = 0
                yield b": nothing new\n\n"
    except (RedisError, OSError):
        yield _event("end", None, {"detail": "Redis does not answer; connect again"})


async def _edges(figures: Figures) -> _Edges:
    """Return the oldest place from which all that follows is there, and the newest one."""
    pipe = figures.client.pipeline(transaction=True)
    pipe.xrange(figures.keys.updates, count=1)
    pipe.xrevrange(figures.keys.updates, count=1)
    pipe.xlen(figures.keys.updates)
    oldest, newest, length = await pipe.execute()
    if not length:
        return _Edges(START, START)
    return _Edges(oldest[0][0], newest[0][0])


async def _read(figures: Figures, place: str) -> list[tuple[str, dict[str, str]]]:
    stream = figures.keys.updates
    reply: Any = await figures.client.xread({stream: place}, count=COUNT, block=BLOCK_MS)
    if not reply:
        return []
    if isinstance(reply, dict):
        # RESP3: each value is a list of lists of entries.
        return [entry for part in reply[stream] for entry in part]
    return cast("list[tuple[str, dict[str, str]]]", reply[0][1])


def _pane(source: str, fields: Mapping[str, str]) -> dict[str, Any] | None:
    bucket = fields.get("bucket", "")
    if fields.get("source") != source or not bucket.isdigit():
        return None
    pane = pane_document(int(bucket), fields.get("pane", ""))
    return None if pane is None else {"source": source, "pane": pane}


def _event(name: str, entry_id: str | None, document: Mapping[str, Any]) -> bytes:
    # JSON on one line has no line break that would end the field.
    place = "" if entry_id is None else f"id: {entry_id}\n"
    return f"event: {name}\n{place}data: {json.dumps(document)}\n\n".encode()


def _parts(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
