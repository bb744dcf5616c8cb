"""Which version of a bundle is in use, and the way back.

`ACTIVE` beside the versions names the one in use, `PREVIOUS` the one before. Both are replaced in
one step: whoever reads meanwhile finds the old name or the new one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from models.bundle import AnyBundle, Bundle, TextBundle, load_bundle, load_text_bundle
from models.errors import BundleError
from models.faces import FaceScorer
from models.manifest import ACTIVE, CLASSES, MANIFEST, PREVIOUS, VERSION
from models.texts import TextScorer

__all__ = [
    "KINDS",
    "Listed",
    "activate",
    "list_versions",
    "name_active",
    "open_bundle",
    "rollback",
    "verify",
    "version_in",
]

KINDS: Final = tuple(CLASSES)


class Listed(NamedTuple):
    """A version that lies in a folder of bundles.

    Attributes:
        kind: `face` or `text`.
        version: name of its folder.
        active: whether `ACTIVE` names it.
        previous: whether `PREVIOUS` does.
    """

    kind: str
    version: str
    active: bool
    previous: bool


def version_in(file: Path) -> str | None:
    """Return the version that a file such as `ACTIVE` names; None where there is no file.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{file} cannot be read: {error}") from error


def list_versions(bundles: Path) -> list[Listed]:
    """Return all versions with a manifest in a folder of bundles, by kind and name."""
    found = []
    for kind in KINDS:
        folder = bundles / kind
        active, previous = version_in(folder / ACTIVE), version_in(folder / PREVIOUS)
        for version in sorted(file.parent.name for file in folder.glob(f"*/{MANIFEST}")):
            if re.match(VERSION, version):
                found.append(Listed(kind, version, version == active, version == previous))
    return found


def open_bundle(kind: str, folder: Path) -> AnyBundle:
    """Load and check a version; its models are not opened yet.

    Raises:
        BundleError: it may not be used; the message says why.
    """
    if not (folder / MANIFEST).is_file():
        versions = [one.version for one in list_versions(folder.parents[1]) if one.kind == kind]
        raise BundleError(
            f"there is no {kind} bundle {folder.name!r} in {folder.parent}; "
            f"versions found: {', '.join(versions) or 'none'}"
        )
    bundle: AnyBundle = load_bundle(folder) if kind == "face" else load_text_bundle(folder)
    if bundle.manifest.version != folder.name:
        raise BundleError(
            f"{folder}: the manifest says version {bundle.manifest.version!r}; predictions would "
            "name another one than ACTIVE, so the folder has to bear the same name"
        )
    return bundle


def verify(kind: str, folder: Path) -> AnyBundle:
    """Check a version to the end: hashes, classes, shapes, and a first run of its models.

    Raises:
        BundleError: it may not be used; the message says why.
    """
    bundle = open_bundle(kind, folder)
    if isinstance(bundle, Bundle):
        FaceScorer(bundle, threads=1)
    elif isinstance(bundle, TextBundle):
        TextScorer(bundle, threads=1)
    return bundle


def activate(bundles: Path, kind: str, version: str) -> str | None:
    """Verify a version, and name it in `ACTIVE`; the one before is kept in `PREVIOUS`.

    Returns:
        The version before; None if there was none.

    Raises:
        BundleError: the version may not be used, and nothing was changed; or a file cannot be
            written.
    """
    if not re.match(VERSION, version):
        raise BundleError(f"{version!r} is no name of a version")
    verify(kind, bundles / kind / version)
    return name_active(bundles / kind, version)


def rollback(bundles: Path, kind: str) -> tuple[str | None, str]:
    """Go back to the version before; a second time comes forth again.

    Returns:
        The version that was in use, and the one that is now.

    Raises:
        BundleError: there is none before, or it may not be used, and nothing was changed.
    """
    folder = bundles / kind
    active, previous = version_in(folder / ACTIVE), version_in(folder / PREVIOUS)
    if previous is None or previous == active:
        raise BundleError(
            f"{folder} knows no version before {active!r}: {PREVIOUS} is written when another one "
            "is activated"
        )
    activate(bundles, kind, previous)
    return active, previous


def name_active(folder: Path, version: str) -> str | None:
    """Write `PREVIOUS` and `ACTIVE` without verifying; return the version before.

    Raises:
        BundleError: they cannot be written.
    """
    before = version_in(folder / ACTIVE)
    try:
        if before and before != version:
            _replace(folder / PREVIOUS, before)
        _replace(folder / ACTIVE, version)
    except OSError as error:
        raise BundleError(
            f"{error.filename or folder} cannot be written: {error.strerror}; bundles of your own "
            "belong into a folder of your own, which SENTISTREAM_BUNDLES names"
        ) from error
    return before


def _replace(path: Path, version: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(f"{version}\n")
            file.flush()
            os.fsync(file.fileno())  # else the name may be on the disk before what it holds
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
