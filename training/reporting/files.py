"""Writing a file of a run so that nobody ever reads half of it."""

from pathlib import Path

__all__ = ["replace"]


def replace(path: Path, content: str | bytes) -> Path:
    """Write a file aside and rename it; return its path.

    Raises:
        OSError: the folder does not exist or cannot be written to.
    """
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    return part.replace(path)
