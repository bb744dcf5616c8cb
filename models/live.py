"""The scorer in use, which follows `ACTIVE` while the program runs.

A thread looks at the `ACTIVE` files. A version that is new there is loaded, checked and run once
beside the scorer in use; only then it takes its place, between two calls of `current`. A version
that may not be used is refused, loudly, and the one before goes on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from models.activation import KINDS, open_bundle, version_in
from models.bundle import Bundle, TextBundle
from models.manifest import ACTIVE
from models.options import DetectorOptions, Limits, TextOptions
from models.runtime import lower_priority
from models.scorer import Scorer

__all__ = ["LiveScorer", "Use"]

_log = logging.getLogger(__name__)

PERIOD_S: Final = 1.0  # of looking; loading takes about as long, and 5 s are promised


@dataclass(frozen=True, slots=True)
class Use:
    """What is in use of one kind of bundle.

    Attributes:
        version: that of the scorer; None while there is none.
        since: when it took its place, in this process (epoch s).
        previous: the version before, if it was changed in this process.
        refused: a version that `ACTIVE` names and that may not be used, or None.
        reason: why.
        refused_at: when (epoch s).
        pinned: whether a setting names the version, so that `ACTIVE` is not followed.
    """

    version: str | None
    since: float
    previous: str | None = None
    refused: str | None = None
    reason: str | None = None
    refused_at: float | None = None
    pinned: bool = False


class LiveScorer:
    """Gives the scorer to use now; safe between threads.

    Whoever scores asks `current` once for a batch, and takes scores and versions from that one
    scorer, so that a batch has one version.
    """

    def __init__(self, scorer: Scorer, bundles: Path, text: TextOptions | None = None) -> None:
        """Begin with a scorer.

        Args:
            scorer: what is in use.
            bundles: the folder with `face/ACTIVE` and `text/ACTIVE`.
            text: a version in it is kept, whatever `ACTIVE` says.
        """
        self._scorer = scorer
        self._bundles = bundles
        pinned = {"face": False, "text": bool((text or TextOptions()).bundle)}
        now = time.time()
        self._uses = {
            kind: Use(version, now, pinned=pinned[kind])
            for kind, version in scorer.versions.items()
        }
        self._tried: dict[str, object] = {}
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def from_folder(
        cls,
        bundles: Path,
        detector: DetectorOptions | None = None,
        limits: Limits | None = None,
        threads: int = 0,
        *,
        keep_crops: bool = False,
        text: TextOptions | None = None,
    ) -> LiveScorer:
        """Open the bundles in use as `Scorer.from_folder` does, and follow them.

        Raises:
            AssetError: the detector's weights are not to be had.
            BundleError: a bundle does not fit.
        """
        scorer = Scorer.from_folder(
            bundles, detector, limits, threads, keep_crops=keep_crops, text=text
        )
        live = cls(scorer, bundles, text)
        live.start()
        return live

    def current(self) -> Scorer:
        """Return the scorer to use for the next batch; never waits."""
        return self._scorer

    @property
    def uses(self) -> Mapping[str, Use]:
        """What is in use, by kind."""
        return dict(self._uses)

    def fields(self) -> dict[str, str]:
        """Return what a heartbeat tells of the models, as JSON by name of the field."""
        uses = self.uses
        return {
            "models": json.dumps({kind: use.version for kind, use in uses.items()}),
            "model_changes": json.dumps({kind: _told(use) for kind, use in uses.items()}),
        }

    def start(self) -> None:
        """Look at `ACTIVE` once a second from a thread of its own, until `stop`."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="live-models", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for a bundle that is being loaded."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> None:
        """Look once, and load what is new; returns when that is in use or refused."""
        for kind in KINDS:
            if not self._uses[kind].pinned:
                self._look_at(kind)

    def _run(self) -> None:
        lower_priority()
        while not self._end.wait(PERIOD_S):
            self.look()

    def _look_at(self, kind: str) -> None:
        folder = self._bundles / kind
        use = self._uses[kind]
        version: str | None = None
        tried: object = None
        try:
            version = version_in(folder / ACTIVE)
            if version == use.version or (version is None and use.version is None):
                self._forgive(kind)
                return
            tried = version, _signature(folder / version) if version else None
            if tried == self._tried.get(kind):
                return
            scorer = self._opened(kind, version)
        except Exception as error:  # whatever ails what is new, what is in use goes on
            self._refuse(kind, version, error)
            self._tried[kind] = tried
            return
        self._scorer = scorer
        self._uses[kind] = Use(version, time.time(), use.version)
        self._tried.pop(kind, None)
        _log.warning("%s model %s is in use now, %s was before", kind, version, use.version)

    def _opened(self, kind: str, version: str | None) -> Scorer:
        if not version:
            raise FileNotFoundError(f"{self._bundles / kind / ACTIVE} names no version")
        # Only a name of a folder right there: `open_bundle` joins it to the path.
        if Path(version).name != version:
            raise ValueError(f"{version!r} is no name of a version")
        bundle = open_bundle(kind, self._bundles / kind / version)
        if isinstance(bundle, Bundle):
            return self._scorer.with_bundles(face_bundle=bundle)
        if isinstance(bundle, TextBundle):
            return self._scorer.with_bundles(text_bundle=bundle)
        raise TypeError(f"a bundle is one of {', '.join(KINDS)}, not {kind}")

    def _refuse(self, kind: str, version: str | None, error: Exception) -> None:
        use, reason = self._uses[kind], f"{error}" or type(error).__name__
        if use.refused != (version or "") or use.reason != reason:
            _log.error("%s model %r is refused, %s goes on: %s", kind, version, use.version, reason)
        self._uses[kind] = replace(
            use, refused=version or "", reason=reason, refused_at=time.time()
        )

    def _forgive(self, kind: str) -> None:
        """`ACTIVE` names what is in use again."""
        self._tried.pop(kind, None)
        if self._uses[kind].refused is not None:
            self._uses[kind] = replace(self._uses[kind], refused=None, reason=None, refused_at=None)


def _signature(folder: Path) -> object:
    """Return what changes when a file in a folder does, so that a refused bundle is tried anew."""
    stats = ((path.name, path.stat()) for path in sorted(folder.glob("*")))
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _told(use: Use) -> dict[str, object]:
    told: dict[str, object] = {"since": round(use.since, 3), "pinned": use.pinned}
    if use.previous is not None:
        told["previous"] = use.previous
    if use.refused is not None and use.refused_at is not None:
        told["refused"], told["reason"] = use.refused, use.reason
        told["refused_at"] = round(use.refused_at, 3)
    return told
