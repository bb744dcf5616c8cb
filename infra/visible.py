"""Text from outside, as a terminal may be given it."""

from __future__ import annotations

import json
import os
from pathlib import Path

__all__ = ["name_of", "visible"]


def visible(text: str) -> str:
    """Return the text with everything that cannot be seen written as an escape, but new lines.

    A terminal obeys control characters, and marks of the writing direction turn what is around
    them. The escapes are those of JSON.
    """
    return "".join(
        one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text
    )


def name_of(path: Path) -> str:
    """Return the name of a file as text that can be written: what is not UTF-8 is an escape."""
    return os.fsencode(path).decode(errors="backslashreplace")
