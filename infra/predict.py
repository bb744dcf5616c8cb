"""`sentistream predict`: files in, JSON lines out, no broker."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

from dataflows.content import read_content
from dataflows.settings import Settings, load_settings
from infra.frames import CONTENT_TYPES, InputError, Jpeg, video
from infra.visible import name_of
from models.errors import ContentError, SentiStreamError
from models.explaining import explanation
from models.prediction import prediction
from models.scorer import Content, Scorer

__all__ = ["predict"]

VIDEO_TYPES: Final = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
DECLARED: Final = CONTENT_TYPES | {".txt": "text/plain"}
BATCH: Final = 16
# Frames are taken out of a video to be scored at once: encode them nearly without loss.
FRAME: Final = Jpeg(quality=95)


@dataclass(frozen=True, slots=True)
class _Input:
    """One line of the output to be: its id, and its content or what is wrong with it."""

    id: str
    content: Content | SentiStreamError


def predict(paths: Sequence[Path], rate: float, out: TextIO, *, explain: bool = False) -> int:
    """Write one JSON line per picture and text file, and one per frame of a video.

    Args:
        paths: files, or folders that are searched for pictures, videos and texts.
        rate: frames a second that are taken from a video.
        out: where the lines go.
        explain: add to each line why (`models.explaining`); a text then costs one more pass of the
            encoder for each of its words.

    Returns:
        The exit code: 1 if any line is an error, else 0.

    Raises:
        SentiStreamError: a setting is wrong or the models cannot be had.
    """
    settings = load_settings()
    scorer = Scorer.from_folder(
        settings.bundles,
        settings.detector,
        settings.limits,
        settings.threads,
        text=settings.text,
    )
    inputs = _inputs(paths, rate, settings)
    failed = 0
    while batch := list(islice(inputs, BATCH)):
        for line in _lines(batch, scorer, explain):
            failed += "error" in line
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
        out.flush()
    return 1 if failed else 0


def _lines(batch: Sequence[_Input], scorer: Scorer, explain: bool) -> Iterator[dict[str, Any]]:
    scores = iter(scorer.score([x.content for x in batch if isinstance(x.content, Content)]))
    for item in batch:
        result = next(scores) if isinstance(item.content, Content) else item.content
        if isinstance(result, SentiStreamError):
            reason = {"reason": result.reason} if isinstance(result, ContentError) else {}
            yield {"id": item.id, "error": str(result), **reason}
        else:
            line = prediction(item.id, result, scorer.versions)
            if explain:
                text = item.content.text if isinstance(item.content, Content) else None
                line["explanation"] = explanation(result, scorer.texts, text)
            yield line


def _inputs(paths: Iterable[Path], rate: float, settings: Settings) -> Iterator[_Input]:
    known = DECLARED.keys() | VIDEO_TYPES
    for path in paths:
        if not path.is_dir():
            yield from _file(path, rate, settings)
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in known)
        if not found:
            error = InputError(f"no file in it ends in {', '.join(sorted(known))}")
            yield _Input(name_of(path), error)
        for file in found:
            yield from _file(file, rate, settings)


def _file(path: Path, rate: float, settings: Settings) -> Iterator[_Input]:
    if path.suffix.lower() in VIDEO_TYPES:
        yield from _frames(path, rate)
        return
    try:
        size = path.stat().st_size
        if size > settings.limits.max_bytes:
            detail = f"the file has {size} bytes; the limit is {settings.limits.max_bytes}"
            raise ContentError("too_large", detail)
        if not (value := path.read_bytes()):
            raise ContentError("empty_value", "the file is empty")
        # Without a telling name the first bytes decide, as for a record without a type.
        yield _Input(name_of(path), read_content(value, DECLARED.get(path.suffix.lower())))
    except ContentError as error:
        yield _Input(name_of(path), error)
    except OSError as error:
        yield _Input(name_of(path), InputError(f"cannot be read: {error.strerror}"))


def _frames(path: Path, rate: float) -> Iterator[_Input]:
    """Yield the frames of a video; an id is a media fragment, such as `clip.mp4#t=1.20`."""
    try:
        for item in video(path, FRAME, rate=rate):
            yield _Input(f"{name_of(path)}#t={item.due_s or 0:.2f}", Content(image=item.value))
    except InputError as error:
        yield _Input(name_of(path), error)
