"""Reading photos with boxed faces, and what is refused."""

from pathlib import Path

import pytest
from tiny_frames import PHOTO, write_frames

from training.datasets.expw_frames import read
from training.errors import DataError


def test_photos_come_with_all_their_faces(tmp_path: Path) -> None:
    rows = [
        ("b.jpg", 10, 20, 30, 60, "anger"),
        ("a.jpg", 0, 0, 9, 9, "fear"),
        ("b.jpg", 1, 2, 3, 4, "neutral"),
    ]
    path = write_frames(tmp_path / "frames.tar", {"a.jpg": PHOTO, "b.jpg": PHOTO}, rows)
    first, second = read(path)
    assert (first.name, second.name) == ("b.jpg", "a.jpg")
    assert [face.box for face in first.faces] == [(10, 20, 30, 60), (1, 2, 3, 4)]
    assert [face.emotion for face in first.faces] == ["anger", "neutral"]
    assert first.faces[0].width == 20
    assert first.decode().image.size == (64, 48)


def test_a_box_may_stick_out_of_the_photo(tmp_path: Path) -> None:
    row = ("a.jpg", -10, -10, 80, 80, "anger")
    (photo,) = read(write_frames(tmp_path / "frames.tar", {"a.jpg": PHOTO}, [row]))
    photo.decode()


@pytest.mark.parametrize("box", [(64, 0, 80, 10), (0, 48, 10, 60), (-9, 0, 0, 10), (0, -9, 10, 0)])
def test_a_box_outside_the_photo_is_refused_by_name(
    box: tuple[int, int, int, int], tmp_path: Path
) -> None:
    path = write_frames(tmp_path / "frames.tar", {"a.jpg": PHOTO}, [("a.jpg", *box, "anger")])
    (photo,) = read(path)
    with pytest.raises(DataError, match=r"a\.jpg has 64x48 pixels.*outside"):
        photo.decode()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("a.jpg", 30, 0, 30, 10, "anger"), r"line 2: the box \(30, 0, 30, 10\) has no area"),
        (("a.jpg", 0, 10, 30, 9, "anger"), "has no area"),
        (("a.jpg", "left", 0, 30, 10, "anger"), "line 2: invalid literal.*'left'"),
        (("a.jpg", 0, 0, 30, 10, "joy"), "'joy' is not one of surprise"),
        (("a.jpg", 0, 0, 30), "line 2: it is too short"),
    ],
)
def test_a_bad_row_is_refused_by_its_line(
    row: tuple[object, ...], reason: str, tmp_path: Path
) -> None:
    path = write_frames(tmp_path / "frames.tar", {"a.jpg": PHOTO}, [row])
    with pytest.raises(DataError, match=reason):
        read(path)


def test_a_photo_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "frames.tar", {}, [("a.jpg", 0, 0, 9, 9, "fear")])
    with pytest.raises(DataError, match=r"1 photos that are not in images/, such as a\.jpg"):
        read(path)


def test_a_broken_photo_is_named(tmp_path: Path) -> None:
    row = ("a.jpg", 0, 0, 9, 9, "fear")
    (photo,) = read(write_frames(tmp_path / "frames.tar", {"a.jpg": b"no picture"}, [row]))
    with pytest.raises(DataError, match=r"a\.jpg cannot be used"):
        photo.decode()


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "frames.tar", {"a.jpg": PHOTO}, None)
    with pytest.raises(DataError, match=r"frames\.tar does not hold faces\.csv"):
        read(path)


def test_a_table_without_faces_is_refused(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "frames.tar", {"a.jpg": PHOTO}, [])
    with pytest.raises(DataError, match=r"faces\.csv names no face"):
        read(path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    row = ("a.jpg", 0, 0, 9, 9, "fear")
    path = write_frames(tmp_path / "frames.tar", {"a.jpg": PHOTO}, [row], header="image,left,top")
    with pytest.raises(DataError, match="there is no column 'right'"):
        read(path)


@pytest.mark.parametrize("content", [None, b"no tar at all" * 99])
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "frames.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"frames\.tar cannot be read"):
        read(path)
