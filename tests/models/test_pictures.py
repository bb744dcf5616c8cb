from __future__ import annotations

import io
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from waiting import PATIENCE_S

from models.decoding import PixelBudget
from models.errors import ContentError
from models.options import Limits
from models.pictures import decode_picture
from models.wheels import fetch

LIMITS = Limits()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reason(value: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(ContentError) as caught:
        decode_picture(value, limits)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pictures_of_each_kind_become_rgb(kind: str, mode: str) -> None:
    image = Image.new(mode, (40, 30), 200 if mode == "L" else "red")
    picture = decode_picture(encoded(image, kind), LIMITS)
    assert picture.pixels.shape == (30, 40, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.scale == 1


@pytest.mark.parametrize("mode", ["P", "RGBA", "1", "LA", "I;16"])
def test_other_colour_modes_become_rgb(mode: str) -> None:
    picture = decode_picture(encoded(Image.new(mode, (8, 8)), "PNG"), LIMITS)
    assert picture.pixels.shape == (8, 8, 3)


def test_16_bit_grey_is_scaled_not_cut() -> None:
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    picture = decode_picture(encoded(Image.fromarray(ramp), "PNG"), LIMITS)
    np.testing.assert_allclose(picture.pixels[..., 0].ravel(), np.arange(256), atol=1)


def test_a_picture_is_turned_upright_by_its_exif_tag() -> None:
    image = Image.new("RGB", (40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode_picture(encoded(image, "JPEG", exif=exif), LIMITS)
    assert picture.image.size == (20, 40)
    assert picture.scale == 1


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_smaller_and_says_how_much(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode_picture(encoded(Image.new("RGB", (6000, 4000)), "JPEG", exif=exif), LIMITS)
    assert max(picture.image.size) == 1500
    assert picture.scale == 4


def test_a_large_png_is_shrunk_after_decoding() -> None:
    picture = decode_picture(encoded(Image.new("L", (5200, 100)), "PNG"), LIMITS)
    assert picture.image.size == (1300, 25)
    assert picture.scale == 4


def png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


def test_dimensions_are_refused_by_the_header_alone() -> None:
    # There is not one pixel in it: had it been decoded, it would be broken.
    assert reason(png(20_000, 20_000, b"none")) == "too_many_pixels"
    assert reason(png(2**31 - 1, 2**31 - 1, b"none")) == "too_many_pixels"
    assert reason(png(20, 20, b"none")) == "broken_image"


def test_a_picture_at_the_limit_is_taken() -> None:
    value = encoded(Image.new("RGB", (10, 10)), "PNG")
    assert decode_picture(value, Limits(max_pixels=100)).image.size == (10, 10)
    assert reason(value, Limits(max_pixels=99)) == "too_many_pixels"
    assert reason(value, Limits(max_bytes=len(value) - 1)) == "too_large"


def with_scans(width: int, height: int, scans: int) -> bytes:
    """A JPEG with its last scan again and again."""
    picture = encoded(Image.new("RGB", (width, height)), "JPEG", progressive=True)
    start = picture.rindex(b"\xff\xda")
    return picture[:start] + picture[start:-2] * scans + picture[-2:]


def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded() -> None:
    assert reason(with_scans(1000, 1000, 5000)) == "too_many_pixels"
    assert decode_picture(with_scans(64, 64, 5), LIMITS).image.size == (64, 64)
    # An ordinary progressive one counts once.
    value = encoded(Image.new("RGB", (100, 100)), "JPEG", progressive=True)
    assert decode_picture(value, Limits(max_pixels=10_000)).image.size == (100, 100)


def test_a_webp_counts_twice_and_a_side_has_a_limit() -> None:
    value = encoded(Image.new("RGB", (100, 100)), "WEBP")
    assert reason(value, Limits(max_pixels=19_999)) == "too_many_pixels"
    assert decode_picture(value, Limits(max_pixels=20_000)).image.size == (100, 100)
    assert reason(png(1, 40_000_000, b"none")) == "too_many_pixels"


def test_what_is_transparent_is_white() -> None:
    image = Image.new("RGBA", (8, 8), (200, 10, 10, 0))
    assert not (decode_picture(encoded(image, "PNG"), LIMITS).pixels != 255).any()
    assert not (decode_picture(encoded(image, "WEBP", lossless=True), LIMITS).pixels != 255).any()


def test_metadata_that_are_huge_or_broken_do_not_cost_the_picture() -> None:
    image = Image.new("RGB", (8, 8), "red")
    notes = PngInfo()
    notes.add_text("comment", "x" * 3_000_000, zip=True)
    value = encoded(image, "PNG", pnginfo=notes, icc_profile=bytes(3_000_000))
    # A text whose checksum is wrong.
    value = value.replace(b"zTXtcomment", b"zTXtCOMMENT")
    assert (decode_picture(value, LIMITS).pixels[0, 0] == (255, 0, 0)).all()


@given(st.integers(0, 65_535), st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.binary())
def test_any_orientation_tag_leaves_the_picture(
    kind: int, count: int, value: int, more: bytes
) -> None:
    tag = struct.pack("<HHII", 0x0112, kind, count, value)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + tag + more
    plain = encoded(Image.new("RGB", (40, 20), "red"), "JPEG")
    app1 = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    picture = decode_picture(plain[:2] + app1 + plain[2:], LIMITS)
    assert picture.image.size in ((40, 20), (20, 40))
    assert picture.pixels[5, 5, 0] > 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_those_of_the_standard(orientation: int, kind: str) -> None:
    stored = Image.fromarray(np.arange(384, dtype=np.uint8).reshape(16, 24))
    exif = Image.Exif()
    exif[0x0112] = orientation
    value = encoded(stored.convert("RGB"), kind, exif=exif)
    with Image.open(io.BytesIO(value)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert (decode_picture(value, LIMITS).pixels == expected).all()


def test_large_pictures_of_several_threads_wait_for_each_other() -> None:
    budget, most, seen = PixelBudget(), 100, []
    barrier = threading.Barrier(4)

    def decode(pixels: int) -> None:
        barrier.wait(PATIENCE_S)
        with budget.take(pixels, most):
            seen.append(budget._taken)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(decode, pixels) for pixels in (60, 60, 60, 500)]:
            done.result(PATIENCE_S)
    assert sorted(seen) == [60, 60, 60, 500]  # each alone, and none waits for ever


def test_a_gif_is_refused_whatever_it_is_called() -> None:
    assert reason(encoded(Image.new("RGB", (8, 8)), "GIF")) == "broken_image"


@given(st.integers(0, 138_000), st.binary(max_size=40))
def test_damaged_pictures_have_their_reason(cut: int, noise: bytes) -> None:
    photo = fetch("multi_face").read_bytes()
    damaged = photo[:cut] + noise
    try:
        outcome = decode_picture(damaged, LIMITS).image.mode
    except ContentError as error:
        outcome = error.reason
    assert outcome in {"RGB", "broken_image", "too_many_pixels"}


@pytest.mark.parametrize("cut", [0, 10, 1000, 60_000])
def test_a_truncated_picture_is_broken(cut: int) -> None:
    assert reason(fetch("multi_face").read_bytes()[:cut]) == "broken_image"
