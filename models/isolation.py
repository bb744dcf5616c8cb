"""Scores a batch so that one content cannot take the others down with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from models.errors import ContentError
from models.scorer import Content, Scored, Scorer

__all__ = ["FAILED", "score_apart"]

_log = logging.getLogger(__name__)

FAILED = "scoring_failed"


def score_apart(scorer: Scorer, contents: Sequence[Content]) -> Sequence[Scored | ContentError]:
    """Score contents together; if that fails, each alone.

    What the models cannot digest may be anything, so any exception is taken for the content's
    fault; it is logged.

    Returns:
        One entry per content, in order. That of a content on which the models fail also when it is
        alone is `scoring_failed`, with the exception as its cause.
    """
    if not contents:
        return []
    try:
        return scorer.score(contents)
    except Exception:
        _log.exception("scoring %d contents failed; each is tried alone", len(contents))
        return [_alone(scorer, content) for content in contents]


def _alone(scorer: Scorer, content: Content) -> Scored | ContentError:
    try:
        return scorer.score([content])[0]
    except Exception as error:
        failed = ContentError(FAILED, f"{type(error).__name__}: {error}")
        failed.__cause__ = error
        return failed
