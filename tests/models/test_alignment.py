from __future__ import annotations

import cmath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from models.alignment import align_face, similarity
from models.bundle import ALIGNED_LANDMARKS

POINTS = np.array(ALIGNED_LANDMARKS) * 100


def moved(points: np.ndarray, a: complex, b: complex) -> np.ndarray:
    w = a * (points[:, 0] + 1j * points[:, 1]) + b
    return np.stack([w.real, w.imag], axis=1)


@given(
    st.floats(0.1, 10),
    st.floats(-3, 3),
    st.floats(-500, 500),
    st.floats(-500, 500),
)
def test_the_similarity_is_found(scale: float, angle: float, x: float, y: float) -> None:
    a, b = cmath.rect(scale, angle), complex(x, y)
    found_a, found_b = similarity(POINTS, moved(POINTS, a, b))
    assert found_a == pytest.approx(a, abs=1e-6)
    assert found_b == pytest.approx(b, abs=1e-4)


@pytest.mark.parametrize("scale", [0.8, 1.0, 3.0, 9.0])
@pytest.mark.parametrize("angle", [-0.5, 0.0, 0.4])
def test_landmarks_land_where_the_training_crops_have_them(scale: float, angle: float) -> None:
    """Dots drawn on the landmarks of a turned and scaled face come out at the template."""
    landmarks = moved(POINTS, cmath.rect(scale, angle), complex(600, 500))
    image = Image.new("RGB", (1600, 1600))
    draw = ImageDraw.Draw(image)
    radius = 4 * scale
    for x, y in landmarks:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill="white")
    crop = align_face(image, landmarks, ALIGNED_LANDMARKS, 112)
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8
    rows, columns = np.indices((112, 112))
    for x, y in np.array(ALIGNED_LANDMARKS) * 112:
        near = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < 8**2
        weight = crop[..., 0] * near
        assert weight.sum() > 0
        assert (weight * (columns + 0.5)).sum() / weight.sum() == pytest.approx(x, abs=0.6)
        assert (weight * (rows + 0.5)).sum() / weight.sum() == pytest.approx(y, abs=0.6)


@pytest.mark.parametrize("where", [-5000.0, 0.0, 5000.0])
def test_a_face_beyond_the_edge_gives_a_crop_all_the_same(where: float) -> None:
    image = Image.new("RGB", (200, 100), "white")
    crop = align_face(image, POINTS * 5 + where, ALIGNED_LANDMARKS, 112)
    assert crop.shape == (112, 112, 3)


def test_landmarks_on_one_point_give_a_crop_all_the_same() -> None:
    image = Image.new("RGB", (200, 100), "white")
    crop = align_face(image, np.full((5, 2), 50.0), ALIGNED_LANDMARKS, 112)
    assert crop.shape == (112, 112, 3)
