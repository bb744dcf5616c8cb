"""A tiny data set in RAF-DB's form: coloured patches that a network can tell apart."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def jpeg(label: int, seed: int) -> bytes:
    """Return a JPEG of 100 x 100 pixels: noise, with a bright patch where the label says."""
    pixels = np.random.default_rng(seed).integers(0, 120, (100, 100, 3), dtype=np.uint8)
    pixels[10 + 10 * label : 20 + 10 * label] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def write_tar(
    path: Path, counts: dict[str, int], *, leave_out: str | None = None, seed: int = 0
) -> None:
    """Write splits with so many pictures of each class; one picture may be missing."""
    with tarfile.open(path, "w") as archive:

        def add(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

        for place, (split, count) in enumerate(counts.items()):
            lines = ["image,label"]
            for index in range(count * 7):
                label = index % 7
                name = f"{split}_{index:05}_aligned.jpg"
                lines.append(f"{name},{label + 1}")
                if name != leave_out:
                    add(f"{split}/{label + 1}/{name}", jpeg(label, seed + 10_000 * place + index))
            add(f"{split}_labels.csv", "\n".join(lines).encode())
