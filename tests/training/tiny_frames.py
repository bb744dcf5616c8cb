"""A tiny tar of photos with boxed faces."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

HEADER = "image,left,top,right,bottom,emotion"


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "grey").save(file, "JPEG")
    return file.getvalue()


PHOTO = _jpeg()  # 64 x 48 pixels without a face


def write_frames(
    path: Path,
    photos: Mapping[str, bytes],
    rows: Sequence[tuple[object, ...]] | None,
    *,
    header: str = HEADER,
) -> Path:
    """Write photos and the table of their faces; without rows there is no table."""
    members = {f"images/{name}": content for name, content in photos.items()}
    if rows is not None:
        lines = [header, *(",".join(map(str, row)) for row in rows)]
        members["faces.csv"] = "\n".join(lines).encode()
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
