"""Items from videos, folders and text files."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from infra import frames
from infra.frames import InputError, Jpeg

FPS = 20
FRAMES = 30


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a video whose frame number i is grey of the value 8 * i."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    for number in range(FRAMES):
        writer.write(np.full((48, 64, 3), 8 * number, np.uint8))
    writer.release()
    return path


def frame_numbers(items: Iterator[frames.Item]) -> list[int]:
    return [round(float(np.asarray(_image(item).convert("L")).mean()) / 8) for item in items]


def _image(item: frames.Item) -> Image.Image:
    return Image.open(io.BytesIO(item.value))


def test_a_video_gives_every_frame_at_its_own_pace(film: Path) -> None:
    items = list(frames.video(film, Jpeg()))
    assert frame_numbers(iter(items)) == list(range(FRAMES))
    assert [item.due_s for item in items] == [number / FPS for number in range(FRAMES)]
    assert {item.content_type for item in items} == {"image/jpeg"}


def test_a_rate_leaves_frames_out_and_keeps_the_pace_of_the_film(film: Path) -> None:
    items = list(frames.video(film, Jpeg(), rate=5))
    assert frame_numbers(iter(items)) == [0, 4, 8, 12, 16, 20, 24, 28]
    assert [item.due_s for item in items] == [0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4]


def test_a_rate_above_that_of_the_film_sends_each_frame_once(film: Path) -> None:
    assert frame_numbers(frames.video(film, Jpeg(), rate=1000)) == list(range(FRAMES))


def test_a_loop_goes_on_at_the_beginning_without_a_break_in_time(film: Path) -> None:
    items = list(islice(frames.video(film, Jpeg(), loop=True, start_s=1.0), 70))
    assert frame_numbers(iter(items)) == [*range(20, 30), *range(30), *range(30)]
    assert [item.due_s for item in items] == [number / FPS for number in range(70)]


def test_a_loop_with_a_rate_covers_frames_of_all_phases(film: Path) -> None:
    # 30 frames and every 7th: each round begins at another frame, so in time all are seen.
    numbers = frame_numbers(islice(frames.video(film, Jpeg(), rate=FPS / 7, loop=True), 30))
    assert numbers == [7 * n % FRAMES for n in range(30)]
    assert sorted(numbers) == list(range(FRAMES))


def test_frames_are_shrunk_to_the_longest_side(film: Path) -> None:
    item = next(frames.video(film, Jpeg(max_side=32)))
    assert _image(item).size == (32, 24)


def test_quality_decides_on_the_size(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    path = tmp_path / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    writer.write(noise)
    writer.release()
    low = next(frames.video(path, Jpeg(quality=20)))
    high = next(frames.video(path, Jpeg(quality=95)))
    assert len(low.value) < len(high.value)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "not.mp4"
    path.write_bytes(b"no video" * 100)
    with pytest.raises(InputError, match=r"not\.mp4: cannot be read as a video"):
        next(frames.video(path, Jpeg()))


def test_a_start_behind_the_end_of_a_video_is_refused(film: Path) -> None:
    with pytest.raises(InputError, match="no frame could be read from 60 s on"):
        next(frames.video(film, Jpeg(), start_s=60, loop=True))


def test_a_camera_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="camera 97 cannot be opened"):
        next(frames.camera(97, Jpeg()))


def as_camera(film: Path) -> int:
    """Return what OpenCV opens in the place of a camera: no machine for tests has a real one."""
    return str(film)  # type: ignore[return-value]


def test_a_camera_gives_its_pictures_as_they_come_until_it_stops(film: Path) -> None:
    items = frames.camera(as_camera(film), Jpeg())
    pictures = list(islice(items, FRAMES))
    assert frame_numbers(iter(pictures)) == list(range(FRAMES))
    assert {item.due_s for item in pictures} == {None}
    with pytest.raises(InputError, match="gives no more pictures"):
        next(items)


def test_a_rate_leaves_out_pictures_of_a_camera(film: Path) -> None:
    # One look at the clock at the start, and one for each picture: 10 pictures a second, 1 kept.
    clock = iter([0.0, *(number / 10 for number in range(FRAMES))])
    items = frames.camera(as_camera(film), Jpeg(), rate=1, clock=lambda: next(clock))
    assert frame_numbers(islice(items, 3)) == [0, 10, 20]


def test_a_camera_that_stalled_is_not_made_up_for(film: Path) -> None:
    clock = iter([0.0, 0.0, *(60 + number / 10 for number in range(FRAMES))])
    items = frames.camera(as_camera(film), Jpeg(), rate=1, clock=lambda: next(clock))
    assert frame_numbers(islice(items, 3)) == [0, 1, 11]


def test_without_opencv_it_says_what_to_install(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r'pip install "sentistream\[local\]"'):
        next(frames.video(film, Jpeg()))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Make a folder with pictures of three formats, one of them deeper, and other files."""
    (tmp_path / "deeper").mkdir()
    Image.new("RGB", (200, 100), "red").save(tmp_path / "b.jpg", quality=71)
    Image.new("RGB", (40, 80), "green").save(tmp_path / "a.PNG")
    Image.new("RGB", (40, 80), "blue").save(tmp_path / "deeper" / "c.webp")
    (tmp_path / "broken.jpeg").write_bytes(b"\xff\xd8\xff broken")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_files_of_a_folder_are_sent_byte_for_byte(album: Path) -> None:
    items = list(frames.folder(album, Jpeg(quality=10)))
    names = ["a.PNG", "b.jpg", "broken.jpeg", "deeper/c.webp"]
    assert [item.value for item in items] == [(album / name).read_bytes() for name in names]
    types = ["image/png", "image/jpeg", "image/jpeg", "image/webp"]
    assert [item.content_type for item in items] == types
    assert [item.due_s for item in items] == [None] * 4


