"""A second model beside the one in use: it scores a share of the events, and changes nothing.

Which events are compared follows from their ids. The work is done by a thread of low priority from
a short queue; when that is full, events are skipped and counted, so that a slow shadow holds
nothing up.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dataflows.agreement import Agreement, compared, encode
from models.activation import open_bundle
from models.bundle import Bundle, TextBundle
from models.errors import ContentError
from models.options import ShadowOptions
from models.runtime import lower_priority
from models.scorer import Content, Scored, Scorer

__all__ = ["Shadow", "chosen", "open_shadow"]

_log = logging.getLogger(__name__)

WAITING: Final = 4  # batches; a few MB of pictures


class _Piece(NamedTuple):
    """What is compared of one event."""

    content: Content
    scored: Scored
    active: Mapping[str, str | None]


def chosen(event_id: str, share: float) -> bool:
    """Whether an event is in a share (0 to 1) of all; the same wherever it is asked."""
    digest = hashlib.blake2b(event_id.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64


def open_shadow(scorer: Scorer, bundles: Path, options: ShadowOptions) -> Shadow | None:
    """Open the bundles that the settings name; None where they name none.

    Args:
        scorer: lends its detector.
        bundles: the folder of all bundles.
        options: which versions, and how large a share.

    Raises:
        BundleError: a bundle may not be used.
    """
    found: dict[str, str] = {}
    faces: Bundle | None = None
    texts: TextBundle | None = None
    for kind, version in (("face", options.face), ("text", options.text)):
        if not version:
            continue
        bundle = open_bundle(kind, bundles / kind / version)
        found[kind] = version
        if isinstance(bundle, Bundle):
            faces = bundle
        elif isinstance(bundle, TextBundle):
            texts = bundle
    if not found:
        return None
    return Shadow(scorer.aside(faces, texts), found, options.share)


class Shadow:
    """Compares a second scorer with the one in use; safe between threads."""

    def __init__(self, scorer: Scorer, versions: Mapping[str, str], share: float) -> None:
        """Start the thread.

        Args:
            scorer: the second one.
            versions: those of its bundles that are compared, by kind.
            share: of the events, 0 to 1.
        """
        self._scorer = scorer
        self._versions = dict(versions)
        self._share = share
        self._found: dict[str, Agreement] = {}
        self._lock = threading.Lock()
        self._queue: queue.Queue[list[_Piece]] = queue.Queue(WAITING)
        self._failing = False
        threading.Thread(target=self._run, name="shadow", daemon=True).start()

    def offer(
        self,
        ids: Sequence[str],
        contents: Sequence[Content],
        scores: Sequence[Scored | ContentError],
        active: Mapping[str, str | None],
    ) -> None:
        """Have a batch compared, as far as it is chosen; never waits.

        Args:
            ids: of the events.
            contents: what they carry.
            scores: the results in use.
            active: versions that gave them, by kind.
        """
        pieces = []
        for event_id, content, scored in zip(ids, contents, scores, strict=True):
            if isinstance(scored, Scored) and chosen(event_id, self._share):
                part = Content(
                    image=content.image if "face" in self._versions else None,
                    text=content.text if "text" in self._versions and scored.text else None,
                )
                piece = _Piece(part, scored, active)
                if self._pairs(piece):
                    pieces.append(piece)
        if not pieces:
            return
        try:
            self._queue.put_nowait(pieces)
        except queue.Full:
            for piece in pieces:
                for pair in self._pairs(piece):
                    self._add(pair._replace(skipped=1))

    def fields(self) -> dict[str, str]:
        """Return what a heartbeat tells of the comparison, by name of the field."""
        with self._lock:
            return {"shadow": encode(self._found.values())}

    def join(self) -> None:
        """Wait until all that was taken is compared."""
        self._queue.join()

    def _run(self) -> None:
        lower_priority()
        while True:
            pieces = self._queue.get()
            try:
                for piece, theirs in zip(pieces, self._scores(pieces), strict=True):
                    for pair in self._pairs(piece):
                        self._add(compared(pair, piece.scored, theirs))
            finally:
                self._queue.task_done()

    def _scores(self, pieces: Sequence[_Piece]) -> Sequence[Scored | ContentError]:
        try:
            return self._scorer.score([piece.content for piece in pieces])
        except Exception as error:  # whatever ails the shadow, it harms nothing else
            if not self._failing:
                _log.exception("the shadow %s cannot score; told once", self._versions)
                self._failing = True
            return [ContentError("scoring_failed", str(error))] * len(pieces)

    def _pairs(self, piece: _Piece) -> list[Agreement]:
        """Return what is compared; a shadow that has come into use itself is not."""
        return [
            Agreement(kind, active, shadow)
            for kind, shadow in self._versions.items()
            if (piece.content.image if kind == "face" else piece.content.text) is not None
            and (active := piece.active.get(kind)) is not None
            and active != shadow
        ]

    def _add(self, found: Agreement) -> None:
        with self._lock:
            before = self._found.get(found.kind)
            # Another version in use is another comparison.
            same = before is not None and before[:3] == found[:3]
            self._found[found.kind] = before.plus(found) if before and same else found