def test_only_larger_files_of_a_folder_are_made_smaller(album: Path) -> None:
    png, jpg, broken, webp = frames.folder(album, Jpeg(max_side=100))
    assert _image(jpg).size == (100, 50)
    assert jpg.content_type == "image/jpeg"
    assert png.value == (album / "a.PNG").read_bytes()
    assert webp.value == (album / "deeper/c.webp").read_bytes()
    # What cannot be read goes out as it is: the stream names what is wrong with it.
    assert broken.value == (album / "broken.jpeg").read_bytes()


def test_a_picture_that_lies_on_its_side_is_turned_upright_when_it_is_shrunk(
    tmp_path: Path,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    Image.new("RGB", (200, 100)).save(tmp_path / "side.jpg", exif=exif)
    (item,) = frames.folder(tmp_path, Jpeg(max_side=100))
    assert _image(item).size == (50, 100)


def test_a_rate_spreads_the_files_of_a_folder(album: Path) -> None:
    assert [item.due_s for item in frames.folder(album, Jpeg(), rate=2)] == [0, 0.5, 1.0, 1.5]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file ends in"):
        next(frames.folder(tmp_path, Jpeg()))


def test_one_picture_can_be_repeated_for_ever(album: Path) -> None:
    items = list(islice(frames.picture(album / "b.jpg", Jpeg(), rate=4), 5))
    assert len({item.value for item in items}) == 1
    assert [item.due_s for item in items] == [0, 0.25, 0.5, 0.75, 1.0]


def test_each_line_with_something_on_it_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("first\n\n  \nzweite: ä \r\n".encode() + b"\xff\xfe not UTF-8\nlast")
    items = list(frames.texts(path, rate=10))
    values = [b"first", "zweite: ä".encode(), b"\xff\xfe not UTF-8", b"last"]
    assert [item.value for item in items] == values
    assert [item.due_s for item in items] == [0, 0.1, 0.2, 0.3]
    assert {item.content_type for item in items} == {"text/plain"}


def test_texts_are_sent_again_and_again_in_a_loop(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("one\n\n two\n")
    items = list(islice(frames.texts(path, rate=2, loop=True), 5))
    assert [item.value for item in items] == [b"one", b"two", b"one", b"two", b"one"]
    assert [item.due_s for item in items] == [0, 0.5, 1, 1.5, 2]


def test_a_file_of_blank_lines_has_nothing_to_repeat(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n  \n")
    assert list(frames.texts(path)) == []
    with pytest.raises(InputError, match="every line is blank"):
        list(frames.texts(path, loop=True))
